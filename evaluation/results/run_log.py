"""The log of a training run, metrics.jsonl: a line of JSON for each position that was measured.

It holds no clock times, so that the logs of two runs can be compared.
"""

import json
import pathlib
from collections.abc import Mapping

from datasets.common import atomic_files
from datasets.common.errors import UserError

NAME = "metrics.jsonl"  # in the run folder


def append_row(path: pathlib.Path, position: int, values: Mapping[str, float]) -> None:
    """Adds a line. Raises UserError where the system refuses, e.g. on a full disk."""
    atomic_files.append_text(path, json.dumps({"position": position, **values}) + "\n")


def read_rows(path: pathlib.Path) -> list[dict[str, float]]:
    """{"position": ..., name: value, ...} of each line, none if there is no file; values may be NaN.

    A last line cut short by a kill is left out. Raises UserError naming any other line that is not such.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            numbers = all(isinstance(value, int | float) for value in row.values())  # json reads NaN too
            if not (numbers and isinstance(row["position"], int)):
                raise ValueError(row)
            rows.append(row)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # The last one may have been cut by a kill.
            if number < len(lines):
                raise UserError(f"{path}: line {number} is damaged; expected JSON with a position and numbers, as "
                                "training writes it") from None
    return rows


def drop_after(path: pathlib.Path, position: int) -> None:
    """Forgets the lines beyond `position`, which will be trained again."""
    if path.is_file():
        rows = [row for row in read_rows(path) if row["position"] <= position]
        atomic_files.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))  # whole or not at all
