"""Streams a method's pairs into a pair folder: any number in constant memory, continued after a kill."""

import hashlib
import itertools
import pathlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from datasets import grey
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import Description, Entry, PairWriter, read_png, write_png

CANDIDATES_PER_PAIR = 4  # tries per pair wanted before the rest is filled with repeats, or without checks
REPEAT = "label map of an earlier pair"


def write_synthetic(path: str | pathlib.Path, description: Description, checked: Callable, unchecked: Callable,
                    count: int, validation: int, seed: int, source: str, batch: int = 16,
                    say: Callable[[str], None] = print, maker: str = "") -> dict[str, Any]:
    """Writes `count` pairs, `validation` of them with split validation: the last whose label map comes once.

    Candidate i is a function of (seed, i) alone. Candidates that fail their checks or repeat the label map of a
    pair that is there are left out and counted. When that leaves fewer than `count` among CANDIDATES_PER_PAIR
    times as many, repeats are let in among as many again, if there were any; what is still missing is filled with
    unchecked ones. Both are counted. The journal is replaced after each batch, so a killed process neither loses
    nor repeats a sample.

    Args:
      checked, unchecked: methods of models.methods with and without checks; the same one leaves repeats in, too.
      source: the manifest's source column, e.g. "three-stage".
      batch: candidates made at a time.
      maker: digest of all else that decides a pair: the networks and the range of plausible areas.

    Methods with dots also leave those of each pair in dots/ID.png (codes).

    Returns the journal: candidates, accepted (indices), repeats and unchecked (how many of them), rejected
    (reason -> count).
    Raises UserError if the folder holds a set of other settings.
    """
    asked = {"seed": seed, "count": count, "validation": validation, "source": source,
             "checks": checked is not unchecked, "maker": maker}
    kept = _KeptPairs(atomic_files.make_folder(path), description, asked)
    journal, phase = kept.journal, "new"
    while len(journal["accepted"]) < count:
        before, phase = phase, _phase(journal)
        if phase != before:
            say(_shortage(journal) if phase == "unchecked" else _monotony(journal))
        indices = np.arange(journal["candidates"], journal["candidates"] + batch)
        kept.accept((unchecked if phase == "unchecked" else checked)(indices, seed), phase, batch)
        say(f"{len(journal['accepted']):,} of {count:,} pairs, {sum(journal['rejected'].values()):,} of "
            f"{journal['candidates']:,} candidates rejected")
    kept.close()
    return journal


class _KeptPairs:
    """A set as it grows: files, journal and digests of the label maps, which agree after every batch."""

    def __init__(self, path: pathlib.Path, description: Description, asked: dict[str, Any]):
        self.path = path
        self.journal = open_journal(path / JOURNAL, asked)
        self.writer = PairWriter(path, description)
        self.digests = [_digest(read_png(path / "labels" / f"{_id(index)}.png", description.size))
                        for index in self.journal["accepted"]]

    def accept(self, pairs: Any, phase: str, tried: int) -> None:
        """Writes those of `pairs` that are let in now, then the journal: these are the valid of `tried`."""
        journal = self.journal
        found = [_digest(label) for label in pairs.labels]
        repeated = _repeated(found, self.digests)
        rows = [row for row in range(len(found)) if phase != "new" or not journal["checks"] or not repeated[row]]
        refused = Counter(pairs.rejected.values()) + Counter({REPEAT: len(found) - len(rows)})
        rows = rows[:journal["count"] - len(journal["accepted"])]  # the last batch may hold more than are wanted
        for row in rows:
            self._add(pairs, row)
        self.digests += [found[row] for row in rows]
        journal["candidates"] += tried
        journal["accepted"] += [int(pairs.indices[row]) for row in rows]
        journal["unchecked"] += len(rows) if phase == "unchecked" else 0
        journal["repeats"] += sum(repeated[row] for row in rows) if phase == "repeats" else 0
        journal["rejected"] = dict(Counter(journal["rejected"]) + refused)
        atomic_files.write_json(self.path / JOURNAL, journal)

    def _add(self, pairs: Any, row: int) -> None:
        """Writes one pair, and its dots where the method has them."""
        id_ = _id(pairs.indices[row])
        image = grey.to_levels(pairs.films[row, ..., 0])
        self.writer.add(Entry(id_, "train", self.journal["source"]), image, pairs.labels[row])
        if pairs.dots is not None:
            write_png(atomic_files.make_folder(self.path / "dots") / f"{id_}.png", pairs.dots[row])

    def close(self) -> None:
        """Chooses the pairs that validate and writes the manifest."""
        journal = self.journal
        validating = _validation(self.digests, journal["unchecked"], journal["validation"])
        self.writer.entries = {
            _id(index): Entry(_id(index), "validation" if place in validating else "train", journal["source"])
            for place, index in enumerate(journal["accepted"])}
        self.writer.close()


def _phase(journal: dict[str, Any]) -> str:
    """Which candidates are let in now: "new" ones, then valid "repeats" as well, then "unchecked" ones."""
    limit = CANDIDATES_PER_PAIR * journal["count"]
    if journal["candidates"] < limit:
        return "new"
    return "repeats" if REPEAT in journal["rejected"] and journal["candidates"] < 2 * limit else "unchecked"


def _repeated(found: Sequence[bytes], earlier: Sequence[bytes]) -> list[bool]:
    """Which of the digests found are among the earlier ones or come before among themselves."""
    known, repeated = set(earlier), []
    for digest in found:
        repeated.append(digest in known)
        known.add(digest)
    return repeated


def _digest(label: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(label).tobytes(), digest_size=16).digest()


def _validation(digests: Sequence[bytes], unchecked: int, count: int) -> set[int]:
    """Places of the pairs that validate: the last ones, but rather not a label map that comes twice, lest it is
    trained on too, and rather not one of the last `unchecked`, which passed no check."""
    times, first_unchecked = Counter(digests), len(digests) - unchecked  # unchecked ones were let in last
    places = sorted(range(len(digests)),
                    key=lambda place: (times[digests[place]] > 1, place >= first_unchecked, -place))
    return set(places[:count])


def _shortage(journal: dict[str, Any]) -> str:
    """The warning that the rest of a set is taken without checks."""
    reason, times = max(journal["rejected"].items(), key=lambda item: item[1])
    valid = journal["candidates"] - sum(journal["rejected"].values()) + journal["rejected"].get(REPEAT, 0)
    return (f"warning: only {valid:,} of {journal['candidates']:,} candidates are valid (most often: {reason}, "
            f"{times:,} times); the rest of {journal['count']:,} pairs is taken unchecked. Look at the grids of "
            "the first network: it may have to be trained longer, or with another seed")


def _monotony(journal: dict[str, Any]) -> str:
    """The warning that repeats are let in."""
    return (f"warning: only {len(journal['accepted']):,} of {journal['candidates']:,} candidates have a label map "
            f"of their own ({journal['rejected'][REPEAT]:,} repeat an earlier one); repeats are taken now. "
            "Look at the grids of the first network: it varies little")


def _id(index: int) -> str:
    return f"synthetic-{int(index):06d}"


JOURNAL = "generation.json"


def open_journal(path: pathlib.Path, asked: dict[str, Any]) -> dict[str, Any]:
    """The journal at `path`, or a new one for what is `asked`. Raises UserError if it is of other settings."""
    if not path.is_file():
        return {**asked, "candidates": 0, "accepted": [], "repeats": 0, "unchecked": 0, "rejected": {}}
    journal = read_journal(path)
    journal.setdefault("repeats", 0)
    changed = [f"{name} {journal.get(name)!r}, now {value!r}" for name, value in asked.items()
               if journal.get(name) != value]
    if changed:
        raise UserError(f"{path}: belongs to a synthetic set of other settings ({'; '.join(changed)[:300]}); use "
                        "those, or choose another --out")
    return journal


def read_journal(path: pathlib.Path) -> dict[str, Any]:
    """A set's journal, as `write_synthetic` returns it. Raises UserError for anything else."""
    journal = atomic_files.read_json(path)
    try:
        accepted, candidates = journal["accepted"], journal["candidates"]
        counts = [candidates, journal["count"], journal["unchecked"], journal.get("repeats", 0),
                  *journal["rejected"].values(), *accepted]
        whole = all(type(number) is int and 0 <= number < 2**53 for number in counts)
        rising = all(one < other for one, other in itertools.pairwise([*accepted, candidates]))
        if not whole or not rising or len(accepted) > journal["count"]:
            raise ValueError("numbers that cannot be")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
        raise UserError(f"{path}: not the journal of a synthetic set ({reason[:100]}); choose another "
                        "--out") from None
    return journal
