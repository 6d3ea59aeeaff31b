"""Runs tasks in several processes at once: as soon as all that a task reads is done, whoever is free takes it.

Small networks keep one core busy and no more, so on a CPU two processes do nearly twice the work of one. The
processes share the cores, or take one GPU each. They stop with the process that started them, however it ends.

This module imports no TensorFlow, so that a new process can quieten it first.
"""

import contextlib
import io
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from datasets.common.errors import UserError
from datasets.common.machine import usable_cores
from datasets.common.tensorflow_startup import quiet_tensorflow

_SAVING_SECONDS = 60.0  # what a process that is asked to stop may take to save its run


def run_tasks_at_once(make_tasks: Callable[[], Sequence[Any]], workdir: str, jobs: int,
                      say: Callable[[str], None] = print) -> dict[str, float]:
    """Runs what is not done of the tasks that `make_tasks` returns, `jobs` at once; returns the seconds of each.

    `make_tasks` is called in every process, so it must be picklable. Raises UserError where another process runs
    tasks in `workdir`, if a task raises one, and if a task's process dies; the other tasks are asked to save.
    """
    from tools.experiment.tasks import TaskRecords

    with TaskRecords(make_tasks(), workdir, say) as records, _stopped_by_sigterm():
        todo = records.prepare()
        workers = [_Worker(number, jobs, make_tasks, workdir) for number in range(jobs)]
        try:
            _share_out(todo, records, workers, say)
        except BaseException:
            for worker in workers:
                worker.ask_to_stop()
            raise
        finally:
            for worker in workers:
                worker.close()
        return records.seconds()


def _share_out(todo: list[Any], records: Any, workers: list["_Worker"], say: Callable[[str], None]) -> None:
    while todo or any(worker.task for worker in workers):
        waiting = {task.name for task in todo} | {worker.task for worker in workers}
        for worker in (worker for worker in workers if not worker.task):
            task = next((task for task in todo if not waiting & set(task.reads)), None)
            if task:
                todo.remove(task)
                say(records.head(task))
                worker.begin(task.name, records.key(task))
        busy = {worker.connection: worker for worker in workers if worker.task}
        for connection in multiprocessing.connection.wait(list(busy)):
            _hear(busy[connection], len(busy) > 1, say)


def _hear(worker: "_Worker", others: bool, say: Callable[[str], None]) -> None:
    """One message of a worker: a printed line, the end of its task, or what went wrong."""
    kind, value = worker.receive()
    if kind == "line":
        say(f"{worker.task}: {value}" if others else value)
    elif kind == "done":
        say(value)
        worker.task = None
    elif kind == "interrupted":
        raise KeyboardInterrupt
    else:
        raise UserError(value)


class _Worker:
    """The near side of one process, started when it gets its first task."""

    def __init__(self, number: int, jobs: int, make_tasks: Callable[[], Sequence[Any]], workdir: str):
        self._start_with = (make_tasks, workdir)
        self.task: str | None = None
        self.connection, far = multiprocessing.Pipe()
        self._far = far
        self._process = multiprocessing.get_context("spawn").Process(target=_work, args=(far, number, jobs))

    def begin(self, task: str, key: str) -> None:
        if self._process.pid is None:
            self._process.start()
            self._far.close()
            self.connection.send(self._start_with)
        self.connection.send((task, key))
        self.task = task

    def receive(self) -> tuple[str, str]:
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise UserError(f"{self.task}: its process ended with code {self._process.exitcode} (-9: killed, as "
                            "for want of memory; --jobs=1 needs less); the same command continues") from None

    def ask_to_stop(self) -> None:
        """SIGTERM, upon which the training loop saves."""
        if self._process.pid is not None:
            self._process.terminate()

    def close(self) -> None:
        """Lets an idle process end, and waits for a busy one that was asked to stop."""
        if not self.task:
            self.connection.close()
        if self._process.pid is not None:
            self._process.join(_SAVING_SECONDS)
            self._process.kill()
        self.connection.close()


def _work(connection, number: int, jobs: int) -> None:
    """The far side: runs the tasks it is told to until the connection closes."""
    os.setsid()  # Ctrl-C reaches the first process alone, which passes it on once
    threading.Thread(target=_end_with_parent, daemon=True).start()
    quiet_tensorflow()
    make_tasks, workdir = connection.recv()
    _take_share(number, jobs)
    from tools.experiment.tasks import do_task

    tasks = {task.name: task for task in make_tasks()}
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            name, key = connection.recv()
            try:
                with contextlib.redirect_stdout(_Lines(connection)):
                    line = do_task(tasks[name], pathlib.Path(workdir), key)
            except UserError as error:
                connection.send(("failed", str(error)))
            except KeyboardInterrupt:
                connection.send(("interrupted", ""))
            else:
                connection.send(("done", line))


def _take_share(number: int, jobs: int) -> None:
    """This process's part of the machine: one GPU of several, or its share of the cores."""
    import cv2
    import tensorflow as tf

    threads = max(1, usable_cores() // jobs)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    cv2.setNumThreads(threads)
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.set_visible_devices(gpus[number % len(gpus)], "GPU")
        tf.config.experimental.set_memory_growth(gpus[number % len(gpus)], True)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM, as Ctrl-C, is passed on to the processes before this one ends."""
    def interrupt(number, frame):
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


class _Lines(io.TextIOBase):
    """A stdout that sends whole lines over a connection."""

    def __init__(self, connection):
        self._connection, self._rest = connection, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._connection.send(("line", line))
        return len(text)
