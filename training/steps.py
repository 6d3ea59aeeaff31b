"""A list of named steps that is run in order, each once: what is done is skipped, what is stale is redone.

Every step owns the folder WORKDIR/NAME and the record WORKDIR/steps/NAME.json. A step is stale when its
settings or those of any step it reads from changed; its folder is then kept under WORKDIR/old.
"""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from datasets import files
from training.loop import clock
from training.runs import lock_folder


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
    process runs steps in `workdir`.
    """
    root = pathlib.Path(workdir)
    if dry_run:
        return _run_all(steps, root, True, say)
    files.make_folder(root / "steps")
    with contextlib.closing(lock_folder(root, "running an experiment in this folder")):
        return _run_all(steps, root, False, say)


def _run_all(steps: Sequence[Step], root: pathlib.Path, dry_run: bool,
             say: Callable[[str], None]) -> dict[str, float]:
    keys: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for number, step in enumerate(steps, 1):
        keys[step.name] = _key(step, keys)
        record = _record(root, step.name)
        state = _state(record, keys[step.name])
        head = f"[{number}/{len(steps)}] {step.name}: {step.title}"
        if dry_run:
            say(f"{head} ({state})\n    {json.dumps(step.settings)}")
            continue
        if state == "done":
            say(f"{head} (done)")
        else:
            say(head)
            if state == "stale":
                _set_aside(root, step.name, say)
                record = None
            record = _do(step, root, keys[step.name], record)
            say(f"    {step.name} took {clock(record['seconds'])}")
        seconds[step.name] = record["seconds"]
    return seconds


def _do(step: Step, root: pathlib.Path, key: str, record: dict | None) -> dict[str, Any]:
    path = root / "steps" / f"{step.name}.json"
    record = {"key": key, "done": False, "seconds": record["seconds"] if record else 0.0,
              "settings": step.settings}
    files.write_json(path, record)
    folder = files.make_folder(root / step.name)
    start = time.monotonic()
    try:
        step.run(folder)
        record["done"] = True
    finally:
        record["seconds"] = round(record["seconds"] + time.monotonic() - start, 1)
        files.write_json(path, record)
    return record


def _key(step: Step, keys: dict[str, str]) -> str:
    parts = [step.name, step.settings, [keys[name] for name in step.reads]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _record(root: pathlib.Path, name: str) -> dict[str, Any] | None:
    path = root / "steps" / f"{name}.json"
    return files.read_json(path) if path.is_file() else None


def _state(record: dict[str, Any] | None, key: str) -> str:
    if record is None:
        return "to do"
    if record["key"] != key:
        return "stale"
    return "done" if record["done"] else "started"


def _set_aside(root: pathlib.Path, name: str, say: Callable[[str], None]) -> None:
    """Moves a stale step's folder to old/NAME-1, -2, ...; nothing is lost."""
    if not (root / name).exists():
        return
    old = files.make_folder(root / "old")
    number = 1
    while (old / f"{name}-{number}").exists():
        number += 1
    (root / name).rename(old / f"{name}-{number}")
    say(f"    its settings or data changed; the former result is kept in {old / f'{name}-{number}'}")
