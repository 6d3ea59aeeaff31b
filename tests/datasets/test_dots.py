"""Dots lie at the centroids, one per organ, and are read back."""

import hashlib
import json

import numpy as np
import pytest

from datasets.class_table import CHEST
from datasets.dots import Dot
from datasets.rules.sample_checks import dot_check
from datasets.sources.phantom import phantom

PAPERS = Dot(64, 2.0)


def test_dots_lie_at_the_centroids():
    label = np.zeros((128, 128), np.uint8)
    label[10:31, 20:61] = 1  # centre (20, 40)
    label[80:101, 90:111] = 2  # centre (90, 100)
    dots = PAPERS.draw(label, 3)
    for code, (y, x) in {1: (20, 40), 2: (90, 100)}.items():
        centre = np.argwhere(dots == code).mean(0)
        np.testing.assert_allclose(centre, [(y + 0.5) / 2 - 0.5, (x + 0.5) / 2 - 0.5], atol=0.5)
        assert 9 <= (dots == code).sum() <= 16  # a disc of radius 2 covers 12.6 pixels


@pytest.mark.parametrize("dot", [PAPERS, Dot.scaled(64, 3.0), Dot.scaled(32, 2.0)])
def test_round_trip_on_phantoms(dot):
    for index in range(5):
        dots = dot.draw(CHEST.paint(phantom(0, index, 128).masks), 6)
        read = dot.read(dots, 6)
        assert read.reason is None and set(read.centres) == {1, 2, 3, 4, 5}
        again = dot.read(dot.redraw(read.centres), 6)
        for code, centres in read.centres.items():
            np.testing.assert_allclose(again.centres[code], centres, atol=0.5)


@pytest.mark.parametrize(("size", "radius_at_64", "drawn", "redrawn", "refused"), [
    (64, 2.0, "e2418e35869cda16", "2e9e2d69e676e958", ["2 dots of class 1", None, None, None]),
    (32, 2.0, "9cfc2c5423ead0b1", "2e2bc1dd1d4816a2", [None, "2 dots of class 2", None, None]),
    (16, 2.0, "ddf2a999490c3bc4", "546b9823e92d06cf", [None, None, None, "no dot of class 3"]),
    (64, 3.0, "f4f64e15edeb7772", "cd0743466f560d68", [None] * 4)])
def test_the_papers_dots_are_what_they_were(size, radius_at_64, drawn, redrawn, refused):
    dot = Dot.scaled(size, radius_at_64)
    maps = np.stack([dot.draw(CHEST.paint(phantom(0, index, 128).masks), 6) for index in range(4)])
    noisy = maps.copy()
    noisy[np.random.default_rng(0).random(maps.shape) < 0.01] = 2
    made, reasons = dot_check(dot, 6)(noisy)
    assert [hashlib.sha256(one.tobytes()).hexdigest()[:16] for one in (maps, made)] == [drawn, redrawn]
    assert reasons == refused


def test_an_absent_organ_gets_no_dot():
    label = np.zeros((64, 64), np.uint8)
    label[5:9, 5:9] = 2
    dots = PAPERS.draw(label, 4)
    assert set(np.unique(dots)) == {0, 2}
    assert PAPERS.read(dots, 4).reason == "no dot of class 1"
    assert set(np.unique(PAPERS.draw(np.zeros((64, 64), np.uint8), 4))) == {0}


def test_double_dots_are_told_and_specks_ignored():
    dots = PAPERS.redraw({1: [(20, 20)], 2: [(40, 40)]})
    dots[5, 5] = 1  # a speck of one pixel
    assert PAPERS.read(dots, 3).reason is None
    dots[50:54, 10:14] = 2
    read = PAPERS.read(dots, 3)
    assert read.reason == "2 dots of class 2"
    np.testing.assert_allclose(read.centres[2], [(40, 40), (51.5, 11.5)])


def test_small_dot_maps_keep_every_dot():
    dots = Dot(16, 0.2).redraw({code: [(3.0 * code, 4.0)] for code in range(1, 6)})
    assert [(dots == code).sum() for code in range(1, 6)] == [1] * 5


@pytest.mark.parametrize(("size", "radius_at_64", "radius"), [(64, 2.0, 2.0), (32, 3.0, 1.5), (16, 2.0, 1.0),
                                                             (128, 3.0, 6.0)])
def test_the_radius_goes_with_the_side_but_is_a_pixel_at_least(size, radius_at_64, radius):
    assert Dot.scaled(size, radius_at_64) == Dot(size, radius)


@pytest.mark.parametrize("dot", [PAPERS, Dot.scaled(48, 2.3), Dot(7, 1 / 3)])
def test_json_both_ways(dot):
    assert Dot.from_json(json.loads(json.dumps(dot.to_json()))) == dot


@pytest.mark.parametrize("value", [{}, {"size": 64}, [], {"size": 64.0, "radius": 2.0}, {"size": 0, "radius": 2.0},
                                   {"size": 64, "radius": "2"}, {"size": 64, "radius": 0},
                                   {"size": 64, "radius": float("nan")}, {"size": 64, "radius": float("inf")}])
def test_what_is_no_dot(value):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Dot.from_json(value)
