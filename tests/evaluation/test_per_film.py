"""Spread over films, and the paired comparison of two columns."""


import numpy as np
import pandas as pd
import pytest
from scipy import stats

from datasets.common.errors import UserError
from evaluation.metrics.overlap import dice, jaccard
from evaluation.results.per_film import (
    compare,
    film_scores,
    format_p,
    hardest,
    holm,
    merge_runs,
    read_per_film,
    summarize,
)
from tests.helpers import binaries
from tests.helpers.result_folders import write_experiment

ORGANS = ("lung", "heart")


def _table(counts, organs=ORGANS):
    """per_film rows from counts [films, organs, 3]."""
    index = pd.MultiIndex.from_product([[f"f{place:03d}" for place in range(len(counts))], organs],
                                       names=["film", "organ"])
    flat = np.asarray(counts).reshape(-1, 3)
    table = pd.DataFrame(flat, index, ["tp", "fp", "fn"])
    return table.assign(j=jaccard(flat), dsc=dice(flat)).reset_index()


def _random(seed, films=20, quality=0.8):
    """Films of different sizes and difficulty."""
    rng = np.random.default_rng(seed)
    area = rng.integers(200, 2000, (films, len(ORGANS)))
    hits = (area * np.clip(rng.normal(quality, 0.08, area.shape), 0, 1)).astype(int)
    return np.stack([hits, (area - hits) // 2, (area - hits + 1) // 2], -1)


def _pooled_mean_j(counts):
    return 100 * jaccard(counts.sum(0)).mean()


def test_summary_is_that_of_the_films_scores():
    counts = _random(0)
    summary, scores = summarize(_table(counts)), 100 * jaccard(counts)
    row = summary.loc[("J", "Heart")]
    assert row["films"] == 20
    assert row["mean"] == pytest.approx(scores[:, 1].mean())
    assert row["std"] == pytest.approx(scores[:, 1].std(ddof=1))
    quartiles = np.percentile(scores[:, 1], [25, 50, 75]).tolist()
    assert [row["q1"], row["median"], row["q3"]] == pytest.approx(quartiles)
    assert summary.loc[("J", "Average"), "mean"] == pytest.approx(scores.mean())
    assert summary.loc[("DSC", "Lung"), "max"] == pytest.approx(100 * dice(counts)[:, 0].max())


def test_films_without_an_organ_are_not_counted():
    counts = _random(0, 4)
    counts[1, 1] = 0
    summary = summarize(_table(counts))
    assert summary.loc[("J", "Heart"), "films"] == 3
    assert summary.loc[("J", "Lung"), "films"] == summary.loc[("J", "Average"), "films"] == 4


def test_hardest_films_come_first():
    counts = _random(1)
    table = hardest(film_scores(_table(counts), ORGANS), 5)
    order = np.argsort(jaccard(counts).mean(1))[:5]
    assert list(table.index) == [f"f{place:03d}" for place in order]
    assert table["average"].is_monotonic_increasing


def test_the_difference_is_that_of_the_tables():
    left, right = _random(2, quality=0.85), _random(3)
    found = compare(_table(left), _table(right), ORGANS, ("a", "b"), 500)
    assert found.difference == pytest.approx(_pooled_mean_j(left) - _pooled_mean_j(right))
    assert found.low < found.difference < found.high
    assert found.films == 20 and found.better + found.worse == 20


def test_wilcoxon_is_over_the_films_mean_j():
    left, right = _random(2, quality=0.82), _random(3)
    found = compare(_table(left), _table(right), ORGANS, ("a", "b"), 10)
    means = [jaccard(side).mean(1) for side in (left, right)]
    assert found.p_value == pytest.approx(stats.wilcoxon(means[0] - means[1]).pvalue)
    assert found.median == pytest.approx(100 * np.median(means[0] - means[1]))


def test_the_bootstrap_draws_the_same_films_on_both_sides():
    """A side that is better by the same share on every film, however hard: a plain resampling finds the interval,
    and it is far narrower than one that draws the sides apart."""
    rng = np.random.default_rng(0)
    right = _random(4)
    left = right + np.array([6, -3, -3]) * (right[..., 1:].min(-1, keepdims=True) > 3)
    found = compare(_table(left), _table(right), ORGANS, ("a", "b"), 4000)
    drawn = [rng.integers(0, 20, 20) for _ in range(4000)]
    plain = [_pooled_mean_j(left[films]) - _pooled_mean_j(right[films]) for films in drawn]
    assert [found.low, found.high] == pytest.approx(np.percentile(plain, [2.5, 97.5]).tolist(), abs=0.03)
    apart = [_pooled_mean_j(left[films]) - _pooled_mean_j(right[others])
             for films, others in zip(drawn[::2], drawn[1::2], strict=True)]
    assert found.high - found.low < 0.3 * np.ptp(np.percentile(apart, [2.5, 97.5]))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Two equally good sides, 100 times: the 95 % interval misses zero in about 5 %."""
    misses = 0
    for seed in range(100):
        found = compare(_table(_random(2 * seed, 40)), _table(_random(2 * seed + 1, 40)), ORGANS, ("a", "b"), 200)
        misses += not found.low <= 0 <= found.high
    assert 1 <= misses <= 15


def test_swapped_sides_give_the_negative():
    left, right = _table(_random(5)), _table(_random(6))
    one, other = (compare(*pair, ORGANS, ("a", "b"), 500) for pair in ((left, right), (right, left)))
    assert [one.difference, one.low, one.high] == pytest.approx([-other.difference, -other.high, -other.low])
    assert (one.better, one.p_value) == (other.worse, other.p_value)


def test_a_column_does_not_differ_from_itself_whatever_the_order_of_films():
    table = _table(_random(7))
    found = compare(table, table.iloc[::-1], ORGANS, ("a", "b"), 100)
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert "p = 1.000" in found.describe()


def test_an_organ_of_one_film_leaves_an_interval():
    """Most draws hold no film that has it; they average the others."""
    left, right = _random(8, 6), _random(9, 6)
    for side in (left, right):
        side[1:, 1, :] = 0
    found = compare(_table(left), _table(right), ORGANS, ("a", "b"), 500)
    assert np.isfinite([found.difference, found.low, found.high]).all() and found.low < found.high
    alone = compare(_table(left), _table(right), ORGANS[:1], ("a", "b"), 500)
    lacking = [side[1:] for side in (left, right)]
    others = compare(_table(lacking[0]), _table(lacking[1]), ORGANS, ("a", "b"), 500)
    assert others.low < others.difference < others.high and np.isfinite(alone.low)  # none has it: the other counts


def test_other_films_are_refused():
    table = _table(_random(8))
    with pytest.raises(UserError, match="found 19 and 20 films, 19 of them in both"):
        compare(table[table["film"] != "f003"], table, ORGANS, ("a", "b"))
    with pytest.raises(UserError, match="'liver' was not evaluated"):
        compare(table, table, ("liver",), ("a", "b"))


def test_runs_of_one_column_are_pooled():
    first, second = _random(9), _random(10)
    merged = merge_runs([_table(first), _table(second)])
    np.testing.assert_array_equal(merged[["tp", "fp", "fn"]].to_numpy().reshape(first.shape), first + second)
    np.testing.assert_allclose(merged["j"], (jaccard(first) + jaccard(second)).ravel() / 2)
    with pytest.raises(UserError, match="different films"):
        merge_runs([_table(first), _table(second[:-1])])


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.03, 0.5: times 4, 3, 2, 1, never below one before."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert [format_p(value) for value in (0.04999, 0.00012)] == ["0.050", "1.2e-04"]


def test_per_film_files_read_back(tmp_path):
    folder = write_experiment(tmp_path / "run") / "evaluate-real" / "per_film.csv"
    table = read_per_film(folder)
    np.testing.assert_allclose(table["j"], jaccard(table[["tp", "fp", "fn"]].to_numpy()))
    assert len(film_scores(table, ["heart"])) == 6
    folder.write_text(folder.read_text().replace("heart", "NA"))  # a name like any other
    assert len(film_scores(read_per_film(folder), ["NA"])) == 6


@pytest.mark.parametrize("spoil", [
    lambda text: "", lambda text: text.replace("organ", "region"), lambda text: text.replace("heart", "", 1),
    lambda text: text.rsplit("\n", 2)[0] + "\n", lambda text: text + text.splitlines()[-1] + "\n",
    lambda text: text.splitlines()[0] + "\n", lambda text: text.replace(",", ",x", 4)])
def test_foreign_per_film_files_are_refused(spoil, tmp_path):
    path = write_experiment(tmp_path / "run", {"real": 1}) / "evaluate-real" / "per_film.csv"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(UserError, match=r"per_film\.csv: cannot be read"):
        read_per_film(path)


def test_the_binary_compares_columns(tmp_path):
    folder = write_experiment(tmp_path / "run")
    command = ["evaluation.compare_columns", f"--results={folder}"]
    done = binaries.run(*command, "--left=finetune-3")
    assert done.code == 0, done.err
    assert done.out.startswith("finetune-3 - real: +") and "better on 6, worse on 0 films" in done.out
    assert "p = 0.031" in done.out  # 2 / 2^6: six films, all better
    binaries.told(binaries.run(*command, "--left=nothing"), "'nothing'")
