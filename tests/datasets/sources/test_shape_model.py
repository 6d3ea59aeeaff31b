"""The shape model: training maps come back, samples are possible maps, each a function of (seed, index)."""

import cv2
import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.common.errors import UserError
from datasets.rules.label_rules import LabelRules
from datasets.sources.phantom import phantom
from datasets.sources.shape_model import REACH, ShapeModel, outline, outlines
from tests.helpers.tiny_networks import phantom_store

MAPS = [CHEST.paint(phantom(0, index, 128).masks) for index in range(11)]


@pytest.fixture(scope="module")
def model():
    return ShapeModel.fit(MAPS, CHEST)


def _j(one, other):
    return (one & other).sum() / (one | other).sum()


def test_training_maps_come_back_from_all_modes():
    whole = ShapeModel.fit(MAPS, CHEST, variance=1.0)
    assert len(whole.deviations) >= len(MAPS) - 1
    for labels in MAPS:
        coefficients = whole.modes @ (outlines(labels, CHEST).ravel() - whole.mean)
        again = whole.paint(coefficients, 128)
        assert min(_j(again == code, labels == code) for code in range(1, 6)) > 0.95


def test_the_mean_alone_is_none_of_them(model):
    mean = model.paint(np.zeros(len(model.deviations)), 128)
    assert max(_j(mean > 0, labels > 0) for labels in MAPS) < 0.95
    assert LabelRules.learn(MAPS, CHEST).broken_by(mean) is None


def test_fewer_modes_explain_the_share_asked_for(model):
    vectors = np.array([outlines(labels, CHEST).ravel() for labels in MAPS])
    total = vectors.var(0, ddof=1).sum()
    shares = np.cumsum(model.deviations**2) / total
    assert shares[-1] >= 0.98 > shares[-2] and len(model.deviations) < len(MAPS) - 1
    np.testing.assert_allclose(model.modes @ model.modes.T, np.eye(len(model.modes)), atol=1e-9)


def test_samples_can_be_label_maps_and_differ(model):
    rules = LabelRules.learn(MAPS, CHEST)
    made = model.sample(np.arange(60), 0, 128)
    assert made.dtype == np.uint8 and made.shape == (60, 128, 128)
    reasons = [rules.broken_by(labels) for labels in made]
    assert reasons.count(None) >= 57, reasons
    assert len({labels.tobytes() for labels in made}) == 60
    areas = np.array([[(labels == code).mean() for code in range(1, 6)] for labels in (*MAPS, *made)])
    real, drawn = areas[:len(MAPS)], areas[len(MAPS):]
    np.testing.assert_allclose(drawn.mean(0), real.mean(0), rtol=0.15)
    assert (drawn.std(0) > 0.3 * real.std(0)).all()


def test_a_sample_depends_on_seed_and_index_alone(model):
    whole = model.sample(np.arange(8), 5, 64)
    np.testing.assert_array_equal(model.sample(np.array([6, 2]), 5, 64), whole[[6, 2]])
    assert (model.sample(np.arange(8), 6, 64) != whole).any((1, 2)).all()
    assert model.sample(np.arange(0), 5, 64).shape == (0, 64, 64)


def test_coefficients_are_normal_and_end_at_the_reach(model):
    drawn = np.array([model.draw(index, 1) for index in range(3000)]) / model.deviations
    assert np.abs(drawn).max() <= REACH
    assert np.abs(drawn.mean(0)).max() < 0.1 and np.abs(drawn.std(0) - 0.987).max() < 0.06
    assert np.abs(np.corrcoef(drawn.T) - np.eye(drawn.shape[1])).max() < 0.1


def test_an_outline_starts_above_the_centroid_and_goes_one_way_evenly():
    region = np.zeros((100, 100), np.uint8)
    cv2.circle(region, (40, 60), 20, 1, -1)
    points = outline(region.astype(bool), 32)
    np.testing.assert_allclose(points[0], (40, 40), atol=0.5)
    np.testing.assert_allclose(points[8], (60, 60), atol=1.5)  # clockwise as it is seen: y points down
    steps = np.hypot(*(np.roll(points, -1, 0) - points).T)
    assert steps.max() < 1.15 * steps.min()


def test_an_organ_is_what_is_painted_over_it_too_and_its_largest_part():
    labels = np.zeros((64, 64), np.uint8)
    labels[8:56, 36:56], labels[8:56, 8:28], labels[40:56, 28:36] = 1, 2, 3
    bare = outlines(np.where(np.arange(64)[:, None] == 63, 3, labels), CHEST)
    assert bare is None  # no clavicles
    labels[20:24, 40:50], labels[20:24, 10:20] = 4, 5
    found = outlines(labels, CHEST)
    assert found.min(1)[0] * 64 == pytest.approx((36.5, 8.5))
    assert found.max(1)[0] * 64 == pytest.approx((55.5, 55.5))
    speck = labels.copy()
    speck[60:62, 60:62] = 1
    np.testing.assert_array_equal(outlines(speck, CHEST), found)


@pytest.mark.parametrize("classes", [ClassTable(("ground", "one")), ClassTable(("ground", *"abcdefg"))])
def test_other_class_tables(classes):
    """Discs of drifting size in a row, down to a single pixel; later ones lie on earlier ones."""
    maps = []
    for number in range(4):
        labels = np.zeros((48, 80), np.uint8)
        for code in range(1, classes.num_classes):
            cv2.circle(labels, (10 * code, 24), max(0, 6 - code + number % 2), code, -1)
        maps.append(labels)
    model = ShapeModel.fit([np.zeros((48, 80), np.uint8), *maps], classes)  # an empty map is left out
    assert len(model.deviations) == 1
    made = model.sample(np.arange(20), 0, 80)
    assert all(set(np.unique(labels)) == set(range(classes.num_classes)) for labels in made)


@pytest.mark.parametrize("count", [2, 3])
def test_maps_that_are_all_alike_do_not_vary(count):
    model = ShapeModel.fit([MAPS[0]] * count, CHEST)
    assert (model.deviations < 1e-9).all()
    made = model.sample(np.arange(2), 0, 128)
    assert (made[0] == made[1]).all() and all(_j(made[0] == code, MAPS[0] == code) > 0.95 for code in range(1, 6))


def test_too_few_whole_maps_are_told():
    without_heart = [np.where(labels == 3, 0, labels).astype(np.uint8) for labels in MAPS]
    with pytest.raises(UserError, match=r"found 1 of 11 .*left lung.*at least 2"):
        ShapeModel.fit([MAPS[0], *without_heart[1:]], CHEST)


def test_small_maps_of_a_store(tmp_path):
    store = phantom_store(tmp_path, count=4)
    made = ShapeModel.fit((store.label(id_) for id_ in store.ids()), store.classes).sample(np.arange(30), 0, 32)
    rules = LabelRules.learn([store.label(id_) for id_ in store.ids()], CHEST)
    assert [rules.broken_by(labels) for labels in made].count(None) >= 24
