"""Generated label maps: false rims and specks go, shapes stay; impossible maps are told."""

import cv2
import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.formats.read import read_mask
from datasets.label_cleaning import AreaBounds, check_labels, clean_labels
from datasets.resize import resize_masks
from datasets.sources.jsrt import find_masks
from datasets.sources.phantom import phantom

REAL = [CHEST.paint(phantom(0, index, 128).masks) for index in range(8)]


def _j(one, other):
    return (one & other).sum() / (one | other).sum()


def test_clean_maps_hardly_change():
    for label in REAL:
        cleaned = clean_labels(label, CHEST)
        assert min(_j(cleaned == code, label == code) for code in (1, 2, 3)) > 0.96
        assert min(_j(cleaned == code, label == code) for code in (4, 5)) > 0.93


def test_false_rims_and_specks_go():
    clean = np.zeros((128, 128), np.uint8)
    cv2.circle(clean, (64, 64), 30, 3, -1)
    dirty = clean.copy()
    cv2.circle(dirty, (64, 64), 30, 1, 1)  # a soft border that crosses another code
    dirty[10:13, 10:13] = 3
    cleaned = clean_labels(dirty, ClassTable(("ground", "a", "b", "c")))
    assert (cleaned == 1).sum() < 0.1 * (dirty == 1).sum()
    assert _j(cleaned == 3, clean == 3) > 0.93 and not cleaned[:20, :20].any()


def test_real_maps_pass():
    bounds = AreaBounds.from_maps(REAL, 6)
    assert [check_labels(label, CHEST, bounds) for label in REAL] == [None] * len(REAL)


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda label: label * (label != 3), "heart missing"),
    (lambda label: np.where(np.arange(128)[:, None] == 60, 0, label) * (label != 9), "left lung in pieces"),
    (lambda label: np.where((label == 3) & (np.arange(128) > 75), 0, label), "heart too small")])
def test_impossible_maps_are_told(spoil, reason):
    spoiled = spoil(REAL[0]).astype(np.uint8)
    assert check_labels(spoiled, CHEST, AreaBounds.from_maps(REAL, 6, slack=1.05)) == reason


def test_a_clavicle_does_not_cut_its_lung_in_two():
    label = np.zeros((64, 64), np.uint8)
    label[8:56, 36:56] = 1
    label[20:24, 30:60] = 4  # the left clavicle, across the left lung
    label[30:50, 8:20], label[40:50, 24:34], label[20:24, 4:28] = 2, 3, 5
    assert check_labels(label, CHEST) is None
    assert check_labels(np.where(label == 4, 3, label).astype(np.uint8), CHEST) == "left lung in pieces"
    assert (clean_labels(label, CHEST, rims=False) == label).all()


def test_real_maps_pass_the_check(shared_dir):
    """Every mask of the download, painted at 1024 pixels and reduced, is a possible label map."""
    masks = find_masks(shared_dir / "jsrt")
    labels = []
    for id_ in sorted(masks["heart"])[::6]:
        films = np.stack([read_mask(masks[organ][id_]) > 0 for organ in CHEST.organs], -1)
        labels.append(CHEST.paint(resize_masks(films, (128, 128))))
    bounds = AreaBounds.from_maps(labels, 6)
    assert len(labels) > 20
    assert {check_labels(clean_labels(label, CHEST), CHEST, bounds) for label in labels} == {None}
