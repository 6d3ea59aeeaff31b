"""What a worker of the cluster does for a task: starts its process, passes its lines on, stops it when told to.

The worker itself loads no TensorFlow. A task's process ends with its worker, however that ends.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from datasets.common.progress import Passing
from tools.experiment.cluster import ROOT, misfit

_LOOK_SECONDS = 0.2  # between looks whether the task is still wanted
_SAVING_SECONDS = 60.0  # what a process that is asked to stop may take to save its run
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
        worker.log_event(order["topic"], {"task": order["task"], **event})

    def wanted() -> bool:
        state = worker.state.tasks.get(key)
        return worker.status.name in ("running", "paused") and state is not None \
            and state.state in ("executing", "long-running")

    reason = misfit(order["expected"]) if order["elsewhere"] else None
    if reason:
        return {"end": "refused", "text": f"worker {worker.address}: {reason}"}
    tell({"kind": "begin", "where": str(worker.name)})
    end = None
    try:
        with _share() as share:
            end = _follow(*_start(order, share), wanted, tell)
            return end
    finally:
        tell({"kind": "end", "done": end is not None and end["end"] == "done"})


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


def _start(order: dict[str, Any], share: int) -> tuple[subprocess.Popen, Connection]:
    """The task's process (`tools.experiment.task_process`), and the connection on which it tells.

    Not by multiprocessing: the processes of Dask's workers may not have children of that kind.
    """
    hear, tell = multiprocessing.Pipe(duplex=False)
    environment = {name: value for name, value in (dict(os.environ) | order["environment"]).items()
                   if value is not None}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    with tell:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tools.experiment.task_process", str(tell.fileno()), str(share),
             str(order["threads"]), "guarded" if order["elsewhere"] else "alone"],
            stdin=subprocess.PIPE, pass_fds=[tell.fileno()], cwd=order["folder"], env=environment,
            start_new_session=True)  # Ctrl-C reaches the first process alone, which passes it on once
    with contextlib.suppress(BrokenPipeError):  # it died at once; its end tells
        process.stdin.write(order["payload"])
        process.stdin.flush()  # left open: the process ends when this end of the pipe does
    return process, hear


def _follow(process: subprocess.Popen, hear: Connection, wanted: Callable[[], bool],
            tell: Callable[[dict[str, Any]], None]) -> dict[str, str]:
    """Passes on what the process tells until it ends; asks it to stop, once, when it is no longer wanted."""
    end, asked = None, None
    with hear, process:
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
                process.send_signal(signal.SIGTERM)  # upon which the training loop saves
            elif asked is not None and time.monotonic() > asked + _SAVING_SECONDS:
                process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # should it not have ended by itself
    if asked is not None and (end is None or end["end"] != "done"):
        return {"end": "stopped", "text": ""}
    return end or {"end": "killed", "text": str(process.returncode)}


def line_event(line: str) -> dict[str, Any]:
    """A printed line as plain values, which the scheduler passes on; see `tools.experiment.engine.line_of`."""
    passing = {"tenth": line.tenth, "last": line.last} if isinstance(line, Passing) else None
    return {"kind": "line", "text": str(line), "passing": passing}
