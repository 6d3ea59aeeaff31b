"""Border distances of shapes whose distances are known, and against a plain definition."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from evaluation.metrics.surface import organ_distances, surface_dice, surface_distances
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.segmenter.evaluate import Result, score_films
from tests.helpers.result_folders import write_experiment


def _square(top, left, side, shape=(40, 40)):
    mask = np.zeros(shape, bool)
    mask[top:top + side, left:left + side] = True
    return mask


def _border(mask):
    """Pixels with a 4-neighbour outside the mask or the film, one by one."""
    padded = np.pad(mask, 1)
    steps = ((0, 1), (2, 1), (1, 0), (1, 2))
    return np.array([(y, x) for y, x in np.argwhere(mask) if not all(padded[y + dy, x + dx] for dy, dx in steps)])


def _plainly(first, second):
    """HD95 and ASSD from all pairs of border pixels."""
    pairs = cdist(_border(first), _border(second))
    there, back = pairs.min(1), pairs.min(0)
    return max(np.percentile(there, 95), np.percentile(back, 95)), np.concatenate([there, back]).mean()


def test_equal_masks_have_no_distance():
    assert surface_distances(_square(5, 5, 9), _square(5, 5, 9)) == (0.0, 0.0)


def test_single_pixels_are_as_far_apart_as_they_lie():
    assert surface_distances(_square(3, 4, 1), _square(6, 8, 1), 0.7) == pytest.approx((3.5, 3.5))


def test_lines_side_by_side():
    """Two vertical lines of 20 pixels, 3 apart: every pixel is 3 from the other line."""
    first, second = np.zeros((2, 40, 40), bool)
    first[10:30, 10], second[10:30, 13] = True, True
    assert surface_distances(first, second, 2.0) == pytest.approx((6.0, 6.0))


def test_a_square_around_another():
    """Sides 21 and 11, one centre: borders of 80 and 40 pixels, 5 apart along the sides.

    Of the outer border's 80 pixels, 4 x 11 face the inner square (5 away); 4 x 8 lie k = 1..4 (twice) beyond its
    corner at sqrt(25 + k^2), the 4 corners at sqrt(50). The inner border's 40 are all 5 away. In order, the 95th
    percentile of the 80 is at place 75.05, a twentieth of the way from the last sqrt(41) to the first corner.
    """
    outer, inner = _square(5, 5, 21), _square(10, 10, 11)
    beyond = [np.hypot(5, k) for k in (1, 2, 3, 4)] * 8 + [np.sqrt(50)] * 4
    hd95, assd = surface_distances(outer, inner)
    assert assd == pytest.approx((44 * 5 + sum(beyond) + 40 * 5) / 120)
    assert hd95 == pytest.approx(0.95 * np.sqrt(41) + 0.05 * np.sqrt(50))


def test_the_percentile_leaves_a_speck_out_and_the_mean_does_not():
    gold = _square(5, 5, 30)
    spoiled = gold.copy()
    spoiled[39, 39] = True
    hd95, assd = surface_distances(spoiled, gold)
    assert hd95 == 0.0
    assert assd == pytest.approx(np.hypot(5, 5) / (117 + 116))


def test_an_edge_of_the_film_is_a_border():
    """A mask over the whole film: its border is the frame, so the square inside is not zero away."""
    hd95, _ = surface_distances(np.ones((20, 20), bool), _square(5, 5, 10, (20, 20)))
    assert hd95 > 4.0


def test_surface_dice_is_one_within_the_tolerance_and_none_beyond():
    square = _square(10, 10, 12)
    assert surface_dice(square, square) == surface_dice(square, _square(10, 12, 12)) == 1.0
    assert surface_dice(square, _square(10, 12, 12), 2.0) < 1.0  # now 4 away
    assert surface_dice(_square(2, 2, 4), _square(30, 30, 4)) == 0.0


def test_surface_dice_of_a_square_moved_by_more_than_the_tolerance():
    """A square of side 10, 3 to the right, tolerance 2. Each border has 4 x 9 corners of length 1 between its
    pixels and 4 ends of sqrt(1/2). Of the left one's, along top and bottom all but the first lie within 2 of the
    other: 9 each, and the right ends; of its right side the two corners next to top and bottom; of its left side
    none. The other border has the same by symmetry."""
    expected = (2 * 9 + 4 + 2 * np.sqrt(0.5)) / (36 + 4 * np.sqrt(0.5))
    assert surface_dice(_square(5, 5, 10), _square(5, 8, 10), 1.0, 2.0) == pytest.approx(expected)
    assert surface_dice(_square(5, 5, 10), _square(5, 8, 10), 0.5, 1.0) == pytest.approx(expected)  # in mm


def test_surface_dice_of_discs_in_one_another():
    """Radii 12 and 15, one centre: borders 3 apart all around."""
    far = np.hypot(*np.mgrid[-19.5:20.5, -19.5:20.5])
    small, large = far < 12, far < 15
    assert surface_dice(small, large, 1.0, 4.0) == 1.0 and surface_dice(small, large, 1.0, 1.9) == 0.0


@pytest.mark.parametrize("seed", range(8))
def test_against_all_pairs_of_border_pixels(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(4, 30, 2))
    first, second = (rng.random((2, *shape)) < rng.uniform(0.05, 0.9, (2, 1, 1)))
    first[0, 0] = second[-1, -1] = True
    assert surface_distances(first, second) == pytest.approx(_plainly(first, second))
    assert surface_distances(first, second) == pytest.approx(surface_distances(second, first))


def test_an_absent_organ_has_no_distance():
    empty = np.zeros((40, 40), bool)
    for pair in ((empty, empty), (_square(1, 1, 3), empty), (empty, _square(1, 1, 3))):
        assert np.isnan(surface_distances(*pair)).all()
    assert np.isnan(surface_dice(empty, empty))
    assert surface_dice(_square(1, 1, 3), empty) == surface_dice(empty, _square(1, 1, 3)) == 0.0
    with pytest.raises(ValueError, match="one shape"):
        surface_distances(empty, empty[1:])


def test_organs_keep_apart():
    gold = _square(2, 2, 5).astype(np.uint8) + 2 * _square(20, 20, 9).astype(np.uint8)
    found = organ_distances(np.where(gold == 2, 0, gold), gold, [[1], [2]], 0.5)
    assert found[0].tolist() == [0.0, 0.0, 1.0]
    assert np.isnan(found[1][:2]).all() and found[1][2] == 0.0


def test_means_leave_out_and_count_films_without_the_organ():
    counts = np.array([[[5, 1, 1]], [[0, 0, 4]], [[0, 0, 0]]])
    distances = np.array([[[2.0, 1.0, 0.9]], [[np.nan, np.nan, 0.0]], [[np.nan] * 3]])
    surface = Result(("a", "b", "c"), ("heart",), ("heart",), counts, distances, "mm").to_json()["surface"]
    assert surface == {"unit": "mm", "organs": {"heart": {"hd95": 2.0, "assd": 1.0, "surface_dice": 0.45,
                                                            "unmatched": 1}}}
    nothing = Result(("b",), ("heart",), ("heart",), counts[1:2], distances[1:2]).to_json()["surface"]
    assert nothing["organs"]["heart"] == {"hd95": None, "assd": None, "surface_dice": 0.0, "unmatched": 1}


def test_evaluation_measures_in_the_stores_millimetres(tmp_path):
    experiment = ExperimentFolder(write_experiment(tmp_path / "run", {"real": 1}))
    table, store = experiment.per_film("real"), experiment.films()
    for id_, organ, hd95, assd in table[["film", "organ", "hd95_mm", "assd_mm"]].itertuples(index=False):
        code = experiment.table("real").code(organ)
        masks = experiment.prediction("real", id_) == code, experiment.gold("real", id_) == code
        expected = np.array(_plainly(*masks))
        assert (hd95, assd) == pytest.approx(expected * store.description.spacing_mm)
    truths = iter([experiment.gold("real", id_) for id_ in store.ids("test")])
    plain = score_films(lambda _: next(truths), store, store.ids("test"))
    assert plain.distances is None and plain.mean_j == 1.0
