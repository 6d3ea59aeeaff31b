"""Rules of label maps of many kinds, learnt from them: presence, pieces, nesting, areas; and back from JSON."""

import json

import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.rules.label_rules import LabelRules
from datasets.sources.phantom import phantom

YY, XX = np.mgrid[:64, :64]
RADIUS = (YY - 32) ** 2 + (XX - 32) ** 2
ONE = ClassTable(("ground", "one"))
TWO = ClassTable(("ground", "one", "two"))


def cells() -> list[np.ndarray]:
    """64 cells of 21 pixels."""
    return [((YY % 8 - 4) ** 2 + (XX % 8 - 4) ** 2 <= 5).astype(np.uint8)]


def cup_in_disc() -> list[np.ndarray]:
    return [np.where(RADIUS < 36, 2, edge > RADIUS).astype(np.uint8) for edge in (90, 100, 110)]


def boxes() -> list[np.ndarray]:
    """Both lungs as one class."""
    both = np.zeros((64, 64), np.uint8)
    both[10:50, 8:26] = both[10:50, 38:56] = 1
    return [both, np.roll(both, 3, 0)]


def every_third() -> list[np.ndarray]:
    """A box in each of 9 maps, a second class in three of them."""
    maps = np.zeros((9, 64, 64), np.uint8)
    maps[:, 8:30, 8:30] = 1
    maps[::3, 40:50, 40:50] = 2
    return list(maps)


def tree() -> list[np.ndarray]:
    """Branches one pixel wide, in several pieces."""
    lines = (YY == XX) | (YY + XX == 63) | (YY == 32) | ((XX == 10) & (YY > 40))
    return [(lines & (YY % 9 > 0)).astype(np.uint8)]


KINDS = {"cells": (cells, ONE), "cup in disc": (cup_in_disc, TWO), "boxes": (boxes, ONE),
         "every third": (every_third, TWO), "tree": (tree, ONE)}


def chest(size: int = 64, count: int = 8) -> list[np.ndarray]:
    return [CHEST.paint(phantom(0, index, size).masks) for index in range(count)]


def test_pieces_and_presence():
    one = LabelRules.learn(cells(), ONE)
    assert one.classes[1].pieces == (64, 64) and one.in_pieces(1)
    assert one.classes[1].smallest == pytest.approx(21 / 4096) and one.classes[1].area == (1344 / 4096,) * 2
    lungs = LabelRules.learn(boxes(), ONE)
    assert lungs.classes[1].pieces == (2, 2) and lungs.in_pieces(1) and lungs.classes[1].main == 0.5
    third = LabelRules.learn(every_third(), TWO)
    assert [third.classes[code].present for code in (1, 2)] == [1, pytest.approx(1 / 3)]
    assert third.classes[2].area == (100 / 4096,) * 2 and not third.in_pieces(2)


def test_a_chest_is_in_whole_pieces():
    rules = LabelRules.learn(chest(), CHEST)
    for code, rule in rules.classes.items():
        assert not rules.in_pieces(code) and rule.pieces == (1, 1) and rule.present == 1
        assert rule.inside == () and rule.needs == () and rule.specks == 0.05


def test_a_class_painted_over_another_does_not_cut_it():
    labels = np.zeros((64, 64), np.uint8)
    labels[8:56, 8:20], labels[20:24, 4:28] = 1, 2
    assert LabelRules.learn([labels], TWO).in_pieces(1)
    over = ClassTable(TWO.names, fold_back={"two": "one"})
    assert not LabelRules.learn([labels], over).in_pieces(1)


def test_what_lies_inside_and_what_needs_another():
    assert LabelRules.learn(cup_in_disc(), TWO).classes[2].inside == (1,)
    assert LabelRules.learn(cup_in_disc()[:2], TWO).classes[2].inside == ()  # two films say too little
    maps = [np.where(number % 2, labels, 0) for number, labels in enumerate(cup_in_disc() * 8)]
    rules = LabelRules.learn(maps, TWO)
    assert rules.classes[2].needs == (1,) and rules.classes[1].needs == (2,)
    assert LabelRules.learn(maps, TWO, films=4).classes[2].needs == ()  # copies of 4 films: chance


def test_dirt_of_a_few_maps_is_no_piece():
    maps = [np.roll(boxes()[0], shift, 0) for shift in range(12)]
    clean = LabelRules.learn(maps, ONE).classes[1]
    maps[3] = maps[3].copy()
    maps[3][60, 60] = 1
    assert LabelRules.learn(maps, ONE).classes[1].pieces == clean.pieces == (2, 2)
    for labels in maps[:6]:
        labels[60, 60] = 1  # in half of the maps: they are like that
    assert LabelRules.learn(maps, ONE).classes[1].pieces == (2, 3)


def test_thin_maps_are_not_for_a_majority_filter():
    assert not LabelRules.learn(tree(), ONE).smooth
    for size in (32, 64, 128):
        assert LabelRules.learn(chest(size), CHEST).smooth


@pytest.mark.parametrize("kind", KINDS)
def test_rules_come_back_from_json(kind):
    make, table = KINDS[kind]
    rules = LabelRules.learn(make(), table)
    assert LabelRules.from_json(json.loads(json.dumps(rules.to_json()))) == rules


def test_a_class_that_no_map_shows():
    rule = LabelRules.learn(cells(), TWO).classes[2]
    assert (rule.present, rule.pieces, rule.area) == (0, (0, 0), (0, 0))


@pytest.mark.parametrize("kind", [*KINDS, "chest"])
def test_every_real_map_passes(kind):
    make, table = KINDS.get(kind, (chest, CHEST))
    maps = make()
    rules = LabelRules.learn(maps, table)
    assert [rules.broken_by(labels) for labels in maps] == [None] * len(maps)


CHEST_RULES = LabelRules.learn(chest(128), CHEST)


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda label: label * (label != 3), "heart missing"),
    (lambda label: np.where(np.arange(128)[:, None] == 60, 0, label) * (label != 9), "left lung in pieces"),
    (lambda label: np.where((label == 3) & (np.arange(128) > 65), 0, label), "heart too small")])
def test_chests_that_cannot_be(spoil, reason):
    assert CHEST_RULES.broken_by(spoil(chest(128, 1)[0]).astype(np.uint8)) == reason


def _moved_cup():
    return np.where(RADIUS < 100, 1, 2 * ((YY - 8) ** 2 + (XX - 8) ** 2 < 36)).astype(np.uint8)


@pytest.mark.parametrize(("kind", "made", "reason"), [
    ("cells", cells()[0] * (YY < 24) * (XX < 40), "one too small"),
    ("cells", ((YY % 6 < 4) & (XX % 6 < 4)).astype(np.uint8), "one in too many pieces"),
    ("cells", np.where((YY % 16 < 8) & (XX % 16 < 12), 1, 0).astype(np.uint8), "one in too few pieces"),
    ("boxes", boxes()[0] * (XX < 32), "one too small"),
    ("boxes", np.zeros((64, 64), np.uint8), "one missing"),
    ("cup in disc", _moved_cup(), "two outside one"),
    ("every third", every_third()[0] * (every_third()[0] == 2), "one missing")])
def test_maps_that_cannot_be(kind, made, reason):
    make, table = KINDS[kind]
    assert LabelRules.learn(make(), table).broken_by(made) == reason


def test_a_class_without_the_one_that_always_comes_with_it():
    maps = [np.where(number % 2, labels, 0) for number, labels in enumerate(cup_in_disc() * 8)]
    rules = LabelRules.learn(maps, TWO)
    assert rules.broken_by(np.zeros((64, 64), np.uint8)) is None
    assert rules.broken_by(np.where(RADIUS < 36, 0, maps[1]).astype(np.uint8)) == "one without two"


def test_grey_coding_has_rims_between_classes_that_touch_apart():
    chests = LabelRules.learn(chest(), CHEST)
    assert chests.rims_between((1, 2, 0, 5, 4, 3))
    nested = LabelRules.learn(cup_in_disc(), TWO)
    assert not nested.rims_between((0, 1, 2))  # the ground never touches the cup
    assert not LabelRules.learn(tree(), TWO).rims_between((0, 2, 1))  # touching, but thin
    assert LabelRules.learn(boxes(), TWO).rims_between((0, 2, 1))


def test_lines_for_people_say_what_was_learnt():
    one, two = LabelRules.learn(every_third(), TWO).lines()
    assert "9 of 9" in one and "3 of 9" in two and "2.4 %" in two
    assert "64 pieces" in LabelRules.learn(cells(), ONE).lines()[0]
    assert "inside one" in LabelRules.learn(cup_in_disc(), TWO).lines()[1]
