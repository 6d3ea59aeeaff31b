"""A list of named tasks that is run in order, each once: what is done is skipped, what is stale is redone.

Every task owns the folder WORKDIR/NAME and the record WORKDIR/tasks/NAME.json. A task is stale when its
settings or those of any task it reads from changed; its folder is then kept under WORKDIR/old. In a plan of
several experiments each has a folder below WORKDIR that is like the WORKDIR of one alone.
"""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.folder_lock import lock_folder
from datasets.common.progress import clock
from datasets.common.progress import say as say_line
from evaluation.results.made_with import MadeWith


@dataclasses.dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
      name: also the name of its folder.
      title: what it does, for people.
      reads: `id` of each task whose result it uses.
      settings: everything else that decides its result, as JSON values.
      run: does the work in the folder it is given; continues there if it was stopped.
      device: whether it computes on a GPU where the workers of a cluster have some.
      part: folder below WORKDIR of the experiment that it belongs to; empty where there is one alone.
      workers: on how many workers of a cluster it runs, as one of tf.distribute.
      helps: `id` of a task whose work it does a part of, and which waits for it; empty for none. The other's
        result is the same without it: it is not done where the other is.
      made_with: what the experiment that it belongs to is made with, kept in the part's folder; one task of a part
        is enough.
    """

    name: str
    title: str
    reads: tuple[str, ...]
    settings: dict[str, Any]
    run: Callable[[pathlib.Path], None]
    device: bool = True
    part: str = ""
    helps: str = ""
    workers: int = 1
    made_with: MadeWith | None = None

    @property
    def id(self) -> str:
        """Its part and name: unlike those of all other tasks."""
        return f"{self.part}/{self.name}" if self.part else self.name


def run_tasks(tasks: Sequence[Task], workdir: str, dry_run: bool = False,
              say: Callable[[str], None] = say_line) -> dict[str, float]:
    """Runs what is not done; returns the seconds each task took (over all its starts).

    With `dry_run`, prints what is superseded, and each task, its state and its settings, and does nothing. Raises
    UserError if another process runs tasks in `workdir`. `tools.experiment.engine` runs several tasks at once.
    """
    if dry_run:
        records = TaskRecords(tasks, workdir, say)
        records.say_superseded()
        for task in tasks:
            say(f"{records.head(task)} ({records.state(task)})\n    {json.dumps(task.settings)}")
        return records.seconds()
    with TaskRecords(tasks, workdir, say) as records:
        for task in records.prepare():
            say(records.head(task))
            say(do_task(task, records.root, records.key(task)))
        return records.seconds()


class TaskRecords:
    """What is done of `tasks` in `workdir`; as a context, holds the folder for this process.

    Raises UserError where `workdir` was made with another recipe.
    """

    def __init__(self, tasks: Sequence[Task], workdir: str, say: Callable[[str], None]):
        self.root = pathlib.Path(workdir)
        self._tasks, self._say = tasks, say
        self._made_with = {self.root / task.part: task.made_with for task in tasks if task.made_with}
        for folder, made_with in self._made_with.items():
            made_with.check(folder)
        self._keys, self._helped = task_keys(tasks), {task.id: task for task in tasks}

    def __enter__(self) -> "TaskRecords":
        with contextlib.ExitStack() as stack:
            for part in dict.fromkeys(["", *(task.part for task in self._tasks)]):
                atomic_files.make_folder(self.root / part / "tasks")
                stack.enter_context(lock_folder(self.root / part, "running an experiment in this folder"))
            self._locks = stack.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self._locks.close()

    def prepare(self) -> list[Task]:
        """The tasks to do, in order, after the folders of stale ones are set aside; says which are done."""
        for folder, made_with in self._made_with.items():
            if line := made_with.changed_line(folder):
                self._say(line)
            made_with.write(folder)
        self.say_superseded()
        todo = []
        for task in self._tasks:
            state = self.state(task)
            if state == "done":
                self._say(f"{self.head(task)} (done)")
                continue
            if state == "stale":
                _set_aside(self.root / task.part, task.name, self._say)
            todo.append(task)
        return todo

    def say_superseded(self) -> None:
        """Says what of earlier plans is left out of tables and report."""
        for folder, made_with in self._made_with.items():
            if made_with.superseded:
                self._say(f"{folder}: {made_with.superseded_line()}")

    def head(self, task: Task) -> str:
        """The line a task begins with: `[3/24] dots: PGGAN of dots`."""
        return f"[{self._tasks.index(task) + 1}/{len(self._tasks)}] {task.id}: {task.title}"

    def key(self, task: Task) -> str:
        """Changes with the task's settings and with those of all it reads."""
        return self._keys[task.id]

    def state(self, task: Task) -> str:
        """"to do", "started", "done" or "stale"."""
        if task.helps and self.state(self._helped[task.helps]) == "done":
            return "done"
        record = read_record(self.root / task.part, task.name)
        if record is None:
            return "to do"
        if record["key"] != self.key(task):
            return "stale"
        return "done" if _is_done(record, self.root / task.part / task.name) else "started"

    def seconds(self) -> dict[str, float]:
        """Seconds each task took, over all its starts."""
        # Over all starts of the present settings.
        records = {task.id: read_record(self.root / task.part, task.name) for task in self._tasks}
        return {name: record["seconds"] if record else 0.0 for name, record in records.items()}


def do_task(task: Task, root: pathlib.Path, key: str) -> str:
    """Does one task unless it is done, or goes on with it, and keeps its record; returns a line that says how long
    it took.

    `root` is the experiment's folder, `key` as in `TaskRecords.key`.
    """
    home = root / task.part
    path = home / "tasks" / f"{task.name}.json"
    before = read_record(home, task.name)
    # By a worker that was lost after it.
    if before and before["key"] == key and _is_done(before, home / task.name):
        return f"    {task.id} is done"
    record = {"key": key, "done": False, "settings": task.settings,
              # Another key: the time is of another result.
              "seconds": before["seconds"] if before and before["key"] == key else 0.0}
    atomic_files.write_json(path, record)
    folder = atomic_files.make_folder(home / task.name)
    start = time.monotonic()
    try:
        task.run(folder)
        record["done"] = True  # only here: a task that raises stays "started"
    finally:
        record["seconds"] = round(record["seconds"] + time.monotonic() - start, 1)
        atomic_files.write_json(path, record)
    return f"    {task.id} took {clock(record['seconds'])}"


def task_keys(tasks: Sequence[Task]) -> dict[str, str]:
    """`Task.id` -> what changes with the task's settings and with those of all it reads, which come before it."""
    keys: dict[str, str] = {}
    for task in tasks:
        keys[task.id] = _key(task, keys)
    return keys


def _key(task: Task, keys: dict[str, str]) -> str:
    # The keys of what it reads hold theirs: a change goes down the whole chain. The part is left out: a draw of a
    # plan is what it is alone.
    parts = [task.name, task.settings, [keys[name] for name in task.reads]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def read_record(root: pathlib.Path, name: str) -> dict[str, Any] | None:
    """What folder `root` keeps of a task: key, settings, seconds and whether it is done; None where nothing.

    Raises UserError for what is no record.
    """
    path = root / "tasks" / f"{name}.json"
    if not path.is_file():
        return None
    record = atomic_files.read_json(path)
    if not isinstance(record, dict) or not {"key", "done", "seconds"} <= record.keys():
        raise UserError(f"{path}: not the record of a task; remove it, and the task is done again")
    return record


def _is_done(record: dict[str, Any], folder: pathlib.Path) -> bool:
    return record["done"] and folder.is_dir()


def _set_aside(root: pathlib.Path, name: str, say: Callable[[str], None]) -> None:
    """Moves a stale task's folder to old/NAME-1, -2, ...; nothing is lost."""
    if not (root / name).exists():
        return
    old = atomic_files.make_folder(root / "old")
    number = 1
    while (old / f"{name}-{number}").exists():
        number += 1
    # First: whoever goes back to the former settings must not take it for done.
    record = {**read_record(root, name), "done": False, "seconds": 0.0}
    atomic_files.write_json(root / "tasks" / f"{name}.json", record)
    (root / name).rename(old / f"{name}-{number}")
    say(f"    its settings or data changed; the former result is kept in {old / f'{name}-{number}'}")
