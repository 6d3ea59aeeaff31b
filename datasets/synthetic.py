"""Streams a method's pairs into a pair folder: any number in constant memory, continued after a kill."""

import itertools
import pathlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from datasets import files
from datasets.errors import UserError
from datasets.store import Description, Entry, PairWriter, write_png

JOURNAL = "generation.json"
CANDIDATES_PER_PAIR = 4  # tries per pair wanted before the rest is filled without checks


def write_synthetic(path: str | pathlib.Path, description: Description, checked: Callable, unchecked: Callable,
                    count: int, validation: int, seed: int, source: str, batch: int = 16,
                    say: Callable[[str], None] = print, maker: str = "") -> dict[str, Any]:
    """Writes `count` pairs, the last `validation` of them with split validation.

    Candidate i is a function of (seed, i) alone. Candidates that fail their checks are left out and counted;
    when that leaves fewer than `count` among CANDIDATES_PER_PAIR times as many, the rest is filled with
    unchecked ones, which are counted too. The journal is replaced after each batch, so a killed process
    neither loses nor repeats a sample.

    Args:
      checked, unchecked: methods of models.methods with and without checks.
      source: the manifest's source column, e.g. "three-stage".
      batch: candidates made at a time.
      maker: digest of all else that decides a pair: the networks and the range of plausible areas.

    Methods with dots also leave those of each pair in dots/ID.png (codes).

    Returns the journal: candidates, accepted (indices), unchecked, rejected (reason -> count).
    Raises UserError if the folder holds a set of other settings.
    """
    path = files.make_folder(path)
    asked = {"seed": seed, "count": count, "validation": validation, "source": source,
             "checks": checked is not unchecked, "maker": maker}
    journal = _open_journal(path / JOURNAL, asked)
    writer = PairWriter(path, description)
    while len(journal["accepted"]) < count:
        first = journal["candidates"]
        relaxed = first >= CANDIDATES_PER_PAIR * count
        if relaxed and not journal["unchecked"] and journal["rejected"]:
            say(_shortage(journal))
        indices = np.arange(first, first + batch)
        pairs = (unchecked if relaxed else checked)(indices, seed)
        room = count - len(journal["accepted"])
        for index, label, film in zip(pairs.indices[:room], pairs.labels, pairs.films, strict=False):
            image = np.clip(np.rint((film[..., 0] + 1.0) * 127.5), 0, 255).astype(np.uint8)
            writer.add(Entry(_id(index), "train", source), image, label)
        for index, dots in zip(pairs.indices[:room], [] if pairs.dots is None else pairs.dots, strict=False):
            write_png(files.make_folder(path / "dots") / f"{_id(index)}.png", dots)
        journal["candidates"] = int(indices[-1]) + 1
        journal["accepted"] += [int(index) for index in pairs.indices[:room]]
        journal["unchecked"] += min(room, len(pairs.indices)) if relaxed else 0
        journal["rejected"] = dict(Counter(journal["rejected"]) + Counter(pairs.rejected.values()))
        files.write_json(path / JOURNAL, journal)
        say(f"{len(journal['accepted']):,} of {count:,} pairs, {sum(journal['rejected'].values()):,} of "
            f"{journal['candidates']:,} candidates rejected")
    splits = ["train"] * (count - validation) + ["validation"] * validation
    writer.entries = {_id(index): Entry(_id(index), split, source)
                      for index, split in zip(journal["accepted"], splits, strict=True)}
    writer.close()
    return journal


def _shortage(journal: dict[str, Any]) -> str:
    """The warning that the rest of a set is taken without checks."""
    reason, times = max(journal["rejected"].items(), key=lambda item: item[1])
    return (f"warning: only {len(journal['accepted']):,} of {journal['candidates']:,} candidates are valid (most "
            f"often: {reason}, {times:,} times); the rest of {journal['count']:,} pairs is taken unchecked. Look "
            "at the grids of the first network: it may have to be trained longer, or with another seed")


def _id(index: int) -> str:
    return f"synthetic-{int(index):06d}"


def _open_journal(path: pathlib.Path, asked: dict[str, Any]) -> dict[str, Any]:
    if not path.is_file():
        return {**asked, "candidates": 0, "accepted": [], "unchecked": 0, "rejected": {}}
    journal = read_journal(path)
    changed = [f"{name} {journal.get(name)!r}, now {value!r}" for name, value in asked.items()
               if journal.get(name) != value]
    if changed:
        raise UserError(f"{path}: belongs to a synthetic set of other settings ({'; '.join(changed)[:300]}); use "
                        "those, or choose another --out")
    return journal


def read_journal(path: pathlib.Path) -> dict[str, Any]:
    """A set's journal, as `write_synthetic` returns it. Raises UserError for anything else."""
    journal = files.read_json(path)
    try:
        accepted, candidates = journal["accepted"], journal["candidates"]
        counts = [candidates, journal["count"], journal["unchecked"], *journal["rejected"].values(), *accepted]
        whole = all(type(number) is int and 0 <= number < 2**53 for number in counts)
        rising = all(one < other for one, other in itertools.pairwise([*accepted, candidates]))
        if not whole or not rising or len(accepted) > journal["count"]:
            raise ValueError("numbers that cannot be")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
        raise UserError(f"{path}: not the journal of a synthetic set ({reason[:100]}); choose another "
                        "--out") from None
    return journal
