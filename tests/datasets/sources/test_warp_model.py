"""Warped label maps: as possible as real ones for every kind of data, each a function of (seed, index)."""

import numpy as np
import pytest

from datasets.class_table import CHEST
from datasets.rules.label_cleaning import clean_labels
from datasets.rules.label_rules import LabelRules
from datasets.sources.phantom import KINDS, phantom
from datasets.sources.warp_model import WarpModel
from tests.datasets.rules.test_label_rules import ONE, TWO, every_third, tree

CHESTS = [CHEST.paint(phantom(0, index, 128).masks) for index in range(11)]


def _passing(maps, rules):
    return sum(rules.broken_by(clean_labels(labels, rules)) is None for labels in maps) / len(maps)


@pytest.mark.parametrize("kind", KINDS)
def test_warped_maps_pass_as_real_ones_do(kind):
    classes = KINDS[kind].classes
    maps = [classes.paint(phantom(0, index, 64, kind).masks) for index in range(11)]
    rules = LabelRules.learn(maps, classes)
    made = WarpModel(maps).sample(np.arange(24), 0, 64)
    assert _passing(made, rules) >= 0.9
    assert len({labels.tobytes() for labels in made}) == 24


def test_thin_branches_and_absent_classes_stay_what_they_are():
    assert _passing(WarpModel(tree()).sample(np.arange(20), 0, 64), LabelRules.learn(tree(), ONE)) >= 0.9
    made = WarpModel(every_third()).sample(np.arange(60), 0, 64)
    assert _passing(made, LabelRules.learn(every_third(), TWO)) >= 0.9
    assert (made == 2).any((1, 2)).mean() == pytest.approx(1 / 3, abs=0.15)


def test_a_map_depends_on_seed_and_index_alone():
    model = WarpModel(CHESTS)
    whole = model.sample(np.arange(6), 5, 64)
    np.testing.assert_array_equal(model.sample(np.array([4, 1]), 5, 64), whole[[4, 1]])
    assert (model.sample(np.arange(6), 6, 64) != whole).any((1, 2)).all()
    assert model.sample(np.arange(0), 5, 64).shape == (0, 64, 64)


def test_warped_maps_differ_from_all_real_ones_and_centre_on_them():
    made = WarpModel(CHESTS).sample(np.arange(30), 0, 128)
    nearest = [max(((one > 0) & (real > 0)).sum() / ((one > 0) | (real > 0)).sum() for real in CHESTS)
               for one in made]
    assert max(nearest) < 0.97 and np.median(nearest) > 0.7
    areas = [[(labels == code).mean() for code in range(1, 6)] for labels in made]
    real = [[(labels == code).mean() for code in range(1, 6)] for labels in CHESTS]
    np.testing.assert_allclose(np.mean(areas, 0), np.mean(real, 0), rtol=0.15)
