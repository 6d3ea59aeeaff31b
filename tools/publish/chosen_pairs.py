"""Which pairs of a run's synthetic set are published, and why the others are not."""

import dataclasses
import pathlib
import shutil
from typing import Any

import numpy as np
import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.progress import show_progress
from datasets.pair_cache import load_pairs
from datasets.pair_store import PairStore
from datasets.patients import same_patient
from evaluation.results.columns import Method
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.synthetic.image_sets import ImageSet
from evaluation.synthetic.marked_copies import FACTS, MARKS, comparison_size, mark_copies
from evaluation.synthetic.near_duplicates import duplicate_distance, near_duplicates

COPY, DUPLICATE, BOX = "copy of a training film", "near-duplicate of another pair", "burnt-in box"


@dataclasses.dataclass(frozen=True)
class ChosenPairs:
    """A synthetic set as made, and what of it is published.

    Attributes:
      made: the set.
      real: the un-augmented films of the run, its test films among them.
      held_out: train films that no network saw; None where the run keeps none.
      rows: of all its pairs, see `evaluation.synthetic.marked_copies`.
      facts: of copies.json.
      kept: ids that are published.
      left_out: id -> COPY, BOX or DUPLICATE; the first that holds.
      duplicate_of: id of each left out as DUPLICATE -> the published pair that it is like.
    """

    made: PairStore
    real: PairStore
    held_out: PairStore | None
    rows: pd.DataFrame
    facts: dict[str, Any]
    kept: list[str]
    left_out: dict[str, str]
    duplicate_of: dict[str, str]

    def count(self, reason: str) -> int:
        """How many were left out for `reason`."""
        return sum(found == reason for found in self.left_out.values())

    def kept_rows(self) -> pd.DataFrame:
        """The rows of what is published."""
        return self.rows[self.rows["id"].isin(set(self.kept))]


def choose_pairs(run: ExperimentFolder, method: Method, without_boxes: bool, scratch: pathlib.Path) -> ChosenPairs:
    """Leaves out flagged copies, then, if asked, films with boxes, then films nearly the same as an earlier one.

    Args:
      scratch: folder for marks where the set has none yet; nothing is written to the run.

    Raises UserError where the run has no such set, too few films to tell copies by, or nothing is left.
    """
    made, real, held_out = run.synthetic(method), PairStore(run.path / "data" / "gan-films"), run.held_out()
    atomic_files.make_folder(scratch)
    for name in (MARKS, FACTS):
        if (made.path / name).is_file():
            shutil.copyfile(made.path / name, scratch / name)
    rows = mark_copies(made, real, folder=scratch, held_out=held_out)
    if rows is None:
        raise UserError(f"{real.path}: has too few training films to tell copies by; nothing can be published")
    left_out = dict.fromkeys(rows["id"][rows["copy"]], COPY)
    size = comparison_size(real)
    sets = [ImageSet.load("real", store, store.films("train"), size) for store in (real, held_out) if store]
    films = np.concatenate([images.films for images in sets])
    same = same_patient([patient for images in sets for patient in images.patients])
    boxed = set(rows["id"][rows["boxes"] > 0]) if without_boxes else set()
    rest = [id_ for id_ in rows["id"] if id_ not in left_out and id_ not in boxed]
    duplicates = near_duplicates(rest, lambda ids: load_pairs(made, ids, size=size, filled=True)[0],
                                 duplicate_distance(films, same), show_progress)
    left_out |= dict.fromkeys(duplicates, DUPLICATE)
    left_out |= {id_: BOX for id_ in rows["id"] if id_ in boxed and id_ not in left_out}
    kept = [id_ for id_ in rows["id"] if id_ not in left_out]
    if not kept:
        raise UserError(f"{made.path}: all {len(rows)} pairs are left out ({left_out_line(left_out)}); nothing "
                        "can be published")
    for store in (real, held_out):
        if store:
            _refuse_real_films(made, kept, store)
    facts = atomic_files.read_json(scratch / FACTS)
    return ChosenPairs(made, real, held_out, rows, facts, kept, left_out, duplicates)


def left_out_line(left_out: dict[str, str]) -> str:
    """Counts by reason: `12 copy of a training film, 3 burnt-in box`."""
    counts = {reason: list(left_out.values()).count(reason) for reason in (COPY, DUPLICATE, BOX)}
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count) or "none"


def _refuse_real_films(made: PairStore, kept: list[str], real: PairStore) -> None:
    """Raises UserError where a film that would be published is, pixel for pixel, a real one: of any split."""
    known = {real.image(id_).tobytes() for id_ in real.ids()}
    for id_ in kept:
        if made.image(id_).tobytes() in known:
            raise UserError(f"{made.path}/images/{id_}.png: is a real film, pixel for pixel, that the check for "
                            "copies did not flag; nothing is published")
