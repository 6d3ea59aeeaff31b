"""The scores of single films, and how they spread."""

import numpy as np
import pytest

from datasets.common.errors import UserError
from evaluation.metrics.overlap import dice, jaccard
from evaluation.results.per_film import (
    counts_of,
    film_rows,
    film_scores,
    hardest,
    merge_runs,
    read_per_film,
    summarize,
)
from tests.helpers.film_tables import ORGANS, film_table, random_counts
from tests.helpers.result_folders import write_experiment


def test_summary_is_that_of_the_films_scores():
    counts = random_counts(0)
    summary, scores = summarize(film_table(counts)), 100 * jaccard(counts)
    row = summary.loc[("J", "Heart")]
    assert row["films"] == 20
    assert row["mean"] == pytest.approx(scores[:, 1].mean())
    assert row["std"] == pytest.approx(scores[:, 1].std(ddof=1))
    quartiles = np.percentile(scores[:, 1], [25, 50, 75]).tolist()
    assert [row["q1"], row["median"], row["q3"]] == pytest.approx(quartiles)
    assert summary.loc[("J", "Average"), "mean"] == pytest.approx(scores.mean())
    assert summary.loc[("DSC", "Lung"), "max"] == pytest.approx(100 * dice(counts)[:, 0].max())


def test_films_without_an_organ_are_not_counted():
    counts = random_counts(0, 4)
    counts[1, 1] = 0
    summary = summarize(film_table(counts))
    assert summary.loc[("J", "Heart"), "films"] == 3
    assert summary.loc[("J", "Lung"), "films"] == summary.loc[("J", "Average"), "films"] == 4


def test_hardest_films_come_first():
    counts = random_counts(1)
    table = hardest(film_scores(film_table(counts), ORGANS), 5)
    order = np.argsort(jaccard(counts).mean(1))[:5]
    assert list(table.index) == [f"f{place:03d}" for place in order]
    assert table["average"].is_monotonic_increasing


def test_the_worst_tenth_and_the_share_of_bad_films():
    """21 films: three of them are the worst tenth. An organ that no film shows is not bad, a missed one is."""
    counts = np.full((21, 2, 3), [90, 5, 5])
    counts[:3, 0] = [[30, 35, 35], [50, 25, 25], [69, 11, 20]]
    counts[5, 1] = 70, 15, 15
    rows = film_rows(film_table(counts), ORGANS)
    assert rows["Worst tenth", "Mean J"] == pytest.approx((60 + 70 + 79.5) / 3)
    assert rows["Under J 0.7", "Films (%)"] == pytest.approx(100 * 3 / 21)
    counts[:, 1] = 0, 7, 0
    assert film_rows(film_table(counts), ORGANS)["Under J 0.7", "Films (%)"] == pytest.approx(100 * 3 / 21)
    np.testing.assert_array_equal(counts_of(film_table(counts), ORGANS), counts)


def test_runs_of_one_column_are_pooled():
    first, second = random_counts(9), random_counts(10)
    merged = merge_runs([film_table(first), film_table(second)])
    np.testing.assert_array_equal(merged[["tp", "fp", "fn"]].to_numpy().reshape(first.shape), first + second)
    np.testing.assert_allclose(merged["j"], (jaccard(first) + jaccard(second)).ravel() / 2)
    with pytest.raises(UserError, match="different films"):
        merge_runs([film_table(first), film_table(second[:-1])])


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
