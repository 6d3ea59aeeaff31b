"""A segmenter's averaged weights: they follow training, change none of it, and are what a finished run is."""

import dataclasses
import json

import numpy as np
import pytest

from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from evaluation.segmenter.evaluate import score_films, segment_with
from evaluation.segmenter.saved_network import load_network
from evaluation.segmenter.sliding_window import probabilities_of
from tests.helpers import process_state
from tests.helpers.tiny_experiment import PRESET
from training import smanet
from training.devices import prepare

PLAIN = dataclasses.replace(PRESET.segmenter, steps=3)
AVERAGED = dataclasses.replace(PLAIN, average_decay=0.15)


def _pairs():
    films = np.random.default_rng(0).integers(0, 255, (4, 32, 32), np.uint8)
    return films, (films > 127).astype(np.uint8)


def _trainer(config, num_classes=2):
    return smanet.SMANetTrainer(config, *_pairs(), num_classes, None, prepare(config))


@pytest.fixture
def data(tmp_path):
    with PairWriter(tmp_path / "films", Description("noise", (32, 32), CHEST)) as writer:
        for number, (film, label) in enumerate(zip(*_pairs(), strict=True)):
            writer.add(Entry(f"{number}", "train"), film, label)
    return str(tmp_path / "films")


@pytest.fixture
def eagerly():
    with process_state.computing_kept(), process_state.eagerly():
        yield


def test_it_follows_weights_and_statistics_and_changes_neither(eagerly):
    trainer, plain = _trainer(AVERAGED), _trainer(PLAIN)
    for step in range(3):
        before = trainer.segmenter.get_weights()
        trainer.step(step)
        plain.step(step)
        decay = min(0.15, (1 + step) / (10 + step))
        assert (decay == 0.15) == (step > 0)  # the first is forgotten faster
        averaged, trained = trainer.segmenter.get_weights(), trainer.model.get_weights()
        for ours, old, theirs in zip(averaged, before, trained, strict=True):
            np.testing.assert_allclose(ours, decay * old + (1 - decay) * theirs, rtol=1e-5, atol=1e-7)
    for ours, theirs in zip(trainer.model.get_weights(), plain.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert plain.segmenter is plain.model
    films = np.zeros((1, 32, 32, 1), np.float32)
    assert not np.array_equal(trainer.predict(films), plain.predict(films))


@pytest.mark.slow  # that a killed run goes on alike is always tested, in tests/reliability
def test_an_extended_run_is_the_averaged_network_of_a_longer_one(tmp_path, data, eagerly):
    smanet.train(AVERAGED, data, str(tmp_path / "whole"))
    smanet.train(dataclasses.replace(AVERAGED, steps=2), data, str(tmp_path / "parts"))
    smanet.train(AVERAGED, data, str(tmp_path / "parts"))
    smanet.train(PLAIN, data, str(tmp_path / "plain"))
    whole, parts, plain = (load_network(tmp_path / name).get_weights() for name in ("whole", "parts", "plain"))
    for ours, theirs in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any(not np.array_equal(ours, theirs) for ours, theirs in zip(whole, plain, strict=True))


def test_validation_scores_and_keeps_the_averaged_network(tmp_path, data, eagerly):
    store = PairStore(data)
    with PairWriter(data, store.description) as writer:
        writer.add(Entry("unseen", "validation"), store.image("0"), store.label("0"))
    smanet.train(dataclasses.replace(AVERAGED, validate_every=1), data, str(tmp_path / "run"), validation=data)
    (best,) = (tmp_path / "run").glob(json.loads((tmp_path / "run" / "product.json").read_text())["network"])
    rows = (json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    scores = {row["position"]: row["val_j"] for row in rows if "val_j" in row}
    network = load_network(tmp_path / "run")
    store = PairStore(data)
    segment = segment_with(probabilities_of(network), store, AVERAGED.crop, 1 / 3)
    found = score_films(segment, store, ["unseen"]).mean_j
    assert scores[int(best.stem)] == max(scores.values())
    assert found == pytest.approx(max(scores.values()), abs=0.005)  # of noise: some pixels are near a tie
    smanet.train(dataclasses.replace(PLAIN, steps=int(best.stem)), data, str(tmp_path / "plain"))
    trained = load_network(tmp_path / "plain").get_weights()  # the same updates without an average
    assert any(not np.array_equal(ours, theirs) for ours, theirs in
               zip(network.get_weights(), trained, strict=True))


def test_fine_tuning_begins_with_the_finished_weights_in_both_networks(tmp_path, data, eagerly):
    smanet.train(AVERAGED, data, str(tmp_path / "run"))
    finished = load_network(tmp_path / "run")
    trainer = _trainer(AVERAGED, finished.num_classes)
    trainer.start_from(str(tmp_path / "run"))
    for ours, theirs, wanted in zip(trainer.model.get_weights(), trainer.segmenter.get_weights(),
                                    finished.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, wanted)
        np.testing.assert_array_equal(theirs, wanted)
    with pytest.raises(UserError, match="run: does not fit"):
        _trainer(AVERAGED, finished.num_classes + 1).start_from(str(tmp_path / "run"))
