"""Tasks that several workers do together: they meet, none waits for ever, and a lost one is replaced."""

import dataclasses
import itertools
import json
import os
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from datasets.common.errors import UserError
from datasets.sources.phantom import write_phantoms
from evaluation.results.run_log import read_rows
from tests.helpers.clusters import Loopback
from tests.helpers.processes import Process
from tools.experiment.cluster import Cluster
from tools.experiment.engine import run_tasks_at_once
from tools.experiment.meeting import Meeting
from tools.experiment.tasks import Task


@dataclasses.dataclass(frozen=True)
class Plan:
    """`pairs` tasks of two workers, each with a note per process, and a task of one that reads them."""

    pairs: int
    held: bool = False

    def tasks(self) -> list[Task]:
        pairs = [Task(f"pair-{number}", "", (), {}, self._meet, workers=2) for number in range(self.pairs)]
        return [*pairs, Task("single", "", tuple(task.name for task in pairs), {}, self._alone)]

    def _meet(self, folder: pathlib.Path) -> None:
        """Ends once both are there and, where it is held, somebody lets it; fails where the other is lost."""
        found = json.loads(os.environ["TF_CONFIG"])
        index, members = found["task"]["index"], found["cluster"]["worker"]
        worker = psutil.Process().parents()[1].pid
        note = {"process": os.getpid(), "worker": worker, "members": members}
        (folder / f"new-{index}").write_text(json.dumps(note))
        os.replace(folder / f"new-{index}", folder / f"{'-'.join(members)}.{index}".replace(":", "_"))
        other, deadline = None, time.monotonic() + 60
        while other is None or (self.held and not (folder / "let").exists()):
            assert time.monotonic() < deadline
            notes = _notes(folder)
            other = next((one["process"] for one in notes if one["members"] == members
                          and one["process"] != os.getpid()), None)
            if other and not psutil.pid_exists(other):
                raise UserError("the other is lost")
            time.sleep(0.1)

    def _alone(self, folder: pathlib.Path) -> None:
        assert "TF_CONFIG" not in os.environ


def _notes(folder: pathlib.Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in folder.glob("*.[01]")]


def test_tasks_of_two_workers_do_not_wait_for_one_another(tmp_path):
    lines = []
    run_tasks_at_once(Plan(3).tasks, str(tmp_path), Cluster(2), say=lines.append)
    for number in range(3):
        notes = _notes(tmp_path / f"pair-{number}")
        assert len(notes) == 2 and notes[0]["members"] == notes[1]["members"]
        assert len(set(notes[0]["members"])) == 2 == len({note["process"] for note in notes})
    assert sum("pair-1 took" in line for line in lines) == 1 and (tmp_path / "single").is_dir()
    with pytest.raises(UserError, match="--workers_per_training=2: found 1 places"):
        run_tasks_at_once(Plan(4).tasks, str(tmp_path), Cluster(1))


def test_a_worker_that_waited_for_a_chief_with_nothing_left_to_do_has_done_its_part(monkeypatch):
    told, address = [], "tcp://127.0.0.1:1"
    scheduler = SimpleNamespace(address=address, log_event=lambda topic, event: told.append((0, event)),
                                get_events=lambda topic: list(told),
                                scheduler_info=lambda **_: {"workers": {address: {}}})
    for name in ("get_worker", "get_client"):
        monkeypatch.setattr(f"distributed.{name}", lambda: scheduler)
    chief, other = (Meeting("pair", rank, 2, lambda: True) for rank in (0, 1))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(Meeting.join, (chief, other))
    assert first == second and len(set(first)) == 2
    chief.finish()
    assert other.again() and other.join() is None  # at once, not when it is sure that none was lost


def _run(root: str, file: str) -> None:
    run_tasks_at_once(Plan(1, True).tasks, root, Cluster(scheduler_file=file))


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_where_one_of_two_workers_is_lost_both_begin_again(tmp_path, rank):
    cluster, folder = Loopback(tmp_path, 3), tmp_path / "run" / "pair-0"
    try:
        process = Process(_run, str(tmp_path / "run"), str(cluster.file), preloaded=False)
        for count in (2, 4):
            deadline = time.monotonic() + 120
            while len(_notes(folder)) < count:
                assert time.monotonic() < deadline and process.alive(), process.end()
                time.sleep(0.05)
            if count == 2:
                first = json.loads(next(folder.glob(f"*.{rank}")).read_text())
                next(worker for worker in cluster.workers if worker.pid == first["worker"]).kill()
        (folder / "let").touch()
        code, printed = process.end()
    finally:
        cluster.close()
    assert code == 0 and "once more" in printed and (tmp_path / "run" / "single").is_dir(), printed
    last = [note for note in _notes(folder) if note["members"] != first["members"]]
    assert first["worker"] not in {note["worker"] for note in last} and len({note["worker"] for note in last}) == 2


@pytest.mark.slow
def test_a_network_trained_by_two_workers_is_that_of_one(tmp_path):
    from tests.helpers.tiny_experiment import experiment  # not above: each server of tasks would start TensorFlow

    write_phantoms(str(tmp_path / "data"), 14, 2, 32, 0)
    losses = {}
    for workers in (1, 2):
        made = experiment(str(tmp_path / "data"), str(tmp_path / str(workers)), "")
        segmenter = dataclasses.replace(made.preset.segmenter, dropout=0.0, precision="float32")
        made = dataclasses.replace(made, preset=dataclasses.replace(made.preset, segmenter=segmenter),
                                   workers=workers)
        run_tasks_at_once(made.tasks, made.workdir, Cluster(2, threads=1))
        rows = read_rows(tmp_path / str(workers) / "real" / "metrics.jsonl")
        losses[workers] = [row["loss"] for row in rows if "loss" in row]
        assert (tmp_path / str(workers) / "evaluate-real" / "pooled.json").is_file()
    assert len(losses[1]) >= 2 and all(one != other for one, other in itertools.pairwise(losses[1]))
    np.testing.assert_allclose(losses[2][:1], losses[1][:1], rtol=1e-5)  # Adam enlarges rounding from step to step
    np.testing.assert_allclose(losses[2], losses[1], rtol=1e-2)
