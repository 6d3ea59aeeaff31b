"""How good the check for copies is: copies of known films that it finds, and films of other patients it flags."""

import dataclasses
import zlib
from collections.abc import Callable

import numpy as np
import pandas as pd

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.common.progress import say
from datasets.pair_store import Description, PairStore
from datasets.patients import without_patients_of
from datasets.subsets import draw_films
from evaluation.privacy.figures import Interval, share
from evaluation.privacy.planted_copies import Pair, disguises
from evaluation.synthetic.copies import CopyCheck, is_copy
from evaluation.synthetic.image_sets import ImageSet
from evaluation.synthetic.marked_copies import LEAST_HELD_OUT, comparison_size

WHOLE = "all"  # the row of all listed disguises together
UNSEEN = "other patients' films as they are"


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
      films: members of a draw, which stand for the films that networks were trained on.
      draws: of members, by the seeds 0, 1, ...
      count: members and other patients that are disguised in each way, at most, of a draw.
    """

    films: int = 11
    draws: int = 3
    count: int = 11

    def describe(self, description: Description) -> str:
        """What is measured on, in words."""
        height, width = description.size
        return (f"{self.films} train films of {description.name}, {width} x {height} pixels, in place of those "
                f"that the networks saw, {self.draws} draw{'s' * (self.draws > 1)}")


def measure(store: PairStore, options: Options, progress: Callable[[str, int, int], None]) -> pd.DataFrame:
    """A row per disguise and strength: copies planted and found, disguised films of other patients and flagged.

    The members of each draw stand for the training films. Of the other train films every second one calibrates the
    check, if those are enough (else the members do, each against the others), and the rest are other patients, who
    are not seen before. Films of the members' patients are left out, and test films are not read. Columns: kind,
    disguise, strength, listed, planted, found, recall, recall_low, recall_high, others, flagged, false_alarms,
    false_alarms_low, false_alarms_high.

    Raises UserError for too few train films, also of other patients than a draw's members'.
    """
    ids = store.films("train")
    if len(ids) < options.films + 2 or options.films < 3:
        raise UserError(f"{store.path}: found {len(ids)} train films, expected at least {options.films + 2} for "
                        f"--films={options.films}, which must be 3 or more")
    whole = ImageSet.load("train", store, ids, comparison_size(store))
    rows = []
    for seed in range(options.draws):
        progress("draws measured", seed, options.draws)
        members = draw_films(ids, seed, options.films)
        others, left_out = without_patients_of(store, ids, store, members)
        if len(others) < 2:
            raise UserError(f"{store.path}: found {len(others)} train films of other patients than the members of "
                            f"draw {seed}, expected at least 2; choose fewer --films")
        if left_out:
            say(f"draw {seed}: {left_out} train films are of the members' patients, and left out")
        inside, outside = (np.flatnonzero(np.isin(ids, part)) for part in (members, others))
        rows += _draw(whole, inside, outside, store.classes, options, seed)
    progress("draws measured", options.draws, options.draws)
    return _summed(pd.DataFrame(rows))


def headline(table: pd.DataFrame) -> dict[str, Interval]:
    """Recall of all listed disguises together, and false alarms on films as they are."""
    found, unseen = (table[table["disguise"] == name].iloc[0] for name in (WHOLE, UNSEEN))
    return {"check_recall": _interval(found, "recall"), "check_false_alarms": _interval(unseen, "false_alarms")}


def _draw(whole: ImageSet, inside: np.ndarray, outside: np.ndarray, classes: ClassTable, options: Options,
          seed: int) -> list[dict]:
    """Rows of a draw; `inside` and `outside` are the places of its members and of the films of other patients."""
    calibrating = outside[1::2] if len(outside) // 2 >= LEAST_HELD_OUT else outside[:0]
    others = np.setdiff1d(outside, calibrating)
    check = CopyCheck.calibrate(_part(whole, inside), _part(whole, calibrating) if len(calibrating) else None,
                                classes)
    alarms = is_copy(check.judge(_part(whole, others)))
    rows = [{"kind": "pair", "disguise": UNSEEN, "strength": "", "listed": False, "planted": 0, "found": 0,
             "others": len(others), "flagged": int(alarms.sum())}]
    for name, disguise in disguises(classes).items():
        for strength in disguise.strengths:
            way = name, strength, seed
            copies = _disguised(whole, inside[:options.count], inside if disguise.of_two else others, way, classes)
            strangers = _disguised(whole, others[:options.count], others, way, classes)
            found = check.judge(copies)[f"{disguise.kind}_copy"].sum() if copies else 0
            flagged = is_copy(check.judge(strangers)).sum() if strangers else 0
            rows.append({"kind": disguise.kind, "disguise": name, "strength": strength, "listed": disguise.listed,
                         "planted": len(copies or ()), "found": int(found), "others": len(strangers or ()),
                         "flagged": int(flagged)})
    return rows


def _disguised(whole: ImageSet, places: np.ndarray, hosts: np.ndarray, way: tuple[str, str, int],
               classes: ClassTable) -> ImageSet | None:
    """The films of `places` disguised, each with another one of `hosts`; None where none can be."""
    name, strength, seed = way
    disguise, made = disguises(classes)[name], []
    for place in places:
        rng = np.random.default_rng([seed, zlib.crc32(f"{name} {strength}".encode()), place])
        host = rng.choice(hosts[hosts != place])
        pair = disguise.apply(_pair(whole, place), _pair(whole, host), disguise.strengths[strength], rng)
        made += [] if pair is None else [pair]
    if not made:
        return None
    return ImageSet("planted", [str(number) for number in range(len(made))],
                    *(np.stack(arrays) for arrays in zip(*made, strict=True)))


def _summed(rows: pd.DataFrame) -> pd.DataFrame:
    """Draws added up, a row for the whole, and intervals."""
    table = rows.groupby(["kind", "disguise", "strength", "listed"], sort=False, as_index=False).sum()
    listed = table[table["listed"]]
    counts = listed[["planted", "found", "others", "flagged"]].sum().to_dict()
    table = pd.concat([table, pd.DataFrame([{"kind": "", "disguise": WHOLE, "strength": "", "listed": True,
                                             **counts}])], ignore_index=True)
    for name, found, of in (("recall", "found", "planted"), ("false_alarms", "flagged", "others")):
        values = [share(int(row[found]), int(row[of])) for _, row in table.iterrows()]
        for place, suffix in enumerate(("", "_low", "_high")):
            table[name + suffix] = [value[place] for value in values]
    return table


def _interval(row: pd.Series, name: str) -> Interval:
    return float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"])


def _part(images: ImageSet, places: np.ndarray) -> ImageSet:
    return ImageSet(images.name, [images.ids[place] for place in places], images.films[places],
                    images.labels[places], [images.patients[place] for place in places])


def _pair(images: ImageSet, place: int) -> Pair:
    return Pair(images.films[place], images.labels[place])

