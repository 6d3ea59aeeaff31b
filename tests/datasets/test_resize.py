"""Other sizes: films by area, label maps and masks by what covers most, whole stores, and continuing them."""

import json

import numpy as np
import pytest

from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.resize import enlarge, resize_film, resize_labels, resize_masks, resize_store
from datasets.sources.phantom import write_phantoms

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_film_is_reduced_by_the_mean_of_the_area(kind):
    film = RNG.integers(0, np.iinfo(kind).max + 1, (24, 36)).astype(kind)
    small = resize_film(film, (6, 12))
    assert small.dtype == kind
    np.testing.assert_allclose(small, film.reshape(6, 4, 12, 3).mean((1, 3)), atol=0.51)


def test_a_film_keeps_its_mean_at_odd_sizes_and_its_range_when_enlarged():
    film = RNG.integers(0, 256, (47, 61)).astype(np.uint8)
    assert abs(resize_film(film, (13, 17)).mean() - film.mean()) < 0.6
    large = resize_film(film, (101, 130))
    assert large.shape == (101, 130) and large.min() >= film.min() and large.max() <= film.max()


def test_enlarged_codes_are_those_of_the_nearest_pixel():
    codes = RNG.integers(0, 6, (5, 4)).astype(np.uint8)
    large = enlarge(codes, (8, 12))
    assert large.dtype == np.uint8
    np.testing.assert_array_equal(large, codes[[0, 0, 1, 2, 2, 3, 4, 4]].repeat(3, 1))
    np.testing.assert_array_equal(enlarge(codes[::-1, ::-1], (8, 12)), large[::-1, ::-1])  # from neither edge


def test_each_pixel_takes_the_class_that_covers_most():
    labels = RNG.integers(0, 5, (30, 42)).astype(np.uint8)
    small = resize_labels(labels, (10, 6), 5)
    blocks = labels.reshape(10, 3, 6, 7).transpose(0, 2, 1, 3).reshape(10, 6, 21)
    shares = (blocks[..., None] == np.arange(5)).sum(2)
    np.testing.assert_array_equal(small, shares.argmax(-1))
    np.testing.assert_array_equal(resize_labels(labels, (30, 42), 5), labels)


def test_enlarged_labels_invent_no_class():
    """Between 0 and 4 there is no 2, as there would be if codes were interpolated."""
    labels = np.zeros((8, 8), np.uint8)
    labels[:, 4:] = 4
    assert np.unique(resize_labels(labels, (37, 37), 5)).tolist() == [0, 4]


def test_a_mask_pixel_needs_half_its_area():
    masks = RNG.random((24, 24, 3)) < 0.5
    small = resize_masks(masks, (6, 6))
    np.testing.assert_array_equal(small, masks.reshape(6, 4, 6, 4, 3).mean((1, 3)) >= 0.5)


@pytest.fixture
def phantoms(tmp_path):
    return write_phantoms(tmp_path / "films", 4, 1, 64, 0)


def test_a_store_at_another_size(phantoms, tmp_path):
    ids = phantoms.ids()[1:]
    small = resize_store(phantoms, ids, tmp_path / "small", 32)
    assert small.ids() == ids and small.ids("test") == ids[-1:] and small.classes == CHEST
    assert small.description.size == (32, 32)
    assert small.description.spacing_mm == pytest.approx(2 * phantoms.description.spacing_mm)
    for id_ in ids:
        np.testing.assert_array_equal(small.image(id_), resize_film(phantoms.image(id_), (32, 32)))
        np.testing.assert_array_equal(small.label(id_), resize_labels(phantoms.label(id_), (32, 32), 6))
        np.testing.assert_array_equal(small.masks(id_), resize_masks(phantoms.masks(id_), (32, 32)))


def test_the_same_size_changes_nothing(phantoms, tmp_path):
    same = resize_store(phantoms, phantoms.ids(), tmp_path / "same", 64)
    assert same.fingerprint() == phantoms.fingerprint()


def test_16_bits_become_8(tmp_path):
    film = RNG.integers(0, 4096, (16, 16)).astype(np.uint16)
    with PairWriter(tmp_path / "deep", Description("deep", (16, 16), CHEST, 4095)) as writer:
        writer.add(Entry("a", "train"), film, np.zeros((16, 16), np.uint8))
    small = resize_store(PairStore(tmp_path / "deep"), ["a"], tmp_path / "small", 16)
    assert small.description.max_value == 255
    np.testing.assert_array_equal(small.image("a"), np.rint(film * (255 / 4095)))


def test_a_whole_folder_is_kept_and_another_is_not_taken_for_it(phantoms, tmp_path):
    out, ids = tmp_path / "small", phantoms.ids()
    resize_store(phantoms, ids[:2], out, 32)
    before = (out / "images" / f"{ids[0]}.png").stat().st_mtime_ns
    resize_store(phantoms, ids[:2], out, 32)
    assert (out / "images" / f"{ids[0]}.png").stat().st_mtime_ns == before
    assert resize_store(phantoms, ids, out, 32).ids() == ids
    with pytest.raises(UserError, match="another data set"):
        resize_store(phantoms, ids, out, 16)
    with pytest.raises(UserError, match="other pairs"):
        resize_store(phantoms, ids[:1], out, 32)


def test_an_unfinished_folder_is_completed(phantoms, tmp_path):
    whole = resize_store(phantoms, phantoms.ids(), tmp_path / "whole", 32)
    part = resize_store(phantoms, phantoms.ids(), tmp_path / "part", 32)
    for name in ("complete.json", "manifest.csv", "images/phantom-000001.png", "labels/phantom-000002.png"):
        (tmp_path / "part" / name).unlink()
    with pytest.raises(UserError, match=r"manifest\.csv"):
        PairStore(tmp_path / "part")
    resize_store(phantoms, phantoms.ids(), tmp_path / "part", 32)
    assert part.fingerprint() == whole.fingerprint()
    assert json.loads((tmp_path / "part" / "complete.json").read_text())["pairs"] == 4


def test_a_store_that_is_not_square_is_refused(tmp_path):
    with PairWriter(tmp_path / "wide", Description("wide", (16, 24), CHEST)) as writer:
        writer.add(Entry("a", "train"), np.zeros((16, 24), np.uint8), np.zeros((16, 24), np.uint8))
    with pytest.raises(UserError, match=r"wide: .*24 x 16 pixels.*square"):
        resize_store(PairStore(tmp_path / "wide"), ["a"], tmp_path / "out", 16)
    assert not (tmp_path / "out").exists()
