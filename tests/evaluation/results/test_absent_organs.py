"""An organ that no test film shows: one definition of the mean in tables, differences, films and figures."""

import numpy as np
import pandas as pd
import pytest

from datasets.pair_store import PairStore, write_png
from evaluation.figures.chart_figures import box_plots
from evaluation.results import tables
from evaluation.results.comparisons import compare
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.per_film import film_scores, summarize
from evaluation.results.write_tables import Results, write_results
from evaluation.segmenter.evaluate import Result
from tests.helpers.binaries import run
from tests.helpers.result_folders import write_column, write_experiment

ORGANS = ("liver", "spleen", "pacemaker")


def _result(seed: int, predicted: int) -> Result:
    """Five films; no film has a pacemaker, of which `predicted` pixels of each are taken for one."""
    counts = np.random.default_rng(seed).integers(1, 100, (5, 3, 3))
    counts[:, :, 2] = 200 - counts[:, :, 0]  # the true organ is of one size
    counts[:, 2] = 0, predicted, 0
    return Result(tuple("abcde"), ORGANS, ORGANS, counts)


@pytest.mark.parametrize(("left", "right"), [(0, 0), (7, 0), (0, 7), (7, 9)])
def test_the_means_of_a_table_differ_by_its_differences(left, right):
    results = {"finetune-1": _result(1, left), "real": _result(2, right)}
    pooled = {name: [result.to_json()] for name, result in results.items()}
    means = tables.mean_scores(pooled)
    films = {name: result.per_film() for name, result in results.items()}
    found = compare([films["finetune-1"]], [films["real"]], ORGANS, ("finetune-1", "real"), resamples=50)
    assert found.difference == pytest.approx(means["finetune-1"] - means["real"], abs=1e-9)
    table = tables.comparison(pooled)
    cells = table.cells.loc[("J", "Average")].tolist()
    for name, cell in zip(results, cells, strict=True):
        counts = results[name].counts.sum(0)[:2]
        expected = 100 * np.mean(counts[:, 0] / counts.sum(1))  # liver and spleen alone
        assert means[name] == pytest.approx(expected) and cell == f"{expected:.2f}"
        assert results[name].mean_j == pytest.approx(expected / 100)
        scores = film_scores(films[name], ORGANS)
        pd.testing.assert_series_equal(scores["average"], scores[["liver", "spleen"]].mean(axis=1),
                                       check_names=False)
        mean = summarize(films[name]).loc[("J", "Average"), "mean"]
        assert mean == pytest.approx(scores["average"].mean())
    row = table.cells.loc[("J", "Pacemaker")].tolist()
    assert row == ["0.00" if predicted else "–" for predicted in (left, right)]
    assert not table.bold.loc[("J", "Pacemaker")].any()


def test_a_footnote_names_the_organ_and_who_predicts_it():
    pooled = {name: [_result(1, predicted).to_json()] for name, predicted in (("real", 0), ("finetune-1", 5))}
    note = tables.left_out(pooled)
    assert "pacemaker" in note and "Single-stage FINETUNE" in note and "REAL" not in note
    assert "liver" not in note and tables.left_out(pooled, ORGANS[:2]) == ""
    assert not tables.left_out({"real": [{"films": 1, "scored": ["a"], "counts": {"a": [0, 0, 1]}}]})


def test_a_score_of_zero_is_never_best_but_a_distance_is():
    index = pd.MultiIndex.from_product([("J", "HD95 (mm)"), ("Heart",)])
    means = pd.DataFrame({"real": [0.0, 0.0], "synth-1": [0.004, 0.0], "mix-1": [0.0, 1.0]}, index)
    bold = tables.best_cells(means).to_numpy().tolist()
    assert bold == [[False] * 3, [True, True, False]]


@pytest.fixture(scope="module")
def without_heart(tmp_path_factory):
    """An experiment whose test films show no heart; one column predicts some."""
    root = write_experiment(tmp_path_factory.mktemp("absent") / "run", {}, films=3)
    store = PairStore(root / "data" / "gan-films")
    for id_ in store.ids("test"):
        (store.path / "masks" / f"{id_}.png").unlink()
        label = store.label(id_)
        write_png(store.path / "labels" / f"{id_}.png", np.where(label == store.classes.code("heart"), 0, label))
    for column, shift in (("real", 2), ("finetune-3", 1)):
        write_column(root / f"evaluate-{column}", store, shift)
    return root


def test_every_output_of_an_experiment_says_so(without_heart, tmp_path):
    results = Results([without_heart])
    write_results(results, tmp_path / "tables", organs=True)
    for name in ("table2", "table2-organs"):
        for kind in ("md", "tex"):
            assert "Left out" in (tmp_path / "tables" / f"{name}.{kind}").read_text(), (name, kind)
    cells = (tmp_path / "tables" / "table2.md").read_text()
    assert "| J | Heart | – | – |" in cells and "| J | Average | – |" not in cells
    table = tables.comparison(results.pooled).cells.loc[("J", "Average")]
    difference = float(table.iloc[1]) - float(table.iloc[0])
    found, = results.differences()
    assert found.difference == pytest.approx(difference, abs=0.011)
    done = run("evaluation.compare_columns", f"--results={without_heart}")
    assert f"{found.difference:+.2f} points" in done.out and "heart" in done.out
    titles = [axis.get_title() for axis in box_plots(ExperimentFolder(without_heart), results.columns).axes]
    assert titles == ["left lung", "right lung"]
