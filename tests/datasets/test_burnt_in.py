"""Rectangles burnt into films are found, and nothing else."""

import cv2
import numpy as np
import pytest

from datasets.burnt_in import Box, find_boxes, same_place
from datasets.sources.phantom import phantom
from tests.helpers.name_boxes import plain_film, with_box


@pytest.mark.parametrize("grey", [0, 255])
@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("scale", [1, 4])
def test_finds_a_box(grey, written, scale):
    film = with_box(plain_film(), grey, written=written).repeat(scale, 0).repeat(scale, 1)
    (box,) = find_boxes(film)
    assert box.bright == (grey == 255)
    edges = np.array([box.top, box.left, box.bottom, box.right]) * 96
    assert edges == pytest.approx([2, 4, 12, 28], abs=1.1)


def test_finds_a_noisy_blurred_box():
    film = cv2.GaussianBlur(with_box(plain_film(), 255, left=0, top=0), (0, 0), 0.7)
    noisy = np.clip(film + np.random.default_rng(0).normal(0, 2, film.shape), 0, 255).round().astype(np.uint8)
    assert [box.bright for box in find_boxes(noisy)] == [True]


def test_finds_the_name_boxes_of_phantoms_and_nothing_else():
    """A phantom's box has grey 250 and covers row 11 of 256 from 2 % or 72 % of the width on, for 25 %."""
    found, expected = [], []
    for index in range(20):
        film = phantom(6, index, 256).image
        expected += [(index, start) for start in (5, 184) if (film[11, start:start + 64] == 250).all()]
        found += [(index, round(box.left * 256)) for box in find_boxes(film)]
    assert found == expected and len(expected) > 1


def test_a_films_border_and_a_round_shadow_are_none():
    film = plain_film()
    film[:, :6] = film[-5:] = 0
    cv2.circle(film, (60, 40), 8, 255, -1)
    assert find_boxes(film) == []
    assert find_boxes(np.full((64, 64), 255, np.uint8)) == []


def test_same_place():
    box = Box(True, 0, 0, 0.2, 0.2)
    assert same_place(box, [Box(True, 0, 0.05, 0.2, 0.25)])
    assert not same_place(box, [Box(False, 0, 0, 0.2, 0.2), Box(True, 0, 0.1, 0.2, 0.3)])
