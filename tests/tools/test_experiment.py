"""The whole job, shrunk: data to table through every network, tasks that are done once, and stale ones."""

import dataclasses
import json
import re
import shutil

import pandas as pd
import pytest

from datasets.pair_store import PairStore
from datasets.sources.phantom import write_phantoms
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.tables import read_pooled
from tests.helpers.tiny_experiment import PRESET, experiment
from tools.experiment.plan import with_steps
from tools.experiment.tasks import run_tasks
from training.config import Pix2PixHDConfig


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("experiment")
    write_phantoms(str(root / "data"), 16, 4, 32, 0)
    made = experiment(str(root / "data"), str(root / "run"))
    run_tasks(made.tasks(), made.workdir)
    return made, root / "run"


def test_every_column_is_in_the_table(finished):
    made, root = finished
    table = pd.read_csv(root / "report" / "table2.csv", header=[0, 1], index_col=[0, 1])
    assert table.shape == (8, 7) and table.columns[0][1] == "REAL"
    for column in made.columns():
        pooled = read_pooled(root / f"evaluate-{column}" / "pooled.json")
        assert pooled["films"] == 4 and set(pooled["counts"]) == {"left lung", "right lung", "heart"}


def test_the_report_stands_alone(finished):
    _, root = finished
    page = (root / "report" / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert len(sources) > 10 and all(source.startswith(("data:image/png;base64,", "#s")) for source in sources)
    assert all(f"phantom-{number:06d}" in page for number in (12, 13, 14, 15)) and "--workdir" in page
    for number in (1, 2, 3):
        assert (root / "report" / f"copies-{number}" / "memorization.csv").is_file()


def test_test_films_never_reach_training(finished):
    made, root = finished
    chosen = json.loads((root / "data" / "subset.json").read_text())["train"]
    store = PairStore(made.data)
    assert len(chosen) == 11 and set(chosen) <= set(store.ids("train"))
    augmented = PairStore(root / "data" / "gan-augmented")
    assert len(augmented.entries) == 66 and not augmented.ids("test")
    assert {entry.source for entry in augmented.entries} <= {*chosen, store.description.name}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_synthetic_sets_are_whole(finished, number):
    _, root = finished
    store = PairStore(root / f"synthetic-{number}" / "gan")
    assert len(store.ids("train")) == 8 and len(store.ids("validation")) == 4
    for id_ in store.ids():
        assert store.image(id_).shape == store.label(id_).shape == (32, 32)
    journal = json.loads((root / f"synthetic-{number}" / "gan" / "generation.json").read_text())
    assert len(set(journal["accepted"])) == 12


def test_the_same_command_again_does_nothing(finished):
    made, root = finished
    before = _times(root)
    lines = []
    run_tasks(made.tasks(), made.workdir, say=lines.append)
    assert len(lines) == len(made.tasks()) and all(line.endswith("(done)") for line in lines)
    assert before == _times(root)


def _times(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and path.name != ".lock"}


def _states(made, **dots):
    """Task -> its state, were these options of the dots' PGGAN others."""
    preset = dataclasses.replace(PRESET, dots=dataclasses.replace(PRESET.dots, **dots))
    lines = []
    run_tasks(dataclasses.replace(made, preset=preset).tasks(), made.workdir, dry_run=True, say=lines.append)
    return dict(re.match(r"\[.*\] ([\w-]+): .* \(([\w ]+)\)\n", line).groups() for line in lines)


@pytest.mark.parametrize("changed", [{"learning_rate": 5e-4}, {"total_kimg": 0.08}, {"snapshots": 1}])
def test_changed_settings_make_stale_what_follows(finished, changed):
    states = _states(finished[0], **changed)
    assert {task for task, state in states.items() if state == "stale"} == {
        "dots", "synthetic-3", "synth-3", "finetune-3", "evaluate-synth-3", "evaluate-finetune-3", "report"}


def test_how_a_run_is_watched_makes_nothing_stale(finished):
    states = _states(finished[0], log_lines=9, grids=1, checkpoint_minutes=1.0, strategy="one_device")
    assert set(states.values()) == {"done"}


def test_a_file_that_an_option_names_counts_by_its_content(finished, tmp_path):
    def settings(name, content):
        (tmp_path / name).write_bytes(content)
        preset = dataclasses.replace(PRESET, labels_to_film=dataclasses.replace(
            PRESET.labels_to_film, vgg_weights=str(tmp_path / name)))
        tasks = dataclasses.replace(finished[0], preset=preset).tasks()
        return next(task.settings for task in tasks if task.name == "labels_to_film")

    assert settings("a.h5", b"first") == settings("moved.h5", b"first") != settings("a.h5", b"other")


@pytest.fixture(scope="module")
def extended(finished, tmp_path_factory):
    """A copy of the finished experiment, continued with the baselines beside method 2, and what it printed."""
    made, root = finished
    copy = tmp_path_factory.mktemp("extended") / "run"
    shutil.copytree(root, copy)
    lines = []
    more = experiment(made.data, str(copy), "two", "mix,shape")
    run_tasks(more.tasks(), more.workdir, say=lines.append)
    return copy, lines


def test_a_finished_experiment_is_continued_with_extras(finished, extended):
    made, _ = finished
    copy, lines = extended
    done = {line.split("] ")[1].split(":")[0] for line in lines if line.endswith("(done)")}
    assert done == {task.name for task in dataclasses.replace(made, methods=("two",)).tasks()} - {"report"}
    assert ExperimentFolder(copy).columns() == [*made.columns(), "mix-2", "synth-shape", "finetune-shape"]
    assert len(PairStore(copy / "synthetic-shape" / "gan").ids("train")) == 8
    config = json.loads((copy / "mix-2" / "config.json").read_text())
    assert config["mixed_with"] == PairStore(copy / "data" / "gan-augmented").fingerprint()


def test_the_report_shows_the_extras(extended):
    root = extended[0] / "report"
    table = pd.read_csv(root / "table2.csv", header=[0, 1], index_col=[0, 1])
    assert [name for _, name in table.columns[7:]] == ["MIX", "SYNTH", "FINETUNE"]
    realism = pd.read_csv(root / "realism" / "realism.csv", index_col=0)
    assert {"Three-stage", "Shape model"} <= set(realism.index)
    assert (root / "copies-shape" / "memorization.csv").is_file()
    assert (root / "figures" / "samples-shape.png").is_file()
    page = (root / "report.html").read_text()
    assert "Shape model: the samples nearest" in page and "FINETUNE-SHAPE" in page and "MIX-2" in page


@pytest.mark.parametrize(("pairs", "least", "half"), [(66, 16, 47), (744, 16, 8), (744, 0, 4), (10**6, 0, 1)])
def test_translators_get_their_updates_or_their_epochs(pairs, least, half):
    config = with_steps(Pix2PixHDConfig(batch=4), 1500, pairs, least)
    assert (config.epochs, config.epochs_decay) == (half, half)
