"""Marks in a synthetic pair folder: how near each pair comes to its nearest training film, and if it is a copy.

    SET/copies.csv    a row per pair, in the manifest's order: id, copy (0 or 1), and the columns that
                      `evaluation.synthetic.copies.compare` describes
    SET/copies.json   what they were judged by, and the counts: done is whether all pairs are, measure the version
                      of the measure (`copies.MEASURE`), set the digest of the pairs

Marks of another measure, of other training films or of other pairs are made anew.
The names of training films stand in copies.csv: it belongs to the set as made, and is not for publishing.
"""

import hashlib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.progress import Passing
from datasets.common.progress import say as say_line
from datasets.pair_store import PairStore
from datasets.patients import patients, same_patient
from evaluation.synthetic import image_sets
from evaluation.synthetic.copies import COPY_RATIO, FEW, KINDS, MEASURE, PERCENTILE, CopyCheck, is_copy
from evaluation.synthetic.image_sets import ImageSet, check_same_classes

MARKS, FACTS = "copies.csv", "copies.json"
SIDE = 256  # pixels to which larger pairs are reduced
LEAST_TRAINING = 2  # patients
LEAST_HELD_OUT = FEW  # train films that were not seen, to calibrate on them and not on the training films
_CHUNK = 512  # pairs judged at a time: a multiple of what `nearest_films` multiplies at once, for the same bits


class TooFewFilmsError(UserError):
    """Films of too few patients to tell copies by."""


def set_digest(synthetic: PairStore) -> str:
    """Of a set's pairs: what marks and figures are of."""
    return synthetic.fingerprint()[:16]


def comparison_size(real: PairStore) -> tuple[int, int]:
    """Height and width at which pairs are compared with those of `real`."""
    height, width = real.description.size
    return min(SIDE, height), min(SIDE, width)


def load_check(real: PairStore, training: Sequence[str] | None = None,
               percentile: float = PERCENTILE, held_out: PairStore | None = None) -> CopyCheck:
    """The check against the films of `real`, calibrated on held-out train films where there are LEAST_HELD_OUT of
    other patients, else on the training films, each against the other patients'. Test films are not read.

    Args:
      training: ids of the films the networks saw; None is the un-augmented train split.
      held_out: pair folder of which the train films that the networks did not see are the held-out ones; None
        takes `real`.

    Raises TooFewFilmsError for films of too few patients, UserError for folders of other classes or channels.
    """
    training = real.films("train") if training is None else training
    source = real if held_out is None else held_out
    check_same_classes(real, source)
    others, left_out = image_sets.held_out(source, real, training)
    enough = len(others) >= LEAST_HELD_OUT
    known = len(np.unique(same_patient(patients(real, training)), axis=0))
    if known < LEAST_TRAINING:
        of = f" of {known} patient" * (known < len(training))
        raise TooFewFilmsError(f"{real.path}: found {len(training)} training films{of}, expected at least "
                        f"{LEAST_TRAINING} of different patients to tell copies by")
    size = comparison_size(real)
    new = ImageSet.load("held-out training", source, others, size) if enough else None
    return CopyCheck.calibrate(ImageSet.load("training", real, training, size), new, real.classes, percentile,
                               left_out)


def mark_copies(synthetic: PairStore, real: PairStore, training: Sequence[str] | None = None,
                say: Callable[[str], None] = say_line, version: Mapping[str, str] | None = None,
                folder: pathlib.Path | None = None, held_out: PairStore | None = None) -> pd.DataFrame | None:
    """Judges all pairs of `synthetic`, some hundred at a time, and writes copies.csv and copies.json beside its
    manifest; continues what was stopped, and leaves what is done.

    Args:
      training, held_out: as in `load_check`.
      version: of the code that made the set, noted in copies.json where that does not have one.
      folder: where marks are read and written instead, for a set that must stay as it is.

    Returns the rows; None, and a line that says why, where `real` has too few training films to tell copies by.
    Raises UserError for stores of other classes or channels, and for files that cannot be read.
    """
    check_same_classes(real, synthetic)
    check_same_classes(real, held_out or real)
    try:
        check = load_check(real, training, held_out=held_out)
    except TooFewFilmsError as error:
        say(f"copies are not marked: {error}")
        return None
    path, ids, size = folder or synthetic.path, synthetic.ids(), comparison_size(real)
    facts = {"measure": MEASURE, "set": set_digest(synthetic), "judged_by": _digest(check),
             "calibration": check.calibration, "calibrating": len(check.reference["film"]),
             "percentile": check.percentile,
             "expected_share": check.expected_share, "training": len(check.training),
             "thresholds": {kind: check.threshold(kind) for kind in KINDS}, "pairs": len(ids),
             **({"version": dict(version)} if version else {})}
    lines, facts = _known_lines(path, facts, ids)
    for start in range(len(lines) - 1 if lines else 0, len(ids), _CHUNK):
        chunk = ids[start:start + _CHUNK]
        text = _to_csv(check.judge(ImageSet.load("synthetic", synthetic, chunk, size)))
        lines += text.splitlines() if not lines else text.splitlines()[1:]
        atomic_files.write_text(path / MARKS, "\n".join(lines) + "\n")
        done = start + len(chunk)
        say(Passing.at(f"{done:,} of {len(ids):,} pairs looked at for copies", start, done, len(ids)))
    rows = read_rows(path / MARKS)
    if rows is None or list(rows["id"]) != ids:
        raise UserError(f"{path / MARKS}: does not fit the manifest; remove it, and it is made anew")
    counts = {"copies": int(rows["copy"].sum()), "film_copies": int(rows["film_copy"].sum()),
              "label_copies": int(rows["label_copy"].sum()), "with_box": int((rows["boxes"] > 0).sum())}
    atomic_files.write_json(path / FACTS, {**facts, "done": True, **counts})
    say(f"{counts['copies']:,} of {len(ids):,} pairs are flagged as copies of a training film "
        f"(film {counts['film_copies']:,}, label map {counts['label_copies']:,})")
    return rows


def read_marks(synthetic: PairStore) -> tuple[pd.DataFrame, dict[str, Any]] | None:
    """Rows and facts of a set that is marked to the end, by the present measure; None for another."""
    if not (synthetic.path / FACTS).is_file():
        return None
    facts, rows = atomic_files.read_json(synthetic.path / FACTS), read_rows(synthetic.path / MARKS)
    whole = isinstance(facts, dict) and facts.get("done") is True and facts.get("measure") == MEASURE
    return (rows, facts) if whole and rows is not None and list(rows["id"]) == synthetic.ids() else None


def read_rows(path: pathlib.Path) -> pd.DataFrame | None:
    """The rows of a copies.csv; None where it is missing or something else."""
    try:
        rows = pd.read_csv(path, dtype={"id": str, "box_source": str, "copy_of": str,
                                        **{f"{kind}_{which}": str for kind in KINDS
                                           for which in ("nearest", "second")}}, keep_default_na=False)
        return rows.astype({name: bool for name in rows if name.endswith("copy")})
    except (OSError, ValueError, KeyError):
        return None


def _to_csv(rows: pd.DataFrame) -> str:
    rows = rows.copy()
    rows.insert(1, "copy", is_copy(rows))
    flags = rows.select_dtypes(bool).columns
    return rows.astype(dict.fromkeys(flags, int)).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _known_lines(path: pathlib.Path, facts: dict[str, Any],
                 ids: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Lines of copies.csv that an earlier process left, header first, and its facts; no lines and `facts`, which
    are noted, where other pairs were judged, by other films, by another measure, or there was none."""
    if (path / FACTS).is_file() and (path / MARKS).is_file():
        known = atomic_files.read_json(path / FACTS)
        lines = (path / MARKS).read_text(encoding="utf-8").splitlines()
        known = known if isinstance(known, dict) else {}
        if known.get("set", facts["set"]) == facts["set"] and known.get("version"):
            facts = {**facts, "version": known["version"]}  # of the code that made the set, whoever marks it
        same = all(known.get(name) == facts[name] for name in ("measure", "set", "judged_by"))
        if same and lines and [line.split(",", 1)[0] for line in lines[1:]] == list(ids[:len(lines) - 1]):
            return lines, known
    (path / MARKS).unlink(missing_ok=True)
    atomic_files.write_json(path / FACTS, {**facts, "done": False})
    return [], facts


def _digest(check: CopyCheck) -> str:
    """Of the films and the rule that pairs are judged by."""
    digest = hashlib.sha256(repr((COPY_RATIO, check.percentile, check.training.ids)).encode())
    if any(check.training.patients):
        digest.update(repr(list(check.training.patients)).encode())
    for images in (check.training, check.held_out):
        for array in (images.films, images.labels) if images else ():
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]
