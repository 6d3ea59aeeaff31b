"""GAN-train and GAN-test (Shmelkov, Schmid and Alahari 2018, section 3), for segmenters in place of classifiers.

GAN-train is a segmenter that learnt from pairs alone, on the test films: the column SYNTH. GAN-test is one that
learnt from films alone, on pairs. Where it does worse than on the test films, pairs are unlike films, or their
label maps do not fit; where it does better they are easier than films, and teach it little.
"""

import pathlib

import pandas as pd

from datasets.pair_store import PairStore
from evaluation.results import columns
from evaluation.results.columns import Method
from evaluation.results.experiment_folder import ExperimentFolder, set_name
from evaluation.results.tables import mean_scores
from evaluation.segmenter.evaluate import score_films, segment_with
from evaluation.segmenter.load import coded, read_largest, read_segmenter
from evaluation.segmenter.network_file import PRODUCT
from evaluation.segmenter.sliding_window import probabilities_of
from evaluation.synthetic.image_sets import draw_ids

FROM_FILMS = ("real", "real+augment")  # columns to whose segmenters no pair was shown
FILMS, TRAIN = "test films", "GAN-train"
_MOST = 200  # pairs of a method


def gan_test(experiment: ExperimentFolder, seed: int = 0) -> pd.DataFrame:
    """Pooled mean J in percent, as in the tables: a row for the test films and one for each method with pairs.

    Columns: GAN-train, and GAN-test by each segmenter of FROM_FILMS that is there, on at most 200 of the pairs
    that are kept for validation, drawn by `seed`. NaN where there is nothing to score. Raises UserError for a
    segmenter that cannot be read.
    """
    heads = {name: f"GAN-test by {columns.title(name)}" for name in teachers(experiment)}
    rows = {FILMS: {head: _on_films(experiment, name) for name, head in heads.items()}}
    for method in experiment.methods():
        learnt = f"synth-{method.suffix}"
        rows[method.title] = {head: _on_pairs(experiment, name, method, seed) for name, head in heads.items()}
        if learnt in experiment.columns():
            rows[method.title][TRAIN] = _on_films(experiment, learnt)
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=[TRAIN, *heads.values()])


def teachers(experiment: ExperimentFolder) -> list[str]:
    """The columns of FROM_FILMS that were scored and whose segmenters are there."""
    return [name for name in FROM_FILMS
            if name in experiment.columns() and (experiment.path / name / PRODUCT).is_file()]


def _on_films(experiment: ExperimentFolder, column: str) -> float:
    return float(mean_scores({column: [experiment.pooled(column)]})[column])


def _on_pairs(experiment: ExperimentFolder, column: str, method: Method, seed: int) -> float:
    run = experiment.path / column
    network, facts = read_segmenter(str(run))
    store = _pairs(experiment.path / set_name(method), max(experiment.films().description.size))
    ids = draw_ids(store.ids("validation"), _MOST, seed)
    if not ids:
        return float("nan")
    names = facts.get("class_names") or ()
    largest = coded(read_largest(str(run), facts, names), names)
    segment = segment_with(probabilities_of(network), store, int(facts["crop"]), float(facts["overlap"]), largest)
    scored = experiment.table(column) == experiment.films().classes.scored_table()
    return 100.0 * score_films(segment, store, ids, scored).mean_j


def _pairs(folder: pathlib.Path, size: int) -> PairStore:
    """The pairs at the size that the segmenters read."""
    stores = [PairStore(folder / name) for name in ("gan", "segmenter") if (folder / name).is_dir()]
    return next((store for store in stores if max(store.description.size) == size), stores[0])
