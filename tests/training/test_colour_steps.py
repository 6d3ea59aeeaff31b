"""Every network takes and makes colour: a step of each, and a segmenter that tells apart what grey cannot."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from datasets import grey
from datasets.common.errors import UserError
from datasets.formats.channels import luminance
from datasets.manifest import Entry
from datasets.pair_cache import load_pairs
from datasets.pair_store import PairStore, PairWriter
from evaluation.segmenter.evaluate import score_films, segment_with
from evaluation.segmenter.load import check_fit, load_any_segmenter, read_segmenter
from evaluation.segmenter.predict_films import Predictor
from evaluation.segmenter.sliding_window import probabilities_of
from models.label_coding import LabelCoding
from models.smanet import SMANet
from tests.helpers.colour import GREEN, RED, lesion_pair, lesion_store
from tests.helpers.tiny_experiment import PRESET
from tests.helpers.tiny_networks import write_run
from training import smanet
from training.devices import make_strategy
from training.pggan import PGGANTrainer
from training.pix2pixhd import Pix2PixHDTrainer

SIDE, CODING = 32, LabelCoding("grey", (0, 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> PairStore:
    return lesion_store(tmp_path_factory.mktemp("lesions") / "store", 6, SIDE, 2)


@pytest.fixture(scope="module")
def arrays(store):
    return load_pairs(store, store.ids("train"))


def test_a_pggan_of_pairs_has_three_channels_of_film(arrays, eager):
    films, labels = arrays
    trainer = PGGANTrainer(PRESET.pairs, labels, films, CODING, make_strategy("one_device"))
    assert trainer.model.generator.channels == trainer.model.discriminator.channels == 4
    _, metrics = trainer.step(0)
    assert all(np.isfinite(value).all() for value in metrics.values())
    encoded = trainer._encoded([tf.constant(array) for array in (labels, films)])
    np.testing.assert_array_equal(grey.from_network(encoded[..., 1:].numpy()), films)
    grid = trainer.grid(trainer.total)
    colours = set(map(tuple, grid.reshape(-1, 3)))
    assert {RED, GREEN} <= colours  # the real films beside the made ones


def test_a_translator_makes_three_channels(arrays, eager):
    films, labels = arrays
    trainer = Pix2PixHDTrainer(PRESET.labels_to_film, labels, films, 2, None, make_strategy("one_device"))
    assert trainer.model.generator.output_channels == 3
    _, metrics = trainer.step(0)
    assert all(np.isfinite(value).all() for value in metrics.values())
    assert {RED, GREEN} <= set(map(tuple, trainer.grid(0).reshape(-1, 3)))


def test_standardizing_keeps_the_differences_of_channels(arrays):
    network = SMANet(2, depth=14, width=8, attention="none", standardize=True)
    network.build((None, None, None, 3))
    films = grey.to_network(arrays[0])
    prepared = network.prepare(tf.constant(films)).numpy()
    np.testing.assert_allclose(prepared.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(prepared.std((1, 2, 3)), 0.5, atol=1e-5)
    # One shift and one factor for all channels of a film.
    factor = (prepared[..., 0] - prepared[..., 1]) / (films[..., 0] - films[..., 1])
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1, :1], factor.shape), rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pretrained_input_takes_grey_and_colour(channels):
    network = SMANet(2, depth=14, width=8, attention="none", pretrained_input=True)
    network.build((None, None, None, channels))
    assert network.film_channels == channels
    assert network.encoder.trainable_variables[0].shape[2] == 3
    assert network(tf.zeros((1, 16, 16, channels))).shape == (1, 16, 16, 2)


@pytest.fixture(scope="module")
def run(store, tmp_path_factory) -> str:
    """A segmenter trained until it knows red from green."""
    folder = tmp_path_factory.mktemp("run") / "segmenter"
    config = dataclasses.replace(PRESET.segmenter, steps=30, learning_rate=3e-3, validate_every=30, crop=SIDE)
    smanet.train(config, str(store.path), str(folder))
    return str(folder)


def test_a_segmenter_tells_colours_of_one_luminance_apart(store, run):
    network, facts = read_segmenter(run)
    assert facts["channel"] == "colour" and network.film_channels == 3
    result = score_films(segment_with(probabilities_of(network), store, SIDE, 1 / 3), store, store.ids("test"))
    assert result.mean_j > 0.8
    film, _ = lesion_pair(0, SIDE)
    assert np.unique(luminance(film)).tolist() == [76]  # there is nothing else to see


def test_files_are_predicted_as_stored_films(store, run, tmp_path):
    film, label = lesion_pair(99, SIDE)
    cv2.imwrite(str(tmp_path / "a.png"), film[..., ::-1])
    predictor = Predictor(load_any_segmenter(run), str(tmp_path / "out"))
    predictor.predict("a", tmp_path / "a.png")
    codes = cv2.imread(str(tmp_path / "out" / "labels" / "a.png"), cv2.IMREAD_UNCHANGED)
    network, _ = read_segmenter(run)
    stored = probabilities_of(network)(grey.to_network(film[None]))[0]
    np.testing.assert_array_equal(codes, np.argmax(stored, -1))
    assert (codes == label).mean() > 0.8 and predictor.reduced == 0
    overlay = cv2.imread(str(tmp_path / "out" / "overlays" / "a.png"))
    assert overlay[codes == 0].mean(0).argmax() == 1  # green skin stays green
    cv2.imwrite(str(tmp_path / "grey.png"), np.tile(np.arange(SIDE, dtype=np.uint8) * 8, (SIDE, 1)))
    predictor.predict("grey", tmp_path / "grey.png")
    assert (predictor.reduced, predictor.spread) == (0, 1)


def test_a_model_of_one_channel_sees_that_channel_of_colour(tmp_path):
    network = SMANet(2, depth=14, width=8, attention="none")
    network.build((None, None, None, 1))
    facts = {"task": "train_smanet", "num_classes": 2, "class_names": ["skin", "lesion"], "size": SIDE,
             "crop": SIDE, "overlap": 1 / 3}
    run = write_run(tmp_path / "green", network, channel="green", **facts)
    film, _ = lesion_pair(0, SIDE)
    film[0, 0] = 255, 255, 255
    cv2.imwrite(str(tmp_path / "colour.png"), film[..., ::-1])
    cv2.imwrite(str(tmp_path / "alone.png"), film[..., 1])
    predictor = Predictor(load_any_segmenter(str(run)), str(tmp_path / "out"))
    for name in ("colour", "alone"):
        predictor.predict(name, tmp_path / f"{name}.png")
    assert predictor.reduced == 1
    found, expected = ((tmp_path / "out" / "labels" / f"{name}.png").read_bytes() for name in ("colour", "alone"))
    assert found == expected
    store = lesion_store(tmp_path / "store", 1, SIDE)
    with pytest.raises(UserError, match="store has colour ones"):
        check_fit(str(run), network, facts, store)
    with pytest.raises(UserError, match="mauve"):
        load_any_segmenter(str(write_run(tmp_path / "odd", network, channel="mauve", **facts)))


def test_mixing_colour_with_grey_is_refused(store, tmp_path):
    with PairWriter(tmp_path / "grey", dataclasses.replace(store.description, channel="grey")) as writer:
        writer.add(Entry("a", "train"), *(2 * [np.eye(SIDE, dtype=np.uint8)]))
    with pytest.raises(UserError, match="found channel grey, expected colour"):
        smanet.train(PRESET.segmenter, str(store.path), str(tmp_path / "run"), mixed_with=str(tmp_path / "grey"))
