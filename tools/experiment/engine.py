"""Runs tasks in several processes at once, on this machine or on a cluster, by Dask's distributed scheduler.

A task begins when all that it reads is done and a worker is free; the earlier in the plan, the sooner. What a
worker does for a task is in `tools.experiment.task_on_worker`: each has a process of its own. Results lie in the
experiment's folder alone; the scheduler knows only who works on what. So a task whose worker is lost is begun
again by another one and continues from its checkpoint, and after a lost scheduler or client the same command
continues.
"""

import contextlib
import functools
import os
import pickle
import queue
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from datasets.common.errors import UserError
from datasets.common.machine import usable_cores
from datasets.common.progress import Passing
from datasets.common.progress import say as say_line
from tools.experiment import task_server
from tools.experiment.cluster import Cluster, check_workers
from tools.experiment.plan_page import PlanPage
from tools.experiment.tasks import Task, TaskRecords

_LOOK_SECONDS = 0.5  # between looks for Ctrl-C
_LONELY_SECONDS = 30.0  # between lines that no worker is there
_SAVING_SECONDS = 75.0  # what a task that is asked to stop may take to save its run, and to tell
# Decide results or lines: of the client's process, wherever a task runs. Dask's own processes have others.
_CARRIED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_",
            "TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "XLA_FLAGS", "TF_DETERMINISTIC_OPS", "NVIDIA_TF32_OVERRIDE",
            "TF_CPP_MIN_LOG_LEVEL")


def run_tasks_at_once(make_tasks: Callable[..., Sequence[Task]], workdir: str, cluster: Cluster,
                      inputs: Sequence[str] = (), say: Callable[[str], None] = say_line) -> dict[str, float]:
    """Runs what is not done of the tasks that `make_tasks` returns on `cluster`; returns the seconds of each.

    Args:
      make_tasks: called in every task's process, so it must be picklable. Where its tasks are of several parts, it
        is called there with one of them, for the tasks of this part.
      inputs: files and folders that every worker must see besides `workdir`.

    Raises UserError where another process runs tasks in `workdir`, where the cluster or its workers are not as
    they must be (see `check_workers`), if a task raises one, and if its process dies; the other tasks are asked
    to save then. RuntimeError with the task's stack trace for any other error.
    """
    tasks = make_tasks()
    parts = {task.part for task in tasks}
    with (TaskRecords(tasks, workdir, say) as records, sigterm_as_ctrl_c(), task_server.ended(),
          cluster.client() as client):
        expected, places = check_workers(client, workdir, inputs) if cluster.elsewhere else ({}, [])
        slots, asked = _slots(client, cluster.elsewhere)[0], max(task.workers for task in tasks)
        if slots < asked:
            raise UserError(f"--workers_per_training={asked}: found {slots} places for tasks, expected {asked}; "
                            "start more workers")
        todo = records.prepare()
        # One number for all: results agree to the last bit only among equal numbers of threads.
        threads = cluster.threads or min(places, default=max(1, usable_cores() // cluster.jobs))
        same = {"expected": expected, "threads": threads, "elsewhere": cluster.elsewhere, "folder": os.getcwd(),
                "environment": {name: os.environ.get(name) for name in _CARRIED}}
        orders = {}
        for task in todo:
            make = functools.partial(make_tasks, task.part) if len(parts) > 1 else make_tasks
            payload = pickle.dumps((make, str(workdir), task.id, records.key(task)))
            orders[task.id] = {**same, "task": task.id, "payload": payload, "ranks": task.workers}
        page = None
        if cluster.elsewhere or len(parts) > 1:
            page = PlanPage(records.root, tasks, records.seconds(), {task.id for task in todo})
        _Run(client, records, {task.id: task for task in todo}, cluster.elsewhere, page, say).do(orders)
        return records.seconds()


class _Run:
    """Tasks in the hands of a scheduler, and what is heard of them.

    Attributes:
      busy: tasks that began and did not tell their end -> worker that does each.
    """

    def __init__(self, client, records: TaskRecords, todo: dict[str, Task], elsewhere: bool, page: PlanPage | None,
                 say: Callable[[str], None]):
        self._client, self._records, self._todo, self._elsewhere, self._say = client, records, todo, elsewhere, say
        self._page = page
        self._news: queue.SimpleQueue = queue.SimpleQueue()  # ("event", message) or ("end", (task, rank))
        self._topic = f"experiment-{uuid.uuid4().hex}"
        self._futures: dict[tuple[str, int], Any] = {}  # (task, rank of its worker)
        self.busy: dict[str, str] = {}

    def do(self, orders: dict[str, dict[str, Any]]) -> None:
        """Does all tasks; at an error or Ctrl-C, lets those that run save first."""
        self._client.subscribe_topic(self._topic, lambda event: self._news.put(("event", event[1])))
        try:
            self._submit(orders)
            self._hear_to_the_end()
        except BaseException:
            self._stop()
            raise
        finally:
            if self._page:
                self._page.write(at_once=True)

    def _submit(self, orders: dict[str, dict[str, Any]]) -> None:
        """Hands the whole plan to the scheduler: each task waits for others, which give but their end."""
        slots, gpus = _slots(self._client, self._elsewhere)
        befores = _befores(self._todo.values(), slots)

        # A local function travels by value: the scheduler need not know the project.
        def run(order, *ends):
            from tools.experiment.task_on_worker import run_task

            return run_task(order, ends)

        futures: dict[str, list[Any]] = {}  # task -> those of its workers
        for place, (name, order) in enumerate(orders.items()):
            task = self._todo[name]
            before = [future for one in befores[name] for future in futures[one]]
            futures[name] = [self._client.submit(
                # a key of this run: one that was stopped may not have ended everywhere
                run, {**order, "topic": self._topic, "rank": rank}, *before, key=f"{name}-{uuid.uuid4().hex}",
                pure=False, priority=-place, resources={"GPU": 1} if gpus and task.device else None)
                for rank in range(task.workers)]
            for rank, future in enumerate(futures[name]):
                self._futures[name, rank] = future
                future.add_done_callback(lambda _, which=(name, rank): self._news.put(("end", which)))

    def _hear_to_the_end(self) -> None:
        waiting, looked = set(self._futures), time.monotonic()
        while waiting:
            try:
                kind, news = self._news.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if time.monotonic() > looked + _LONELY_SECONDS:
                    looked = time.monotonic()
                    self._look_for_workers()
                continue
            looked = time.monotonic()
            if kind == "event":
                self._hear(news)
            else:
                self._end(news)
                waiting.discard(news)

    def _look_for_workers(self) -> None:
        """Says where a cluster has too few workers. Raises UserError where this machine has lost its own."""
        slots, asked = _slots(self._client, self._elsewhere)[0], max(task.workers for task in self._todo.values())
        if not self._elsewhere and not slots:
            self.busy.clear()  # they ended with it
            raise UserError("the worker on this machine was lost, so were its tasks; the same command continues")
        if self._elsewhere and not self.busy and slots < asked:
            self._say("no worker is there: waiting for one (docs/cluster.md)" if not slots else
                      f"{slots} of {asked} workers are there: waiting for more")

    def _hear(self, event: dict[str, Any]) -> None:
        """Says what a task tells: its beginning, a line it printed, its end."""
        name, kind = event["task"], event["kind"]
        if kind == "begin":
            again = " once more: its worker was lost" if name in self.busy else ""
            self.busy[name] = event["where"]
            if self._page:
                self._page.begin(name, event["where"])
            where = f", on {event['where']}{again}" if self._elsewhere else ""
            self._say(f"{self._records.head(self._todo[name])}{where}")
        elif kind == "end":
            self.busy.pop(name, None)
            if self._page:
                self._page.end(name, event["done"])
        else:
            self._say(line_of(event, several=len(self.busy) > 1))

    def _end(self, which: tuple[str, int]) -> None:
        """Says how long a task took, or raises what came of it."""
        future, (name, rank) = self._futures[which], which
        if future.status == "cancelled":
            raise UserError("the connection to the scheduler was lost; the same command continues, once there is "
                            "one again")
        if future.status != "finished":
            raise UserError(f"{name}: {_one_line(future.exception())}; the same command continues")
        end = future.result()
        if end["end"] == "done":
            if rank == 0:
                self._say(end["text"])
        elif end["end"] == "killed":
            raise UserError(f"{name}: was killed, as for want of memory (--jobs=1 needs less); the same command "
                            "continues")
        elif end["end"] == "failed":
            raise RuntimeError(f"{name}:\n{end['text']}")
        elif end["end"] == "refused":
            raise UserError(end["text"])
        elif end["end"] == "stopped":
            raise UserError(f"{name}: was asked to stop by its worker, which ends; the same command continues")

    def _stop(self) -> None:
        """Withdraws all tasks, whereupon those that run save, and waits for these; a second Ctrl-C does not."""
        late = time.monotonic() + _SAVING_SECONDS
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._client.cancel(list(self._futures.values()), force=True)
        while self.busy and time.monotonic() < late and self._client.status == "running":
            with contextlib.suppress(queue.Empty):
                kind, news = self._news.get(timeout=_LOOK_SECONDS)
                if kind == "event":
                    self._hear(news)


def _slots(client, elsewhere: bool) -> tuple[int, bool]:
    """How many networks can be trained at once, and whether by GPUs that the workers name."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    gpus = sum(int(worker.get("resources", {}).get("GPU", 0)) for worker in workers) if elsewhere else 0
    return gpus or sum(worker["nthreads"] for worker in workers), gpus > 0


def _befores(tasks: Iterable[Task], slots: int) -> dict[str, list[str]]:
    """`Task.id` of each of `tasks` -> of those that end before it begins: what it reads, what helps it, and where
    it has several workers, others of that kind, lest more begin than find room and wait for one another."""
    found: dict[str, list[str]] = {}
    helpers: dict[str, list[str]] = {}
    together: list[str] = []
    for task in tasks:
        found[task.id] = [read for read in task.reads if read in found] + helpers.get(task.id, [])
        if task.helps:
            helpers.setdefault(task.helps, []).append(task.id)
        if task.workers > 1:
            at_once = slots // task.workers
            found[task.id] += together[-at_once:][:1] if len(together) >= at_once else []
            together.append(task.id)
    return found


def line_of(event: dict[str, Any], several: bool) -> str:
    """The line of a task's event, named where there are `several` tasks, or it is a passing one."""
    name, text, passing = event["task"], event["text"], event["passing"]
    if passing is None:
        return f"{name}: {text}" if several else text
    line = Passing(text)
    line.tenth, line.last = passing["tenth"], passing["last"]
    return line.named(name)


def _one_line(error: BaseException | None) -> str:
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return "each worker that took it was lost, as for want of memory"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Lets SIGTERM raise KeyboardInterrupt."""
    old = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)
