"""Dots lie at the centroids, one per organ, and are read back."""

import numpy as np

from datasets.class_table import CHEST
from datasets.dots import draw_dots, read_dots, redraw
from datasets.sources.phantom import phantom


def test_dots_lie_at_the_centroids():
    label = np.zeros((128, 128), np.uint8)
    label[10:31, 20:61] = 1  # centre (20, 40)
    label[80:101, 90:111] = 2  # centre (90, 100)
    dots = draw_dots(label, 3, size=64, radius=2.0)
    for code, (y, x) in {1: (20, 40), 2: (90, 100)}.items():
        centre = np.argwhere(dots == code).mean(0)
        np.testing.assert_allclose(centre, [(y + 0.5) / 2 - 0.5, (x + 0.5) / 2 - 0.5], atol=0.5)
        assert 9 <= (dots == code).sum() <= 16  # a disc of radius 2 covers 12.6 pixels


def test_round_trip_on_phantoms():
    for index in range(5):
        dots = draw_dots(CHEST.paint(phantom(0, index, 128).masks), 6)
        read = read_dots(dots, 6)
        assert read.reason is None and set(read.centroids) == {1, 2, 3, 4, 5}
        again = read_dots(redraw(read.centroids, 64), 6)
        for code, centre in read.centroids.items():
            np.testing.assert_allclose(again.centroids[code], centre, atol=0.5)


def test_an_absent_organ_gets_no_dot():
    label = np.zeros((64, 64), np.uint8)
    label[5:9, 5:9] = 2
    dots = draw_dots(label, 4)
    assert set(np.unique(dots)) == {0, 2}
    assert read_dots(dots, 4).reason == "no dot of class 1"
    assert set(np.unique(draw_dots(np.zeros((64, 64), np.uint8), 4))) == {0}


def test_double_dots_are_told_and_specks_ignored():
    dots = redraw({1: (20, 20), 2: (40, 40)}, 64)
    dots[5, 5] = 1  # a speck of one pixel
    assert read_dots(dots, 3).reason is None
    dots[50:54, 10:14] = 2
    read = read_dots(dots, 3)
    assert read.reason == "2 dots of class 2"
    np.testing.assert_allclose(read.centroids[2], (51.5, 11.5))  # the larger one


def test_small_dot_maps_keep_every_dot():
    dots = redraw({code: (3.0 * code, 4.0) for code in range(1, 6)}, 16, radius=0.2)
    assert [(dots == code).sum() for code in range(1, 6)] == [1] * 5
