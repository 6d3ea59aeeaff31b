"""Negatives among films are found by their light, and pictures that differ anyway are left alone."""

import numpy as np
import pytest

from datasets.formats.raster import Film
from datasets.formats.read import read_film
from datasets.sources.negatives import coarse_picture, find_negatives
from datasets.sources.phantom import write_phantoms


def _found(films, negatives):
    return find_negatives([coarse_picture(255 - film if place in negatives else film)
                           for place, film in enumerate(films)])


@pytest.mark.parametrize("negatives", [(), (0,), (1, 4), (0, 2, 3)])
def test_negatives_among_phantoms(tmp_path, negatives):
    store = write_phantoms(tmp_path, 8, 0, 64, 0)
    assert _found([store.image(id_) for id_ in store.ids()], negatives) == list(negatives)


@pytest.mark.parametrize("negatives", [(), (3, 7)])
def test_negatives_among_real_films(shared_dir, negatives):
    paths = sorted((shared_dir / "external_chest" / "images").glob("*.png"))[::15]
    assert _found([read_film(path).pixels for path in paths], negatives) == list(negatives)


@pytest.mark.parametrize("folder", ["nuclei/images", "street/images", "vessels/images", "disc_cup/images"])
def test_other_pictures_are_no_negatives(shared_dir, folder):
    paths = sorted((shared_dir / "domains" / folder).iterdir())[::3]
    assert find_negatives([coarse_picture(read_film(path).pixels) for path in paths]) == []


def test_few_and_flat_pictures():
    flat = coarse_picture(np.zeros((20, 20), np.uint8))
    noise = [np.random.default_rng(seed).integers(0, 256, (20, 20)).astype(np.uint8) for seed in range(9)]
    assert find_negatives([]) == find_negatives([flat]) == find_negatives([flat] * 9) == []
    assert find_negatives([coarse_picture(film) for film in noise]) == []


@pytest.mark.parametrize(("film", "expected", "white"), [
    (Film(np.array([[0, 200]], np.uint8), 255), [255, 55], 255),
    (Film(np.array([[0, 4000]], np.uint16), 65535, exact=False), [4095, 95], 4095),
    (Film(np.array([[0, 4000]], np.uint16), 4095), [4095, 95], 4095)])
def test_the_negative_of_a_film(film, expected, white):
    turned = film.negative()
    assert turned.pixels.tolist() == [expected] and turned.max_value == white and turned.exact
    np.testing.assert_array_equal(turned.negative().pixels, film.pixels)
