"""An experiment killed anywhere continues to the same report; a synthetic set neither loses nor repeats a pair."""

import random
import subprocess
import sys
import time

import psutil
import pytest

from datasets.pair_store import PairStore
from datasets.sources.phantom import write_phantoms
from datasets.synthetic.synthetic_store import read_journal
from tests.helpers.clusters import Loopback
from tests.helpers.processes import ROOT, Process, kill_at, newest_checkpoint, output_of, run, wait_for
from tests.helpers.tiny_experiment import experiment
from tests.reliability.comparison import network_weights
from tests.reliability.conftest import FULL
from tools.experiment.cluster import Cluster
from tools.experiment.engine import run_tasks_at_once

_WRITER = """
import sys, time, types
import numpy as np
from datasets.class_table import CHEST
from datasets.pair_store import Description
from datasets.synthetic.synthetic_store import write_synthetic

def pairs(indices, seed):
    time.sleep(0.01)
    rejected = {int(index): "odd" for index in indices if np.random.default_rng([seed, index]).random() < 0.3}
    kept = np.array([index for index in indices if int(index) not in rejected])
    films = [np.random.default_rng([seed, 1, index]).uniform(-1, 1, (16, 16, 1)) for index in kept]
    labels = [np.random.default_rng([seed, 2, index]).integers(0, 6, (16, 16), np.uint8) for index in kept]
    return types.SimpleNamespace(indices=kept, labels=np.stack(labels), films=np.stack(films), rejected=rejected,
                                 dots=None, mending=None)

write_synthetic(sys.argv[1], Description("noise", (16, 16), CHEST), pairs, pairs, 150, 30, 7, "test", 8)
"""


def _content(folder, pattern="**/*"):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.glob(pattern))
            if file.is_file() and ".partial" not in file.name}


def test_a_set_killed_while_it_is_written_neither_loses_nor_repeats(tmp_path, record):
    def start(name):
        return subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path / name)], cwd=ROOT,
                                stdout=subprocess.DEVNULL)

    assert start("whole").wait() == 0
    draw, kills = random.Random(3), 0
    for _ in range(40 if FULL else 3):
        process = start("killed")
        before = len(list(tmp_path.glob("killed/images/*")))
        while process.poll() is None and len(list(tmp_path.glob("killed/images/*"))) <= before:
            time.sleep(0.001)
        time.sleep(draw.uniform(0.001, 0.06))
        process.kill()
        kills += process.wait() != 0
    assert start("killed").wait() == 0
    store, journal = PairStore(tmp_path / "killed"), read_journal(tmp_path / "killed" / "generation.json")
    assert len(set(store.ids())) == 150 == len(set(journal["accepted"])) and len(store.ids("validation")) == 30
    same = _content(tmp_path / "whole") == _content(tmp_path / "killed")
    record("synthetic set: SIGKILL while writing", kills, kills, kills * same)
    assert kills and same


@pytest.mark.skipif(not FULL, reason="full form only")
def test_an_experiment_killed_anywhere_ends_with_the_same_report(tmp_path, record):
    data, whole, killed = (tmp_path / name for name in ("data", "whole/run", "killed/run"))  # tables name the run
    write_phantoms(str(data), 16, 4, 32, 0)
    command = ["tests.helpers.tiny_experiment", str(data)]
    run([*command, str(whole), "three"])
    tasks = sorted((file.stem for file in (whole / "tasks").glob("*.json")),
                   key=lambda name: (whole / "tasks" / f"{name}.json").stat().st_mtime)
    draw, kills = random.Random(11), 0
    for task in tasks:
        began = [killed / "tasks" / f"{task}.json"]
        kills += kill_at([*command, str(killed), "three"], killed,
                         lambda folder, began=began: began[0].is_file(), draw.uniform(0, 4))
    run([*command, str(killed), "three"])
    found = _differences(whole, killed, tasks)
    record("experiment: SIGKILL in each task", kills, kills, 0 if found else kills)
    assert kills >= len(tasks) // 2 and not found, found


def _at_once(data, workdir, *cluster):
    run_tasks_at_once(experiment(data, workdir, "three").tasks, workdir, Cluster(*cluster), [data])


@pytest.mark.skipif(not FULL, reason="full form only")
def test_a_worker_killed_in_a_training_costs_no_bit_of_the_report(tmp_path, record):
    """On a scheduler with three workers, each killed once it has saved something; others take their place."""
    data, whole, killed = (tmp_path / name for name in ("data", "whole/run", "killed/run"))  # tables name the run
    write_phantoms(str(data), 16, 4, 32, 0)
    output_of(Process(_at_once, str(data), str(whole), 3))
    cluster, kills = Loopback(tmp_path, 3), 0
    try:
        process = Process(_at_once, str(data), str(killed), 3, None, str(cluster.file))
        for task in ("dots", "labels_to_film", "synth-3"):
            wait_for(process, killed, lambda folder, task=task: newest_checkpoint(folder / task) > 0
                     or (folder / f"evaluate-{task}").is_dir())
            workers = {child.pid: worker for worker in cluster.workers if worker.poll() is None
                       for server in psutil.Process(worker.pid).children() for child in server.children()}
            if workers:
                workers[max(workers)].kill()
                kills += 1
                cluster.workers.append(cluster.add())
        output_of(process)
    finally:
        cluster.close()
    tasks = [path.stem for path in (whole / "tasks").glob("*.json")]
    found = _differences(whole, killed, tasks)
    record("experiment on a cluster: SIGKILL of workers", kills, kills, 0 if found else kills)
    assert kills == 3 and not found, found


def _differences(whole, killed, tasks):
    """Tables and pictures of the report, synthetic sets, predictions and chosen networks that differ."""
    patterns = ["report/**/*.csv", "report/**/*.md", "report/**/*.tex", "report/**/*.png", "evaluate-*/**/*.png",
                "synthetic-*/**/*", *(f"{task}/metrics.jsonl" for task in tasks)]
    found = []
    for pattern in patterns:
        first, second = _content(whole, pattern), _content(killed, pattern)
        found += [name for name in first.keys() | second.keys() if first.get(name) != second.get(name)]
    for network in whole.glob("*/last.keras"):
        if network_weights(network) != network_weights(killed / network.relative_to(whole)):
            found.append(str(network))
    return found
