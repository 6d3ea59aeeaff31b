"""Real processes in which TensorFlow is there from the start, though they begin in a moment.

They are forked off one process that has imported TensorFlow and computed nothing (the forkserver of
multiprocessing), so each has devices, threads and state of its own, and can be sent any signal.
"""

import contextlib
import multiprocessing
import os
import pathlib
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
_LONGEST = 900  # seconds until a process counts as hung
_QUIET = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}

Moment = Callable[[pathlib.Path], bool]  # run folder -> whether the moment has come


class Process:
    """`function(*arguments)` in a process of its own: its output is collected, `environment` added to its own.

    Without `preloaded` it begins without TensorFlow, whose first start takes seconds.
    """

    def __init__(self, function: Callable, *arguments: Any, preloaded: bool = True, **environment: str):
        handle, self._output = tempfile.mkstemp(suffix=".txt")
        os.close(handle)
        context = multiprocessing.get_context("forkserver" if preloaded else "spawn")
        if preloaded:
            context.set_forkserver_preload(["tests.helpers.preloaded"])
        self._process = context.Process(target=_work, args=(self._output, environment, function, arguments))
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.is_alive()

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self) -> tuple[int, str]:
        """Waits for its end: exit code (-9 after SIGKILL), and all that it printed."""
        self._process.join(_LONGEST)
        self._process.kill()
        self._process.join()
        try:
            return self._process.exitcode, pathlib.Path(self._output).read_text()
        finally:
            os.unlink(self._output)


def _work(output: str, environment: dict[str, str], function: Callable, arguments: Sequence[Any]) -> None:
    os.environ.update({**_QUIET, **environment})
    os.chdir(ROOT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run behind an &
    handle = os.open(output, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(handle, standard)
    function(*arguments)


def start(command: Sequence[str], **environment: str) -> Process:
    """`python -m COMMAND` from the root."""
    return Process(run_as_main, command, **environment)


def run_as_main(command: Sequence[str]) -> None:
    """What `python -m COMMAND` does once Python runs."""
    sys.argv[:] = command
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


def output_of(process: Process, code: int | None = 0) -> str:
    """What the process printed until it ended, which must be with exit status `code` (None: any)."""
    found, printed = process.end()
    assert code is None or found == code, f"status {found}:\n{printed[-4000:]}"
    return printed


def run(command: Sequence[str], code: int | None = 0, **environment: str) -> str:
    """Runs the command to its end; see `start` and `output_of`."""
    return output_of(start(command, **environment), code)


def run_until_saving(command: Sequence[str], position: int) -> None:
    """Kills the command as it saves `position` or a later one: the checkpoint is written, but not yet there."""
    printed = output_of(Process(_killed_while_saving, command, position), -signal.SIGKILL)
    assert "Traceback" not in printed, printed[-4000:]


def _killed_while_saving(command: Sequence[str], position: int) -> None:
    def watch(event: str, arguments: tuple) -> None:
        if event == "os.rename":
            new = pathlib.Path(os.fsdecode(arguments[1]))
            if new.parent.name == "checkpoints" and new.name.isdigit() and int(new.name) >= position:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    run_as_main(command)


def kill_at(command: Sequence[str], folder: pathlib.Path, moment: Moment, delay: float = 0.0,
            **environment: str) -> bool:
    """SIGKILL `delay` seconds after the moment; whether it met a living process."""
    process = start(command, **environment)
    deadline = time.monotonic() + _LONGEST
    while process.alive() and not moment(folder):
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.0005)
    time.sleep(delay)
    alive = process.alive()
    if alive:
        process.send(signal.SIGKILL)
    code, printed = process.end()
    assert alive or code == 0, printed[-4000:]
    return alive and code == -signal.SIGKILL


def wait_for(process: Process, folder: pathlib.Path, moment: Moment) -> None:
    """Waits until the moment has come; the process must be alive until then."""
    while not moment(folder):
        assert process.alive(), process.end()
        time.sleep(0.05)


def saved(position: int) -> Moment:
    """The run has a checkpoint at `position` or later."""
    return lambda folder: newest_checkpoint(folder) >= position


def writing_after(position: int) -> Moment:
    """A checkpoint is half written, after the one at `position`."""
    def moment(folder: pathlib.Path) -> bool:
        return newest_checkpoint(folder) >= position and any((folder / "checkpoints").glob(".*.partial"))

    return moment


def newest_checkpoint(folder: pathlib.Path) -> int:
    """Position of the newest checkpoint; -1 without one."""
    checkpoints = folder / "checkpoints"
    names = os.listdir(checkpoints) if checkpoints.is_dir() else ()
    return max((int(name) for name in names if name.isdigit()), default=-1)
