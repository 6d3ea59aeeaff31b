"""The run folder: what a run was asked, where it stands, and what it made.

    RUN/
      config.json     the options, and a digest of the data, that this folder belongs to
      checkpoints/    weights, optimizers, averages and progress; the last two are kept
      metrics.jsonl   a line of losses and scores per log point (no clock times: runs can be compared)
      grids/          fixed-seed pictures by position
      tensorboard/    the same for TensorBoard
      log.txt         what was printed
      product.json    what the finished run offers, with its .keras file

Start and continuation are the same path: `restore` is always called and finds nothing at first.
"""

import dataclasses
import fcntl
import json
import os
import pathlib
from typing import Any

import tensorflow as tf

from datasets import files
from datasets.errors import UserError
from datasets.store import write_png
from training.config import EngineConfig

# Options that may differ when a run is continued: how far it goes and how it is watched and spread.
CHANGEABLE = ("total_kimg", "epochs", "epochs_decay", "steps", "checkpoint_minutes", "strategy")
_DAMAGE = (tf.errors.OpError, IndexError, ValueError)  # what restoring a truncated checkpoint raises


class Progress(tf.train.experimental.PythonState):
    """Counters that travel in the checkpoint as JSON: the position and the metric sums since the last line."""

    def __init__(self):
        super().__init__()
        self.position = 0
        self.sums: dict[str, float] = {}
        self.count = 0

    def serialize(self) -> str:
        return json.dumps(dict(self._fields()))

    def deserialize(self, string_value: str) -> None:
        for name, value in json.loads(string_value).items():
            setattr(self, name, value)

    def _fields(self):
        return ((name, getattr(self, name)) for name in ("position", "sums", "count"))


class RunFolder:
    """An opened, locked run folder.

    Args:
      path: the folder, made if missing.
      task: name of the trainer, e.g. "train_pggan".
      config: the run's options.
      data: digest of the training data.
      chief: whether this process writes; the other workers of a cluster only read.

    Raises UserError if another process holds the folder, or if it belongs to other options or data.
    """

    def __init__(self, path: str | os.PathLike, task: str, config: EngineConfig, data: str, chief: bool = True):
        self.path = files.make_folder(path)
        self.chief = chief
        if not chief:
            return
        self._lock = self._take_lock()
        self._check_identity({"task": task, "data": data, "config": dataclasses.asdict(config)})
        files.make_folder(self.path / "grids")
        self._writer = tf.summary.create_file_writer(str(self.path / "tensorboard"))

    def restore(self, checkpoint: tf.train.Checkpoint, progress: Progress) -> None:
        """Loads the newest whole checkpoint, if any, and drops metric lines written after it."""
        folder = self.path / "checkpoints"
        state = tf.train.get_checkpoint_state(str(folder)) if folder.is_dir() else None
        paths = list(state.all_model_checkpoint_paths) if state else []
        for path in reversed(paths):
            try:
                checkpoint.restore(path).assert_existing_objects_matched()
                break
            except _DAMAGE as error:
                self.say(f"checkpoint {os.path.basename(path)} is damaged ({type(error).__name__}); "
                         "falling back to the one before")
        else:
            if paths:
                raise UserError(f"{folder}: no checkpoint can be read; remove this run folder to start again")
        self._manager = tf.train.CheckpointManager(
            checkpoint, str(folder if self.chief else self._scratch()), max_to_keep=2)
        if self.chief:
            self._drop_lines_after(progress.position)

    def save(self, progress: Progress) -> None:
        """Writes a checkpoint beside the last and then makes it the newest."""
        try:
            self._manager.save(checkpoint_number=progress.position)
        except tf.errors.OpError as error:
            raise UserError(f"{self.path}/checkpoints: could not be written ({error.message}); the last "
                            "checkpoint is whole; make room and run the same command") from None

    def log(self, position: int, values: dict[str, float]) -> None:
        """Appends one line to metrics.jsonl and to TensorBoard."""
        if not self.chief:
            return
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"position": position, **values}) + "\n")
        with self._writer.as_default(step=position):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def draw(self, position: int, picture) -> None:
        """Keeps `picture` (uint8 [H, W] or [H, W, 3]) as grids/POSITION.png."""
        if not self.chief:
            return
        colours = picture[..., ::-1] if picture.ndim == 3 else picture  # OpenCV writes blue first
        write_png(self.path / "grids" / f"{position:09d}.png", colours)
        with self._writer.as_default(step=position):
            tf.summary.image("grid", picture.reshape(1, *picture.shape[:2], -1))

    def say(self, line: str) -> None:
        """Prints a line and keeps it in log.txt."""
        if self.chief:
            print(line, flush=True)
            with open(self.path / "log.txt", "a", encoding="utf-8") as log:
                log.write(line + "\n")

    def keep(self, model, name: str) -> None:
        """Saves a Keras model as NAME.keras in the folder, whole or not at all."""
        if self.chief:
            path = self.path / f"{name}.keras"
            files.make_folder(path.parent)
            with files.replacing(path) as temporary:
                model.save(temporary)

    def best(self, score: str, largest: bool) -> tuple[float, int] | None:
        """The best value of `score` in metrics.jsonl and its position (the first of equals), if any."""
        scored = [(line[score], line["position"]) for line in read_metrics(self.path) if score in line]
        return min(scored, key=lambda pair: (-pair[0] if largest else pair[0], pair[1]), default=None)

    def prune_snapshots(self, kept: int | None) -> None:
        """Removes all snapshots but the one at position `kept`."""
        for file in (self.path / "snapshots").glob("*.keras"):
            if kept is None or file.stem != f"{kept:09d}":
                file.unlink()

    def finish(self, product: dict[str, Any]) -> None:
        """Writes product.json: the kept network that stands for the run, and what it is."""
        if self.chief:
            files.write_json(self.path / "product.json", product)

    def _take_lock(self):
        handle = open(self.path / ".lock", "w")  # noqa: SIM115 (held as long as the run)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{self.path}: another process is training in this run folder; wait for it or "
                            "choose another --workdir") from None
        return handle

    def close(self) -> None:
        """Lets go of the folder."""
        if self.chief:
            self._writer.close()
            self._lock.close()

    def _check_identity(self, asked: dict[str, Any]) -> None:
        path = self.path / "config.json"
        if path.is_file():
            found = files.read_json(path)
            changes = differences(found, asked)
            if changes:
                raise UserError(f"{path}: this run folder belongs to other settings ({'; '.join(changes)}); "
                                "use those, or another --workdir")
        files.write_json(path, asked)

    def _drop_lines_after(self, position: int) -> None:
        path = self.path / "metrics.jsonl"
        if path.is_file():
            kept = [line for line in read_metrics(self.path) if line["position"] <= position]
            files.write_text(path, "".join(json.dumps(line) + "\n" for line in kept))

    def _scratch(self) -> pathlib.Path:
        return self.path / f".worker-{os.getpid()}"


def differences(found: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """`name: was A, now B` for every option that may not change between starts of one run."""
    before = {**found, **found.get("config", {})}
    after = {**asked, **asked["config"]}
    names = sorted((set(before) | set(after)) - {"config", *CHANGEABLE})
    return [f"{name}: was {before.get(name)!r}, now {after.get(name)!r}" for name in names
            if before.get(name) != after.get(name)]


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

