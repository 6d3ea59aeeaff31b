"""The procedural thorax: reproducible, the same patient at any size, anatomically in order."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from datasets.class_table import CHEST
from datasets.sources.phantom import phantom, write_phantoms


@pytest.fixture(scope="module")
def patients():
    return [phantom(7, index, 128) for index in range(60)]


def _digest(patient):
    return hashlib.sha256(patient.image.tobytes() + patient.masks.tobytes()).hexdigest()


def test_the_same_in_another_process(patients):
    code = ("import hashlib; from datasets.sources.phantom import phantom; p = phantom(7, 3, 128); "
            "print(hashlib.sha256(p.image.tobytes() + p.masks.tobytes()).hexdigest())")
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == _digest(patients[3]) != _digest(patients[4])


def test_the_same_patient_at_another_size(patients):
    for index in range(5):
        large = phantom(7, index, 256).masks
        reduced = large.reshape(128, 2, 128, 2, 5).mean((1, 3)) >= 0.5
        for organ in range(3):
            one, other = reduced[..., organ], patients[index].masks[..., organ]
            assert (one & other).sum() / (one | other).sum() > 0.95


@pytest.mark.parametrize("size", [32, 1024])
def test_extreme_sizes(size):
    patient = phantom(0, 0, size)
    assert patient.image.shape == (size, size) and patient.masks.any((0, 1)).all()


@pytest.mark.parametrize("size", [31, 1025])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"received {size}"):
        phantom(0, 0, size)


def test_anatomy_is_in_order(patients):
    """Patient's left on the picture's right, heart left of the midline, clavicles across the apices."""
    for patient in patients:
        left, right, heart, left_clavicle, right_clavicle = (patient.masks[..., organ] for organ in range(5))
        x = [np.argwhere(organ)[:, 1].mean() for organ in (right, heart, left)]
        assert x == sorted(x) and x[1] > (x[0] + x[2]) / 2
        assert np.argwhere(left_clavicle)[:, 1].mean() > np.argwhere(right_clavicle)[:, 1].mean()
        assert not (heart & (left | right)).any()
        for lung, clavicle in ((left, left_clavicle), (right, right_clavicle)):
            assert (clavicle & lung).sum() > 0.4 * clavicle.sum()
            assert np.argwhere(clavicle)[:, 0].mean() < np.argwhere(lung)[:, 0].mean()
        for organ in (left, right, heart):
            parts, _ = ndimage.label(organ)
            assert np.bincount(parts.ravel())[1:].max() > 0.9 * organ.sum()


def test_areas_are_those_of_films(patients):
    """Shares of the picture: the ranges seen on adult films, a little wider."""
    shares = np.array([patient.masks.mean((0, 1)) for patient in patients])
    bounds = [(0.07, 0.22), (0.09, 0.26), (0.045, 0.145), (0.004, 0.02), (0.004, 0.02)]
    for organ, (low, high) in enumerate(bounds):
        assert low < shares[:, organ].min() and shares[:, organ].max() < high


def test_patients_differ_and_films_are_exposed(patients):
    widths = [np.ptp(np.argwhere(patient.masks[..., 2])[:, 1]) for patient in patients]
    assert np.std(widths) > 2
    for patient in patients:
        assert (patient.image > 250).mean() < 0.9 and patient.image.std() > 20
        lungs = patient.masks[..., 0] | patient.masks[..., 1]
        assert patient.image[lungs].mean() < patient.image[patient.masks[..., 2]].mean()


def test_store_has_splits_and_masks_and_is_left_alone(tmp_path):
    store = write_phantoms(tmp_path, 5, 2, 64, 1)
    assert len(store.ids("train")) == 3 and len(store.ids("test")) == 2
    np.testing.assert_array_equal(CHEST.paint(store.masks("phantom-000004")), store.label("phantom-000004"))
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    write_phantoms(tmp_path, 5, 2, 64, 1)
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
