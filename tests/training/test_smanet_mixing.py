"""A segmenter on two data sets at once: half of what it sees is of either, and the run folder knows of both."""

import dataclasses
import functools
import json
import pathlib

import numpy as np
import pytest

from datasets import pair_cache
from datasets.augmentation.augment import augment_store
from datasets.augmentation.strong_augment import StrongAugmentation
from datasets.class_table import CHEST, IGNORED, ClassTable
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from tests.helpers import process_state
from tests.helpers.tiny_experiment import PRESET
from training import smanet
from training.segmenter_inputs import SegmenterInputs

CONFIG = dataclasses.replace(PRESET.segmenter, steps=6, batch=20, validate_every=6)


@dataclasses.dataclass(frozen=True)
class Runs:
    """One run on two sets and one on the first alone: their folders, and the grey values of all their crops."""

    sets: dict[str, str]
    folders: dict[str, pathlib.Path]
    seen: dict[str, np.ndarray]


def _store(path, grey, count, size=32, classes=CHEST):
    """Films of one grey value each, and label maps of one organ."""
    with PairWriter(path, Description("grey", (size, size), classes)) as writer:
        for index in range(count):
            label = np.zeros((size, size), np.uint8)
            label[4:20, 4:20] = 1
            writer.add(Entry(f"{grey}-{index}", "train"), np.full((size, size), grey, np.uint8), label)
    return str(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root, seen, batches = tmp_path_factory.mktemp("mixing"), [], smanet.distributed_batches

    def recorded(*args, **kwargs):
        for films, labels in batches(*args, **kwargs):
            seen[-1].append(films.numpy()[:, 0, 0])
            yield films, labels

    sets = {name: _store(root / name, grey, count) for name, grey, count in
            (("synthetic", 50, 14), ("real", 200, 3), ("other", 90, 4))}
    folders = {name: root / f"run-{name}" for name in ("mixed", "alone")}
    with pytest.MonkeyPatch.context() as patch, process_state.computing_kept(), process_state.eagerly():
        patch.setattr(smanet, "distributed_batches", recorded)
        for folder, config, mixed_with in ((folders["mixed"], CONFIG, sets["real"]),
                                           (folders["alone"], dataclasses.replace(CONFIG, steps=2), None)):
            seen.append([])
            smanet.train(config, sets["synthetic"], str(folder), mixed_with=mixed_with)
    return Runs(sets, folders, dict(zip(folders, map(np.concatenate, seen), strict=True)))


def test_half_of_all_crops_are_of_either_set(runs):
    mixed = runs.seen["mixed"]
    assert len(mixed) == 120 and set(mixed) == {50, 200}
    assert 0.4 < (mixed == 200).mean() < 0.6
    assert set(runs.seen["alone"]) == {50}


def test_a_run_belongs_to_both_sets(runs):
    config, other = (json.loads((folder / "config.json").read_text()) for folder in runs.folders.values())
    assert set(config) - set(other) == {"mixed_with"} and config["mixed_with"] != config["data"]
    assert json.loads((runs.folders["mixed"] / "product.json").read_text())["network"] == "last.keras"
    for mixed_with in (runs.sets["other"], None):
        with pytest.raises(UserError, match=f"{runs.folders['mixed']}.*mixed_with: .*digest"):
            smanet.train(CONFIG, runs.sets["synthetic"], str(runs.folders["mixed"]), mixed_with=mixed_with)


def test_strong_augmentation_sees_films_and_not_their_copies(tmp_path):
    store, said = PairStore(_store(tmp_path / "films", 90, 3)), []
    copies = augment_store(store, store.ids(), tmp_path / "copies", 0)
    strong = dataclasses.replace(CONFIG, augment="strong")
    inputs = SegmenterInputs(strong, str(copies.path))
    assert inputs.ids == [f"{id_}-original" for id_ in store.ids()] and len(inputs.load_pairs(said.append)[0]) == 3
    assert len(said) == 1 and "3 films; 15 augmented copies" in said[0]
    inputs = SegmenterInputs(CONFIG, str(copies.path))
    assert inputs.ids == copies.ids("train") and len(inputs.load_pairs(said.append)[0]) == 18 and len(said) == 1
    with pytest.raises(UserError, match=r"--elastic=0\.5: .*--augment=strong"):
        smanet.train(dataclasses.replace(CONFIG, elastic=0.5), str(copies.path), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_tells_how_it_was_augmented_and_goes_on_in_that_way_alone(tmp_path, monkeypatch):
    data, run = _store(tmp_path / "films", 90, 3), tmp_path / "run"
    strong = dataclasses.replace(CONFIG, augment="strong", elastic=0.5, cutmix=0.5, steps=1, batch=2)
    with process_state.computing_kept(), process_state.eagerly():
        smanet.train(strong, data, str(run))
    told = json.loads((run / "config.json").read_text())
    assert told["strong_augmentation"] == StrongAugmentation(elastic=0.5).to_json()
    assert told["cutmix"] == {"rectangle": [0.0, 1.0]}
    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"cutmix rectangle: was \[0\.0, 1\.0\]"):
        patch.setattr(smanet, "AugmentedCrops", functools.partial(smanet.AugmentedCrops, rectangle=(0.1, 0.5)))
        smanet.train(strong, data, str(run))
    monkeypatch.setattr(smanet, "StrongAugmentation", functools.partial(StrongAugmentation, degrees=180.0))
    with pytest.raises(UserError, match=r"strong_augmentation degrees: was 15\.0, now 180\.0"):
        smanet.train(strong, data, str(run))


def test_ignored_pixels_teach_nothing_and_are_no_mistakes(tmp_path):
    """Half of each picture is of one class, of the other half nobody knows: whoever sees that class everywhere is
    right everywhere."""
    table = ClassTable(("a", "b"), ignored=True)
    with PairWriter(tmp_path / "store", Description("half", (32, 32), table)) as writer:
        for index in range(4):
            label = np.full((32, 32), IGNORED, np.uint8)
            label[:, :16] = 1
            writer.add(Entry(f"p{index}", "train"), np.full((32, 32), 90, np.uint8), label)
    with process_state.computing_kept():
        smanet.train(dataclasses.replace(CONFIG, steps=30, batch=4, crop=32, learning_rate=0.02,
                                         validate_every=30), str(tmp_path / "store"),
                     str(tmp_path / "run"))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    last = [row for row in rows if "accuracy" in row][-1]
    assert last["accuracy"] > 0.9 and last["loss"] < 0.5, last


def test_a_finished_run_keeps_the_largest_piece_of_what_is_asked_for(tmp_path, monkeypatch):
    """Also asked for afterwards, and learnt once. Ignored pixels cut nothing in two, a name may hold a comma."""
    table = ClassTable(("background", "liver, left", "cells"), ignored=True)
    with PairWriter(tmp_path / "store", Description("two", (32, 32), table)) as writer:
        label = np.zeros((32, 32), np.uint8)
        label[2:12, 2:30], label[20:24, 2:30:4] = 1, 2
        label[:, 15] = IGNORED
        writer.add(Entry("p", "train"), np.full((32, 32), 90, np.uint8), label)

    def largest(asked, **others):
        smanet.train(dataclasses.replace(CONFIG, steps=1, batch=2, keep_largest=asked), str(tmp_path / "store"),
                     str(tmp_path / "run"), **others)
        return json.loads((tmp_path / "run" / "product.json").read_text()).get("largest")

    with process_state.computing_kept(), process_state.eagerly():
        assert largest("auto") == [["liver, left"]]
        before = (tmp_path / "run" / "last.keras").stat().st_mtime_ns
        assert largest(" cells,") == [["cells"]] and largest("") is None
        assert largest("auto", largest=[("liver, left",)]) == [["liver, left"]]
        assert largest("auto") == [["liver, left"]]  # learnt again: what was told in between was another's word
        monkeypatch.setattr(pair_cache, "load_pairs", None)  # from here on none can be decoded
        assert largest("auto") == [["liver, left"]] and largest("cells") == [["cells"]]
        with pytest.raises(TypeError):
            largest("auto")
    assert (tmp_path / "run" / "last.keras").stat().st_mtime_ns == before
