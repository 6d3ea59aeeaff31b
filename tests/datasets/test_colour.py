"""Colour through store, resizing, augmentation and arrays; grey stores stay as they were."""

import dataclasses

import cv2
import numpy as np
import pytest

from datasets import grey
from datasets.augmentation.augment import OPERATIONS, augment, augment_store
from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_cache import load_pairs, pair_dataset
from datasets.pair_store import Description, PairStore, PairWriter, read_png, write_png
from datasets.resize import resize_film, resize_store
from datasets.subsets import write_subset
from datasets.verify import summarize, verify_store
from tests.helpers.colour import GREEN, RED, lesion_pair, lesion_store

RNG = np.random.default_rng(0)
TABLE = ClassTable(("skin", "lesion"))


@pytest.mark.parametrize(("kind", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_a_pair_comes_back_in_its_colours(tmp_path, kind, white):
    film = RNG.integers(0, white + 1, (9, 12, 3)).astype(kind)
    label = RNG.integers(0, 2, (9, 12)).astype(np.uint8)
    with PairWriter(tmp_path, Description("d", (9, 12), TABLE, white, channel="colour")) as writer:
        writer.add(Entry("a", "train"), film, label)
    store = PairStore(tmp_path)
    assert store.description.channels == 3 and store.description.image_shape == (9, 12, 3)
    np.testing.assert_array_equal(store.image("a"), np.rint(film * (255 / white)))
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "images" / "a.png"), cv2.IMREAD_UNCHANGED)[..., ::-1],
                                  film)  # red is red for other programs
    assert list(verify_store(tmp_path)) == [] and "colour" in summarize(store)


def test_a_grey_stores_description_says_nothing_of_channels(tmp_path):
    PairWriter(tmp_path / "grey", Description("d", (9, 12), TABLE)).close()
    assert "channel" not in (tmp_path / "grey" / "description.json").read_text()
    assert PairStore(tmp_path / "grey").description.channels == 1
    PairWriter(tmp_path / "green", Description("d", (9, 12), TABLE, channel="green")).close()
    green = PairStore(tmp_path / "green")
    assert (green.description.channel, green.description.channels) == ("green", 1) and "green" in summarize(green)
    with pytest.raises(ValueError, match="alpha"):
        dataclasses.replace(green.description, channel="alpha")


def test_images_of_other_channels_are_refused(tmp_path):
    store = lesion_store(tmp_path / "colour", 1)
    with pytest.raises(ValueError, match="must be"):
        PairWriter(store.path, store.description).add(Entry("b", "train"), *(2 * [np.zeros((16, 16), np.uint8)]))
    write_png(store.path / "images" / "p0.png", np.eye(16, dtype=np.uint8))
    with pytest.raises(UserError, match=r"p0\.png: found a grey PNG"):
        store.image("p0")
    assert [finding.warning for finding in verify_store(store.path)] == [False]
    write_png(tmp_path / "c.png", np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(UserError, match=r"c\.png: found a colour PNG"):
        read_png(tmp_path / "c.png", (16, 16))


def test_a_picture_of_one_colour_is_told(tmp_path):
    store = lesion_store(tmp_path, 1)
    write_png(tmp_path / "images" / "p0.png", np.full((16, 16, 3), GREEN, np.uint8))
    assert "[0, 130, 0] everywhere" in next(iter(verify_store(store.path))).text


@pytest.mark.parametrize("size", [(16, 16), (12, 20), (40, 50)])
def test_each_channel_is_resized_as_it_would_be_alone(size):
    film = RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    for channel, plane in enumerate(np.moveaxis(film, -1, 0)):
        np.testing.assert_array_equal(resize_film(film, size)[..., channel], resize_film(plane, size))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_channel_is_moved_as_it_would_be_alone(operation):
    film, label = RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8), np.eye(32, dtype=np.uint8)
    moved, _ = augment(operation, film, [label], np.random.default_rng(1))
    assert moved.shape == film.shape and moved.dtype == np.uint8
    if operation == "noise":
        differences = moved.astype(float) - film
        assert 2 < differences.std() < 8  # of one draw for all, channels would correlate
        assert abs(np.corrcoef(differences[..., 0].ravel(), differences[..., 1].ravel())[0, 1]) < 0.2
    else:
        for channel in range(3):
            alone, _ = augment(operation, film[..., channel], [label], np.random.default_rng(1))
            np.testing.assert_array_equal(moved[..., channel], alone)


def test_a_lesion_survives_resizing_augmentation_and_loading(tmp_path):
    store = lesion_store(tmp_path / "store", 2, 32)
    small = resize_store(store, store.ids(), tmp_path / "small", 16)
    made = augment_store(small, small.ids(), tmp_path / "augmented", 0)
    films, labels = load_pairs(made, made.ids("train"))
    assert films.shape == (12, 16, 16, 3) and labels.shape == (12, 16, 16)
    red, green = films[labels == 1].mean(0), films[labels == 0].mean(0)
    assert red[0] > 150 > red[1] and green[1] > 100 > green[0]
    assert write_subset(made, made.ids()[:1], tmp_path / "one").image(made.ids()[0]).shape == (16, 16, 3)
    mapped, _ = load_pairs(made, made.ids("train"), memory_limit=1)
    np.testing.assert_array_equal(mapped, films)
    resized, _ = load_pairs(made, made.ids("train")[:1], size=(8, 8))
    np.testing.assert_array_equal(resized[0], resize_film(films[0], (8, 8)))


def test_a_dataset_has_three_channels(tmp_path):
    store = lesion_store(tmp_path, 3)
    films, labels = next(iter(pair_dataset(store.path, batch=2, crop=8)))
    assert films.shape == (2, 8, 8, 3) and labels.shape == (2, 8, 8)
    assert set(map(tuple, grey.from_network(films.numpy())[labels.numpy() == 0])) == {GREEN}


@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 4, 5, 3)])
def test_films_to_networks_and_back(shape):
    films = RNG.integers(0, 256, shape).astype(np.uint8)
    pictures = grey.to_network(films)
    assert pictures.shape == (2, 4, 5, grey.film_channels(films)) and pictures.dtype == np.float32
    np.testing.assert_array_equal(grey.from_network(pictures), films)


def test_helpers_show_what_they_say():
    film, label = lesion_pair(0, 16)
    assert set(map(tuple, film[label == 1])) == {RED} and set(map(tuple, film[label == 0])) == {GREEN}
