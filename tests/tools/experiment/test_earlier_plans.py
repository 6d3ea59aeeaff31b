"""Columns of an earlier plan stay in the tables while this plan would make them alike, and are left out, which is
said, when it would not."""

import dataclasses
import pathlib

import pytest

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import PairStore
from datasets.sources.phantom import write_phantoms
from evaluation.results.columns import METHODS
from evaluation.results.experiment_folder import ExperimentFolder, results_name
from evaluation.results.made_with import MadeWith
from evaluation.results.write_tables import Results
from tests.helpers.result_folders import write_column, write_experiment
from tests.helpers.tiny_experiment import PRESET, experiment
from tools.experiment.draws import Draws
from tools.experiment.earlier_plans import naming_superseded, superseded
from tools.experiment.tasks import TaskRecords, run_tasks

WIDER = dataclasses.replace(PRESET, segmenter=dataclasses.replace(PRESET.segmenter, width=16))
OTHER_LABELS = dataclasses.replace(PRESET, labels=dataclasses.replace(PRESET.labels, learning_rate=5e-4))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("earlier") / "data"
    write_phantoms(str(path), 16, 4, 32, 0)
    return str(path)


def _plan(data, run, methods, extras="", **more):
    plain = dataclasses.replace(experiment(data, str(run), methods, extras), made_with=MadeWith("tiny"), **more)
    return naming_superseded(plain)


def _finish(made):
    """Its records, and results of its columns, without its work."""
    root = write_experiment(pathlib.Path(made.workdir), dict.fromkeys(made.columns(), 1), films=3)
    keep = TaskRecords(made.tasks(), made.workdir, print)
    for task in made.tasks():
        record = {"key": keep.key(task), "done": True, "seconds": 1.0, "settings": task.settings}
        atomic_files.write_json(atomic_files.make_folder(root / "tasks") / f"{task.name}.json", record)


def _begin(made):
    """What is said when it is run, and its planned columns, scored anew."""
    lines = []
    with TaskRecords(made.tasks(), made.workdir, lines.append) as records:
        records.prepare()
    folder = ExperimentFolder(pathlib.Path(made.workdir))
    for column in made.columns():
        write_column(folder.path / results_name(column), PairStore(folder.path / "data" / "gan-films"), 2)
    return [line for line in lines if "left out" in line], folder


@pytest.fixture
def run(data, tmp_path):
    _finish(_plan(data, tmp_path / "run", "two,three", "mix"))
    return tmp_path / "run"


def test_columns_made_alike_stay(data, run):
    narrower = _plan(data, run, "three", "warp")
    said, folder = _begin(narrower)
    assert said == [] and superseded(narrower) == ()
    assert folder.columns() == ["real", "synth-2", "finetune-2", "synth-3", "finetune-3", "mix-2", "mix-3",
                                "synth-warp", "finetune-warp"]
    assert "left out" not in Results([run]).caption()


def test_columns_of_other_settings_are_left_out_and_named(data, run):
    wider = _plan(data, run, "three", preset=WIDER)
    left = ["synth-2", "finetune-2", "mix-2", "mix-3"]
    assert {name for name in superseded(wider) if "evaluate-" in name} == {f"evaluate-{name}" for name in left}
    assert "synthetic-2" not in superseded(wider)  # its pairs are as they would be
    write_experiment(run, {"nnU-Net": 1}, films=3)
    (said,), folder = _begin(wider)
    assert all(name in said for name in left)
    assert folder.columns() == ["real", "synth-3", "finetune-3", "nnU-Net"] and folder.superseded() == left
    results = Results([run])
    assert results.columns == folder.columns() and "left out: Two-stage SYNTH 2, " in results.caption()
    report = wider.tasks()[-1]
    assert report.settings["superseded"] == list(superseded(wider))
    lines = []
    run_tasks(wider.tasks(), str(run), dry_run=True, say=lines.append)
    assert lines[0] == said and not any(line.startswith(str(run)) for line in lines[1:])
    assert superseded(_plan(data, run, "three")) == ()  # of the settings with which they were made


def test_pairs_of_other_networks_are_left_out_too(data, run):
    changed = _plan(data, run, "three", preset=OTHER_LABELS)
    (said,), folder = _begin(changed)
    assert {"labels", "synthetic-2", "synth-2", "mix-2", "evaluate-mix-2"} <= set(superseded(changed))
    assert "mix-3" not in superseded(changed) and "synthetic-2, " in said
    (run / "synthetic-3").rename(run / "synthetic-2")
    assert folder.methods() == [] and "mix-3" in folder.columns()
    with pytest.raises(UserError, match="synthetic-2: an earlier plan"):
        folder.synthetic(METHODS[1])
    assert "synth-2" not in folder.logs() and "synth-3" in folder.logs()


def test_films_without_label_maps_need_not_be_named_again(data, tmp_path):
    def plan(extras="", **more):
        return _plan(data, tmp_path, "two", extras, **more)

    _finish(plan("pseudo", unlabelled="train"))
    assert superseded(plan()) == () and superseded(plan("mix")) == ()
    assert "evaluate-pseudo" in superseded(plan(preset=WIDER))


def test_tables_over_draws_are_made_again(data, tmp_path):
    def tables(**more):
        draws = Draws(_plan(data, tmp_path, "two", **more), (3,), (0,))
        return next(task for task in draws.tasks() if task.name == "tables")

    _finish(next(iter(Draws(_plan(data, tmp_path, "two", "mix"), (3,), (0,)).experiments().values())))
    assert "superseded" not in tables().settings
    assert "evaluate-mix-2" in tables(preset=WIDER).settings["superseded"]
