"""The snapshot that stands for a PGGAN: samples the checks let pass first, then pictures near to the real ones."""

import numpy as np
import pytest

from datasets.class_table import ClassTable
from datasets.dots import Dot
from datasets.rules.label_cleaning import clean_labels
from datasets.rules.label_rules import LabelRules
from datasets.rules.sample_checks import choose_snapshot, dot_check, label_check
from tests.datasets.rules.test_label_rules import cells

DOT = Dot(32, 1.0)
CENTRES = {1: [(5.0, 5.0)], 2: [(5.0, 20.0)], 3: [(20.0, 12.0)]}


def _rows(*scores):
    return [{"position": 10 * row, "swd": swd, **({} if valid is None else {"valid": valid})}
            for row, (swd, valid) in enumerate(scores, 1)]


@pytest.mark.parametrize(("scores", "position"), [
    ([(9.0, 0.0), (30.0, 0.5), (20.0, 0.1)], 20),  # near pictures without an organ do not win
    ([(30.0, 0.50), (20.0, 0.46), (10.0, 0.44)], 20),  # shares within a tenth are equal: the distance decides
    ([(9.0, 0.0), (8.0, 0.0)], 20),  # nothing valid anywhere
    ([(9.0, None), (7.0, None), (8.0, None)], 20),  # scored without a check
    ([(9.0, 1.0), (9.0, 1.0)], 10),
])
def test_the_snapshot_chosen(scores, position):
    unscored = [{"position": 5, "d_loss": 0.1}, {"position": 99, "d_loss": 0.2}]
    assert choose_snapshot([*unscored, *_rows(*scores)]) == position


def test_no_score_no_choice():
    assert choose_snapshot([{"position": 5, "d_loss": 0.1}]) is None


def test_dots_are_valid_where_every_organ_has_one():
    whole, missing = DOT.redraw(CENTRES), DOT.redraw({1: CENTRES[1], 3: CENTRES[3]})
    _, reasons = dot_check(DOT, 4)(np.stack([whole, missing, whole, np.zeros_like(whole)]))
    assert [reason is None for reason in reasons] == [True, False, True, False]


def test_without_the_check_dots_are_drawn_anew_and_none_is_refused():
    rough = DOT.redraw(CENTRES)
    rough[30, 30] = 2  # a speck
    made, reasons = dot_check(DOT, 4, checked=False)(np.stack([rough, np.zeros_like(rough)]))
    assert reasons == [None, None] and made[0, 30, 30] == 0 and not made[1].any()


def test_a_run_of_other_dots_has_other_specks_and_discs():
    large = Dot(32, 4.0)
    rough = large.redraw(CENTRES)
    rough[28:31, 28:31] = 2  # a speck of 9 pixels: a whole dot for a radius of 1
    assert dot_check(DOT, 4)(rough[None])[1] != [None]
    made, reasons = dot_check(large, 4)(rough[None])
    assert reasons == [None]
    np.testing.assert_array_equal(made[0], large.redraw(CENTRES))


def test_label_maps_are_mended_and_refused_by_the_rules_of_real_ones():
    rules = LabelRules.learn(cells(), ClassTable(("ground", "one")))
    dirty, empty = cells()[0].copy(), np.zeros((64, 64), np.uint8)
    dirty[0, 0] = 1
    for checked in (True, False):
        made, reasons = label_check(rules, False, checked)(np.stack([dirty, empty]))
        np.testing.assert_array_equal(made, [clean_labels(dirty, rules), empty])
        assert (made[0] == cells()[0]).all() and reasons == [None, "one missing" if checked else None]
