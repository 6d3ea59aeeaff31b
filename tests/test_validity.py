"""Generated label maps: false rims and specks go, shapes stay; impossible maps are told."""

import cv2
import numpy as np
import pytest

from datasets.labels import CHEST
from datasets.phantom import phantom
from datasets.validity import AreaBounds, check_labels, clean_labels

REAL = [CHEST.paint(phantom(0, index, 128).masks) for index in range(8)]


def _j(one, other):
    return (one & other).sum() / (one | other).sum()


def test_clean_maps_hardly_change():
    for label in REAL:
        cleaned = clean_labels(label, 6)
        assert min(_j(cleaned == code, label == code) for code in (1, 2, 3)) > 0.93  # a sliver of lung below the heart may go
        assert min(_j(cleaned == code, label == code) for code in (4, 5)) > 0.75


def test_false_rims_and_specks_go():
    clean = np.zeros((128, 128), np.uint8)
    cv2.circle(clean, (64, 64), 30, 3, -1)
    dirty = clean.copy()
    cv2.circle(dirty, (64, 64), 30, 1, 1)  # a soft border that crosses another code
    dirty[10:13, 10:13] = 3
    cleaned = clean_labels(dirty, 4)
    assert set(np.unique(cleaned)) == {0, 3}
    assert _j(cleaned == 3, clean == 3) > 0.93 and not cleaned[:20, :20].any()


def test_real_maps_pass():
    bounds = AreaBounds.from_maps(REAL, 6)
    assert [check_labels(label, 6, bounds) for label in REAL] == [None] * len(REAL)


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda label: label * (label != 3), "class 3 missing"),
    (lambda label: np.where(np.arange(128)[:, None] == 60, 0, label) * (label != 9), "class 1 in pieces"),
    (lambda label: np.where((label == 3) & (np.arange(128) > 75), 0, label), "class 3 too small")])
def test_impossible_maps_are_told(spoil, reason):
    spoiled = spoil(REAL[0]).astype(np.uint8)
    assert check_labels(spoiled, 6, AreaBounds.from_maps(REAL, 6, slack=1.05)) == reason
