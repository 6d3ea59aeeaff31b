"""The session on a GPU: nothing it started goes on without it."""

import signal
import sys
import time

from tests.helpers.processes import Process
from tools.speed.parts import Part, end_on_signals, run_part

_CHILD = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"


def _session(folder) -> None:
    end_on_signals()
    run_part(Part("part", (sys.executable, "-c", _CHILD, str(folder / "pid")), 60), folder / "part.log", 1.0)


def test_a_session_that_is_ended_ends_its_part(tmp_path):
    session = Process(_session, tmp_path, preloaded=False)
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert session.alive()
        time.sleep(0.02)
    session.send(signal.SIGTERM)
    session.end()
    assert not _runs(int((tmp_path / "pid").read_text()))  # it was waited for


def _runs(pid: int) -> bool:
    """Whether process `pid` is there and not a zombie that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
