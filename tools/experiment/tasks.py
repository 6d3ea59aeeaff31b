"""A list of named steps that is run in order, each once: what is done is skipped, what is stale is redone.

Every step owns the folder WORKDIR/NAME and the record WORKDIR/steps/NAME.json. A step is stale when its
settings or those of any step it reads from changed; its folder is then kept under WORKDIR/old.
"""

import dataclasses
import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from datasets.common import atomic_files
from datasets.common.errors import UserError
from training.loop import clock
from training.run_folder import lock_folder


@dataclasses.dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
      name: also the name of its folder.
      title: what it does, for people.
      reads: names of the steps whose results it uses.
      settings: everything else that decides its result, as JSON values.
      run: does the work in the folder it is given; continues there if it was stopped.
    """

    name: str
    title: str
    reads: tuple[str, ...]
    settings: dict[str, Any]
    run: Callable[[pathlib.Path], None]


def run_steps(steps: Sequence[Step], workdir: str, dry_run: bool = False,
              say: Callable[[str], None] = print) -> dict[str, float]:
    """Runs what is not done; returns the seconds each step took (over all its starts).

    With `dry_run`, prints each step, its state and its settings, and does nothing. Raises UserError if another
    process runs steps in `workdir`. `tools.experiment.workers` runs several steps at once.
    """
    if dry_run:
        records = StepRecords(steps, workdir, say)
        for step in steps:
            say(f"{records.head(step)} ({records.state(step)})\n    {json.dumps(step.settings)}")
        return records.seconds()
    with StepRecords(steps, workdir, say) as records:
        for step in records.prepare():
            say(records.head(step))
            say(do_step(step, records.root, records.key(step)))
        return records.seconds()


class StepRecords:
    """What is done of `steps` in `workdir`; as a context, holds the folder for this process."""

    def __init__(self, steps: Sequence[Step], workdir: str, say: Callable[[str], None]):
        self.root = pathlib.Path(workdir)
        self._steps, self._say = steps, say
        self._keys: dict[str, str] = {}
        for step in steps:
            self._keys[step.name] = _key(step, self._keys)

    def __enter__(self) -> "StepRecords":
        atomic_files.make_folder(self.root / "steps")
        self._lock = lock_folder(self.root, "running an experiment in this folder")
        return self

    def __exit__(self, *_) -> None:
        self._lock.close()

    def prepare(self) -> list[Step]:
        """The steps to do, in order, after the folders of stale ones are set aside; says which are done."""
        todo = []
        for step in self._steps:
            state = self.state(step)
            if state == "done":
                self._say(f"{self.head(step)} (done)")
                continue
            if state == "stale":
                _set_aside(self.root, step.name, self._say)
            todo.append(step)
        return todo

    def head(self, step: Step) -> str:
        return f"[{self._steps.index(step) + 1}/{len(self._steps)}] {step.name}: {step.title}"

    def key(self, step: Step) -> str:
        """Changes with the step's settings and with those of all it reads."""
        return self._keys[step.name]

    def state(self, step: Step) -> str:
        """"to do", "started", "done" or "stale"."""
        record = _record(self.root, step.name)
        if record is None:
            return "to do"
        if record["key"] != self.key(step):
            return "stale"
        return "done" if record["done"] else "started"

    def seconds(self) -> dict[str, float]:
        """Seconds each step took, over all its starts."""
        records = {step.name: _record(self.root, step.name) for step in self._steps}
        return {name: record["seconds"] if record else 0.0 for name, record in records.items()}


def do_step(step: Step, root: pathlib.Path, key: str) -> str:
    """Does one step, or goes on with it, and keeps its record; returns a line that says how long it took."""
    path = root / "steps" / f"{step.name}.json"
    before = _record(root, step.name)
    record = {"key": key, "done": False, "settings": step.settings,
              "seconds": before["seconds"] if before and before["key"] == key else 0.0}
    atomic_files.write_json(path, record)
    folder = atomic_files.make_folder(root / step.name)
    start = time.monotonic()
    try:
        step.run(folder)
        record["done"] = True
    finally:
        record["seconds"] = round(record["seconds"] + time.monotonic() - start, 1)
        atomic_files.write_json(path, record)
    return f"    {step.name} took {clock(record['seconds'])}"


def _key(step: Step, keys: dict[str, str]) -> str:
    parts = [step.name, step.settings, [keys[name] for name in step.reads]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _record(root: pathlib.Path, name: str) -> dict[str, Any] | None:
    path = root / "steps" / f"{name}.json"
    if not path.is_file():
        return None
    record = atomic_files.read_json(path)
    if not isinstance(record, dict) or not {"key", "done", "seconds"} <= record.keys():
        raise UserError(f"{path}: not the record of a step; remove it, and the step is done again")
    return record


def _set_aside(root: pathlib.Path, name: str, say: Callable[[str], None]) -> None:
    """Moves a stale step's folder to old/NAME-1, -2, ...; nothing is lost."""
    if not (root / name).exists():
        return
    old = atomic_files.make_folder(root / "old")
    number = 1
    while (old / f"{name}-{number}").exists():
        number += 1
    (root / name).rename(old / f"{name}-{number}")
    say(f"    its settings or data changed; the former result is kept in {old / f'{name}-{number}'}")
