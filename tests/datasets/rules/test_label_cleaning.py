"""Generated label maps: false rims and specks go, shapes stay, and so does what real maps have."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from datasets.class_table import CHEST, ClassTable
from datasets.rules.label_cleaning import clean_labels, keep_largest, named_organs
from datasets.rules.label_filters import components, fill_from_neighbours, majority_filter
from datasets.rules.label_rules import LabelRules
from datasets.sources.phantom import phantom
from tests.datasets.rules.test_label_rules import KINDS, ONE, TWO, cells, chest

REAL = chest(128)
RULES = LabelRules.learn(REAL, CHEST)


def _j(one, other):
    return (one & other).sum() / (one | other).sum()


def spoiled(seed: int, size: int = 64, share: float = 0.1) -> np.ndarray:
    """A phantom chest with blobs of other codes on it."""
    rng = np.random.default_rng(seed)
    labels = CHEST.paint(phantom(0, seed, size).masks)
    blobs = ndimage.gaussian_filter(rng.standard_normal((size, size)), 1.5)
    others = np.kron(rng.integers(0, 6, (size // 8, size // 8)), np.ones((8, 8), int))
    return np.where(blobs > np.quantile(blobs, 1 - share), others, labels).astype(np.uint8)


def _chest_rule(labels, rims):
    """What cleaning a chest was before rules were learnt: pieces under 5 % of their organ go."""
    labels = majority_filter(labels, 6) if rims else labels
    keep = np.ones(labels.shape, bool)
    for code, within in {1: [1, 4], 2: [2, 5], 3: [3], 4: [4], 5: [5]}.items():
        parts, count = ndimage.label(np.isin(labels, within))
        areas = [np.count_nonzero((parts == part) & (labels == code)) for part in range(1, count + 1)]
        for part, area in enumerate(areas, 1):
            if count > 1 and area < 0.05 * sum(areas):
                keep[(labels == code) & (parts == part)] = False
    return fill_from_neighbours(labels, keep)


def test_clean_maps_hardly_change():
    for label in REAL:
        cleaned = clean_labels(label, RULES, rims=True)
        assert min(_j(cleaned == code, label == code) for code in (1, 2, 3)) > 0.96
        assert min(_j(cleaned == code, label == code) for code in (4, 5)) > 0.93


@pytest.mark.parametrize("rims", [False, True])
def test_a_chest_is_cleaned_as_ever(rims):
    maps = [spoiled(seed, share=share) for seed, share in enumerate((0.0, 0.02, 0.1, 0.4))]
    rules = LabelRules.learn(chest(), CHEST)
    assert sum((clean_labels(labels, rules, rims) != labels).any() for labels in maps) >= 3
    for labels in maps:
        np.testing.assert_array_equal(clean_labels(labels, rules, rims), _chest_rule(labels, rims))


def test_false_rims_and_specks_go():
    clean = np.zeros((128, 128), np.uint8)
    cv2.circle(clean, (64, 64), 30, 3, -1)
    table = ClassTable(("ground", "a", "b", "c"))
    others = clean.copy()
    others[5:12, 100:110], others[110:120, 5:12] = 1, 2
    rules = LabelRules.learn([others] * 2, table)
    assert rules.rims_between((0, 1, 2, 3))  # a and b lie between the ground and c
    dirty = clean.copy()
    cv2.circle(dirty, (64, 64), 30, 1, 1)  # a soft border that crosses another code
    dirty[10:13, 10:13] = 3
    cleaned = clean_labels(dirty, rules, rims=True)
    assert (cleaned == 1).sum() < 0.1 * (dirty == 1).sum()
    assert _j(cleaned == 3, clean == 3) > 0.93 and not cleaned[:20, :20].any()


def test_pieces_as_small_as_real_ones_stay_and_smaller_ones_go():
    rules = LabelRules.learn(cells(), ONE)
    made = np.zeros((64, 64), np.uint8)
    made[10:14, 10:15], made[30:33, 30:33] = 1, 1  # 20 and 9 pixels; real cells have 21
    cleaned = clean_labels(made, rules)
    assert cleaned.sum() == 20 and cleaned[10:14, 10:15].all()


def test_a_class_that_no_real_map_shows_goes():
    made = cells()[0].copy()
    made[:, :16] = 2
    cleaned = clean_labels(made, LabelRules.learn(cells(), TWO))
    assert set(np.unique(cleaned)) == {0, 1} and (cleaned[:, 17:] == made[:, 17:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_real_maps_lose_less_than_a_hundredth(kind):
    make, table = KINDS[kind]
    maps = make()
    rules = LabelRules.learn(maps, table)
    rims = rules.rims_between(range(table.num_classes))
    for labels in maps:
        cleaned = clean_labels(labels, rules, rims)
        assert np.count_nonzero(cleaned != labels) < 0.01 * np.count_nonzero(labels)
        assert rules.broken_by(cleaned) is None


def test_a_clavicle_does_not_cut_its_lung_in_two():
    label = np.zeros((64, 64), np.uint8)
    label[8:56, 36:56] = 1
    label[20:24, 30:60] = 4  # the left clavicle, across the left lung
    label[30:50, 8:20], label[40:50, 24:34], label[20:24, 4:28] = 2, 3, 5
    rules = LabelRules.learn([label], CHEST)
    assert rules.broken_by(label) is None and not rules.in_pieces(1)
    assert rules.broken_by(np.where(label == 4, 3, label).astype(np.uint8)) == "left lung in pieces"
    assert (clean_labels(label, rules) == label).all()


def test_of_an_organ_the_largest_piece_stays_and_what_is_over_it_cuts_none():
    organs = [[CHEST.code(name) for name in names] for names in named_organs(CHEST.organs, CHEST)]
    assert organs[0] == [1, 4]  # a clavicle lies over its lung
    for labels in REAL[:8]:
        whole = keep_largest(labels, organs)
        for codes in organs:
            assert np.count_nonzero(components(whole, codes)[1]) == 1
        spoilt = whole.copy()
        spoilt[:3, :4], spoilt[-2:, -9:], spoilt[64:66, 64:66] = 1, 2, 4
        mended = keep_largest(spoilt, organs)
        np.testing.assert_array_equal(mended[spoilt == whole], whole[spoilt == whole])
        assert not mended[:3, :4].any() and not mended[-2:, -9:].any() and mended[64, 64] == spoilt[63, 64]
    np.testing.assert_array_equal(keep_largest(spoilt, []), spoilt)


def test_classes_in_pieces_are_not_whole():
    assert set(RULES.whole()) == set(CHEST.organs)
    assert not LabelRules.learn(cells(), ONE).whole()
