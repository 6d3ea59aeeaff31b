"""Baselines beyond the paper: what they add to an experiment, and that they change nothing else in it."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from datasets.external import read_externals
from datasets.pair_store import PairStore
from datasets.sources.phantom import write_phantoms
from evaluation.results import columns
from evaluation.results.columns import EXTRAS
from evaluation.results.made_with import MadeWith
from tests.helpers.tiny_experiment import PRESET, experiment
from tests.helpers.tiny_networks import method_runs, phantom_store
from tools.experiment.plan import Experiment
from tools.experiment.tasks import TaskRecords
from tools.generation.method_from_runs import MODEL_SETTINGS, Assembly
from training import presets
from training.presets.recipes import RECIPES, Recipe

MODELS = ("shape", "warp")  # that make label maps without a network
EXTRA = {"mix-1", "mix-2", "mix-3", *(f"{kind}-{model}" for kind in ("synth", "finetune") for model in MODELS)}
EXTRA |= {f"evaluate-{name}" for name in EXTRA} | {f"synthetic-{model}" for model in MODELS}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("extras") / "data"
    write_phantoms(str(path), 16, 4, 32, 0)
    return str(path)


def _keys(made):
    records = TaskRecords(made.tasks(), made.workdir, print)
    return {task.name: (records.key(task), task.settings, task.reads) for task in made.tasks()}


@pytest.mark.parametrize("name", [*presets.NAMES, "tiny"])
def test_extras_change_no_other_task_but_the_report(data, name):
    preset = PRESET if name == "tiny" else presets.load(name)
    plain = Experiment(data, "tiny", preset, ("single", "two", "three"), 1, "nowhere")
    both = _keys(dataclasses.replace(plain, extras=("mix", "shape", "warp")))
    before = _keys(plain)
    assert set(both) - set(before) == EXTRA
    assert {task for task in before if both[task] != before[task]} == {"report"}
    assert both["report"][2][:7] == before["report"][2]
    assert both["report"][2][7:] == tuple(f"evaluate-{name}" for name in (
        "mix-1", "mix-2", "mix-3", "synth-shape", "finetune-shape", "synth-warp", "finetune-warp"))


# Task -> digest of what its record says: at --preset=cpu, with averaged translators that leave no checkerboards.
RECORDS = {
    "labels": "f23eb1b5", "dots": "efccd981", "dots_to_labels": "1ff22eac", "labels_to_film": "1f8910e2",
    "synthetic-2": "2fac40eb", "synthetic-3": "11eb8d50", "synthetic-shape": "c97994a6",
    "synthetic-warp": "2181cce8", "real": "124521e8", "finetune-2": "03eb2192", "mix-3": "5336fcb9",
    "real+augment": "599c96e1", "mix-real": "9f0da9f5", "synth-3+augment": "8cc2a2af",
    "mix-warp+augment": "2f9bb7b3", "evaluate-real": "533309f9"}


def test_finished_experiments_stay_finished(data):
    """Another record makes a finished task of every experiment stale: a new option goes in with `later=True`, and
    values of the code into the folder of what they made."""
    translators = {"average_decay": 0.995, "upsampling": "resize"}
    preset = Recipe(translators).applied(presets.load("cpu"))
    made = Experiment(data, "tiny", preset, ("two", "three"), 0, "nowhere", extras=EXTRAS)
    said = {task.name: json.dumps([task.settings, task.reads], sort_keys=True) for task in made.tasks()}
    assert {name: hashlib.sha256(said[name].encode()).hexdigest()[:8] for name in RECORDS} == RECORDS


@pytest.mark.parametrize(("recipe", "changed"), [("paper", set()), ("best", {"report"})])
def test_the_name_of_a_recipe_makes_nothing_stale_but_the_report(data, recipe, changed):
    plain = Experiment(data, "tiny", PRESET, ("two",), 1, "nowhere")
    named, before = _keys(dataclasses.replace(plain, made_with=MadeWith("cpu", recipe))), _keys(plain)
    assert set(named) == set(before)
    assert {task for task in before if named[task] != before[task]} == changed


def test_films_of_elsewhere_change_no_other_task_but_the_report(data, tmp_path):
    write_phantoms(str(tmp_path / "there"), 3, 1, 32, 1)
    plain = Experiment(data, "tiny", PRESET, ("two",), 1, "nowhere")
    both = _keys(dataclasses.replace(plain, externals=read_externals([f"{tmp_path}/there,There"], [])))
    before = _keys(plain)
    assert set(both) - set(before) == {f"external-There.{name}" for name in plain.columns()}
    assert {task for task in before if both[task] != before[task]} == {"report"}
    assert both["external-There.synth-2"][2] == ("data", "synth-2")


def test_each_extra_stands_alone(data):
    mixed = experiment(data, "nowhere", "two", "mix")
    assert mixed.columns() == ["real", "synth-2", "finetune-2", "mix-2"]
    shape = experiment(data, "nowhere", "single", "shape")
    assert shape.columns() == ["real", "synth-1", "finetune-1", "synth-shape", "finetune-shape"]
    assert {"pairs", "labels_to_film"} < {task.name for task in shape.tasks()}
    assert not {"labels", "dots"} & {task.name for task in shape.tasks()}
    assert experiment(data, "nowhere", "three,two", "shape,mix").columns() == experiment(
        data, "nowhere", "two,three", "mix,shape").columns()


@pytest.mark.parametrize("model", MODELS)
def test_what_decides_the_baselines(data, model):
    made = experiment(data, "nowhere", extras=f"mix,{model}")
    tasks = {task.name: task for task in made.tasks()}
    preset = made.preset
    assert tasks["mix-3"].reads == ("synthetic-3", "data")
    assert tasks["mix-3"].settings["steps"] == preset.segmenter.steps + preset.finetune.steps
    assert {**tasks["mix-3"].settings, "steps": preset.segmenter.steps} == tasks["synth-3"].settings
    assert tasks[f"synthetic-{model}"].reads == ("data", "labels_to_film")
    assert tasks[f"synthetic-{model}"].settings == {**tasks["synthetic-3"].settings, **MODEL_SETTINGS[model]}
    for kind in ("synth", "finetune"):
        assert tasks[f"{kind}-{model}"].settings == tasks[f"{kind}-3"].settings


def test_how_often_films_are_augmented_is_a_setting_of_augmented_columns_alone(data):
    made = experiment(data, "nowhere", "three", ",".join(EXTRAS))
    made = dataclasses.replace(made, preset=RECIPES["best"].applied(made.preset))
    factors = {task.name: (task.settings.get("augment"), task.settings.get("augment_factor"))
               for task in made.tasks() if task.name in made.columns()}
    assert {("strong", 2.5), (None, None)} == set(factors.values())
    assert factors["real"] == factors["mix-3"] == (None, None) != factors["mix-real"]


def test_every_column_beside_the_paper_has_the_updates_of_two_phases(data):
    made = experiment(data, "nowhere", "three", ",".join(EXTRAS))
    tasks, preset = {task.name: task for task in made.tasks()}, made.preset
    first, second = preset.segmenter.steps, preset.finetune.steps
    for column in map(columns.find, made.columns()):
        updates = tasks[column.name].settings["steps"]
        updates += tasks[column.start].settings["steps"] if column.start else 0
        assert updates == (first if column.name == "real" or column.kind == "synth" else first + second)
        settings = {key: tasks[column.name].settings.get(key) for key in ("augment", "cutmix")}
        strong = column.augmented or column.name == "mix-real"
        assert settings == {"augment": "strong" if strong else None,
                            "cutmix": 0.5 if column.name == "mix-real" else None}
    assert tasks["finetune-3+augment"].reads == ("data", "synth-3+augment")
    assert tasks["mix-3+augment"].reads == ("synthetic-3", "data")
    assert tasks["real-2x"].settings == tasks["real"].settings | {"steps": first + second}
    asked = {extra: experiment(data, "nowhere", "three", extra).columns()[3:] for extra in EXTRAS}
    assert asked["augment"] == ["real+augment"] and asked["real-2x"] == ["real-2x"]
    assert asked["finetune+augment"] == ["synth-3+augment", "finetune-3+augment"]
    assert asked["mix+augment"] == ["mix-3+augment"] and asked["mix-real"] == ["mix-real"]


def test_a_unet_stands_beside_smanet_on_the_same_pairs(data):
    plain = experiment(data, "nowhere", "three", "augment,finetune+augment")
    both = _keys(dataclasses.replace(plain, networks=("smanet", "unet")))
    before = _keys(plain)
    added = {f"{name}+unet" for name in plain.columns()}
    assert set(both) - set(before) == added | {f"evaluate-{name}" for name in added}
    assert {task for task in before if both[task] != before[task]} == {"report"}
    for name in plain.columns():
        (_, ours, reads), (_, theirs, from_) = before[name], both[f"{name}+unet"]
        assert theirs == ours | {"network": "unet"}
        assert from_ == tuple(f"{read}+unet" if read in plain.columns() else read for read in reads)
    alone = dataclasses.replace(plain, networks=("unet",))
    assert set(alone.columns()) == added
    jobs = {job.name: job.config.network for job in alone.training_jobs() if hasattr(job.config, "network")}
    assert jobs["fine-tuning+augment+unet"] == jobs["segmenter+unet"] == "unet"


def test_the_estimate_counts_every_segmenter(data):
    def counted(extras):
        return {job.name: (runs, job.config.steps) for job, runs in
                experiment(data, "nowhere", "single,three", extras).training_jobs().items() if "mixed" in job.name
                or job.name in ("segmenter", "fine-tuning")}

    assert counted("") == {"segmenter": (3, 4), "fine-tuning": (2, 4)}
    assert counted("mix,shape") == {"segmenter": (4, 4), "fine-tuning": (3, 4), "mixed": (2, 8)}
    assert [job.name for job in experiment(data, "nowhere", "single", "shape").training_jobs()][:2] == [
        "pairs", "labels_to_film"]


@pytest.mark.parametrize(("model", "source"), [("shape", "shape-model"), ("warp", "warped-maps")])
def test_a_model_makes_pairs_with_the_films_of_the_translator(tmp_path, model, source, eager):
    store = phantom_store(tmp_path / "real", count=4)
    run = {"labels_to_film": method_runs(tmp_path / "runs")["labels_to_film"]}
    assembly = Assembly(model, run, store)
    pairs = assembly.method(checked=True)(np.arange(12), 3)
    assert len(pairs.labels) >= 9 and pairs.films.shape == (*pairs.labels.shape, 1) and pairs.dots is None
    assert {code for labels in pairs.labels for code in np.unique(labels)} == set(range(6))
    one = assembly.method(checked=True)(pairs.indices[4:5], 3)
    np.testing.assert_array_equal(one.labels[0], pairs.labels[4])
    np.testing.assert_allclose(one.films[0], pairs.films[4], atol=1e-5)
    assembly.write(str(tmp_path / "made"), 6, 2, 3, say=lambda line: None)
    made = PairStore(tmp_path / "made")
    assert {entry.source for entry in made.entries} == {source}
    assert made.description.name == f"phantoms, {source} synthetic"
    assert made.label(made.ids()[4]).tobytes() == pairs.labels[4].tobytes()


def test_other_training_maps_make_another_set(tmp_path):
    runs = method_runs(tmp_path / "runs")
    stores = [phantom_store(tmp_path / str(count), count=count) for count in (3, 4)]
    assert len({Assembly(model, runs, store).maker() for store in stores for model in MODELS}) == 4
