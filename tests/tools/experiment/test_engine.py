"""Tasks at once, here and on a cluster: order kept, errors told, what is lost done again, nothing left running."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import threading
import time

import cv2
import psutil
import pytest

from datasets.common.errors import UserError
from datasets.common.machine import usable_cores
from tests.helpers.processes import Process
from tools.experiment.cluster import Cluster
from tools.experiment.engine import run_tasks_at_once
from tools.experiment.tasks import Task, run_tasks


@dataclasses.dataclass(frozen=True)
class Plan:
    """`names` of: b, c (which waits for a), and d, which reads them. Each notes its process and its times."""

    root: str
    names: str
    broken: str = ""

    def tasks(self) -> list[Task]:
        return [self._task(name, *(set("abc") & set(self.names) if name == "d" else ())) for name in self.names]

    def _task(self, name: str, *reads: str) -> Task:
        def run(folder):
            print(f"begin {name}")
            (folder / "begun").touch()
            start = time.monotonic()
            for read in reads:
                assert (pathlib.Path(self.root) / read / "note.json").is_file()
            if name == "b" and self.broken == "user":
                raise UserError("films/x.png: found 3 channels")
            if name == "b" and self.broken == "raises":
                raise ZeroDivisionError
            if name == "b" and self.broken == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "c":
                while not (pathlib.Path(self.root) / "a" / "note.json").is_file():
                    assert time.monotonic() < start + 600, "c waits for a: they must run at once"
                    time.sleep(0.05)
            note = {"process": os.getpid(), "start": start, "end": time.monotonic(),
                    "threads": cv2.getNumThreads()}
            (folder / "note.json").write_text(json.dumps(note))

        # What helps a task is waited for as what it reads is.
        return Task(name, f"task {name}", tuple(read for read in reads if read != "a"), {}, run,
                    helps="d" if name == "a" and "d" in self.names else "")


@pytest.mark.parametrize("forks", [True, False])
def test_tasks_run_at_once_and_after_what_they_read(tmp_path, capfd, monkeypatch, forks):
    monkeypatch.setattr("tools.experiment.task_server._may_fork", lambda: forks)
    lines = []
    seconds = run_tasks_at_once(Plan(str(tmp_path), "acd").tasks, str(tmp_path), Cluster(2), say=lines.append)
    notes = {name: json.loads((tmp_path / name / "note.json").read_text()) for name in "acd"}
    assert len({note["process"] for note in notes.values()} - {os.getpid()}) == 3
    assert {note["threads"] for note in notes.values()} == {max(1, usable_cores() // 2)}
    assert notes["d"]["start"] >= max(notes["a"]["end"], notes["c"]["end"])
    told = capfd.readouterr().err
    assert "Fatal" not in told and "Warning" not in told, told  # each process ended well
    assert set(seconds) == set("acd") and any("begin d" in line for line in lines)
    again = []
    run_tasks_at_once(Plan(str(tmp_path), "acd").tasks, str(tmp_path), Cluster(2), say=again.append)
    assert len(again) == 3 and all(line.endswith("(done)") for line in again)


@pytest.mark.parametrize(("broken", "message"), [("user", "films/x.png: found 3 channels"),
                                                 ("killed", "^b: was killed"), ("raises", "ZeroDivisionError")])
def test_what_goes_wrong_in_a_process_is_told_and_the_rest_continues_later(tmp_path, broken, message):
    """While b goes wrong, c waits, and is asked to stop."""
    with pytest.raises(RuntimeError if broken == "raises" else UserError, match=message):
        run_tasks_at_once(Plan(str(tmp_path), "cb", broken).tasks, str(tmp_path), Cluster(2))
    run_tasks(Plan(str(tmp_path), "acbd").tasks(), str(tmp_path))
    assert (tmp_path / "d" / "note.json").is_file()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_the_one_that_started_them(tmp_path, number):
    process = Process(_run_apart, str(tmp_path), preloaded=False)
    _wait(lambda: (tmp_path / "c" / "begun").is_file(), process)
    family = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as Ctrl-C in a terminal does
    else:
        process.send(number)
    code, printed = process.end()
    assert code != 0, printed
    _, alive = psutil.wait_procs(family, timeout=20)
    assert family and not alive


def test_a_lost_worker_of_this_machine_is_told(tmp_path, monkeypatch):
    clients, client = [], Cluster.client

    @contextlib.contextmanager
    def kept(cluster):
        with client(cluster) as made:
            clients.append(made)
            yield made

    def lose() -> None:
        _wait(lambda: (tmp_path / "c" / "begun").is_file())
        clients[0].cluster.sync(clients[0].cluster.workers[0].close)

    monkeypatch.setattr(Cluster, "client", kept)
    monkeypatch.setattr("tools.experiment.engine._LONELY_SECONDS", 0.5)
    threading.Thread(target=lose).start()
    with pytest.raises(UserError, match=r"worker .* was lost.*the same command continues"):
        run_tasks_at_once(Plan(str(tmp_path), "c").tasks, str(tmp_path), Cluster(2))


@pytest.mark.slow
def test_a_machine_that_slept_has_lost_no_task(tmp_path):
    """By Dask's own rule a worker that was silent for minutes is lost, and here nobody would start another."""
    process = Process(_run_apart, str(tmp_path), preloaded=False, DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="1s")
    _wait(lambda: (tmp_path / "c" / "begun").is_file(), process)
    process.send(signal.SIGSTOP)
    time.sleep(8)  # it waits for ten heartbeats at least, 5 s
    process.send(signal.SIGCONT)
    time.sleep(3)  # and looks each second
    (tmp_path / "a").mkdir(exist_ok=True)
    (tmp_path / "a" / "note.json").touch()  # for which c waits
    code, printed = process.end()
    assert code == 0, printed


def _run_apart(folder: str, *cluster) -> None:
    os.setsid()
    run_tasks_at_once(Plan(folder, "c").tasks, folder, Cluster(2, *cluster))


def _wait(moment, process=None) -> None:
    deadline = time.monotonic() + 120
    while not moment():
        assert time.monotonic() < deadline and (process is None or process.alive())
        time.sleep(0.05)
