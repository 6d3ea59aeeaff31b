"""The run folder: what a run was asked, where it stands, and what it made.

    RUN/
      config.json     the options, digests of the data and values of the code that this folder belongs to
      checkpoints/    weights, optimizers, averages and progress; the last two are kept
      metrics.jsonl   a line of losses and scores per log point (no clock times: runs can be compared)
      grids/          fixed-seed pictures by position
      snapshots/      networks kept by position, where the trainer keeps them
      index.html      grids over time and curves (curves.svg); see training/run_page.py
      tensorboard/    the same for TensorBoard
      log.txt         what was printed
      product.json    what the finished run offers, with its .keras file

Start and continuation are the same path: `restore` is always called and finds nothing at first.
"""

import contextlib
import dataclasses
import math
import os
import re
import shutil
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from datasets.common import atomic_files, progress
from datasets.common.errors import UserError
from datasets.common.folder_lock import lock_folder
from datasets.common.output_folders import RUN, refuse_foreign
from datasets.pair_store import write_png
from evaluation.results import run_log
from evaluation.segmenter import saved_network
from evaluation.segmenter.network_file import network_digest
from training.checkpoints import Checkpoints, Progress
from training.config import EngineConfig, options_deciding
from training.devices import resolve_precision
from training.run_page import write_run_page

_SAID = "log.txt"


class RunFolder:
    """An opened, locked run folder.

    Args:
      path: the folder, made if missing.
      task: name of the trainer, e.g. "train_pggan".
      config: the run's options.
      inputs: what the run reads -> its digest, e.g. {"data": ...}.
      chief: whether this process writes; the other workers of a cluster only read.
      constants: values of the code that decide the run beside its options, by what they are of, as JSON: whatever
        changes films on the way to a network tells its `ranges`. A folder that was made without is continued
        without: what they were is not known.

    A run that never begins leaves no folder behind: `close` removes the one that was made for it.

    Raises UserError if another process holds the folder, or if it belongs to other options or data, or is no run
    folder, or for an option that names a file which is not there.
    """

    def __init__(self, path: str | os.PathLike, task: str, config: EngineConfig, inputs: Mapping[str, str],
                 chief: bool = True, constants: Mapping[str, Mapping[str, Any]] | None = None):
        refuse_foreign(path, RUN)
        # "auto" is the machine's, a run stays with one
        config = dataclasses.replace(config, precision=resolve_precision(config.precision))
        self._settings = {"task": task, **inputs, **_digests(config), "config": dataclasses.asdict(config),
                          **(constants or {})}
        self._made = not os.path.exists(path)
        self.path = atomic_files.make_folder(path)
        self.chief, self._log = chief, self.path / run_log.NAME
        if not chief:
            return  # the chief checks and writes
        self._lock = lock_folder(self.path, "training in this run folder")
        try:
            self._check_settings(config, constants or {})
        except BaseException:  # Ctrl-C too
            self._lock.close()
            raise
        self._sweep()
        self._writer = None  # opened by `restore`

    def restore(self, parts: Mapping[str, Any], progress: Progress) -> None:
        """Loads the newest whole checkpoint of `parts`, if any, and drops what was written after it.

        From here on the folder belongs to its settings and data; until then, they may still turn out bad.
        """
        if self.chief:
            atomic_files.write_json(self.path / "config.json", self._settings)
            atomic_files.make_folder(self.path / "grids")
        self._checkpoints = Checkpoints(self.path / "checkpoints", parts, progress, self.chief, self.say)
        found = self._checkpoints.restore()
        if not found and self.finished_at() is not None:
            raise UserError(f"{self.path}: this run is finished at {self.finished_at():,}, and its checkpoints "
                            "are gone, so it cannot be continued; choose another --workdir")
        if self.chief:
            self._drop_after(progress.position)
            self._renew_tensorboard()

    def save(self) -> None:
        """Writes a checkpoint; everything logged before it reaches the disk first."""
        if self.chief:
            self._writer.flush()
            with contextlib.suppress(FileNotFoundError), open(self._log, "rb") as lines:  # none logged yet
                os.fsync(lines.fileno())
        self._checkpoints.save()

    def saved_at(self) -> int:
        """The position of the last checkpoint; 0 without one."""
        return max(self._checkpoints.positions(), default=0)

    def log(self, position: int, values: dict[str, float]) -> None:
        """Appends one line to metrics.jsonl and to TensorBoard."""
        if self.chief:
            run_log.append_row(self._log, position, values)
            self._chart({"position": position, **values})

    def rows(self) -> list[dict[str, float]]:
        """All lines of metrics.jsonl; see `run_log.read_rows`."""
        return run_log.read_rows(self._log)

    def draw(self, position: int, picture: np.ndarray) -> None:
        """Keeps `picture` (uint8 [H, W] or [H, W, 3]) as grids/POSITION.png."""
        if self.chief:
            write_png(self.path / "grids" / f"{position:09d}.png", picture)
            self._chart_grid(position, picture)

    def say(self, line: str) -> None:
        """Says a line (see `datasets.common.progress`) and keeps it in log.txt."""
        if self.chief:
            progress.say(line)
            atomic_files.append_text(self.path / _SAID, line + "\n")

    def write_page(self, total: int, unit: str) -> None:
        """Renews index.html."""
        if self.chief:
            write_run_page(self.path, self._settings, self.rows(), total, unit)

    def save_network(self, model, name: str) -> None:
        """Saves a Keras model as NAME.keras in the folder, whole or not at all."""
        if self.chief:
            path = self.path / f"{name}.keras"
            atomic_files.make_folder(path.parent)
            with atomic_files.replacing(path) as temporary:
                model.save(temporary)  # a .keras file, renamed when whole

    def best(self, score: str) -> tuple[float, int] | None:
        """The largest value of `score` in metrics.jsonl and its position (the first of equals), if any."""
        scored = [(line[score], line["position"]) for line in self.rows()
                  if math.isfinite(line.get(score, math.nan))]
        return min(scored, key=lambda pair: (-pair[0], pair[1]), default=None)  # max would take the last of equals

    def records(self, score: str) -> list[int]:
        """Positions at which `score` was larger than ever before, oldest first."""
        positions, best = [], float("-inf")
        for line in self.rows():
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
            saved_network.write_product(self.path, product)

    def finished_at(self) -> int | None:
        """The position at which the product was made, if one was."""
        return saved_network.finished_at(self.path)

    def close(self) -> None:
        """Lets go of the folder; see the class for one in which no run began."""
        if self.chief:
            if self._writer:
                self._writer.close()
            if not any((self.path / mark).exists() for mark in RUN):
                self._remove()
            self._lock.close()

    def _remove(self) -> None:
        """Takes out what is written before `restore`, and the folder where it was made for this run."""
        for name in (os.path.basename(self._lock.name), _SAID):
            (self.path / name).unlink(missing_ok=True)
        if self._made:
            with contextlib.suppress(OSError):  # it holds something else
                self.path.rmdir()

    def _check_settings(self, config: EngineConfig, constants: Container[str]) -> None:
        path = self.path / "config.json"
        if path.is_file():
            found = atomic_files.read_json(path)
            if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
                raise UserError(f"{path}: not a run's settings; choose another --workdir")
            # an option that is newer than the folder: its default does what was done
            defaults = {field.name: field.default for field in dataclasses.fields(config)}
            found = {**found, "config": {**defaults, **found["config"]}}
            self._settings = {name: value for name, value in self._settings.items()
                              if name in found or name not in constants}
            changes = _differences(found, self._settings, options_deciding(config, "input", "length", "nothing"))
            if changes:
                raise UserError(f"{path}: this run folder belongs to other settings ({'; '.join(changes)}); "
                                "use those, or another --workdir")

    def _drop_after(self, position: int) -> None:
        """Forgets lines and pictures of positions that will be trained again."""
        run_log.drop_after(self._log, position)
        for kind in ("grids", "snapshots"):
            for file in (self.path / kind).glob("*.*"):
                if file.stem.isdigit() and int(file.stem) > position:  # metrics.jsonl is handled above
                    file.unlink()

    def _renew_tensorboard(self) -> None:
        """Writes its files anew from the log and the grids: events cannot be taken out of them."""
        shutil.rmtree(self.path / "tensorboard", ignore_errors=True)
        self._writer = tf.summary.create_file_writer(str(self.path / "tensorboard"))
        for row in self.rows():
            self._chart(row)
        for file in sorted((self.path / "grids").glob("*.png")):
            if file.stem.isdigit():
                self._chart_grid(int(file.stem), tf.io.decode_png(file.read_bytes()).numpy())

    def _chart(self, row: Mapping[str, float]) -> None:
        with self._writer.as_default(step=row["position"]):
            for name, value in row.items():
                if name != "position":
                    tf.summary.scalar(name, value)

    def _chart_grid(self, position: int, picture: np.ndarray) -> None:
        with self._writer.as_default(step=position):
            tf.summary.image("grid", picture.reshape(1, *picture.shape[:2], -1))  # [1, H, W, C]

    def _sweep(self) -> None:
        """Removes the temporary files of a killed process; the lock says that none is alive."""
        # Hidden, as atomic_files names them.
        for pattern in (".*.partial*", "grids/.*.partial*", "snapshots/.*.partial*"):
            for file in self.path.glob(pattern):
                file.unlink(missing_ok=True)


def decisive(config: EngineConfig) -> dict[str, Any]:
    """All that decides what a run with `config` becomes: options, and digests of what they name.

    A run folder holds to it, but for how far the run goes; an experiment's task is done again when it changes.
    Empty text decides nothing, and is left out, as is a `later` option at its default: so it was before there
    were such options.
    """
    unset = {field.name: field.default for field in dataclasses.fields(config) if field.metadata["later"]}
    options = options_deciding(config, "result", "length")
    return {**{name: value for name, value in options.items() if value not in ("", unset.get(name, ""))},
            **_digests(config)}


def _digests(config: EngineConfig) -> dict[str, str]:
    """Option -> digest of the file or network it names: a moved one is the same, an altered one is not."""
    named = {name: path for name, path in options_deciding(config, "input").items() if path}  # empty: none named
    for name, path in named.items():
        if not os.path.exists(path):
            raise UserError(f"{path}: no such file or folder, found in --{name}; set it to where the file is now")
    return {name: network_digest(path) for name, path in named.items()}


def _differences(found: dict[str, Any], asked: dict[str, Any], free: Container[str]) -> list[str]:
    """`name: was A, now B` for all settings but the options `free`, which may change between a run's starts."""
    before, after = ({**{name: value for name, value in settings["config"].items() if name not in free},
                      **_flat(settings, found.keys() & asked.keys())}
                     for settings in (found, asked))
    return [f"{name}: was {_shown(before.get(name))}, now {_shown(after.get(name))}"
            for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]


def _flat(settings: dict[str, Any], known: Container[str]) -> dict[str, Any]:
    """`settings` without config, those of the code one by one where both sides have them: an option says whether
    they are used."""
    flat = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    for part, values in settings.items():
        if isinstance(values, dict) and part != "config" and part in known:
            # Where they are from decides nothing.
            flat |= {f"{part} {name}": value for name, value in values.items() if name != "source"}
    return flat


def _shown(value: Any) -> str:
    digest = isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)
    return f"files with digest {value[:12]}" if digest else repr(value)
