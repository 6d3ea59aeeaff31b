"""The readers' comparison of gold and predicted outlines (paper, section 4.4): the page and its key.

The films with the largest error are shown with both outlines in hidden random order. The page that readers get
holds drawings only; which is which stands in the key. Both are drawn by the same code, films have neutral
names, and the study's own name is a digest of what the page shows, so nothing in the page tells them apart.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import random
import secrets
from collections.abc import Sequence

import numpy as np
import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import PairStore, describe_ids, read_png
from evaluation.metrics.overlap import jaccard, overlap_counts
from evaluation.reader_study.key import FORMAT, GOLD, PREDICTION, Key, KeyFilm, TruthKey, read_key
from evaluation.reader_study.outlines import organ_paths
from evaluation.reader_study.page import PageFilm, make_page
from evaluation.results.experiment_folder import results_name
from evaluation.results.per_film import film_scores, hardest, read_per_film

PAGE = pathlib.Path("for-readers", "reader-study.html")
KEY = pathlib.Path("keep", "key.json")


@dataclasses.dataclass(frozen=True)
class Candidates:
    """A film with its two label maps.

    Attributes:
      id: the film's name in its store.
      film: uint8 [H, W] or [H, W, 3].
      gold, prediction: codes of one class table, uint8 [H, W].
      organs: names of codes 1, 2, ...
      mean_j: J averaged over the scored organs, a fraction of 1.
    """

    id: str
    film: np.ndarray
    gold: np.ndarray
    prediction: np.ndarray
    organs: tuple[str, ...]
    mean_j: float


@dataclasses.dataclass(frozen=True)
class Results:
    """Where a segmenter's results lie: the films and the folder that `evaluate_to_folder` wrote."""

    store: PairStore
    folder: pathlib.Path
    column: str


def find_results(experiment: str | os.PathLike, column: str) -> Results:
    """The results of `column` in an experiment's folder, and the films they belong to.

    Raises UserError if the column was not evaluated, or no films of its size are there.
    """
    root = pathlib.Path(experiment)
    folder = root / results_name(column)
    if not (folder / "per_film.csv").is_file():
        prefix = results_name("")
        there = sorted(path.parent.name.removeprefix(prefix) for path in root.glob(f"{prefix}*/per_film.csv"))
        raise UserError(f"{folder}: no per_film.csv; expected an experiment's folder and one of its evaluated "
                        f"columns ({', '.join(there) or 'found none'})")
    for films in sorted(root.glob("data/*-films"), reverse=True):  # segmenter-films before gan-films
        store = PairStore(films)
        if _fits(store, folder):
            return Results(store, folder, column)
    raise UserError(f"{root / 'data'}: found no films of the predictions' size; evaluate {column} again")


def choose_films(results: Results, count: int) -> list[Candidates]:
    """The `count` films with the smallest mean J over the scored organs, hardest first (all, if fewer).

    Raises UserError where the table, the predictions and the gold label maps do not belong together.
    """
    path = results.folder / "per_film.csv"
    table, classes = read_per_film(path), results.store.classes
    _check_table(path, table, results.store)
    scores = hardest(film_scores(table, classes.scored), count)["average"].dropna()
    if scores.empty:
        raise UserError(f"{path}: holds no J of a scored organ ({', '.join(classes.scored)}); evaluate again")
    scored = set(table.organ) == set(classes.scored_table().regions)
    return [_candidates(results, table[table.film == id_], id_, mean_j / 100, scored)
            for id_, mean_j in scores.items()]


def write_study(candidates: Sequence[Candidates], out: str | os.PathLike, title: str, seed: int | None = None,
                side: int = 768) -> Key:
    """Writes for-readers/reader-study.html and keep/key.json to `out`.

    Half of the films show the gold outline first; which ones, and the order of the films, are drawn by `seed`.

    Args:
      title: what is compared, for the report; it is not in the page.
      seed: None draws one that nobody can guess. It is kept in the key.
      side: films larger than this are shown reduced to it, in pixels.

    Raises UserError rather than overwrite the key of another study.
    """
    out = pathlib.Path(out)
    seed = secrets.randbits(64) if seed is None else seed  # unguessable, as `random`'s own is not
    shown = _shuffled(candidates, seed)
    names = [f"F{number:02}" for number in range(1, len(shown) + 1)]
    page_films = [_page_film(name, film, first, side)
                  for name, (film, first) in zip(names, shown, strict=True)]
    study = study_name(page_films)
    key = Key(FORMAT, study, seed, title,
              tuple(KeyFilm(name, film.id, first, round(float(film.mean_j), 6))
                    for name, (film, first) in zip(names, shown, strict=True)))
    write_page_and_key(out, make_page(study, candidates[0].organs, page_films), key)
    return key


def write_page_and_key(out: pathlib.Path, page: str, key: Key | TruthKey) -> None:
    """Raises UserError rather than overwrite the key of another study."""
    if (out / KEY).exists() and read_key(out / KEY).study != key.study:
        raise UserError(f"{out / KEY}: holds the key of another study, without which its answers are lost; choose "
                        "another --out")
    for path in (PAGE, KEY):
        atomic_files.make_folder((out / path).parent)
    atomic_files.write_json(out / KEY, key.to_json())  # first: a page without it is of no use
    atomic_files.write_text(out / PAGE, page)


def study_name(films: Sequence[PageFilm]) -> str:
    """16 hex digits of what the page shows, so that answers to one page are never counted for another."""
    text = json.dumps([film.to_json() for film in films], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _shuffled(candidates: Sequence[Candidates], seed: int) -> list[tuple[Candidates, str]]:
    """Films in the order shown, each with what its outline 1 is."""
    draw = random.Random(seed)
    firsts = [GOLD, PREDICTION] * (len(candidates) // 2)
    firsts += [draw.choice([GOLD, PREDICTION])] * (len(candidates) % 2)  # odd: one more, drawn
    draw.shuffle(firsts)
    films = sorted(candidates, key=lambda film: film.id)  # by id, so that the draw knows nothing of who is hardest
    draw.shuffle(films)
    return list(zip(films, firsts, strict=True))


def _page_film(name: str, film: Candidates, first: str, side: int) -> PageFilm:
    codes = (film.gold, film.prediction) if first == GOLD else (film.prediction, film.gold)
    outlines = tuple(tuple(organ_paths(labels, len(film.organs) + 1)) for labels in codes)
    return PageFilm(name, film.film, outlines, side)


def _fits(store: PairStore, folder: pathlib.Path) -> bool:
    first = next(iter(sorted((folder / "predictions").glob("*.png"))), None)
    if first is None or first.stem not in store.ids():
        return False
    try:
        read_png(first, store.description.size)  # refuses another size
    except UserError:
        return False
    return True


def _check_table(path: pathlib.Path, table: pd.DataFrame, store: PairStore) -> None:
    """Films and organs must be those of `store`."""
    strangers, organs = set(table["film"]) - set(store.ids()), set(table["organ"])
    if strangers:
        raise UserError(f"{path}: films {describe_ids(sorted(strangers))} are not in {store.path}; give the films "
                        "that were evaluated")
    if organs not in (set(store.classes.regions), set(store.classes.scored_table().regions)):
        raise UserError(f"{path}: found organs {', '.join(sorted(organs))}, expected those of {store.path}: "
                        f"{', '.join(store.classes.regions)}")


def _candidates(results: Results, rows: pd.DataFrame, id_: str, mean_j: float, scored: bool) -> Candidates:
    """A film's pictures, once its label maps are found to give the J that stands in the table."""
    store = results.store
    classes = store.classes.segmented(scored)
    path = results.folder / "predictions" / f"{id_}.png"
    prediction = read_png(path, store.description.size)
    gold = store.segmented_label(id_, scored)
    if prediction.dtype != np.uint8 or prediction.max() >= classes.num_classes:
        raise UserError(f"{path}: found code {prediction.max()}, expected 0 to {classes.num_classes - 1}")
    counts = overlap_counts(prediction, gold, classes.num_classes, classes.regions.values())
    found = dict(zip(classes.regions, jaccard(counts), strict=True))
    # The CSV rounds.
    if not np.allclose([found[organ] for organ in rows.organ], rows.j, atol=1e-4, equal_nan=True):
        raise UserError(f"{path}: does not give the J of per_film.csv against {store.path}; evaluate again")
    return Candidates(id_, store.image(id_), gold, prediction, classes.organs, mean_j)
