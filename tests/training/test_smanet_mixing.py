"""A segmenter on two data sets at once: half of what it sees is of either, and the run folder knows of both."""

import dataclasses
import json

import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.common.errors import UserError
from datasets.pair_store import Description, Entry, PairWriter
from tests.helpers.tiny_experiment import PRESET
from training import smanet

CONFIG = dataclasses.replace(PRESET.segmenter, steps=30)


def _store(path, grey, count, size=32, classes=CHEST):
    """Films of one grey value each, and label maps of one organ."""
    with PairWriter(path, Description("grey", (size, size), classes)) as writer:
        for index in range(count):
            label = np.zeros((size, size), np.uint8)
            label[4:20, 4:20] = 1
            writer.add(Entry(f"{grey}-{index}", "train"), np.full((size, size), grey, np.uint8), label)
    return str(path)


@pytest.fixture
def seen(monkeypatch):
    """Grey values of all crops of the runs of a test, by run; training goes on as ever."""
    runs, batches = [], smanet.distributed_batches

    def recorded(*args, **kwargs):
        runs.append([])
        for films, labels in batches(*args, **kwargs):
            runs[-1].append(films.numpy()[:, 0, 0])
            yield films, labels

    monkeypatch.setattr(smanet, "distributed_batches", recorded)
    return runs


def test_half_of_all_crops_are_of_either_set(seen, tmp_path):
    synthetic, real = _store(tmp_path / "synthetic", 50, 14), _store(tmp_path / "real", 200, 3)
    smanet.train(CONFIG, synthetic, str(tmp_path / "run"), mixed_with=real)
    smanet.train(dataclasses.replace(CONFIG, steps=3), synthetic, str(tmp_path / "alone"))
    mixed, alone = (np.concatenate(run) for run in seen)
    assert len(mixed) == 120 and set(mixed) == {50, 200}
    assert 0.4 < (mixed == 200).mean() < 0.6
    assert set(alone) == {50}
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    other = json.loads((tmp_path / "alone" / "config.json").read_text())
    assert set(config) - set(other) == {"mixed_with"} and config["mixed_with"] != config["data"]
    assert json.loads((tmp_path / "run" / "product.json").read_text())["network"] == "last.keras"


def test_a_run_belongs_to_both_sets(tmp_path):
    synthetic, real, other = (_store(tmp_path / str(grey), grey, 4) for grey in (50, 200, 90))
    config = dataclasses.replace(CONFIG, steps=1)
    smanet.train(config, synthetic, str(tmp_path / "run"), mixed_with=real)
    for mixed_with in (other, None):
        with pytest.raises(UserError, match="mixed_with: was files with digest"):
            smanet.train(config, synthetic, str(tmp_path / "run"), mixed_with=mixed_with)


def test_unlike_sets_are_refused(tmp_path):
    synthetic = _store(tmp_path / "synthetic", 50, 2)
    for name, other in (("size", {"size": 40}), ("classes", {"classes": ClassTable(("none", "organ"))})):
        real = _store(tmp_path / name, 200, 2, **other)
        with pytest.raises(UserError, match=f"{name}: found {name} .* expected "):
            smanet.train(CONFIG, synthetic, str(tmp_path / f"run-{name}"), mixed_with=real)
