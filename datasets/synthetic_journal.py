"""The journal of a synthetic set: what has been tried, what was taken and why the rest was not."""

import itertools
import pathlib
from typing import Any

from datasets.common import atomic_files
from datasets.common.errors import UserError

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
