"""What a worker of the cluster does for a task: has its process begun, passes its lines on, stops it when told to.

The worker itself loads no TensorFlow. A task's process ends with its worker, however that ends.
"""

import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from datasets.common.progress import Passing
from tools.experiment import task_server
from tools.experiment.cluster import misfit
from tools.experiment.meeting import Meeting
from tools.experiment.task_process import Place

_LOOK_SECONDS = 0.2  # between looks whether the task is still wanted
_SAVING_SECONDS = 60.0  # what a process that is asked to stop may take to save its run
_ENDING_SECONDS, _WAIT_SECONDS = 10.0, 0.01  # what one that told its end may take; between looks
_shares: set[int] = set()  # places of this worker that are taken
_shares_lock = threading.Lock()


def run_task(order: dict[str, Any], ends: Sequence[dict[str, str]]) -> dict[str, str]:
    """Does the task that `order` of `tools.experiment.engine` names in a process of its own, in a worker's thread.

    Args:
      ends: what this returned for the tasks that it reads.

    Returns how it ended: "end" is done, refused (by a UserError), failed, killed, stopped, or unbegun where a task
    it reads was not done; "text" a line, an error or a stack trace.
    """
    from distributed import get_worker

    if any(end["end"] != "done" for end in ends):
        return {"end": "unbegun", "text": ""}
    worker = get_worker()
    key = worker.get_current_task()

    def tell(event: dict[str, Any]) -> None:
        if order["rank"] == 0:  # of several workers at one task the first speaks
            worker.log_event(order["topic"], {"task": order["task"], **event})

    def wanted() -> bool:
        state = worker.state.tasks.get(key)
        return worker.status.name in ("running", "paused") and state is not None \
            and state.state in ("executing", "long-running")

    reason = misfit(order["expected"]) if order["elsewhere"] else None
    if reason:
        return {"end": "refused", "text": f"worker {worker.address}: {reason}"}
    place, end = Place(0, order["threads"], order["elsewhere"], order["folder"], order["rank"]), None

    def do(members: Sequence[str] = ()) -> dict[str, str]:
        tell({"kind": "begin", "where": str(worker.name)})
        with _share() as share:
            return _follow(*_start(order, dataclasses.replace(place, share=share, members=members)), wanted, tell)

    try:
        end = do() if order["ranks"] == 1 else _do_together(order, wanted, do)
        return end
    finally:
        tell({"kind": "end", "done": end is not None and end["end"] == "done"})


def _do_together(order: dict[str, Any], wanted: Callable[[], bool],
                 do: Callable[[Sequence[str]], dict[str, str]]) -> dict[str, str]:
    """Does a rank's part of a task of several workers, again where one of these is lost; how it ended."""
    meeting = Meeting(f"{order['topic']}-{order['task']}", order["rank"], order["ranks"], wanted)
    while (members := meeting.join()) is not None:
        end = do(members)
        if end["end"] == "done" and order["rank"] == 0:
            meeting.finish()
            return end
        if end["end"] == "stopped" or (meeting.finished() if end["end"] == "done" else not meeting.again()):
            return end
    return {"end": "done" if wanted() else "stopped", "text": ""}


@contextlib.contextmanager
def _share() -> Iterator[int]:
    """A place of this worker that no other task of it has: the lowest number from 0 on."""
    with _shares_lock:
        share = next(number for number in itertools.count() if number not in _shares)
        _shares.add(share)
    try:
        yield share
    finally:
        _shares.discard(share)


def _start(order: dict[str, Any], place: Place) -> tuple[int | None, int, Connection]:
    """Number of the task's process, the pipe that it ends with, and the connection on which it tells."""
    hear, tell = multiprocessing.Pipe(duplex=False)
    read, write = os.pipe()
    process = task_server.begin(order, place, [read, tell.fileno()])
    os.close(read)
    tell.close()
    with contextlib.suppress(BrokenPipeError):  # it died at once; its end tells
        os.write(write, order["payload"])
    return process, write, hear


def _follow(process: int | None, pipe: int, hear: Connection, wanted: Callable[[], bool],
            tell: Callable[[dict[str, Any]], None]) -> dict[str, str]:
    """Passes on what the process tells until it ends; asks it to stop, once, when it is no longer wanted."""
    end, asked = None, None
    with open(pipe, "wb"), hear:
        while True:
            if hear.poll(_LOOK_SECONDS):
                try:
                    news = hear.recv()
                except (EOFError, ConnectionError):
                    break
                if isinstance(news, dict):
                    end = news
                else:
                    tell(line_event(news))
            elif asked is None and not wanted():
                asked = time.monotonic()
                _send(process, signal.SIGTERM)  # upon which the training loop saves
            elif asked is not None and time.monotonic() > asked + _SAVING_SECONDS:
                _send(process, signal.SIGKILL)
    if process is not None:
        _wait_for_end(process)
    if asked is not None and (end is None or end["end"] != "done"):
        return {"end": "stopped", "text": ""}
    return end or {"end": "killed", "text": ""}


def _wait_for_end(process: int) -> None:
    """Until its memory is free for the next task."""
    late = time.monotonic() + _ENDING_SECONDS
    while _send(process, 0) and time.monotonic() < late:
        time.sleep(_WAIT_SECONDS)


def _send(process: int, number: int) -> bool:
    """Sends a signal (0: none); whether the process is there."""
    try:
        os.kill(process, number)
        return True
    except ProcessLookupError:
        return False


def line_event(line: str) -> dict[str, Any]:
    """A printed line as plain values, which the scheduler passes on; see `tools.experiment.engine.line_of`."""
    passing = {"tenth": line.tenth, "last": line.last} if isinstance(line, Passing) else None
    return {"kind": "line", "text": str(line), "passing": passing}
