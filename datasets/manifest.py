"""The manifest of a pair folder, in one place: a line for each pair, and what makes a pair a copy of a film.

    manifest.csv   id,split,source    (split is train, validation or test)
                   ...,operation      where there are augmented copies: `source` is then their film
                   ...,patient        where the import was told whose the films are

Manifests made before there was the operation tell copies by their names; `_by_names` reads them.
"""

import csv
import dataclasses
import io
import pathlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from datasets.common import text_files
from datasets.common.errors import UserError
from datasets.common.names import MAX_ID, is_id

SPLITS = ("train", "validation", "test")
MAX_MANIFEST = 2**26  # bytes
MAX_NAME = 200  # characters of a data set's, class's, source's or operation's name
AS_IT_IS = "original"  # the operation that changes nothing
OPERATIONS = (AS_IT_IS, "rotation", "horizontal", "vertical", "combined", "noise")  # of `augment_store`
_UNKNOWN = "unknown"
_COLUMNS, _OPTIONAL = ["id", "split", "source"], ["operation", "patient"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A manifest row.

    Attributes:
      id: of the pair.
      split: one of SPLITS.
      source: where the pair comes from; for one that augmentation made, the id of its film.
      operation: of augmentation, one of OPERATIONS or another word; empty for a pair that it did not make.
      patient: whose film it shows: pairs of one name are of one patient of the data set. Empty where nobody says.
    """

    id: str
    split: str
    source: str = ""
    operation: str = ""
    patient: str = ""

    @property
    def film(self) -> str:
        """The film that the pair shows: its own id, or for one that augmentation made that of the film."""
        return self.source if self.operation else self.id

    @property
    def is_copy(self) -> bool:
        """Whether it shows a film otherwise than it is."""
        return self.operation not in ("", AS_IT_IS)


def read_manifest(path: pathlib.Path, name: str) -> list[Entry]:
    """The rows of a manifest, in order.

    Args:
      name: of the data set.

    Raises UserError for what is no manifest.
    """
    rows = text_files.read_table(path, text_files.read_text(path, MAX_MANIFEST))
    header, expected = rows[0] if rows else [], ",".join(_COLUMNS)
    if header != _COLUMNS + [name for name in _OPTIONAL if name in header]:
        raise UserError(f"{path}: found header {str(rows[:1])[1:-1][:100]}, expected {expected}")
    entries = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise UserError(f"{path}: line {number} has {len(row)} fields, expected {','.join(header)}")
        entries.append(Entry(**dict(zip(header, row, strict=True))))
        check_entry(entries[-1], path)
    counts = Counter(entry.id for entry in entries)
    if twice := [id_ for id_, count in counts.items() if count > 1]:
        raise UserError(f"{path}: id {twice[0]} stands there {counts[twice[0]]} times; each pair needs its own id")
    return entries if "operation" in header else _by_names(entries, name)


def manifest_text(entries: Iterable[Entry]) -> str:
    """The manifest of `entries`, sorted by id."""
    entries = sorted(entries, key=lambda entry: entry.id)
    header = _COLUMNS + [name for name in _OPTIONAL if any(getattr(entry, name) for entry in entries)]
    rows = [[getattr(entry, name) for name in header] for entry in entries]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def check_entry(entry: Entry, path: pathlib.Path) -> None:
    """Raises UserError, which names `path`, for an entry that no manifest can have."""
    if not is_id(entry.id):
        raise UserError(f"{path}: id {entry.id[:MAX_NAME]!r} is not a plain file name of letters, digits, '.', "
                        f"'_' and '-', of at most {MAX_ID} bytes")
    if entry.split not in SPLITS:
        raise UserError(f"{path}: {entry.id} has split {entry.split[:MAX_NAME]!r}, expected one of "
                        f"{', '.join(SPLITS)}")
    for what, word in (("source", entry.source), ("operation", entry.operation), ("patient", entry.patient)):
        if not word.isprintable() or len(word) > MAX_NAME:
            raise UserError(f"{path}: {entry.id} has {what} {word[:MAX_NAME]!r}, expected up to {MAX_NAME} "
                            "printable characters")


def _by_names(entries: Sequence[Entry], name: str) -> list[Entry]:
    """`entries` with the operations that names tell."""
    known = {entry.id for entry in entries}
    return [dataclasses.replace(entry, operation=_operation(entry, known, name)) for entry in entries]


def _operation(entry: Entry, known: Collection[str], name: str) -> str:
    """FILM-OPERATION of source FILM is a copy, and so is what has another pair as its source; any other FILM-WORD
    of source FILM shows the film as it is."""
    if entry.source in ("", name, entry.id):  # an imported pair has the data set's name as its source
        return ""
    film, _, word = entry.id.partition(f"{entry.source}-")
    named = not film and word
    if named and word in OPERATIONS:
        return word
    if entry.source in known:
        return _UNKNOWN
    return AS_IT_IS if named else ""
