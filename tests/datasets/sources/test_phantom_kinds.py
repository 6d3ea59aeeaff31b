"""Phantoms of other kinds than the chest: reproducible, the same at any size, and each with what it stands for."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from datasets.sources.phantom import KINDS, phantom, write_phantoms
from datasets.verify import verify_store

OTHERS = [kind for kind in KINDS if kind != "chest"]
SIZE = 64


@pytest.fixture(scope="module")
def patients():
    return {kind: [phantom(7, index, SIZE, kind) for index in range(40)] for kind in OTHERS}


def _digest(made):
    return hashlib.sha256(b"".join(one.image.tobytes() + one.masks.tobytes() for one in made)).hexdigest()


def _pieces(mask):
    return ndimage.label(mask, np.ones((3, 3)))[1]


def test_the_same_in_another_process(patients):
    code = ("import hashlib; from datasets.sources.phantom import phantom; "
            f"made = [phantom(7, 3, {SIZE}, kind) for kind in {OTHERS}]; "
            "print(hashlib.sha256(b''.join(p.image.tobytes() + p.masks.tobytes() for p in made)).hexdigest())")
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == _digest([patients[kind][3] for kind in OTHERS])


@pytest.mark.parametrize("kind", OTHERS)
def test_the_same_patient_at_another_size(kind, patients):
    for index in range(4):
        large = phantom(7, index, 4 * SIZE, kind)
        for organ in range(large.masks.shape[-1]):
            share = large.masks[..., organ].reshape(SIZE, 4, SIZE, 4).mean((1, 3))
            small = patients[kind][index].masks[..., organ]
            assert not small[ndimage.maximum_filter(share, 5) == 0].any()  # the large one's ground
            assert small[ndimage.minimum_filter(share, 5) == 1].all()


@pytest.mark.parametrize("kind", OTHERS)
def test_extreme_sizes_and_a_class_for_each_pixel(kind):
    organs = len(KINDS[kind].classes.organs)
    for size in (32, 300):
        patient = phantom(0, 0, size, kind)
        assert patient.image.shape[:2] == (size, size) and patient.image.dtype == np.uint8
        assert patient.masks.shape == (size, size, organs) and patient.masks.sum(-1).max() == 1
    with pytest.raises(ValueError, match="received 31"):
        phantom(0, 0, 31, kind)


@pytest.mark.parametrize("kind", OTHERS)
def test_grey_alone_does_not_segment_them(kind, patients):
    """The Dice of the best threshold over all pictures: above nothing, far below what a network should reach."""
    images = np.array([patient.image if patient.image.ndim == 2 else patient.image[..., 1]
                       for patient in patients[kind]])
    for organ in range(len(KINDS[kind].classes.organs)):
        truth = np.array([patient.masks[..., organ] for patient in patients[kind]])
        best = max(2 * (side & truth).sum() / (side.sum() + truth.sum())
                   for grey in range(0, 256, 4) for side in (images > grey, images <= grey))
        assert best < 0.87
        inside, around = images[truth], images[ndimage.binary_dilation(truth, np.ones((1, 5, 5))) & ~truth]
        assert abs(inside.mean() - around.mean()) > 3  # there is something to see


def test_a_cup_lies_within_its_disc(patients):
    shares = []
    for patient in patients["disc_cup"]:
        rim, cup = patient.masks[..., 0], patient.masks[..., 1]
        assert rim.any() and cup.any() and _pieces(rim | cup) == 1
        assert np.array_equal(ndimage.binary_fill_holes(rim | cup), rim | cup)
        assert not (ndimage.binary_dilation(cup) & ~(rim | cup)).any()  # the rim goes all around
        shares.append(cup.sum() / (rim | cup).sum())
    assert min(shares) < 0.15 and max(shares) > 0.45


def test_cells_are_many_and_vary_in_number(patients):
    counts = [_pieces(patient.masks[..., 0]) for patient in patients["cells"]]
    assert min(counts) >= 4 and max(counts) > 20 and np.std(counts) > 4


def test_vessels_are_thin_everywhere(patients):
    for patient in patients["vessels"]:
        mask = patient.masks[..., 0]
        assert ndimage.distance_transform_edt(mask).max() < 6  # pixels to the nearest ground
        assert 0.02 < mask.mean() < 0.25 and _pieces(mask) <= 4


def test_organs_of_the_abdomen_are_absent_and_paired(patients):
    there = np.array([patient.masks.any((0, 1)) for patient in patients["abdomen"]])
    shares = dict(zip(KINDS["abdomen"].classes.organs, there.mean(0), strict=True))
    assert shares["liver"] == 1
    assert 0.3 < shares["gallbladder"] < 0.7 and 0.5 < shares["spleen"] < 0.95 and 0.5 < shares["kidneys"] < 0.95
    pieces = {_pieces(patient.masks[..., 2]) for patient in patients["abdomen"]}
    assert pieces == {0, 1, 2}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_store_of_each_kind_is_whole(kind, tmp_path):
    store = write_phantoms(tmp_path, 3, 1, 32, 1, kind)
    assert (len(store.ids("train")), len(store.ids("test"))) == (2, 1) and kind in store.description.name
    assert not [finding.text for finding in verify_store(tmp_path) if not finding.warning]
    label = KINDS[kind].classes.paint(phantom(1, 2, 32, kind).masks)
    np.testing.assert_array_equal(store.label("phantom-000002"), label)
