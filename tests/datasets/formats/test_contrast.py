"""Stretching films to the whole grey scale."""

import numpy as np
import pytest

from datasets.formats.contrast import stretch_film

FILM = np.random.default_rng(0).uniform(0, 255, (64, 48))


@pytest.mark.parametrize(("factor", "shift"), [(1.0, 0.0), (0.05, 240.0), (0.5, 20.0)])
def test_exposure_does_not_matter(factor, shift):
    stretched = stretch_film(FILM * factor + shift, 255.0)
    np.testing.assert_allclose(stretched, stretch_film(FILM, 255.0), atol=0.05)
    assert stretched.min() == 0.0 and stretched.max() == 255.0


def test_one_bright_pixel_does_not_decide():
    spoiled = np.full((64, 48), 100.0)
    spoiled[:32] = 120.0
    spoiled[0, 0] = 255.0
    stretched = stretch_film(spoiled, 255.0)
    assert stretched[40, 5] == 0.0 and stretched[20, 5] == 255.0


def test_a_constant_film_stays():
    np.testing.assert_array_equal(stretch_film(np.full((8, 8), 7, np.uint8), 255), np.full((8, 8), 7.0))
