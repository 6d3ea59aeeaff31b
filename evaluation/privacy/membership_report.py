"""Membership inference on a synthetic folder: whom it concerns, what is attacked, and the files of results."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from datasets import grey
from datasets.class_table import IGNORED
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_cache import load_pairs
from datasets.pair_store import PairStore
from datasets.patients import without_patients_of
from evaluation.privacy.figures import Interval
from evaluation.privacy.membership import (
    NEAREST,
    SEGMENTER,
    TOGETHER,
    Scores,
    distance_scores,
    segmenter_scores,
)
from evaluation.results.table_formats import Table, markdown
from evaluation.synthetic.copies import KINDS, is_copy
from evaluation.synthetic.image_sets import ImageSet, check_same_classes, draw_ids
from evaluation.synthetic.marked_copies import comparison_size, load_check, read_marks

LEAST = 5  # others; with fewer train films outside, the test films are the others
AS_MADE, KEPT, FAR = "as made", "without flagged pairs", "without near pairs"

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class Films:
    """Whose membership is asked for.

    Attributes:
      store: of the real films.
      members: ids of the films that the networks saw.
      others: ids of films that they did not see, of the split `split`, and of patients of whom they saw none.
      left_out: how many more of that split are of the members' patients, and neither.
    """

    store: PairStore
    members: list[str]
    others: list[str]
    split: str
    left_out: int = 0

    @classmethod
    def choose(cls, store: PairStore, members: Sequence[str]) -> "Films":
        """The members, and as others the rest of the train films, or the test films where there are too few.

        Raises UserError for too few of either, or members that the store does not have.
        """
        train = store.films("train")
        unknown = sorted(set(members) - set(train))
        if unknown or len(members) < LEAST:
            raise UserError(f"{store.path}: found {len(members)} members, {len(unknown)} of which are none of its "
                            f"un-augmented train films, expected at least {LEAST}; name the folder that the films "
                            "were drawn from as --data")
        split = "train"
        others, left_out = without_patients_of(store, train, store, members)
        if len(others) < LEAST:
            split = "test"
            others, left_out = without_patients_of(store, store.films(split), store, members)
        if len(others) < LEAST:
            raise UserError(f"{store.path}: found {len(others)} films that the networks did not see"
                            f"{' of other patients' * bool(left_out)}, expected at least {LEAST}")
        return cls(store, list(members), others, split, left_out)

    @property
    def ids(self) -> list[str]:
        """Members first."""
        return [*self.members, *self.others]

    def describe(self) -> str:
        """How many of each, in words."""
        split = "train films that the networks did not see" if self.split == "train" else "test films"
        left_out = f" ({self.left_out} more, of the members' patients, left out)" * bool(self.left_out)
        return f"{len(self.members)} members against {len(self.others)} {split}{left_out}"


def attack_distances(films: Films, synthetic: PairStore, count: int, seed: int,
                     progress: Progress) -> tuple[dict[str, Scores], dict[str, int]]:
    """Scores by name of the set, as made, without flagged pairs, also without near ones, and its pairs' number.

    Flags are those of the set's copies.csv; where it has none, the check is made here.
    """
    check_same_classes(films.store, synthetic)
    ids, size = draw_ids(synthetic.ids(), count, seed), comparison_size(films.store)
    if not ids:
        raise UserError(f"{synthetic.path}: found no pairs")
    marks, close = read_marks(synthetic), [f"{kind}_close" for kind in KINDS]
    if marks is not None:
        rows = marks[0].set_index("id").loc[ids]
    else:
        rows = load_check(films.store, films.members).judge(ImageSet.load("synthetic", synthetic, ids, size))
    copies, near = is_copy(rows).to_numpy(bool), rows[close].to_numpy(bool).any(1)
    parts = {AS_MADE: np.ones(len(ids), bool), KEPT: ~copies, FAR: ~copies & ~near}
    # A part without pairs attacks nobody, and one without a pair less is the one before.
    parts = {name: part for name, part in parts.items() if name == AS_MADE or 0 < part.sum() < len(ids)}
    real = ImageSet.load("real", films.store, films.ids, size)
    scores = distance_scores(
        real, lambda start, end: ImageSet.load("synthetic", synthetic, ids[start:end], size), parts,
        films.store.classes, progress)
    return scores, {name: int(part.sum()) for name, part in parts.items()}


def attack_segmenter(films: Films, run: str | os.PathLike, progress: Progress) -> Scores:
    """Scores by a segmenter's run folder, trained on the synthetic pairs alone."""
    from evaluation.segmenter.load import check_channels, read_segmenter  # loads TensorFlow
    from evaluation.segmenter.sliding_window import probabilities_of, sliding_window

    store = films.store
    network, facts = read_segmenter(str(run))
    check_channels(str(run), network, store)
    scored = network.num_classes == store.classes.scored_table().num_classes
    if not scored and network.num_classes != store.classes.num_classes:
        raise UserError(f"{run}: knows {network.num_classes} classes, but {store.path} has other ones")
    side = int(facts.get("size", max(store.description.size)))
    size = store.description.size if max(store.description.size) == side else (side, side)
    pictures, labels = load_pairs(store, films.ids, scored=scored, size=tuple(size))
    predict, shown = probabilities_of(network), 0

    def probabilities(film: np.ndarray) -> np.ndarray:
        nonlocal shown
        shown += 1
        progress("films segmented", shown, len(films.ids))
        return sliding_window(predict, grey.to_network(film[None])[0], int(facts["crop"]),
                              float(facts["overlap"])).numpy()

    return segmenter_scores(probabilities, pictures, labels, IGNORED if store.classes.ignored else None)


def headline(table: pd.DataFrame) -> dict[str, Interval]:
    """The figures of a set's card: the distance attack by all kinds on what is published, and the segmenter's."""
    found = {}
    last = KEPT if KEPT in set(table["set"]) else AS_MADE
    for name, attack, kind, of in (("membership_auc_distance", NEAREST, TOGETHER, last),
                                   ("membership_auc_segmenter", SEGMENTER, "cross-entropy", AS_MADE)):
        rows = table[(table["attack"] == attack) & (table["kind"] == kind) & (table["set"] == of)]
        if len(rows):
            found[name] = tuple(float(rows.iloc[0][column]) for column in ("auc", "low", "high"))
    return found


def write_results(out: pathlib.Path, table: pd.DataFrame, films: Films, counts: dict[str, int]) -> str:
    """membership.csv, membership.md and membership.json; the text of the second."""
    caption = (f"{films.describe()}, " + ", ".join(f"{count:,} pairs {name}" for name, count in counts.items())
               + ". AUC with DeLong's 95 % interval; 0.5 is guessing.")
    rows = [[row["set"], row["attack"], row["kind"], f"{row['auc']:.3f} ({row['low']:.3f} to {row['high']:.3f})"]
            for _, row in table.iterrows()]
    columns = pd.MultiIndex.from_tuples([("", name) for name in ("set", "attack", "by", "AUC")])
    text = f"{caption}\n\n{markdown(Table(pd.DataFrame(rows, columns=columns)))}"
    out = atomic_files.make_folder(out)
    atomic_files.write_text(out / "membership.csv", table.round(4).to_csv(index=False))
    atomic_files.write_text(out / "membership.md", text)
    atomic_files.write_json(out / "membership.json", {
        "members": len(films.members), "others": len(films.others), "others_split": films.split,
        "others_left_out": films.left_out, "pairs": counts,
        "attacks": table.to_dict("records")})
    return text
