"""Pairs deformed on the fly: film and label map by one field, dots where moved organs are, by (seed, place)."""

from functools import partial

import numpy as np

from datasets.augmentation.exposure import change_exposure
from datasets.augmentation.moved_pairs import MovedPairs
from datasets.class_table import CHEST
from datasets.dots import Dot
from datasets.sources.phantom import phantom
from models import label_coding

MADE = [phantom(0, index, 64) for index in range(3)]
LABELS = np.stack([CHEST.paint(made.masks) for made in MADE])
FILMS = np.stack([made.image for made in MADE])
ROWS = np.array([2, 0, 1, 2, 0])


def test_label_map_and_film_move_alike():
    drawn = np.where(LABELS == 3, 250, 10).astype(np.uint8)  # "films" that show where the heart is
    labels, films = MovedPairs(1.0)([LABELS, drawn], ROWS, 64, range(7, 12), 0)
    sure = np.abs(films.astype(int) - 130) > 60
    np.testing.assert_array_equal((films > 130)[sure], (labels == 3)[sure])
    assert sure.mean() > 0.9 and (labels != LABELS[ROWS]).any((1, 2)).all()


def test_a_pair_depends_on_seed_and_place_alone():
    move, arrays = MovedPairs(0.5, 0.5), [LABELS, FILMS]
    whole = move(arrays, ROWS, 64, range(20, 25), 3)
    for part, again in zip(move(arrays, ROWS[3:4], 64, [23], 3), whole, strict=True):
        np.testing.assert_array_equal(part[0], again[3])
    assert (move(arrays, ROWS, 64, range(20, 25), 4)[1] != whole[1]).any()
    still = MovedPairs(0.0)(arrays, ROWS, 64, range(5), 0)
    np.testing.assert_array_equal(still[0], LABELS[ROWS])
    np.testing.assert_array_equal(still[1], FILMS[ROWS])


def test_dots_stand_where_the_moved_organs_are():
    dot = Dot(16, 1.0)
    dots, labels = MovedPairs(1.0, dots=partial(dot.draw, num_classes=6))([LABELS, LABELS], ROWS, 64, range(5), 0)
    expected = np.stack([dot.draw(one, 6) for one in labels])
    np.testing.assert_array_equal(dots, label_coding.enlarge(expected, 64).numpy())
    assert (labels != LABELS[ROWS]).any((1, 2)).all()


def test_exposure_changes_levels_in_one_direction_and_nothing_else():
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (8, 1))
    made = [change_exposure(ramp, np.random.default_rng(i)) for i in range(30)]
    assert all((np.diff(one) >= 0).all() and one.min() >= 0 and one.max() <= 1 for one in made)
    means = np.array([one.mean() for one in made])
    assert 0.03 < means.std() < 0.2 and (means < 0.5).any() and (means > 0.5).any()
