"""Deformation: fields without folds, of known strength; film and label map move together."""

import dataclasses

import numpy as np
import pytest

from datasets.augmentation.deform import Deformation, draw_field, move_film, move_labels
from datasets.class_table import IGNORED

STILL = Deformation(degrees=0, scale=1, stretch=1, shift=0, bend=0)


def _slopes(field):
    """Derivatives of where pixels come from, in pixels per pixel: dx/dx, dx/dy, dy/dx, dy/dy."""
    x, y = (share * side for share, side in zip(field, field.shape[:0:-1], strict=True))
    return np.diff(x, axis=1)[:-1], np.diff(x, axis=0)[:, :-1], np.diff(y, axis=1)[:-1], np.diff(y, axis=0)[:, :-1]


def test_without_ranges_nothing_moves():
    rng = np.random.default_rng(0)
    labels, film = (rng.integers(0, 256, (40, 56), np.uint8) for _ in range(2))
    field = draw_field(rng, labels.shape, STILL)
    np.testing.assert_array_equal(move_labels(labels, field), labels)
    np.testing.assert_array_equal(move_film(film, field), film)


@pytest.mark.parametrize(("name", "value", "place"), [("shift", 0.1, lambda f: f[0, 20, 20]),
                                                      ("bend", 0.02, lambda f: f[0, 20, 20])])
def test_each_range_is_what_it_says(name, value, place):
    ranges = dataclasses.replace(STILL, **{name: value})
    found = [place(draw_field(np.random.default_rng(i), (41, 41), ranges)) - 0.5 for i in range(200)]
    expected = value / np.sqrt(3) if name == "shift" else value  # a uniform number's deviation
    assert np.std(found) == pytest.approx(expected, rel=0.15) and abs(np.mean(found)) < 0.15 * expected
    assert name == "bend" or np.abs(found).max() <= value


def test_rotation_and_scaling_are_about_the_centre_and_within_their_ranges():
    ranges = dataclasses.replace(STILL, degrees=10, scale=1.2)
    for index in range(40):
        field = draw_field(np.random.default_rng(index), (33, 33), ranges)
        np.testing.assert_allclose(field[:, 16, 16], 0.5, atol=1e-6)
        xx, xy, yx, yy = (slope[8, 8] for slope in _slopes(field))
        assert abs(np.rad2deg(np.arctan2(xy, xx))) <= 10.001 and xy == pytest.approx(-yx, abs=1e-5)
        assert 1 / 1.2001 <= np.hypot(xx, xy) <= 1.2001 and xx == pytest.approx(yy, abs=1e-5)


def test_no_field_folds_or_mirrors():
    for index in range(40):
        xx, xy, yx, yy = _slopes(draw_field(np.random.default_rng([1, index]), (64, 96)))
        assert (xx * yy - xy * yx).min() > 0


def test_film_and_label_map_move_together_and_no_code_is_made():
    labels = np.full((64, 64), 7, np.uint8)
    labels[20:44, 20:44], labels[30:34, 30:34] = 2, IGNORED
    field = draw_field(np.random.default_rng(3), (64, 64))
    moved, film = move_labels(labels, field), move_film(np.where(labels == 2, 200, 0).astype(np.uint8), field)
    assert set(np.unique(moved)) == {2, 7, IGNORED} and (moved != labels).any()
    sure = (film < 60) | (film > 140)  # between pixels of one kind
    np.testing.assert_array_equal(film[sure] > 100, moved[sure] == 2)
    colour = move_film(np.stack([labels] * 3, -1), field)
    np.testing.assert_array_equal(colour[..., 1], move_film(labels, field))


def test_a_field_may_be_of_another_size_than_the_picture():
    labels = np.zeros((64, 64), np.uint8)
    labels[16:48, 8:40] = 1
    small = move_labels(labels, draw_field(np.random.default_rng(5), (32, 32)))
    large = move_labels(labels, draw_field(np.random.default_rng(5), (128, 128)))
    assert (large[::4, ::4] == small).mean() > 0.97 and large.mean() == pytest.approx(small.mean(), rel=0.05)
