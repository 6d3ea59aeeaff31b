"""Steps at once: order kept, errors told, a dead process told, nothing left running."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import cv2
import psutil
import pytest

from datasets.common.errors import UserError
from datasets.common.machine import usable_cores
from tools.experiment.tasks import Task, run_tasks
from tools.experiment.workers import run_tasks_at_once

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Two chains that meet: a -> b -> d, c -> d. Each task notes its process and its times in its folder."""

    root: str
    broken: str = ""

    def tasks(self) -> list[Task]:
        return [self._task("a"), self._task("b", "a"), self._task("c"), self._task("d", "b", "c")]

    def _task(self, name: str, *reads: str) -> Task:
        def run(folder):
            print(f"begin {name}")
            start = time.monotonic()
            for read in reads:
                assert (pathlib.Path(self.root) / read / "note.json").is_file()
            if name == "b" and self.broken == "user":
                raise UserError("films/x.png: found 3 channels")
            if name == "b" and self.broken == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "c":
                deadline = time.monotonic() + (600 if self.broken == "wait" else 30)
                while not (pathlib.Path(self.root) / "a" / "note.json").is_file() or self.broken == "wait":
                    assert time.monotonic() < deadline, "c waits for a: they must run at once"
                    time.sleep(0.05)
            note = {"process": os.getpid(), "start": start, "end": time.monotonic(),
                    "threads": cv2.getNumThreads()}
            (folder / "note.json").write_text(json.dumps(note))

        return Task(name, f"task {name}", reads, {}, run)


def test_tasks_run_at_once_and_after_what_they_read(tmp_path):
    lines = []
    seconds = run_tasks_at_once(Plan(str(tmp_path)).tasks, str(tmp_path), 2, lines.append)
    notes = {name: json.loads((tmp_path / name / "note.json").read_text()) for name in "abcd"}
    assert len({note["process"] for note in notes.values()} - {os.getpid()}) == 4
    assert {note["threads"] for note in notes.values()} == {max(1, usable_cores() // 2)}
    assert notes["d"]["start"] >= max(notes["b"]["end"], notes["c"]["end"])
    assert set(seconds) == set("abcd") and any("begin d" in line for line in lines)
    again = []
    run_tasks_at_once(Plan(str(tmp_path)).tasks, str(tmp_path), 2, again.append)
    assert len(again) == 4 and all(line.endswith("(done)") for line in again)


@pytest.mark.parametrize(("broken", "message"), [("user", "films/x.png: found 3 channels"),
                                                 ("killed", "^b: was killed")])
def test_what_goes_wrong_in_a_process_is_told_and_the_rest_continues_later(tmp_path, broken, message):
    with pytest.raises(UserError, match=message):
        run_tasks_at_once(Plan(str(tmp_path), broken).tasks, str(tmp_path), 2)
    run_tasks(Plan(str(tmp_path)).tasks(), str(tmp_path))
    assert (tmp_path / "d" / "note.json").is_file()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_the_one_that_started_them(tmp_path, number):
    program = ("import sys; from tests.tools.test_workers import Plan, run_tasks_at_once\n"
               "if __name__ == '__main__':\n"
               "    run_tasks_at_once(Plan(sys.argv[1], 'wait').tasks, sys.argv[1], 2)\n")
    (tmp_path / "program.py").write_text(program)
    process = subprocess.Popen([sys.executable, str(tmp_path / "program.py"), str(tmp_path)], cwd=ROOT,
                               env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "a" / "note.json").is_file():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as Ctrl-C in a terminal does
    else:
        process.send_signal(number)
    assert process.wait(60) != 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert len(family) >= 2 and not alive
