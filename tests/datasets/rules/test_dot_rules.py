"""Dots that suit a data set: one for each piece, none hidden by another, the paper's where these do; and what is
said where they do not."""

import json

import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.common.errors import UserError
from datasets.dots import ClassDots, Dot
from datasets.rules.dot_rules import learn_dots, undotted_codes
from datasets.rules.label_rules import LabelRules
from datasets.rules.sample_checks import dot_check
from datasets.sources.phantom import KINDS, phantom

_ROWS, _COLUMNS = np.mgrid[:64, :64]
_ROUND = (_ROWS - 32) ** 2 + (_COLUMNS - 32) ** 2
CELLS = ((_ROWS % 8 - 4) ** 2 + (_COLUMNS % 8 - 4) ** 2 <= 5).astype(np.uint8)
CUP = (_ROUND < 100).astype(np.uint8) + (_ROUND < 36)
LUNGS = np.zeros((64, 64), np.uint8)
LUNGS[10:50, 6:24] = LUNGS[12:50, 40:58] = 1


def _learn(maps, names, size=32, undotted=()):
    table = names if isinstance(names, ClassTable) else ClassTable(("background", *names))
    maps = np.stack(maps).astype(np.uint8)
    return learn_dots(Dot.scaled(size, 2.0), maps, LabelRules.learn(maps, table), undotted)


def _phantoms(kind, count=12, size=64):
    masks = [phantom(0, index, size, kind).masks for index in range(count)]
    return [KINDS[kind].classes.paint(one) for one in masks], KINDS[kind].classes


@pytest.mark.parametrize("size", [16, 32, 64])
def test_every_cell_has_a_dot_at_its_centre(size):
    learnt = _learn([CELLS, np.roll(CELLS, (1, 1), (0, 1))], ["cell"], size)
    read = learnt.dot.read(learnt.drawn[0], 2)
    centres = (np.mgrid[4:64:8, 4:64:8].reshape(2, -1).T + 0.5) * size / 64 - 0.5
    assert read.reason is None and len(read.centres[1]) == 64
    np.testing.assert_allclose(sorted(read.centres[1]), centres, atol=0.5)
    assert learnt.placed == {1: (128, 128)} and not learnt.doubts


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_a_cup_does_not_hide_its_disc(size, shift):
    moved = np.where(CUP, 1, 0)
    moved[np.roll(CUP, shift, 1) == 2] = 2
    learnt = _learn([moved, moved[::-1]], ["disc", "cup"], size)
    read = learnt.dot.read(learnt.drawn[0], 3)
    places = learnt.dot.place(moved, 3)
    for code in (1, 2):
        np.testing.assert_allclose(read.centres[code], places[code], atol=0.75)
    assert not learnt.doubts and learnt.placed == {1: (2, 2), 2: (2, 2)}


@pytest.mark.parametrize("size", [16, 32, 64])
def test_the_dot_of_a_disc_is_larger_than_that_of_its_cup(size):
    learnt = _learn([CUP] * 2, ["disc", "cup"], size)
    disc, cup = learnt.dot.classes
    assert disc.radius > cup.radius == Dot.scaled(size, 2.0).radius
    assert any("disc" in line and f"{disc.radius:g}" in line for line in learnt.lines())


def test_a_cup_does_not_cut_the_rim_of_its_disc_in_pieces():
    maps, table = _phantoms("disc_cup", 7, 32)  # the rim has a pixel here and there
    learnt = _learn(maps, table)
    assert learnt.placed == {1: (7, 7), 2: (7, 7)} and not any(dots.in_pieces for dots in learnt.dot.classes)


def test_the_larger_class_lies_below_whatever_its_code():
    swapped = np.array([0, 2, 1], np.uint8)[CUP]
    cup, disc = _learn([swapped] * 2, ["cup", "disc"]).dot.classes
    assert disc.radius > cup.radius


def test_both_lungs_of_one_class_have_a_dot_each():
    learnt = _learn([LUNGS] * 3, ["lungs"])
    np.testing.assert_allclose(sorted(learnt.dot.read(learnt.drawn[0], 2).centres[1]),
                               [(14.5, 7.0), (15.0, 24.0)], atol=0.5)
    dots = learnt.dot.classes[0]
    assert dots == ClassDots(1.0, True) and (dots.fewest, dots.most, dots.may_lack) == (2, 2, False)
    one = learnt.dot.redraw({1: [(14.5, 7.0)]})
    assert dot_check(learnt.dot, 2)(np.stack([learnt.drawn[0], one, np.zeros_like(one)]))[1] == [
        None, "1 dots of class 1", "no dot of class 1"]


def test_a_class_of_some_maps_may_lack_and_need_not():
    box = np.zeros((64, 64), np.uint8)
    box[20:40, 20:40] = 1
    both = box.copy()
    both[50:60, 50:60] = 2
    learnt = _learn([both, box, box] * 3, ["a", "b"])
    check = dot_check(learnt.dot, 3)
    assert check(learnt.drawn)[1] == [None] * 9
    assert check(np.where(learnt.drawn[:1] == 1, 0, learnt.drawn[:1]))[1] != [None]
    assert any("b where it is" in line for line in learnt.lines())


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_real_map_passes(kind):
    maps, table = _phantoms(kind)
    learnt = _learn(maps, table)
    redrawn, reasons = dot_check(learnt.dot, table.num_classes)(learnt.drawn)
    assert reasons == [None] * len(maps)
    assert (redrawn != learnt.drawn).mean() < 0.05  # centres of discs on a coarse grid


@pytest.mark.parametrize("size", [16, 32, 64])
def test_chests_keep_the_papers_dots(size):
    maps, table = _phantoms("chest", 6, 128)
    learnt = _learn(maps, table, size)
    assert learnt.dot == Dot.scaled(size, 2.0) and set(learnt.dot.to_json()) == {"size", "radius"}
    assert not learnt.lines()
    np.testing.assert_array_equal(learnt.drawn, [learnt.dot.draw(label, 6) for label in maps])


def test_close_pieces_have_smaller_dots_and_lost_ones_are_counted():
    far, near, touching = (np.zeros((64, 64), np.uint8) for _ in range(3))
    for made, step in ((far, 16), (near, 5), (touching, 3)):
        made[4:60:step, 4:60:step] = 1
    sizes = {}
    for name, made in (("far", far), ("near", near), ("touching", touching)):
        learnt = _learn([made] * 2, ["cell"])
        sizes[name] = learnt.dot.classes[0].radius, learnt.placed[1], learnt.lines()
    assert sizes["far"][0] == 1.0 and sizes["far"][1] == (32, 32)
    assert 0.5 <= sizes["near"][0] < 1.0 and sizes["near"][1][0] >= 0.95 * sizes["near"][1][1]
    found, pieces = sizes["touching"][1]
    assert found < 0.5 * pieces == 361
    said = sizes["touching"][2]
    assert any(f"({pieces - found:,} of {pieces:,}" in line for line in said)
    assert any("--methods=two" in line and "--undotted" not in line for line in said)  # it is the only class


@pytest.mark.parametrize(("name", "shape"), [
    ("tree", lambda: _phantoms("vessels", 3, 128)[0]),
    ("bar", lambda: [(np.abs(_ROWS - _COLUMNS) < 2) * 1] * 2),
    ("hook", lambda: [((_ROUND < 600) & (_ROUND > 400) & (_COLUMNS < 30)) * 1] * 2),
    ("ground", lambda: [(_ROWS > 40) * 1] * 2)])
def test_classes_without_a_place_are_told_and_can_be_left_to_the_translator(name, shape):
    box = (np.abs(_ROWS - 20) < 6) & (np.abs(_COLUMNS - 40) < 6)
    maps = [np.where(np.kron(box, np.ones((len(one) // 64,) * 2, bool)), 2, one) for one in shape()]
    learnt = _learn(maps, [name, "box"])
    assert set(learnt.doubts) == {1} and learnt.placed[2] == (len(maps), len(maps))
    assert any(f"--undotted={name}" in line and "--methods=two" in line for line in learnt.lines())
    without = _learn(maps, [name, "box"], undotted=(1,))
    assert set(np.unique(without.drawn)) == {0, 2} and not without.doubts and set(without.placed) == {2}
    stray = without.drawn[:1].copy()
    stray[0, :2] = 1
    redrawn, reasons = dot_check(without.dot, 3)(stray)
    assert reasons == [None] and set(np.unique(redrawn)) == {0, 2}


def test_a_ring_around_another_class_has_a_place():
    ring = np.where((_ROUND > 60) & (_ROUND < 150), 1, np.where(_ROUND <= 60, 2, 0))
    assert not _learn([ring] * 2, ["muscle", "pool"]).doubts


@pytest.mark.parametrize("maps", [[np.zeros((64, 64))] * 2, [CELLS * 0 + 1] * 2])
def test_maps_without_a_class_and_full_of_one(maps):
    learnt = _learn(maps, ["a", "b"])
    assert dot_check(learnt.dot, 3)(learnt.drawn)[1] == [None, None]
    assert any("no training map" in line for line in learnt.lines())


def test_what_is_learnt_outlives_json():
    dot = _learn([np.where(CELLS, 1, 0), np.where(_ROUND < 9, 2, CELLS)], ["cell", "b", "c"], undotted=(3,)).dot
    again = Dot.from_json(json.loads(json.dumps(dot.to_json())))
    assert again == dot and repr(again.classes) == repr(dot.classes)


@pytest.mark.parametrize("changes", [{"radius": -1.0}, {"in_pieces": 1}, {"fewest": 3, "most": 2}, {"most": 1.5},
                                     {"fewest": -1}, {"radius": float("nan")}, {"other": 1}])
def test_what_is_no_class_of_dots(changes):
    value = {"size": 32, "radius": 1.0, "classes": [{"radius": 1.0, **changes}]}
    with pytest.raises((TypeError, ValueError)):
        Dot.from_json(value)


def test_which_classes_are_undotted():
    assert undotted_codes(" heart, left lung,", CHEST) == (1, 3) and undotted_codes("", CHEST, True) == ()
    for names, dotless in (("liver", False), (",".join(CHEST.organs), False), ("heart", True)):
        with pytest.raises(UserError, match="--undotted") as refused:
            undotted_codes(names, CHEST, dotless)
        assert "\n" not in str(refused.value)
