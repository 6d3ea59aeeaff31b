"""Pixels whose class nobody knows: kept through store, resizing and tables; no loss and no score counts them."""

import json

import numpy as np
import pytest

from datasets.augmentation.augment import augment_store
from datasets.class_table import CHEST, IGNORED, ClassTable
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_cache import load_pairs
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.resize import resize_labels, resize_store
from datasets.verify import verify_store
from evaluation.metrics.overlap import overlap_counts
from evaluation.metrics.surface import organ_distances
from evaluation.pictures import colour_labels, error_overlay

TABLE = ClassTable(("sky", "road", "car", "tree"), ("road", "tree"), {"car": "road"}, ignored=True)


def _map():
    """A road in the lower half, a car on it, and a stripe that nobody knows."""
    label = np.zeros((16, 16), np.uint8)
    label[8:], label[10:13, 3:7], label[:, 12:14] = 1, 2, IGNORED
    return label


@pytest.fixture
def store(tmp_path):
    with PairWriter(tmp_path / "store", Description("street", (16, 16), TABLE)) as writer:
        for number, split in enumerate(("train", "test")):
            film = np.random.default_rng(number).integers(0, 255, (16, 16)).astype(np.uint8)
            writer.add(Entry(f"p{number}", split), film, _map())
    return PairStore(tmp_path / "store")


def test_the_table_tells_and_other_tables_are_written_as_before():
    assert ClassTable.from_json(json.loads(json.dumps(TABLE.to_json()))) == TABLE
    assert set(CHEST.to_json()) == {"names", "scored", "fold_back"}
    assert TABLE.scored_table().ignored
    np.testing.assert_array_equal(TABLE.collapse(np.array([0, 1, 2, 3, IGNORED], np.uint8)), [0, 1, 1, 2, IGNORED])
    with pytest.raises(ValueError, match="ignored"):
        ClassTable.from_json({**CHEST.to_json(), "ignored": 1})


def test_a_store_keeps_them_and_fills_them_for_generators(store):
    np.testing.assert_array_equal(store.label("p0"), _map())
    filled = store.filled_label("p0")
    known = _map() != IGNORED
    np.testing.assert_array_equal(filled[known], _map()[known])
    assert (filled[:8, 12:14] == 0).all() and (filled[8:, 12:14] == 1).all()
    assert list(verify_store(store.path)) == []
    for filled, most in ((True, 2), (False, IGNORED)):
        assert load_pairs(store, ["p0"], filled=filled)[1].max() == most
    assert load_pairs(store, ["p0"], scored=True)[1].max() == IGNORED


def test_a_map_of_which_nothing_is_known_is_background_to_generators(store):
    with PairWriter(store.path, store.description) as writer:
        writer.add(Entry("p0", "train"), np.zeros((16, 16), np.uint8), np.full((16, 16), IGNORED, np.uint8))
    assert not store.filled_label("p0").any()


def test_without_them_255_is_a_mistake(store):
    file = store.path / "description.json"
    value = json.loads(file.read_text())
    del value["classes"]["ignored"]
    file.write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"p0\.png: found codes 0, 1, 2, 255, expected 0 to 3"):
        PairStore(store.path).label("p0")


def test_they_stay_through_resizing_and_augmentation(store, tmp_path):
    small = resize_labels(_map(), (8, 8), 4)
    assert (small[:, 6] == IGNORED).all() and (small == IGNORED).sum() == 8
    label = np.array([[IGNORED, 1], [IGNORED, IGNORED]], np.uint8)
    assert resize_labels(label, (1, 1), 3) == IGNORED  # the most of it
    resized = resize_store(store, store.ids(), tmp_path / "small", 8)
    np.testing.assert_array_equal(resized.label("p1"), small)
    augmented = augment_store(resized, ["p0"], tmp_path / "more", 0)
    assert all((augmented.label(id_) == IGNORED).sum() >= 4 for id_ in augmented.ids())


def test_no_score_counts_them():
    gold, right = _map(), np.where(_map() == IGNORED, 3, _map())
    counts = overlap_counts(right, gold, 4)
    assert (counts[:, 1:] == 0).all() and counts[:, 0].tolist() == [100, 12, 0]
    distances = organ_distances(right, gold, [[1], [2], [3]])
    assert (distances[:2] == [0, 0, 1]).all() and np.isnan(distances[2]).all()  # HD95, ASSD, surface Dice


def test_pictures_show_them_grey_and_as_no_error():
    picture = colour_labels(_map(), 4)
    assert len(np.unique(picture[:, 12:14])) == 1 and not (picture[0, 0] == picture[0, 12]).all()
    film = np.full((16, 16), 50, np.uint8)
    np.testing.assert_array_equal(error_overlay(film, np.where(_map() == IGNORED, 1, _map()), _map()), 50)


def test_masks_leave_them_unknown(tmp_path):
    masks = np.stack([_map() == 1, _map() == 2, np.zeros((16, 16), bool)], -1)
    with PairWriter(tmp_path / "masked", Description("street", (16, 16), TABLE)) as writer:
        writer.add(Entry("p0", "test"), np.eye(16, dtype=np.uint8), _map(), masks)
    scored = PairStore(tmp_path / "masked").scored_label("p0")
    assert scored.dtype == np.uint8 and ((scored == IGNORED) == (_map() == IGNORED)).all()
    assert all(finding.warning for finding in verify_store(tmp_path / "masked"))
