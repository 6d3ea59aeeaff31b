"""Checkpoints that are whole or absent: written beside, flushed to disk, renamed; the last two are kept.

    checkpoints/
      000012000/      state.index, state.data-*   (variables and progress at position 12,000)
      newest          the name of the newest one, so that its loss is noticed

Variables are stored by their order in each part (`part.variables`), because TensorFlow's tracking does not follow
the lists of layers that Keras 3 models keep and would leave out their weights without a word.
"""

import json
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from datasets.common import atomic_files
from datasets.common.errors import UserError

KEPT = 2  # the last may prove damaged
# What reading a truncated, emptied or altered checkpoint raises.
_DAMAGE = (tf.errors.OpError, DecodeError, ValueError, LookupError, RuntimeError, OSError)


class Progress(tf.train.experimental.PythonState):
    """Counters that travel in the checkpoint as JSON: the position and the metric sums since the last line."""

    def __init__(self):
        super().__init__()
        self.position = 0
        self.sums: dict[str, float] = {}
        self.count = 0

    def serialize(self) -> str:
        return json.dumps({"position": self.position, "sums": self.sums, "count": self.count})

    def deserialize(self, string_value: str) -> None:
        value = json.loads(string_value)
        self.position, self.sums, self.count = int(value["position"]), dict(value["sums"]), int(value["count"])


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: where they are.
      parts: name -> whatever has `variables` (network, optimizer, tf.Module): all that a continued run needs.
      progress: is stored with them.
      chief: whether this process may change the folder; other workers of a cluster only read it.
      say: prints a line.
    """

    def __init__(self, folder: str | os.PathLike, parts: Mapping[str, Any], progress: Progress,
                 chief: bool = True, say: Callable[[str], None] = print):
        self._folder, self._progress, self._chief, self._say = pathlib.Path(folder), progress, chief, say
        self._state = tf.train.Checkpoint(
            progress=progress, **{name: [_bare(one) for one in part.variables] for name, part in parts.items()})
        if chief:
            atomic_files.make_folder(self._folder)
            for left in self._folder.glob(".*.partial"):  # of a process killed while it wrote
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()

    def positions(self) -> list[int]:
        """Positions of the checkpoints in the folder, oldest first; whether they are whole is not known."""
        names = (path.name for path in self._folder.iterdir()) if self._folder.is_dir() else ()
        return sorted(int(name) for name in names if name.isdigit())

    def restore(self) -> bool:
        """Loads the newest whole checkpoint; False if there is none at all.

        Says so when it is not the newest that was written. Raises UserError if there are some and none can be
        read, or if they hold other variables than this version of the software keeps.
        """
        positions = self.positions()
        newest = self._folder / "newest"
        expected = newest.read_text(encoding="utf-8").strip() if newest.is_file() else ""
        # Lost as a whole, where nothing is left to be found damaged.
        if expected.isdigit() and int(expected) not in positions:
            self._say(f"{self._folder}: the newest checkpoint, {expected}, is missing; using the one before")
        for position in reversed(positions):  # newest first
            reason = self._read(position)
            if reason is None:
                return True
            self._say(f"{self._path(position)}: damaged checkpoint ({reason}); falling back to the one before")
            self._set_aside(position)
        if positions or expected:
            raise UserError(f"{self._folder}: no checkpoint can be read; choose another --workdir, or remove this "
                            "run folder to start again")
        return False

    def save(self) -> None:
        """Writes the state at `progress.position`. Every worker of a cluster must call it.

        Raises UserError if the disk is full or not writable; the checkpoints before stay whole.
        """
        position = self._progress.position
        final = self._path(position)
        # Reading mirrored variables takes all workers; what the others write is thrown away below.
        owner = "" if self._chief else f"-worker-{os.getpid()}"
        partial = self._folder / f".{final.name}{owner}.partial"
        try:
            partial.mkdir(parents=True)
            self._state.write(str(partial / "state"))
            if self._chief:
                # On disk before it has its name, and that before `newest` tells of it.
                for file in partial.iterdir():
                    _flush(file)
                os.rename(partial, final)
                _flush(self._folder)
                atomic_files.write_text(self._folder / "newest", final.name + "\n")
        except (OSError, tf.errors.OpError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            free = shutil.disk_usage(self._folder).free / 2**20
            before = max(self.positions(), default=None)
            whole = "there is none before it" if before is None else f"the one before, {before:,}, is whole"
            raise UserError(f"{final}: checkpoint could not be written ({reason}, {free:,.0f} MiB free); {whole}; "
                            "make room and run the same command") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # nothing is left of it once it has its name
        if self._chief:
            for old in self.positions()[:-KEPT]:
                shutil.rmtree(self._path(old), ignore_errors=True)

    def _read(self, position: int) -> str | None:
        """Loads one checkpoint; what is wrong with it, or None."""
        prefix = str(self._path(position) / "state")
        try:
            status = self._state.read(prefix)
            status.assert_consumed()
        except AssertionError:  # whole, but of another version
            raise UserError(f"{prefix}: holds other variables than this version of the software trains; continue "
                            "with the version that wrote it, or choose another --workdir") from None
        except _DAMAGE as error:
            return f"{type(error).__name__}: " + " ".join(str(error).split())[:160]
        if self._progress.position != position:
            return f"holds position {self._progress.position:,}"
        return None

    def _set_aside(self, position: int) -> None:
        if self._chief:  # kept for a look, out of the way of its successor
            aside = self._folder / f"damaged-{position:09d}"
            shutil.rmtree(aside, ignore_errors=True)
            self._path(position).rename(aside)

    def _path(self, position: int) -> pathlib.Path:
        return self._folder / f"{position:09d}"


def _bare(variable: Any) -> tf.Variable:
    """The TensorFlow variable in a Keras variable."""
    return getattr(variable, "value", variable) if not isinstance(variable, tf.Variable) else variable


def _flush(path: pathlib.Path) -> None:
    handle = os.open(path, os.O_RDONLY)  # a folder too: that keeps the names in it
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
