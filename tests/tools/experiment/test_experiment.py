"""The whole job, shrunk: data to table through every network, tasks that are done once, and stale ones."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pandas as pd
import pytest

from datasets.pair_store import PairStore, read_png
from datasets.rules.label_cleaning import keep_largest
from datasets.sources.phantom import write_phantoms
from evaluation.results.columns import METHODS
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.tables import read_pooled
from evaluation.segmenter.evaluate import score_films, segment_with
from evaluation.segmenter.saved_network import load_network
from evaluation.segmenter.sliding_window import probabilities_of
from evaluation.synthetic.marked_copies import read_marks
from tests.helpers import process_state
from tests.helpers.tiny_experiment import PRESET, experiment
from tools.experiment.plan import Experiment, with_steps
from tools.experiment.synthetic_sets import SyntheticSet
from tools.experiment.tasks import TaskRecords, run_tasks
from training.config import Pix2PixHDConfig


@dataclasses.dataclass(frozen=True)
class Finished:
    """An experiment that was stopped before its report, and done to its end with the baselines beside method 3."""

    first: Experiment
    made: Experiment
    root: pathlib.Path
    lines: list[str]  # what the second run said

    def columns(self) -> list[str]:
        return [*self.first.columns(), "mix-3", "synth-shape", "finetune-shape"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("experiment")
    write_phantoms(str(root / "data"), 14, 2, 32, 0)
    first, made = (experiment(str(root / "data"), str(root / "run"), *asked)
                   for asked in (("single,three",), ("three", "mix,shape")))
    lines = []
    with process_state.eagerly():
        run_tasks(first.tasks()[:-1], first.workdir)
        run_tasks(made.tasks(), made.workdir, say=lines.append)
    return Finished(first, made, root / "run", lines)


def test_a_set_in_shards_is_the_set_made_whole(finished, tmp_path):
    for name in ("data", "labels_to_film"):
        (tmp_path / name).symlink_to(finished.root / name)
    method = next(method for method in METHODS if method.name == "shape")
    whole, shards, others = (
        [dataclasses.replace(task, reads=()) for task in SyntheticSet(method, PRESET, 0, tmp_path, pairs).tasks()]
        for pairs in (0, 6, 4))
    assert [len(tasks) for tasks in (whole, shards, others)] == [1, 3, 4]
    run_tasks(shards, str(tmp_path))
    assert _files(tmp_path / "synthetic-shape" / "gan") == _files(finished.root / "synthetic-shape" / "gan")
    assert not list(tmp_path.glob("*shard*"))
    for tasks in (whole, others):  # all is done, however many shards it would have
        records = TaskRecords(tasks, str(tmp_path), print)
        assert {records.state(task) for task in tasks} == {"done"}


def _files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _named(lines, state):
    return {line.split("] ")[1].split(":")[0] for line in lines if f"({state})" in line}


def test_every_column_is_in_the_table(finished):
    table = pd.read_csv(finished.root / "report" / "table2.csv", header=[0, 1], index_col=[0, 1])
    assert table.shape == (8, 8) and table.columns[0][1] == "REAL"
    assert [name for _, name in table.columns[5:]] == ["MIX", "SYNTH", "FINETUNE"]
    assert ExperimentFolder(finished.root).columns() == finished.columns()
    for column in finished.columns():
        pooled = read_pooled(finished.root / f"evaluate-{column}" / "pooled.json")
        assert pooled["films"] == 2 and set(pooled["counts"]) == {"left lung", "right lung", "heart"}


def test_the_report_stands_alone(finished):
    report = finished.root / "report"
    page = (report / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert len(sources) > 10 and all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert all(f"phantom-{number:06d}" in page for number in (12, 13)) and "--workdir" in page
    for number in (1, 3, "shape"):
        assert (report / f"copies-{number}" / "memorization.csv").is_file()
        assert (report / "figures" / f"samples-{number}.png").is_file()
    realism = pd.read_csv(report / "realism" / "realism.csv", index_col=0)
    assert {"Single-stage", "Three-stage", "Shape model"} <= set(realism.index)
    assert "Shape model FINETUNE" in page and "Three-stage MIX" in page
    hardness = pd.read_csv(report / "gan_test.csv", index_col=0)
    assert list(hardness.index) == ["test films", "Single-stage", "Three-stage", "Shape model"]
    pairs, network = PairStore(finished.root / "synthetic-3" / "gan"), load_network(finished.root / "real")
    facts = json.loads((finished.root / "real" / "product.json").read_text())
    segment = segment_with(probabilities_of(network), pairs, facts["crop"], facts["overlap"])
    found = score_films(segment, pairs, pairs.ids("validation"))
    assert hardness.loc["Three-stage", "GAN-test by REAL"] == pytest.approx(100 * found.mean_j, abs=1e-3)
    table = pd.read_csv(report / "table2.csv", header=[0, 1], index_col=[0, 1])
    assert hardness.loc["test films", "GAN-test by REAL"] == pytest.approx(table.iloc[3, 0], abs=0.01)
    assert "heart: in 11 of 11" in page and (finished.root / "data" / "rules.json").is_file()


def test_test_films_never_reach_training(finished):
    chosen = json.loads((finished.root / "data" / "subset.json").read_text())["train"]
    store = PairStore(finished.made.data)
    assert len(chosen) == 11 and set(chosen) <= set(store.ids("train"))
    unseen = PairStore(finished.root / "data" / "held-out")
    assert unseen.ids() == unseen.ids("train") == sorted(set(store.ids("train")) - set(chosen))
    augmented = PairStore(finished.root / "data" / "gan-augmented")
    assert len(augmented.entries) == 66 and not augmented.ids("test")
    assert {entry.source for entry in augmented.entries} <= {*chosen, store.description.name}


@pytest.mark.parametrize("number", [1, 3, "shape"])
def test_synthetic_sets_are_whole(finished, number):
    folder = finished.root / f"synthetic-{number}" / "gan"
    store = PairStore(folder)
    assert len(store.ids("train")) == 8 and len(store.ids("validation")) == 4
    for id_ in store.ids():
        assert store.image(id_).shape == store.label(id_).shape == (32, 32)
    assert len(set(json.loads((folder / "generation.json").read_text())["accepted"])) == 12
    rows, facts = read_marks(store)
    assert list(rows["id"]) == store.ids() and facts["calibrating"] == 11  # one held-out film is not enough
    assert facts["calibration"] in (finished.root / "report" / "report.html").read_text()


def test_what_is_done_is_not_done_again(finished):
    done = {task.name for task in dataclasses.replace(finished.first, methods=("three",)).tasks()} - {"report"}
    assert _named(finished.lines, "done") == done
    before, lines = _times(finished.root), []
    run_tasks(finished.made.tasks(), finished.made.workdir, say=lines.append)
    assert _named(lines, "done") == {task.name for task in finished.made.tasks()}
    assert before == _times(finished.root)


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
    states, columns = _states(finished.made, **changed), ("synth-3", "finetune-3", "mix-3")
    assert {task for task, state in states.items() if state == "stale"} == {
        "dots", "synthetic-3", *columns, *(f"evaluate-{name}" for name in columns), "report"}


def test_how_a_run_is_watched_makes_nothing_stale(finished):
    states = _states(finished.made, log_lines=9, grids=1, checkpoint_minutes=1.0, strategy="one_device")
    assert set(states.values()) == {"done"}


def test_largest_pieces_are_kept_in_scoring_alone(finished, tmp_path):
    kept = {name: dataclasses.replace(getattr(PRESET, name), keep_largest="auto")
            for name in ("segmenter", "finetune")}
    made = dataclasses.replace(finished.made, preset=dataclasses.replace(PRESET, **kept))
    records = TaskRecords(made.tasks(), made.workdir, print)
    before = TaskRecords(finished.made.tasks(), made.workdir, print)
    changed = {task.name for task, old in zip(made.tasks(), finished.made.tasks(), strict=True)
               if records.key(task) != before.key(old)}
    assert changed == {f"evaluate-{name}" for name in made.columns()} | {"report"}
    score = next(task for task in made.tasks() if task.name == "evaluate-synth-3")
    score.run(tmp_path)
    changed = 0
    for path in sorted((finished.root / "evaluate-synth-3" / "predictions").iterdir()):
        found = read_png(path, (32, 32))
        expected = keep_largest(found, [[1], [2], [3]])
        np.testing.assert_array_equal(read_png(tmp_path / "predictions" / path.name, (32, 32)), expected)
        changed += (found != expected).sum()
    assert changed  # else nothing was to be taken out


def test_a_file_that_an_option_names_counts_by_its_content(finished, tmp_path):
    def settings(name, content):
        (tmp_path / name).write_bytes(content)
        preset = dataclasses.replace(PRESET, labels_to_film=dataclasses.replace(
            PRESET.labels_to_film, vgg_weights=str(tmp_path / name)))
        tasks = dataclasses.replace(finished.made, preset=preset).tasks()
        return next(task.settings for task in tasks if task.name == "labels_to_film")

    assert settings("a.h5", b"first") == settings("moved.h5", b"first") != settings("a.h5", b"other")


def test_mixed_training_belongs_to_the_real_films(finished):
    config = json.loads((finished.root / "mix-3" / "config.json").read_text())
    assert config["mixed_with"] == PairStore(finished.root / "data" / "gan-augmented").fingerprint()


@pytest.mark.parametrize(("pairs", "least", "half"), [(66, 16, 47), (744, 16, 8), (744, 0, 4), (10**6, 0, 1)])
def test_translators_get_their_updates_or_their_epochs(pairs, least, half):
    config = with_steps(Pix2PixHDConfig(batch=4), 1500, pairs, least)
    assert (config.epochs, config.epochs_decay) == (half, half)
