"""The process that tasks' processes are forked off: `python -m tools.experiment.task_server HANDLE fork|once`.

TensorFlow takes some five seconds of a core to import. A worker starts one such process; it imports what the tasks
need, computes nothing, and forks off a process for each task, whose devices, threads and memory are its own. Where
forking is not safe, on GPUs and on other systems than Linux, it does one task itself, and the next has another.

Standard input brings a task, pickled, for its imports. On the socket HANDLE comes for each task its `Place`, with
the two file descriptors of `tools.experiment.task_process.run`; the number of its process is answered.
"""

import contextlib
import dataclasses
import gc
import json
import multiprocessing
import os
import pathlib
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datasets.common.own_settings import settle_process
from tools.experiment.task_process import Place, run
from tools.version import ROOT, project_version

_IDLE_SECONDS = 60.0  # without tasks after which the process ends, and gives its memory back
_LONGEST = 65_536  # bytes of a message
_lock = threading.Lock()
_server: "_Server | None" = None  # of this worker


def begin(order: Mapping[str, Any], place: Place, handles: Sequence[int]) -> int | None:
    """Has the task of an order begun, on this worker's server; the number of its process, None if there is none.

    Started anew where it ended, for another environment, and where the project's code is no longer the same.
    """
    global _server
    settings = (order["environment"], project_version())
    with _lock:
        for _ in range(2):  # it may have ended for want of tasks, or been killed
            if _server is None or _server.settings != settings:
                _end()
                _server = _Server(settings, order["payload"])
            process = _server.begin(place, handles)
            if process is None or not _server.forks:
                _end()
            if process is not None:
                return process
    return None


@contextlib.contextmanager
def ended() -> Iterator[None]:
    """Ends this process's server, if it has one, after the context."""
    try:
        yield
    finally:
        with _lock:
            _end()


def _end() -> None:
    global _server
    if _server:
        _server.control.close()  # upon which it ends, after its tasks
        _server = None


class _Server:
    """A server, started; `settings`: its environment (None: unset) and the project's version."""

    def __init__(self, settings: tuple[Mapping[str, str | None], Any], payload: bytes):
        self.settings, self.forks = settings, _may_fork()
        wanted = dict(os.environ) | settings[0]
        environment = {name: value for name, value in wanted.items() if value is not None}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
        self.control, theirs = socket.socketpair()
        with theirs:
            # Not by multiprocessing: the processes of Dask's workers may not have children of that kind.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tools.experiment.task_server", str(theirs.fileno()),
                 "fork" if self.forks else "once"], stdin=subprocess.PIPE, pass_fds=[theirs.fileno()],
                env=environment, start_new_session=True)  # Ctrl-C reaches the first process alone
        threading.Thread(target=self.process.wait, daemon=True).start()
        with contextlib.suppress(BrokenPipeError), self.process.stdin as first:  # died at once; `begin` tells
            first.write(payload)

    def begin(self, place: Place, handles: Sequence[int]) -> int | None:
        """The number of the process that does the task in `place`; None where the server is gone."""
        try:
            socket.send_fds(self.control, [json.dumps(dataclasses.asdict(place)).encode()], handles)
            return int(self.control.recv(_LONGEST))
        except (OSError, ValueError):
            return None


def _may_fork() -> bool:
    """Whether a process that imported TensorFlow may fork: not tried with the drivers of GPUs."""
    return sys.platform == "linux" and (
        os.environ.get("CUDA_VISIBLE_DEVICES") == "" or not pathlib.Path("/dev/nvidiactl").exists())


def _serve(control: socket.socket, forks: bool) -> None:
    """Begins tasks until the worker ends, or asks for none for long."""
    settle_process()
    with contextlib.suppress(Exception):  # the task itself tells
        pickle.load(sys.stdin.buffer)
    gc.freeze()  # a collection would copy the memory that processes share
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # NumPy's may be
    signal.signal(signal.SIGCHLD, lambda *_: multiprocessing.active_children())  # takes note of those that ended
    while True:
        if not select.select([control], [], [], _IDLE_SECONDS)[0]:
            if multiprocessing.active_children():
                continue
            return
        message, handles, _, _ = socket.recv_fds(control, _LONGEST, 2)
        if not message:
            return
        place = Place(**json.loads(message))
        if not forks:
            control.sendall(str(os.getpid()).encode())
            control.close()
            run(place, *handles)
            return
        process = multiprocessing.get_context("fork").Process(target=_forked, args=(control, place, *handles))
        process.start()
        for handle in handles:
            os.close(handle)
        control.sendall(str(process.pid).encode())


def _forked(control: socket.socket, place: Place, *handles: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    gc.unfreeze()
    run(place, *handles)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2] == "fork")
