"""Classes inside one another: a disc is scored with its cup, by one definition from the counts to the pages."""

import numpy as np
import pandas as pd
import pytest

from datasets.pair_store import PairStore
from evaluation.figures.catalogue import experiment_figures
from evaluation.metrics.anatomy import measure_maps
from evaluation.metrics.overlap import overlap_counts
from evaluation.reader_study.study import choose_films, find_results
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.write_tables import Results, write_results
from tests.helpers.result_folders import write_experiment


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("run"), {"real": 2, "finetune-3": 1}, films=4, kind="disc_cup")


def _by_hand(folder, column):
    """Counts over the films' masks of ring and cup together, and of the cup."""
    store = PairStore(folder / "data" / "gan-films")
    found = {"disc": np.zeros(3, int), "cup": np.zeros(3, int)}
    for id_ in store.ids("test"):
        predicted, gold = ExperimentFolder(folder).prediction(column, id_), store.label(id_)
        for name, least in (("disc", 1), ("cup", 2)):
            ours, truth = predicted >= least, gold >= least
            found[name] += [(ours & truth).sum(), (ours & ~truth).sum(), (~ours & truth).sum()]
    return {name: counts.tolist() for name, counts in found.items()}


def test_counts_are_those_of_the_union(folder):
    for column in ("real", "finetune-3"):
        pooled = ExperimentFolder(folder).pooled(column)
        assert pooled["counts"] == _by_hand(folder, column) and pooled["scored"] == ["disc", "cup"]
    ring = ExperimentFolder(folder).gold("real", "phantom-000002") == 1
    assert sum(pooled["counts"]["disc"]) > 4 * ring.sum()  # more than the painted ring alone has


def test_a_joint_histogram_of_any_regions():
    rng = np.random.default_rng(0)
    predicted, gold = rng.integers(0, 6, (2, 30, 30)).astype(np.uint8)
    regions = [(1, 4), (2,), (3, 4, 5), (1, 2, 3, 4, 5)]
    for codes, counts in zip(regions, overlap_counts(predicted, gold, 6, regions), strict=True):
        ours, truth = np.isin(predicted, codes), np.isin(gold, codes)
        assert counts.tolist() == [(ours & truth).sum(), (ours & ~truth).sum(), (~ours & truth).sum()]


def test_distances_are_those_of_the_union(folder):
    """Moved down by one or two pixels: the disc's outer border, not the ring's two."""
    films = ExperimentFolder(folder).per_film("finetune-3")
    assert films[films.organ == "disc"]["hd95_mm"].between(0.1, 2.1 * 4.6 / 32).all()


def test_tables_figures_and_reader_study_use_it(folder, tmp_path):
    write_results(Results([folder]), tmp_path, organs=True)
    counts = np.array(_by_hand(folder, "real")["disc"])
    table = pd.read_csv(tmp_path / "table2.csv", header=[0, 1], index_col=[0, 1])
    assert table.loc[("J", "Disc")].iloc[0] == pytest.approx(100 * counts[0] / counts.sum(), abs=0.006)
    figures = {figure.name: figure for figure in experiment_figures(ExperimentFolder(folder))}
    legend = [text.get_text() for part in figures["errors-real"].draw().legends for text in part.get_texts()]
    assert legend[:2] == ["disc", "cup"]
    candidates = choose_films(find_results(folder, "real"), 2)
    assert [candidate.organs for candidate in candidates] == [("disc", "cup")] * 2


def test_measures_of_label_maps_use_it(folder):
    store = PairStore(folder / "data" / "gan-films")
    maps = np.stack([store.label(id_) for id_ in store.ids()])
    found = measure_maps(maps, store.classes)
    np.testing.assert_allclose(found["disc area"], (maps > 0).mean((1, 2)))
    np.testing.assert_allclose(found["cup area"], (maps == 2).mean((1, 2)))
