"""Overlap counts and scores against scikit-learn and scikit-image on random label maps."""

import numpy as np
import pytest
from skimage.metrics import contingency_table
from sklearn.metrics import f1_score, jaccard_score, multilabel_confusion_matrix

from evaluation.metrics.overlap import dice, jaccard, overlap_counts, pooled


def _films(seed, classes, count=5):
    """Label maps of different sizes, with predictions that are right on some of their pixels."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        shape = tuple(rng.integers(3, 40, 2))
        gold = rng.integers(0, classes, shape).astype(np.uint8)
        yield np.where(rng.random(shape) < 0.7, gold, rng.integers(0, classes, shape)).astype(np.uint8), gold


def _counts(films, classes):
    return [overlap_counts(predicted, gold, classes) for predicted, gold in films]


@pytest.mark.parametrize("classes", [2, 4, 6, 40])
def test_pooled_scores_are_those_of_all_pixels_together(classes):
    films = list(_films(classes, classes))
    totals = pooled(_counts(films, classes))
    predicted, gold = (np.concatenate([film[part].ravel() for film in films]) for part in (0, 1))
    options = {"labels": range(1, classes), "average": None, "zero_division": 0}
    np.testing.assert_allclose(jaccard(totals), jaccard_score(gold, predicted, **options), rtol=1e-12)
    np.testing.assert_allclose(dice(totals), f1_score(gold, predicted, **options), rtol=1e-12)
    table = multilabel_confusion_matrix(gold, predicted, labels=range(1, classes))
    np.testing.assert_array_equal(totals, np.stack([table[:, 1, 1], table[:, 0, 1], table[:, 1, 0]], -1))


def test_counts_of_a_film_are_those_of_its_contingency_table():
    for predicted, gold in _films(3, 4):
        joint = contingency_table(gold, predicted).toarray()
        hits = np.diagonal(joint)
        expected = np.stack([hits, joint.sum(0) - hits, joint.sum(1) - hits], -1)[1:]
        np.testing.assert_array_equal(overlap_counts(predicted, gold, 4), expected)


def test_dice_follows_from_jaccard_pooled_and_per_film():
    counts = _counts(_films(0, 5), 5)
    for some in (pooled(counts), *counts):
        j = jaccard(some)
        np.testing.assert_allclose(dice(some), 2 * j / (1 + j), rtol=1e-12)


def test_the_papers_cells_follow_from_their_j():
    """Every DSC of its tables is 2 J / (1 + J): pooled pixels, not means over films."""
    for j, dsc in ((0.9622, 0.9807), (0.9111, 0.9535), (0.5559, 0.7146)):
        hits = round(j * 10**6)
        assert dice([hits, 10**6 - hits, 0]) == pytest.approx(dsc, abs=5e-5)


def test_pooling_is_not_the_mean_over_films():
    small, large = np.array([[1, 1, 0]]), np.array([[98, 0, 0]])
    assert jaccard(pooled([small, large])) == pytest.approx(0.99)
    assert np.mean([jaccard(small), jaccard(large)]) == pytest.approx(0.75)


def test_order_and_division_of_the_films_do_not_matter():
    films = list(_films(1, 4))
    halves = [(part[:2], gold[:2]) for part, gold in films] + [(part[2:], gold[2:]) for part, gold in films]
    np.testing.assert_array_equal(pooled(_counts(films, 4)), pooled(_counts(reversed(halves), 4)))


def test_extremes():
    gold = np.array([[0, 1], [1, 2]], np.uint8)
    assert jaccard(overlap_counts(gold, gold, 4))[:2].tolist() == [1, 1]
    assert dice(overlap_counts(3 - gold, gold, 4))[1] == 0
    for score in (jaccard, dice):
        assert np.isnan(score(overlap_counts(gold, gold, 4))[2])  # in neither map


def test_maps_of_other_shapes_are_a_mistake():
    with pytest.raises(ValueError, match="one shape"):
        overlap_counts(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)


def test_many_large_films_do_not_overflow():
    film = np.ones((1, 3), np.int64) * 2**40
    assert pooled([film] * 1000).tolist() == [[1000 * 2**40] * 3]
