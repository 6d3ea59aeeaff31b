"""RUN/index.html while a plan runs: tasks, where each runs, since when, how long it took, and what is left."""

import html
import pathlib
import statistics
import time
from collections.abc import Mapping, Sequence

from datasets.common import atomic_files
from datasets.common.progress import clock
from tools.experiment.tasks import Task

_RENEW_SECONDS = 5.0
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="10">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>plan</title><style>
body{font:14px/1.4 sans-serif;margin:1em auto;max-width:70em;padding:0 1em}table{border-collapse:collapse}
td,th{padding:.1em .8em;text-align:left}td:last-child{text-align:right}
.running{font-weight:bold}.waiting{color:#666}
</style>"""


class PlanPage:
    """The page of a plan, renewed every few seconds at most.

    Args:
      folder: the plan's; index.html in it is replaced.
      tasks: all of them, in order.
      seconds: `Task.id` -> what each took so far.
      todo: `Task.id` of those not done.
    """

    def __init__(self, folder: pathlib.Path, tasks: Sequence[Task], seconds: Mapping[str, float], todo: set[str]):
        self._path, self._tasks, self._took = folder / "index.html", tasks, dict(seconds)
        self._todo, self._running, self._written = set(todo), {}, float("-inf")

    def begin(self, id_: str, where: str) -> None:
        """A task began on a worker."""
        self._running[id_] = where, time.time()
        self.write()

    def end(self, id_: str, done: bool) -> None:
        """A task ended; `done`: well."""
        _, since = self._running.pop(id_, ("", time.time()))
        self._took[id_] = self._took.get(id_, 0.0) + time.time() - since
        if done:
            self._todo.discard(id_)
        self.write()

    def write(self, at_once: bool = False) -> None:
        """Replaces the page, unless it is a few seconds old."""
        if at_once or time.monotonic() > self._written + _RENEW_SECONDS:
            self._written = time.monotonic()
            atomic_files.write_text(self._path, self.page(time.time()))

    def left(self, now: float) -> tuple[float, int]:
        """Seconds of work left, by what tasks of the same name took, shared among those that run now; and how many
        tasks it leaves out, none of whose name being done."""
        known: dict[str, list[float]] = {}
        for task in self._tasks:
            if task.id not in self._todo:
                known.setdefault(task.name, []).append(self._took.get(task.id, 0.0))
        seconds, unknown = 0.0, 0
        for task in self._tasks:
            if task.id in self._todo and task.name in known:
                spent = now - self._running[task.id][1] if task.id in self._running else 0.0
                seconds += max(0.0, statistics.mean(known[task.name]) - spent)
            elif task.id in self._todo:
                unknown += 1
        return seconds / max(1, len(self._running)), unknown

    def page(self, now: float) -> str:
        """The page as HTML; running tasks first."""
        order = {"running": 0, "waiting": 1, "done": 2}
        rows = sorted((self._row(task, now) for task in self._tasks), key=lambda row: order[row[0]])
        done = len(self._tasks) - len(self._todo)
        seconds, unknown = self.left(now)
        more = f", besides {unknown:,} tasks of kinds that none has ended of yet" if unknown else ""
        left = f"about {clock(seconds)} left{more}" if self._todo else "finished"
        lines = [f'<tr class="{row[0]}">' + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
                 for row in rows]
        written = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        return (f"{_HEAD}<h1>{done:,} of {len(self._tasks):,} tasks done</h1><p>{left} (as of {written})</p>"
                "<table><tr><th>state<th>task<th>what<th>where<th>since<th>took</tr>\n" + "\n".join(lines)
                + "\n</table></html>\n")

    def _row(self, task: Task, now: float) -> tuple[str, ...]:
        if task.id in self._running:
            where, since = self._running[task.id]
            return ("running", task.id, task.title, where, time.strftime("%H:%M:%S", time.localtime(since)),
                    clock(now - since))
        if task.id in self._todo:
            return "waiting", task.id, task.title, "", "", ""
        return "done", task.id, task.title, "", "", clock(self._took.get(task.id, 0.0))
