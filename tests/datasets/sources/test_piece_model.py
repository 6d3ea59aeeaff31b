"""The model of label maps in pieces: presence, pieces and nesting stay, outlines and places vary."""

import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.common.errors import UserError
from datasets.rules.label_rules import LabelRules
from datasets.sources.phantom import KINDS as KINDS_OF_PHANTOMS
from datasets.sources.phantom import phantom
from datasets.sources.piece_model import PieceModel, fit_label_model
from datasets.sources.shape_model import ShapeModel
from tests.datasets.rules.test_label_rules import KINDS, TWO, boxes, cells, chest, cup_in_disc

MADE = 60


def _made(kind):
    make, table = KINDS[kind]
    rules = LabelRules.learn(make(), table)
    return rules, fit_label_model(make(), rules).sample(np.arange(MADE), 0, 64)


@pytest.mark.parametrize("kind", ["cells", "cup in disc", "boxes", "every third"])
def test_samples_are_possible_maps_and_differ(kind):
    rules, made = _made(kind)
    assert made.shape == (MADE, 64, 64) and made.dtype == np.uint8
    assert [rules.broken_by(labels) for labels in made].count(None) >= 0.9 * MADE
    assert len({labels.tobytes() for labels in made}) > 10


def test_a_class_comes_as_often_as_in_the_real_maps():
    _, made = _made("every third")
    assert 0.2 <= (made == 2).any((1, 2)).mean() <= 0.47 and (made == 1).any((1, 2)).all()


def test_a_chest_keeps_the_model_of_outlines_bit_for_bit():
    maps = chest()
    model = fit_label_model(maps, LabelRules.learn(maps, CHEST))
    assert isinstance(model, ShapeModel)
    expected = ShapeModel.fit(maps, CHEST).sample(np.arange(5), 3, 64)
    np.testing.assert_array_equal(model.sample(np.arange(5), 3, 64), expected)


@pytest.mark.parametrize("codes", [(1, 2), (2, 1)])
def test_a_cup_stays_in_its_disc_whatever_their_codes(codes):
    maps = [np.array([0, *codes], np.uint8)[labels] for labels in cup_in_disc()]
    made = fit_label_model(maps, LabelRules.learn(maps, TWO)).sample(np.arange(20), 0, 64)
    for labels in made:
        ring, cup = labels == codes[0], labels == codes[1]
        assert 90 < cup.sum() < 140 and 120 < ring.sum() < 280
        assert not (np.roll(cup, 1, 0) & (labels == 0)).any()


def test_a_sample_depends_on_seed_and_index_alone():
    maps = cells()
    model = fit_label_model(maps, LabelRules.learn(maps, ClassTable(("ground", "one"))))
    assert isinstance(model, PieceModel)
    whole = model.sample(np.arange(6), 5, 64)
    np.testing.assert_array_equal(model.sample(np.array([4, 1]), 5, 64), whole[[4, 1]])
    assert (model.sample(np.arange(6), 6, 64) != whole).any((1, 2)).all()
    assert model.sample(np.arange(0), 5, 64).shape == (0, 64, 64)


def test_pieces_stay_apart():
    close = np.zeros((64, 64), np.uint8)
    close[10:20, 10:20] = close[10:20, 21:31] = close[21:31, 10:31] = 1  # a pixel between them
    table = ClassTable(("ground", "one"))
    rules = LabelRules.learn([close, np.roll(close, 9, 1)], table)
    made = fit_label_model([close, np.roll(close, 9, 1)], rules).sample(np.arange(20), 0, 64)
    assert {int(rules.find_pieces(labels, 1)[2].sum()) for labels in made} == {3}


def test_an_empty_map_is_one_of_them():
    maps = [*boxes(), np.zeros((64, 64), np.uint8)]
    rules = LabelRules.learn(maps, ClassTable(("ground", "one")))
    made = fit_label_model(maps, rules).sample(np.arange(40), 0, 64)
    assert 0.15 <= 1 - made.any((1, 2)).mean() <= 0.55


def test_a_class_with_holes_is_refused_in_a_line():
    yy, xx = np.mgrid[:64, :64]
    net = ((yy % 8 == 0) | (xx % 8 == 0)).astype(np.uint8)
    maps = [net, np.roll(net, 2, 1)]
    with pytest.raises(UserError, match=r"^shape model: found J 0\.\d\d of .* vessel [^\n]*--extras$"):
        fit_label_model(maps, LabelRules.learn(maps, ClassTable(("ground", "vessel"))))


@pytest.mark.parametrize(("kind", "fits"), [("cells", True), ("disc_cup", True), ("abdomen", True),
                                            ("vessels", False)])
def test_kinds_that_outlines_can_draw(kind, fits):
    table = KINDS_OF_PHANTOMS[kind].classes
    maps = [table.paint(phantom(0, index, 128, kind).masks) for index in range(5)]
    rules = LabelRules.learn(maps, table)
    if not fits:
        with pytest.raises(UserError, match="vessel"):
            fit_label_model(maps, rules)
        return
    made = fit_label_model(maps, rules).sample(np.arange(12), 0, 128)
    assert [rules.broken_by(labels) for labels in made].count(None) >= 10
