"""Paired comparisons of two columns: bootstrap over draws and films, tests, Holm, verdicts."""

import numpy as np
import pytest
from scipy import stats

from datasets.common.errors import UserError
from evaluation.metrics.overlap import jaccard
from evaluation.results.columns import is_own
from evaluation.results.comparisons import (
    LEVEL,
    NAMED,
    compare,
    comparison_table,
    named_among,
    verdicts,
)
from evaluation.results.inference import format_p, holm, interval, p_different, p_equivalent, resample
from tests.helpers import binaries
from tests.helpers.film_tables import ORGANS, film_table, random_counts
from tests.helpers.result_folders import write_experiment


def _pooled_mean_j(counts):
    return 100 * jaccard(counts.sum(0)).mean()


def test_the_difference_is_that_of_the_tables():
    left, right = random_counts(2, quality=0.85), random_counts(3)
    found = compare([film_table(left)], [film_table(right)], ORGANS, ("a", "b"), 500)
    assert found.difference == pytest.approx(_pooled_mean_j(left) - _pooled_mean_j(right))
    assert found.low < found.difference < found.high
    assert found.films == 20 and found.better + found.worse == 20


def test_wilcoxon_is_over_the_films_mean_j():
    left, right = random_counts(2, quality=0.82), random_counts(3)
    found = compare([film_table(left)], [film_table(right)], ORGANS, ("a", "b"), 10)
    means = [jaccard(side).mean(1) for side in (left, right)]
    assert found.p_value == pytest.approx(stats.wilcoxon(means[0] - means[1]).pvalue)
    assert found.median == pytest.approx(100 * np.median(means[0] - means[1]))


def test_the_bootstrap_draws_the_same_films_on_both_sides():
    """A side that is better by the same share on every film, however hard: a plain resampling finds the interval,
    and it is far narrower than one that draws the sides apart."""
    rng = np.random.default_rng(0)
    right = random_counts(4)
    left = right + np.array([6, -3, -3]) * (right[..., 1:].min(-1, keepdims=True) > 3)
    found = compare([film_table(left)], [film_table(right)], ORGANS, ("a", "b"), 4000)
    drawn = [rng.integers(0, 20, 20) for _ in range(4000)]
    plain = [_pooled_mean_j(left[films]) - _pooled_mean_j(right[films]) for films in drawn]
    assert [found.low, found.high] == pytest.approx(np.percentile(plain, [2.5, 97.5]).tolist(), abs=0.03)
    apart = [_pooled_mean_j(left[films]) - _pooled_mean_j(right[others])
             for films, others in zip(drawn[::2], drawn[1::2], strict=True)]
    assert found.high - found.low < 0.3 * np.ptp(np.percentile(apart, [2.5, 97.5]))


def test_swapped_sides_give_the_negative():
    left, right = [film_table(random_counts(5))], [film_table(random_counts(6))]
    one, other = (compare(*pair, ORGANS, ("a", "b"), 500) for pair in ((left, right), (right, left)))
    assert [one.difference, one.low, one.high] == pytest.approx([-other.difference, -other.high, -other.low])
    assert (one.better, one.p_value) == (other.worse, other.p_value)


def test_a_column_does_not_differ_from_itself_whatever_the_order_of_films():
    table = film_table(random_counts(7))
    found = compare([table], [table.iloc[::-1]], ORGANS, ("a", "b"), 100)
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert "p = 1.000" in found.describe()


def test_an_organ_of_one_film_leaves_an_interval():
    """Most draws hold no film that has it; they average the others."""
    left, right = random_counts(8, 6), random_counts(9, 6)
    for side in (left, right):
        side[1:, 1, :] = 0
    found = compare([film_table(left)], [film_table(right)], ORGANS, ("a", "b"), 500)
    assert np.isfinite([found.difference, found.low, found.high]).all() and found.low < found.high
    alone = compare([film_table(left)], [film_table(right)], ORGANS[:1], ("a", "b"), 500)
    lacking = [side[1:] for side in (left, right)]
    others = compare([film_table(lacking[0])], [film_table(lacking[1])], ORGANS, ("a", "b"), 500)
    assert others.low < others.difference < others.high and np.isfinite(alone.low)  # none has it: the other counts


def test_other_films_are_refused():
    table = film_table(random_counts(8))
    with pytest.raises(UserError, match="found 19 and 20 films, 19 of them in both"):
        compare([table[table["film"] != "f003"]], [table], ORGANS, ("a", "b"))
    with pytest.raises(UserError, match="'liver' was not evaluated"):
        compare([table], [table], ("liver",), ("a", "b"))


def test_the_difference_of_several_draws_is_the_mean_of_theirs():
    left, right = ([random_counts(10 * side + draw, quality=0.8 + 0.05 * side) for draw in range(3)]
                   for side in (1, 0))
    found = compare(list(map(film_table, left)), list(map(film_table, right)), ORGANS, ("a", "b"), 500)
    assert found.difference == pytest.approx(np.mean([_pooled_mean_j(one) - _pooled_mean_j(other)
                                                      for one, other in zip(left, right, strict=True)]))
    assert (found.draws, found.films) == (3, 20) and found.low < found.difference < found.high


def test_draws_that_differ_widen_the_interval():
    """One draw far above the others: the interval reaches from films without it to two of it."""
    same = [np.full((20, 1, 3), [80, 10, 10])] * 3
    one = [*same[1:], np.full((20, 1, 3), [90, 5, 5])]
    assert interval(resample(same, 500)) == (80.0, 80.0)
    assert interval(resample(one, 500)) == (80.0, 90.0)
    assert np.ptp(interval(resample([same[0], one[2]], 500))) == 10.0  # each of two draws by itself


def test_intervals_over_draws_and_films_hold_the_truth_as_often_as_they_say():
    """Differences of 60 simulated experiments of three draws, whose films are hard or easy in all draws alike."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(60):
        films, draws = rng.normal(0, 0.03, (40, 1)), rng.normal(0, 0.006, (3, 1, 1))
        shares = 0.8 + films + draws + rng.normal(0, 0.03, (3, 40, 1))
        counts = np.stack([hits := np.rint(1000 * shares).astype(int), (1000 - hits) // 2,
                           1000 - hits - (1000 - hits) // 2], -1)
        low, high = interval(resample(list(counts), 300))
        held += low <= 80.0 <= high
    assert 55 <= held <= 60  # 0.95 of 60 is 57; films drawn anew within each draw hold it 53 times


def test_p_values_of_a_known_distribution():
    """Differences spread normally around 0.1 with deviation 0.1: zero and the margins of 0.3 are quantiles."""
    values = stats.norm(0.1, 0.1).ppf((np.arange(20000) + 0.5) / 20000)
    assert p_different(values) == p_different(-values) == pytest.approx(2 * stats.norm.cdf(-1), abs=2e-4)
    assert p_equivalent(values, 0.3) == p_equivalent(-values, 0.3) == pytest.approx(stats.norm.cdf(-2), abs=2e-4)
    assert p_equivalent(values + 0.4, 0.3) > 0.95
    low, high = interval(values)
    assert p_different(values - low) == pytest.approx(0.05, abs=2e-4)
    assert p_different(values - high) == pytest.approx(0.05, abs=2e-4)
    assert p_different(np.zeros(9)) == 1.0


def _against(shift, noise, films=60):
    """A column against one that is worse by `shift` points of J, more or less by film."""
    rng = np.random.default_rng(1)
    right = np.rint(rng.uniform(7000, 8500, (films, 2))).astype(int)
    left = right + np.rint(100 * shift + rng.normal(0, 100 * noise, right.shape)).astype(int)
    sides = [[film_table(np.stack([hits, 10000 - hits, 0 * hits], -1))] for hits in (left, right)]
    return compare(*sides, ORGANS, ("finetune-3", "real"), 1000)


def test_each_verdict_has_its_data():
    cases = {"alike": _against(0.05, 0.5), "better": _against(1.0, 0.5), "worse": _against(-1.0, 0.5),
             "undecided": _against(0.2, 8.0)}
    for word, found in cases.items():
        assert verdicts([found])[0].word == word, word
    small = _against(0.2, 0.05)  # surely above zero, and of no use
    assert small.low > 0 and verdicts([small])[0].word == "alike"


def test_a_larger_family_decides_less():
    found = _against(1.0, 3.0)
    assert 0.001 < found.p_different < LEVEL and verdicts([found])[0].word == "better"
    family = verdicts([found] * 20)
    assert family[0].p_different == pytest.approx(20 * found.p_different) and family[0].word == "undecided"


def test_named_comparisons_are_those_whose_columns_are_there():
    assert named_among(["finetune-2", "real", "finetune-3"]) == [
        ("finetune-3", "real"), ("finetune-2", "real"), ("finetune-3", "finetune-2")]
    assert len(set(NAMED)) == len(NAMED) and not any(left == right for left, right in NAMED)
    assert not any(is_own(name) for pair in NAMED for name in pair)
    table = comparison_table([("test", [_against(1.0, 0.5)]), ("there", [_against(0.05, 0.5)])]).cells
    assert table["", "Verdict"].tolist() == ["better", "alike"]
    assert table["", "Films"].tolist() == ["test", "there"]


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.03, 0.5: times 4, 3, 2, 1, never below one before."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert [format_p(value) for value in (0.04999, 0.00012)] == ["0.050", "1.2e-04"]


def test_the_binary_compares_columns(tmp_path):
    folder = write_experiment(tmp_path / "run")
    command = ["evaluation.compare_columns", f"--results={folder}"]
    done = binaries.run(*command, "--left=finetune-3")
    assert done.code == 0, done.err
    assert done.out.startswith("finetune-3 - real: +") and "better on 6, worse on 0 films" in done.out
    assert "p = 0.031" in done.out  # 2 / 2^6: six films, all better
    assert "; better (" in done.out
    binaries.told(binaries.run(*command, "--left=nothing"), "'nothing'")
