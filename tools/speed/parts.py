"""Commands with time limits, run one after another: they and what they start end with whoever runs them."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import time

from tools.version import ROOT


@dataclasses.dataclass(frozen=True)
class Part:
    """A command with its time limit in seconds, and what it needs in the environment."""

    name: str
    command: tuple[str, ...]
    limit: float
    environment: dict[str, str] = dataclasses.field(default_factory=dict)


def end_on_signals() -> None:
    """SIGTERM and, unless it is ignored as under nohup, SIGHUP raise KeyboardInterrupt, as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def run_part(part: Part, log: pathlib.Path, limits: float) -> dict[str, float | str]:
    """Runs its command, for `limits` times its limit at most, with what it prints in `log`: seconds, and how it
    ended: "done", or the reason. All processes it started are ended with this one, but for SIGKILL."""
    start = time.monotonic()
    with open(log, "w", encoding="utf-8") as said:
        process = subprocess.Popen(part.command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT,
                                   env={**os.environ, **part.environment}, start_new_session=True)
        try:
            code = process.wait(part.limit * limits)
            end = "done" if not code else f"exit code {code}, see {log.name}"
        except subprocess.TimeoutExpired:
            end = f"not done after {part.limit * limits:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the processes it has started, too
                process.wait()
    return {"end": end, "seconds": time.monotonic() - start, "command": " ".join(part.command)}
