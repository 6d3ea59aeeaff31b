"""Runs tasks in several processes at once: a task begins when all that it reads is done and a process is free.

Small networks keep one core busy and no more, so on a CPU two processes do nearly twice the work of one. The
processes share the cores, or take one GPU each. Each does one task, so that its memory and TensorFlow's state end
with it, and stops with the process that started it, however that ends.

This module imports no TensorFlow, so that a new process can quieten it first.
"""

import concurrent.futures
import contextlib
import graphlib
import io
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from datasets.common.errors import UserError
from datasets.common.machine import usable_cores
from datasets.common.own_settings import settle_process
from datasets.common.progress import Passing
from datasets.common.progress import say as say_line

_LOOK_SECONDS = 0.2  # between looks for printed lines
_SAVING_SECONDS = 60.0  # what a process that is asked to stop may take to save its run
_stop_asked = threading.Event()  # of this process, before it had a task


def run_tasks_at_once(make_tasks: Callable[[], Sequence[Any]], workdir: str, jobs: int,
                      say: Callable[[str], None] = say_line) -> dict[str, float]:
    """Runs what is not done of the tasks that `make_tasks` returns, `jobs` at once; returns the seconds of each.

    `make_tasks` is called in every process, so it must be picklable. Raises UserError where another process runs
    tasks in `workdir`, if a task raises one, and if a task's process dies; the other tasks are asked to save.
    """
    from tools.experiment.tasks import TaskRecords

    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    messages = context.SimpleQueue()  # (task, line it printed), or (task, None) when it ended, well or not
    busy: set[str] = set()  # tasks that did not tell their end
    with TaskRecords(make_tasks(), workdir, say) as records, _sigterm_as_ctrl_c():
        todo = {task.name: task for task in records.prepare()}
        pool = concurrent.futures.ProcessPoolExecutor(jobs, context, _begin_process, (messages,),
                                                      max_tasks_per_child=1)

        def start(name: str, share: int) -> concurrent.futures.Future:
            say(records.head(todo[name]))
            busy.add(name)
            return pool.submit(_do, make_tasks, workdir, name, records.key(todo[name]), share, jobs)

        started: set[multiprocessing.process.BaseProcess] = set()

        def hear() -> None:
            _hear(messages, busy, say)
            # The pool does not watch a process that began after its last look, and would wait for it forever.
            started.update(multiprocessing.active_children())
            if any(process.exitcode for process in started):
                raise BrokenProcessPool

        try:
            _share_out(todo, start, jobs, hear, say)
        # Killed by the system: no traceback, and the pool is of no more use.
        except BrokenProcessPool:
            _close(pool)
            _hear(messages, busy, say)
            raise UserError(f"{' or '.join(sorted(busy)) or 'an idle process'}: was killed, as for want of memory "
                            "(--jobs=1 needs less); the same command continues") from None
        except BaseException:  # Ctrl-C, SIGTERM, or a task's own error
            for process in multiprocessing.active_children():
                process.terminate()  # upon which the training loop saves
            _close(pool)
            _hear(messages, busy, say)
            raise
        pool.shutdown()
        return records.seconds()


def _share_out(todo: dict[str, Any], start: Callable[[str, int], concurrent.futures.Future], jobs: int,
               hear: Callable[[], None], say: Callable[[str], None]) -> None:
    """Starts tasks in their order, as soon as what they read is done and one of `jobs` shares is free."""
    # What is done already is not waited for.
    order = graphlib.TopologicalSorter({name: todo.keys() & set(task.reads) for name, task in todo.items()})
    order.prepare()
    ready, free, running = [], list(range(jobs)), {}
    while order.is_active():
        ready = sorted([*ready, *order.get_ready()], key=list(todo).index)  # in the order of the plan
        while ready and free:
            name, share = ready.pop(0), free.pop(0)
            running[start(name, share)] = name, share  # a share is a place 0 ... jobs - 1
        # Wakes up to pass printed lines on.
        ended = concurrent.futures.wait(running, _LOOK_SECONDS, concurrent.futures.FIRST_COMPLETED).done
        hear()
        for future in ended:
            say(future.result())  # raises what the task raised
            name, share = running.pop(future)
            order.done(name)
            free.append(share)


def _hear(messages, busy: set[str], say: Callable[[str], None]) -> None:
    """Says what the tasks printed, by name where there are several, and strikes those that ended off `busy`."""
    several = len(busy) > 1
    while not messages.empty():
        name, line = messages.get()
        if line is None:
            busy.discard(name)
        else:
            say(line.named(name) if isinstance(line, Passing) else f"{name}: {line}" if several else line)


def _close(pool: concurrent.futures.ProcessPoolExecutor) -> None:
    """Waits for processes that were asked to stop, by the pool itself where it lost one; ends those too late."""
    # A process that does not save in time.
    def kill() -> None:
        for process in multiprocessing.active_children():
            process.kill()

    late = threading.Timer(_SAVING_SECONDS, kill)
    late.start()
    try:
        pool.shutdown(cancel_futures=True)
    finally:
        late.cancel()


def _begin_process(messages) -> None:
    """In each new process, before it gets its task. A process without one must not die of SIGTERM: it may hold the
    lock by which the others get theirs."""
    signal.signal(signal.SIGTERM, lambda *_: _stop_asked.set())
    os.setsid()  # Ctrl-C reaches the first process alone, which passes it on once
    threading.Thread(target=_end_with_parent, daemon=True).start()  # the parent may be killed outright
    settle_process()
    _Lines.messages = messages


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # at once: nobody is left to read


def _do(make_tasks: Callable[[], Sequence[Any]], workdir: str, name: str, key: str, share: int, jobs: int) -> str:
    """Does one task in this process; the line that says how long it took."""
    from tools.experiment.tasks import do_task

    _take_share(share, jobs)
    try:
        with _sigterm_as_ctrl_c(), contextlib.redirect_stdout(_Lines(name)):
            if _stop_asked.is_set():  # asked before the task began
                raise KeyboardInterrupt
            task = next(task for task in make_tasks() if task.name == name)
            return do_task(task, pathlib.Path(workdir), key)
    finally:
        _Lines.messages.put((name, None))  # also for a task that raised


def _take_share(share: int, jobs: int) -> None:
    """This process's part of the machine: one GPU of several, or its share of the cores."""
    import cv2
    import tensorflow as tf

    threads = max(1, usable_cores() // jobs)
    tf.config.threading.set_intra_op_parallelism_threads(threads)  # before TensorFlow makes its threads
    cv2.setNumThreads(threads)
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.set_visible_devices(gpus[share % len(gpus)], "GPU")  # shares go round where GPUs are fewer
        # Else the first takes all of its memory.
        tf.config.experimental.set_memory_growth(gpus[share % len(gpus)], True)


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    old = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


class _Lines(io.TextIOBase):
    """A stdout that sends whole lines to the first process."""

    messages: Any = None

    def __init__(self, task: str):
        self._task, self._rest = task, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")  # the last part has no end yet
        for line in lines:
            self.messages.put((self._task, line))
        return len(text)

    def take_line(self, line: str) -> None:
        """A line as it is: see `datasets.common.progress.say`."""
        self.messages.put((self._task, line))
