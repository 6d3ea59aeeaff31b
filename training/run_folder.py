"""The run folder: what a run was asked, where it stands, and what it made.

    RUN/
      config.json     the options, and digests of the data, that this folder belongs to
      checkpoints/    weights, optimizers, averages and progress; the last two are kept
      metrics.jsonl   a line of losses and scores per log point (no clock times: runs can be compared)
      grids/          fixed-seed pictures by position
      snapshots/      networks kept by position, where the trainer keeps them
      index.html      grids over time and curves; see training/run_page.py
      tensorboard/    the same for TensorBoard
      log.txt         what was printed
      product.json    what the finished run offers, with its .keras file

Start and continuation are the same path: `restore` is always called and finds nothing at first.
"""

import contextlib
import dataclasses
import errno
import fcntl
import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import write_png
from training.checkpoints import Checkpoints, Progress
from training.config import EngineConfig
from training.devices import resolve_precision
from training.run_page import write_run_page

# Options that may differ when a run is continued: how far it goes and how it is watched and spread.
CHANGEABLE = ("total_kimg", "epochs", "epochs_decay", "steps", "checkpoint_minutes", "strategy")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RunFolder:
    """An opened, locked run folder.

    Args:
      path: the folder, made if missing.
      task: name of the trainer, e.g. "train_pggan".
      config: the run's options.
      inputs: what the run reads -> its digest, e.g. {"data": ...}.
      chief: whether this process writes; the other workers of a cluster only read.

    Raises UserError if another process holds the folder, or if it belongs to other options or data.
    """

    def __init__(self, path: str | os.PathLike, task: str, config: EngineConfig, inputs: Mapping[str, str],
                 chief: bool = True):
        self.path = atomic_files.make_folder(path)
        self.chief, self._task = chief, task
        if not chief:
            return
        self._lock = lock_folder(self.path, "training in this run folder")
        options = dataclasses.asdict(config)
        options["precision"] = resolve_precision(config.precision)  # "auto" is the machine's, a run stays with one
        self._identity = {"task": task, **inputs, "config": options}
        try:
            self._check_identity()
        except BaseException:
            self._lock.close()
            raise
        self._sweep()
        self._writer = None

    def restore(self, parts: Mapping[str, Any], progress: Progress) -> None:
        """Loads the newest whole checkpoint of `parts`, if any, and drops what was written after it.

        From here on the folder belongs to its settings and data; until then, they may still turn out bad.
        """
        if self.chief:
            atomic_files.write_json(self.path / "config.json", self._identity)
            atomic_files.make_folder(self.path / "grids")
            self._writer = tf.summary.create_file_writer(str(self.path / "tensorboard"))
        self._checkpoints = Checkpoints(self.path / "checkpoints", parts, progress, self.chief, self.say)
        found = self._checkpoints.restore()
        if not found and self.finished_at() is not None:
            raise UserError(f"{self.path}: this run is finished at {self.finished_at():,}, and its checkpoints "
                            "are gone, so it cannot be continued; choose another --workdir")
        if self.chief:
            self._drop_after(progress.position)

    def save(self) -> None:
        """Writes a checkpoint; everything logged before it reaches the disk first."""
        if self.chief:
            self._writer.flush()
            with contextlib.suppress(FileNotFoundError), open(self.path / "metrics.jsonl", "rb") as lines:
                os.fsync(lines.fileno())
        self._checkpoints.save()

    def saved_at(self) -> int:
        """The position of the last checkpoint; 0 without one."""
        return max(self._checkpoints.positions(), default=0)

    def log(self, position: int, values: dict[str, float]) -> None:
        """Appends one line to metrics.jsonl and to TensorBoard."""
        if not self.chief:
            return
        with self._room_needed(), open(self.path / "metrics.jsonl", "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"position": position, **values}) + "\n")
        with self._writer.as_default(step=position):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def draw(self, position: int, picture) -> None:
        """Keeps `picture` (uint8 [H, W] or [H, W, 3]) as grids/POSITION.png."""
        if not self.chief:
            return
        colours = picture[..., ::-1] if picture.ndim == 3 else picture  # OpenCV writes blue first
        with self._room_needed():
            write_png(self.path / "grids" / f"{position:09d}.png", colours)
        with self._writer.as_default(step=position):
            tf.summary.image("grid", picture.reshape(1, *picture.shape[:2], -1))

    def say(self, line: str) -> None:
        """Prints a line and keeps it in log.txt."""
        if self.chief:
            print(line, flush=True)
            with self._room_needed(), open(self.path / "log.txt", "a", encoding="utf-8") as log:
                log.write(line + "\n")

    def write_page(self, total: int, unit: str) -> None:
        """Renews index.html."""
        if self.chief:
            with self._room_needed():
                write_run_page(self.path, read_metrics(self.path), f"{self._task}: {self.path.name}", total, unit)

    def save_network(self, model, name: str) -> None:
        """Saves a Keras model as NAME.keras in the folder, whole or not at all."""
        if self.chief:
            path = self.path / f"{name}.keras"
            atomic_files.make_folder(path.parent)
            with self._room_needed(), atomic_files.replacing(path) as temporary:
                model.save(temporary)

    def best(self, score: str) -> tuple[float, int] | None:
        """The largest value of `score` in metrics.jsonl and its position (the first of equals), if any."""
        scored = [(line[score], line["position"]) for line in read_metrics(self.path)
                  if math.isfinite(line.get(score, math.nan))]
        return min(scored, key=lambda pair: (-pair[0], pair[1]), default=None)

    def records(self, score: str) -> list[int]:
        """Positions at which `score` was larger than ever before, oldest first."""
        positions, best = [], float("-inf")
        for line in read_metrics(self.path):
            if line.get(score, best) > best:  # never so for a score that is no number
                best = line[score]
                positions.append(line["position"])
        return positions

    def prune_snapshots(self, kept: Sequence[int]) -> None:
        """Removes all snapshots but those at the positions `kept`."""
        for file in (self.path / "snapshots").glob("*.keras"):
            if file.stem not in {f"{position:09d}" for position in kept}:
                file.unlink()

    def finish(self, product: dict[str, Any]) -> None:
        """Writes product.json: the kept network that stands for the run, and what it is."""
        if self.chief:
            with self._room_needed():
                atomic_files.write_json(self.path / "product.json", product)

    def finished_at(self) -> int | None:
        """The position at which the product was made, if one was."""
        path = self.path / "product.json"
        return int(atomic_files.read_json(path).get("position", 0)) if path.is_file() else None

    def close(self) -> None:
        """Lets go of the folder."""
        if self.chief:
            if self._writer:
                self._writer.close()
            self._lock.close()

    def _check_identity(self) -> None:
        path = self.path / "config.json"
        if path.is_file():
            found = atomic_files.read_json(path)
            if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
                raise UserError(f"{path}: not a run's settings; choose another --workdir")
            changes = differences(found, self._identity)
            if changes:
                raise UserError(f"{path}: this run folder belongs to other settings ({'; '.join(changes)}); "
                                "use those, or another --workdir")

    def _drop_after(self, position: int) -> None:
        """Forgets lines and pictures of positions that will be trained again."""
        path = self.path / "metrics.jsonl"
        if path.is_file():
            kept = [line for line in read_metrics(self.path) if line["position"] <= position]
            atomic_files.write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
        for kind in ("grids", "snapshots"):
            for file in (self.path / kind).glob("*.*"):
                if file.stem.isdigit() and int(file.stem) > position:
                    file.unlink()

    def _sweep(self) -> None:
        """Removes the temporary files of a killed process; the lock says that none is alive."""
        for pattern in (".*.partial*", "grids/.*.partial*", "snapshots/.*.partial*"):
            for file in self.path.glob(pattern):
                file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _room_needed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise UserError(f"{self.path}: could not be written ({error.strerror}); the last checkpoint is whole; "
                            "make room and run the same command") from None


def lock_folder(path: pathlib.Path, doing: str):
    """Holds `path` for this process until the returned handle is closed or the process ends.

    Raises UserError if another process holds it.
    """
    handle = open(path / ".lock", "w")  # noqa: SIM115 (held as long as the run)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise UserError(f"{path}: another process is {doing}; wait for it or choose another --workdir") from None
    return handle


def differences(found: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """`name: was A, now B` for every option that may not change between starts of one run."""
    before = {**found, **found.get("config", {})}
    after = {**asked, **asked["config"]}
    names = sorted((set(before) | set(after)) - {"config", *CHANGEABLE})
    return [f"{name}: was {_shown(before, name)}, now {_shown(after, name)}" for name in names
            if before.get(name) != after.get(name)]


def _shown(settings: dict[str, Any], name: str) -> str:
    value = settings.get(name)
    if isinstance(value, str) and len(value) == 64 and name not in settings["config"]:
        return f"files with digest {value[:12]}"
    return repr(value)


def read_metrics(path: str | os.PathLike) -> list[dict[str, float]]:
    """Whole lines of a run's metrics.jsonl; a line cut short by a kill is left out."""
    rows = []
    file = pathlib.Path(path) / "metrics.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows

