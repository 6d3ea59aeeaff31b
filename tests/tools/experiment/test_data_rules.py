"""What is learnt of the training films' label maps is said and kept before anything is trained."""

import dataclasses

import numpy as np
import pytest

from datasets.class_table import ClassTable
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.rules.label_rules import LabelRules
from datasets.sources.phantom import write_phantoms
from evaluation.results.experiment_folder import RULES, ExperimentFolder
from tests.datasets.rules.test_label_rules import TWO, every_third
from tools.experiment.data_rules import check_shape_model, write_rules
from tools.experiment.plan import Experiment
from training import presets


def _store(path, maps, table):
    """Two copies of each map, as of one film augmented."""
    with PairWriter(path, Description("made", (64, 64), table)) as writer:
        for number, labels in enumerate(maps):
            for copy in ("original", "noise"):
                writer.add(Entry(f"f{number}-{copy}", "train", f"f{number}"), np.zeros((64, 64), np.uint8), labels)
    return PairStore(path)


def test_the_rules_of_films_are_said_and_kept(tmp_path):
    said, path = [], tmp_path / "data" / RULES
    store = _store(tmp_path / "data" / "gan-augmented", every_third(), TWO)
    write_rules(store, path, True, said.append)
    assert "18 of 18" in said[0] and "9 films" in said[0]
    assert "one: in 9 of 9" in said[1] and "two: in 3 of 9" in said[2]
    kept = ExperimentFolder(tmp_path).rules()
    assert kept == LabelRules.learn([store.label(id_) for id_ in store.ids()], TWO, 9)
    assert atomic_files.read_json(path)["passing"] == 18
    write_rules(store, path, False, said.append)
    assert "--check_samples" in said[3]


@pytest.mark.parametrize("spoil", [
    lambda value: [], lambda value: {**value, "classes": {}}, lambda value: {**value, "touching": [3]},
    lambda value: {**value, "table": None}])
def test_a_file_that_holds_no_rules_is_named(tmp_path, spoil):
    (tmp_path / "data").mkdir()
    rules = LabelRules.learn(every_third(), TWO)
    atomic_files.write_json(tmp_path / "data" / RULES, spoil(rules.to_json()))
    with pytest.raises(UserError, match=rf"{RULES}: not the rules [^\n]*$"):
        ExperimentFolder(tmp_path).rules()


def test_a_folder_without_rules_has_none(tmp_path):
    assert ExperimentFolder(tmp_path).rules() is None


def test_dots_are_told_of_before_training_and_larger_maps_offered(tmp_path):
    cells = np.zeros((64, 64), np.uint8)
    cells[1::3, 1::3] = 1
    path = tmp_path / "close"
    with PairWriter(path, Description("made", (64, 64), ClassTable(("ground", "cell")))) as writer:
        for number in range(12):
            writer.add(Entry(f"f{number}", "train" if number < 11 else "test", f"f{number}"),
                       np.zeros((64, 64), np.uint8), cells)
    plan = Experiment(str(path), "tiny", presets.load("demo"), ("two", "three"), 0, "nowhere")
    said = "\n".join(plan.dot_lines())
    assert "cell" in said and "16 pixels" in said and "--methods=two" in said and "--dot_size=32" in said
    larger = dataclasses.replace(plan.preset, dots=dataclasses.replace(plan.preset.dots, resolution=64))
    assert "--dot_size" not in "\n".join(dataclasses.replace(plan, preset=larger).dot_lines())
    assert dataclasses.replace(plan, methods=("two",)).dot_lines() == []
    chests = write_phantoms(tmp_path / "chests", 12, 1, 64, 0)
    assert dataclasses.replace(plan, data=str(chests.path)).dot_lines() == []


def test_what_no_shape_model_can_draw_is_told_from_the_films(tmp_path):
    yy, xx = np.mgrid[:64, :64]
    net = ((yy % 8 < 2) | (xx % 8 < 2)).astype(np.uint8)
    store = _store(tmp_path, [net, np.roll(net, 3, 1)], ClassTable(("ground", "vessel")))
    with pytest.raises(UserError, match=r"vessel [^\n]*--extras"):
        check_shape_model(store, store.ids(), 64)
    check_shape_model(_store(tmp_path / "other", every_third(), TWO), ["f0-original", "f1-original"], 32)
