"""Training commands as real processes that are killed at chosen moments and started again."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
_LONGEST = 900  # seconds until a process counts as hung

Moment = Callable[[pathlib.Path], bool]  # run folder -> whether the moment has come


def start(command: Sequence[str], **environment: str) -> subprocess.Popen:
    """`python -m COMMAND` from the root, with its output collected."""
    settings = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=settings, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def output_of(process: subprocess.Popen, code: int | None = 0) -> str:
    """What the process printed until it ended, which must be with exit status `code` (None: any)."""
    try:
        printed, _ = process.communicate(timeout=_LONGEST)
    finally:
        process.kill()
    assert code is None or process.returncode == code, f"status {process.returncode}:\n{printed[-4000:]}"
    return printed


def run(command: Sequence[str], code: int | None = 0, **environment: str) -> str:
    """Runs the command to its end; see `start` and `output_of`."""
    return output_of(start(command, **environment), code)


def signal_at(command: Sequence[str], folder: pathlib.Path, moment: Moment, number: int = signal.SIGKILL,
              delay: float = 0.0, **environment: str) -> tuple[bool, subprocess.Popen]:
    """Starts the command and sends the signal `delay` seconds after the moment has come.

    Returns whether the signal met a living process, and the process.
    """
    process = start(command, **environment)
    deadline = time.monotonic() + _LONGEST
    while process.poll() is None and not moment(folder):
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.0005)
    time.sleep(delay)
    alive = process.poll() is None
    if alive:
        process.send_signal(number)
    return alive, process


def kill_at(command: Sequence[str], folder: pathlib.Path, moment: Moment, draw: random.Random,
            longest_delay: float = 0.3, **environment: str) -> bool:
    """SIGKILL up to `longest_delay` seconds after the moment; whether it met a living process."""
    alive, process = signal_at(command, folder, moment, delay=draw.uniform(0, longest_delay), **environment)
    printed = output_of(process, None)
    assert alive or process.returncode == 0, printed[-4000:]
    return alive and process.returncode == -signal.SIGKILL


def wait_for(process: subprocess.Popen, folder: pathlib.Path, moment: Moment) -> None:
    """Waits until the moment has come; the process must be alive until then."""
    while not moment(folder):
        assert process.poll() is None, process.communicate()[0]
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
