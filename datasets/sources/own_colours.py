"""Tables that say which colour of a label map stands for which class.

Read are CVAT's labelmap.txt (`name:r,g,b:parts:actions`), tables of name and colour with commas, semicolons or
tabs (`name,r,g,b` or `name,#rrggbb`, in columns that a first line of headings may name), lines of `r g b name`,
and the tables of ITK-SNAP and 3D Slicer.
"""

import csv
import dataclasses
import pathlib
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from datasets.class_table import IGNORED, ClassTable
from datasets.common import text_files
from datasets.common.errors import UserError
from datasets.pair_store import describe_ids

Colour = tuple[int, int, int]
_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_NUMBER = re.compile(r"\d{1,9}")  # of isdigit's ², and of thousands of digits, int() makes none
_BLACK = (0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Colours:
    """The classes of a table and the colours that stand for them.

    Attributes:
      codes: colour -> class code, or IGNORED.
    """

    classes: ClassTable
    codes: dict[Colour, int]

    def to_codes(self, picture: np.ndarray, path: pathlib.Path) -> np.ndarray:
        """uint8 RGB [H, W, 3] -> codes uint8 [H, W]. Raises UserError naming a colour that the table lacks."""
        packed = pack_colours(picture)
        known = {int(pack_colours(np.array(colour))): code for colour, code in self.codes.items()}
        keys = np.array(sorted(known))
        places = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
        strange = packed[keys[places] != packed]
        if len(strange):
            found, counts = np.unique(strange, return_counts=True)
            most = int(found[np.argmax(counts)])
            others = f" and {len(found) - 1} more colours" if len(found) > 1 else ""
            raise UserError(f"{path}: found colour {most >> 16},{most >> 8 & 255},{most & 255} in "
                            f"{counts.max():,} pixels{others}, not in the table of --colours; add them to it, or "
                            "save label maps without smoothing and not as JPEG")
        return np.array([known[key] for key in keys.tolist()], np.uint8)[places]


def pack_colours(picture: np.ndarray) -> np.ndarray:
    """RGB [..., 3] of 8 bits -> one number each, int32 [...]; black is 0."""
    return picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def read_colours(path: pathlib.Path, ignore: Sequence[str] = ()) -> Colours:
    """The classes of a table in its order, the background first.

    The background is the class of that name, else the black one, else an added one that is black.

    Args:
      ignore: names of classes that are no classes but IGNORED.

    Raises UserError for a line without name and colour, a name or colour that comes twice, or no class.
    """
    table, ignore = _read_rows(path), [unicodedata.normalize("NFC", name) for name in ignore]
    if not table:
        raise UserError(f"{path}: found no line with a name and a colour; expected e.g. liver:255,0,0:: or "
                        "liver,255,0,0")
    for name in ignore:
        if name not in table:
            raise UserError(f"--ignore: found {name!r}, expected one of the names in {path}: "
                            f"{describe_ids(table, 8)}")
    names = [name for name in table if name not in ignore]
    ground = next((name for name in names if name.casefold() == "background"),
                  next((name for name in names if table[name] == _BLACK), None))
    if ground is None and _BLACK not in table.values():
        ground, table = "background", {"background": _BLACK, **table}
    elif ground is None:
        raise UserError(f"{path}: found no background; expected a class called background, or the colour 0,0,0")
    names = [ground, *(name for name in names if name != ground)]
    try:
        classes = ClassTable(tuple(names), ignored=bool(ignore))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return Colours(classes, {colour: names.index(name) if name in names else IGNORED
                             for name, colour in table.items()})


def _read_rows(path: pathlib.Path) -> dict[str, Colour]:
    table: dict[str, Colour] = {}
    columns: tuple[int, ...] | None = None  # of name, red, green and blue, where a line of headings names them
    for number, line in enumerate(text_files.read_text(path).split("\n"), 1):
        line = line.strip()
        if not line or (line.startswith(("#", "//")) and not _HEX.match(line)):
            continue
        row = _read_columns(_cells(line), columns) if columns else _read_row(line)
        if row is None and not table and columns is None and not re.search(r"\d", line):
            columns = _columns(_cells(line))
            continue
        if row is None:
            raise UserError(f"{path}: line {number} is {line[:60]!a}; expected a name and a colour, e.g. "
                            "liver:255,0,0:: or liver,255,0,0 or liver,#ff0000")
        name, colour = row
        if name in table or colour in table.values():
            raise UserError(f"{path}: line {number} has {name!a} or {','.join(map(str, colour))} again; expected "
                            "each name and each colour once")
        table[name] = colour
    return table


def _read_row(line: str) -> tuple[str, Colour] | None:
    """Name and colour of a line, None where it has not both."""
    cvat = re.fullmatch(r"(.+?):\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*(:.*)?", line)
    if cvat:
        return _row(cvat[1], cvat.groups()[1:4])
    cells = _cells(line)
    if sum(cell.isdigit() for cell in cells) == 7 and all(cell.isdigit() for cell in cells[:7]):
        cells = cells[1:4] + cells[7:]  # ITK-SNAP: number, colour, opacity, two switches, name
    for place, cell in enumerate(cells):
        numbers = cells[place:place + 3]
        if len(numbers) == 3 and all(re.fullmatch(r"\d{1,3}", one) for one in numbers):
            others = [one for one in (*cells[:place], *cells[place + 3:]) if one and not one.isdigit()]
            return _row(" ".join(others), numbers)
        match = _HEX.fullmatch(cell)
        if match and (cell.startswith("#") or (place and (len(cell) == 6 or re.search(r"\d", cell)))):
            digits = match[1] if len(match[1]) == 6 else "".join(2 * digit for digit in match[1])
            others = [one for one in (*cells[:place], *cells[place + 1:]) if one and not one.isdigit()]
            return _row(" ".join(others), [int(digits[at:at + 2], 16) for at in (0, 2, 4)])
    return None


def _cells(line: str) -> list[str]:
    """What commas, semicolons or tabs part, or else spaces; a cell of three numbers is three."""
    delimiter = max(",;\t", key=line.count)
    if delimiter not in line:
        return [cell.strip("\"'") for cell in line.split()]
    cells = [cell.strip().strip("\"'").strip() for cell in next(csv.reader([line], delimiter=delimiter,
                                                                            skipinitialspace=True))]
    three = re.compile(r"\d+\s+\d+\s+\d+")
    return [part for cell in cells for part in (cell.split() if three.fullmatch(cell) else [cell])]


def _columns(heads: Sequence[str]) -> tuple[int, ...]:
    """Places of name, red, green and blue among headings; () where they do not say all."""
    places = [[place for place, head in enumerate(heads) if head.casefold() in wanted] for wanted in (
        ("name", "class", "label", "class_name", "label_name"), ("r", "red"), ("g", "green"), ("b", "blue"))]
    return tuple(found[0] for found in places) if all(len(found) == 1 for found in places) else ()


def _read_columns(cells: Sequence[str], columns: Sequence[int]) -> tuple[str, Colour] | None:
    if len(cells) <= max(columns) or not all(_NUMBER.fullmatch(cells[place]) for place in columns[1:]):
        return None
    return _row(cells[columns[0]], [cells[place] for place in columns[1:]])


def _row(name: str, numbers: Sequence) -> tuple[str, Colour] | None:
    colour = tuple(int(number) for number in numbers)
    return (name.strip(), colour) if name.strip() and max(colour) <= 255 else None
