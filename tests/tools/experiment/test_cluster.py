"""Tasks on a scheduler with workers on loopback: killed processes, and clusters that do not fit."""

import dataclasses
import hashlib
import os
import pathlib
import signal
import time

import cv2
import psutil
import pytest

from datasets.common.errors import UserError
from tests.helpers import binaries
from tests.helpers.clusters import Loopback
from tests.helpers.processes import Process
from tools.experiment.cluster import Cluster, misfit
from tools.experiment.engine import run_tasks_at_once
from tools.experiment.tasks import Task, run_tasks
from tools.version import project_version

_STEPS = 20


@dataclasses.dataclass(frozen=True)
class Plan:
    """Three chains of digests, each from its checkpoint on, and their sum; a chain notes who did each step."""

    root: str
    seconds: float = 0.05  # of a step
    names: str = "abc"

    def tasks(self, part: str | None = None) -> list[Task]:
        made = [*(Task(name, f"chain {name}", (), {}, self._chain) for name in self.names),
                Task("sum", "sum of chains", tuple(self.names), {}, self._sum, part="all")]
        return [task for task in made if part in (None, task.part)]

    def _chain(self, folder: pathlib.Path) -> None:
        state = folder / "checkpoint"
        value, *steps = state.read_text().splitlines() if state.is_file() else (folder.name,)
        worker = psutil.Process().parents()[1].pid  # of the process that this one was forked off
        for step in range(len(steps), _STEPS):
            value = hashlib.sha256(value.encode()).hexdigest()
            steps.append(f"{step} {worker} {os.getpid()} {cv2.getNumThreads()}")
            time.sleep(self.seconds)
            (folder / "new").write_text("\n".join([value, *steps]))
            os.replace(folder / "new", state)
        print("chain ended")

    def _sum(self, folder: pathlib.Path) -> None:
        chains = [(pathlib.Path(self.root) / name / "checkpoint").read_text() for name in self.names]
        (folder / "sum").write_text("\n".join(chain.splitlines()[0] for chain in chains))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Loopback(tmp_path_factory.mktemp("cluster"), 3)
    yield made
    made.close()


def _steps(root: pathlib.Path, name: str) -> list[list[int]]:
    """(step, worker, process, threads) of each step done so far."""
    path = root / name / "checkpoint"
    lines = path.read_text().splitlines()[1:] if path.is_file() else []
    return [list(map(int, line.split())) for line in lines]


def _wait(moment, process: Process) -> None:
    deadline = time.monotonic() + 120
    while not moment():
        assert time.monotonic() < deadline and process.alive(), process.end()
        time.sleep(0.02)


def _run(root: str, file: str, seconds: float = 0.05) -> None:
    run_tasks_at_once(Plan(root, seconds).tasks, root, Cluster(scheduler_file=file, threads=3))


def test_a_killed_workers_task_goes_on_elsewhere_to_the_same_result(cluster, tmp_path):
    one, many = tmp_path / "one", tmp_path / "many"
    run_tasks(Plan(str(one), 0).tasks(), str(one))
    process = Process(_run, str(many), str(cluster.file), preloaded=False)
    _wait(lambda: len(_steps(many, "b")) > 5, process)
    worker = _steps(many, "b")[0][1]
    os.kill(worker, signal.SIGKILL)
    code, printed = process.end()
    cluster.add()
    assert code == 0, printed
    assert (one / "all" / "sum" / "sum").read_text() == (many / "all" / "sum" / "sum").read_text()
    steps = _steps(many, "b")
    assert [step for step, *_ in steps] == list(range(_STEPS))  # none lost, none twice
    assert steps[-1][1] != worker and len({process for _, _, process, _ in steps}) == 2
    assert {threads for name in "abc" for *_, threads in _steps(many, name)} == {3}  # as asked for, everywhere
    assert "4 of 4 tasks done" in (many / "index.html").read_text()
    assert printed.count("] b: chain b, on ") == 2 and "chain ended" in printed


def test_after_a_killed_client_the_same_command_continues(cluster, tmp_path):
    process = Process(_run, str(tmp_path), str(cluster.file), preloaded=False)
    _wait(lambda: min(len(_steps(tmp_path, name)) for name in "abc") > 2, process)
    process.send(signal.SIGKILL)
    process.end()
    _run(str(tmp_path), str(cluster.file), 0)
    for name in "abc":  # the first client's processes ended before others went on
        assert [step for step, *_ in _steps(tmp_path, name)] == list(range(_STEPS))


def test_ctrl_c_stops_tasks_on_workers(cluster, tmp_path):
    process = Process(_run, str(tmp_path), str(cluster.file), 0.5, preloaded=False)
    _wait(lambda: _steps(tmp_path, "a"), process)
    process.send(signal.SIGINT)
    code, printed = process.end()
    assert code != 0 and "KeyboardInterrupt" in printed
    for name in "abc":
        assert not any(psutil.pid_exists(process) for _, _, process, _ in _steps(tmp_path, name))
    assert not (tmp_path / "all" / "sum").exists()


def test_where_some_workers_have_gpus_these_compute(cluster, tmp_path):
    rich = cluster.add("--resources", "GPU=1")
    try:
        deadline = time.monotonic() + 60
        with Cluster(scheduler=cluster.address).client() as client:
            while not any(worker["resources"] for worker in client.scheduler_info(-1)["workers"].values()):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        _run(str(tmp_path), str(cluster.file), 0)
    finally:
        rich.kill()
    assert {worker for name in "abc" for _, worker, *_ in _steps(tmp_path, name)} == {rich.pid}


def test_workers_that_do_not_see_the_folder_are_told_before_anything_starts(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("tools.experiment.cluster.atomic_files.write_text", lambda *_: None)
    with pytest.raises(UserError, match=f"worker tcp://127.0.0.1:.*{tmp_path}"):
        _run(str(tmp_path), str(cluster.file))
    assert not list(tmp_path.glob("[abc]"))


def test_workers_without_the_project_are_told(cluster, tmp_path):
    stranger = cluster.add(cwd=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                run_tasks_at_once(Plan(str(tmp_path / "run"), 0).tasks, str(tmp_path / "run"),
                                  Cluster(scheduler=cluster.address))
            except UserError as error:
                assert "worker tcp://127.0.0.1:" in str(error) and str(tmp_path) in str(error)
                break
            assert time.monotonic() < deadline
    finally:
        stranger.kill()


def test_another_version_of_the_project_does_not_fit(tmp_path):
    version = project_version()
    assert misfit({"project": version, "folders": [str(tmp_path)]}) is None
    assert "f00" in misfit({"project": {**version, "project": "f00"}})
    assert "tensorflow" in misfit({"project": {**version, "tensorflow": "1.0"}})
    assert str(tmp_path / "data") in misfit({"project": version, "folders": [str(tmp_path / "data")]})


@pytest.mark.parametrize(("options", "said"), [
    (["--scheduler=127.0.0.1:9"], "127.0.0.1:9"), (["--scheduler=head"], "HOST:PORT"),
    (["--scheduler_file=none.json"], "none.json"), (["--scheduler_file=README.md"], "README.md"),
    (["--scheduler=head:1", "--scheduler_file=x"], "leave one"), (["--scheduler=head:1", "--jobs=2"], "--jobs=2")])
def test_a_scheduler_that_is_not_there_is_told_before_anything_is_written(tmp_path, options, said):
    done = binaries.run("tools.run_experiment", "--phantoms=20", "--preset=demo", f"--workdir={tmp_path / 'run'}",
                        *options)
    binaries.told(done, said)
    assert not (tmp_path / "run").exists()


def test_after_a_killed_scheduler_the_same_command_continues(tmp_path):
    (tmp_path / "cluster").mkdir()
    first = Loopback(tmp_path / "cluster", 1)
    try:
        process = Process(_run, str(tmp_path), str(first.file), preloaded=False)
        _wait(lambda: len(_steps(tmp_path, "a")) > 2, process)
        first.scheduler.kill()
        code, printed = process.end()
        assert code != 0 and "UserError" in printed and "continues" in printed, printed
    finally:
        first.close()
    run_tasks(Plan(str(tmp_path), 0).tasks(), str(tmp_path))
    assert (tmp_path / "all" / "sum" / "sum").is_file()


def test_tasks_outlive_the_process_that_they_are_forked_off(cluster, tmp_path):
    process = Process(_run, str(tmp_path), str(cluster.file), preloaded=False)
    _wait(lambda: _steps(tmp_path, "a"), process)
    psutil.Process(_steps(tmp_path, "a")[0][2]).parent().kill()
    code, printed = process.end()
    assert code == 0 and (tmp_path / "all" / "sum" / "sum").is_file(), printed
    assert [step for step, *_ in _steps(tmp_path, "a")] == list(range(_STEPS))
