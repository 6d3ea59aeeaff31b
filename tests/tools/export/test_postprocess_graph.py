"""Mending inside an exported method gives the bits of mending in Python."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from datasets.class_table import CHEST
from datasets.dots import ClassDots, Dot
from datasets.rules.label_cleaning import clean_labels
from datasets.rules.label_filters import fill_from_neighbours
from datasets.rules.label_rules import LabelRules
from datasets.rules.sample_checks import dot_check
from datasets.sources.phantom import phantom
from tests.datasets.rules.test_label_cleaning import spoiled
from tests.datasets.rules.test_label_rules import KINDS, TWO, cells, chest
from tools.export.postprocess_graph import mend_dots, mend_labels

RULES = LabelRules.learn(chest(), CHEST)


@pytest.mark.parametrize("rims", [False, True])
def test_label_maps_are_mended_alike(rims):
    maps = np.stack([spoiled(seed, share=share) for seed, share in enumerate((0.0, 0.02, 0.1, 0.4))])
    mended = tf.function(lambda labels: mend_labels(labels, RULES, rims))(maps).numpy()
    expected = np.stack([clean_labels(one, RULES, rims) for one in maps])
    assert (expected != maps).any(axis=(1, 2)).sum() >= 3
    np.testing.assert_array_equal(mended, expected)


def test_a_window_that_grows_with_the_side():
    labels = spoiled(3, 320, 0.2)
    mended = mend_labels(labels[None], RULES, True).numpy()[0]
    np.testing.assert_array_equal(mended, clean_labels(labels, RULES, True))


def test_random_maps_with_winding_components():
    maps = np.random.default_rng(0).integers(0, 6, (4, 40, 56)).astype(np.uint8)
    maps[2] = np.where(maps[2] > 1, 1, maps[2])
    maps[3] = 2
    maps[1] = 1 + np.arange(56) % 5  # specks alone
    mended = mend_labels(maps, RULES, False).numpy()
    np.testing.assert_array_equal(mended, [clean_labels(one, RULES, False) for one in maps])


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_other_kinds_are_mended_alike(kind):
    """Their own maps with a tenth of the pixels set at random, two codes where the real maps may have one."""
    make, table = KINDS[kind]
    rng, real = np.random.default_rng(1), np.stack(make())
    maps = np.where(rng.random(real.shape) < 0.1, rng.integers(0, table.num_classes, real.shape), real)
    rules = LabelRules.learn(real, table)
    made = maps.astype(np.uint8)
    expected = np.stack([clean_labels(one, rules) for one in made])
    assert kind == "tree" or (expected != made).any()
    np.testing.assert_array_equal(mend_labels(made, rules, False), expected)


def test_a_class_that_no_real_map_shows_goes():
    made = np.where(np.arange(64) < 16, 2, cells()[0])[None].astype(np.uint8)
    rules = LabelRules.learn(cells(), TWO)
    mended = mend_labels(made, rules, False).numpy()
    assert 2 not in mended
    np.testing.assert_array_equal(mended[0], clean_labels(made[0], rules))


@pytest.mark.parametrize("radius", [1.0, 1.5, 3.0])
def test_dots_are_drawn_anew_alike(radius):
    dot = Dot(32, radius)
    _drawn_anew_alike(dot, [dot.draw(CHEST.paint(phantom(0, index, 64).masks), 6) for index in range(4)], 3)


def test_dots_of_other_data_are_drawn_anew_alike():
    # some of a class and none of another; larger ones below; one of a pixel each; one left to the translator
    dot = Dot(32, 1.0, (ClassDots(3.5), ClassDots(2.0, True, 1, 3), ClassDots(0.5, True, 4, 12, True),
                        ClassDots(0.0), ClassDots(1.0, False, 1, 1, True)))
    draw = np.random.default_rng(0)
    counts = [(1, 2, 9, 0, 1), (1, 1, 0, 0, 0), (1, 3, 5, 0, 1), (1, 4, 5, 0, 0)]
    maps = [dot.redraw({code: [(12, 12)] if code == 1 else draw.uniform(2, 29, (count, 2))
                        for code, count in enumerate(counts_of, 1) if count}) for counts_of in counts]
    _drawn_anew_alike(dot, maps, 2)


def _drawn_anew_alike(dot, maps, least):
    noise = np.random.default_rng(1)
    maps += [np.where(noise.random(one.shape) < 0.01, 3, one).astype(np.uint8) for one in maps]
    maps += [np.where(one == 2, 0, one).astype(np.uint8) for one in maps[:2]]
    maps += [ndimage.grey_dilation(one, (3, 2)) for one in maps[:3]]
    made = tf.function(lambda dots: mend_dots(dots, dot, 6))(np.stack(maps)).numpy()
    expected, reasons = dot_check(dot, 6)(np.stack(maps))
    np.testing.assert_array_equal(made, expected)
    assert (expected != maps).any(axis=(1, 2)).sum() >= least and 2 <= reasons.count(None) <= len(maps) - 2


def test_holes_are_filled_from_what_is_nearest():
    labels = np.zeros((9, 9), np.uint8)
    labels[:, 5:] = 7
    keep = np.ones((9, 9), bool)
    keep[3:6, 3:6] = False
    filled = fill_from_neighbours(labels, keep)
    assert set(np.unique(filled)) == {0, 7} and filled[4, 3] == 0 and filled[4, 5] == 7
    assert (filled[keep] == labels[keep]).all()
    np.testing.assert_array_equal(fill_from_neighbours(labels, np.zeros((9, 9), bool)), labels)  # nothing to grow
