"""Which of a user's pairs train and which test: drawn, listed or by order, patients kept on one side.

A group holds the pairs of one patient, or the neighbours of one video. It comes from the file's name, a table, or
a DICOM element.
"""

import pathlib
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from datasets.common import text_files
from datasets.common.errors import UserError
from datasets.formats.find import is_dicom_file, picture_suffix
from datasets.formats.raster import decoding
from datasets.pair_store import describe_ids
from datasets.sources.own_files import OwnFolder

_HEADERS = r"ids?|cases?|names?|(file|image)(_?(name|id)s?|s)?"  # a list's first line may be one
Groups = Mapping[str, str]  # id -> group


def choose_test(ids: Sequence[str], fraction: float, seed: int, groups: Groups | None = None) -> set[str]:
    """`fraction` of the ids, drawn by seed, rounded to the nearest count and at least one if it is not zero.

    Groups are drawn whole, until another would lead further from that count.
    """
    count = max(1, round(fraction * len(ids))) if fraction > 0 else 0
    random = np.random.default_rng(seed)
    if groups is None:
        return set(random.permutation(sorted(ids))[:count].tolist())
    chosen: set[str] = set()
    for group in random.permutation(sorted({groups[id_] for id_ in ids})) if count else ():
        members = {id_ for id_ in ids if groups[id_] == group}
        if not chosen or abs(len(chosen | members) - count) < abs(len(chosen) - count):
            chosen |= members
    return chosen


def rest_by_name(ids: Sequence[str], train_count: int, groups: Groups | None = None) -> set[str]:
    """The ids that test where the first `train_count` by name train; a group that begins among them trains whole.

    Raises UserError where there are fewer.
    """
    if train_count > len(ids):
        raise UserError(f"--train_count={train_count}: found {len(ids)} pairs; choose a smaller number")
    first = sorted(ids)[:train_count]
    trained = set(first) if groups is None else {groups[id_] for id_ in first}
    return {id_ for id_ in ids if (id_ if groups is None else groups[id_]) not in trained}


def read_ids(path: pathlib.Path, sources: Sequence[OwnFolder]) -> set[str]:
    """The ids of the pairs that a text file names, one a line: by id, by file with or without folder and suffix.

    Raises UserError for a name that no pair has, or several.
    """
    known = _names(sources)
    found, unknown = set(), []
    for number, line in enumerate(text_files.read_lines(path)):
        # a table's first cell, where it is one
        ids = _look_up(known, line) or _look_up(known, re.split(r"[,;\t]", line)[0].strip("\"' "))
        if not ids and not number and re.fullmatch(_HEADERS, re.split(r"[,;\t]", line)[0].strip("\"' "), re.I):
            continue
        # several, and not slices of one volume
        if len(ids) > 1 and len({source.image for source in sources if source.id in ids}) > 1:
            raise UserError(f"{path}: found {line[:80]!a}, which {len(ids)} pairs are called "
                            f"({describe_ids(sorted(ids), 3)}); write their ids")
        found |= ids
        unknown += [] if ids else [line]
    if not found and not unknown:
        raise UserError(f"{path}: found no names; expected one a line")
    if unknown:
        raise UserError(f"{path}: found {describe_ids(ascii(line[:80]) for line in unknown)}, which no pair is "
                        f"called; expected names such as {describe_ids((one.id for one in sources), 3)}")
    return found


def group_pairs(how: str, sources: Sequence[OwnFolder]) -> dict[str, str]:
    """Id -> group.

    Args:
      how: TABLE.csv:COLUMN, a DICOM element such as PatientID, or a regular expression for the names of images
        below their folder; the group is what its first brackets hold, else what it matches.

    Raises UserError for a pair without group.
    """
    table = re.fullmatch(r"(.+\.(?:csv|tsv|txt)):([^:]+)", how, re.IGNORECASE)
    if table:
        return _groups_of_table(pathlib.Path(table[1]).expanduser(), table[2].strip(), sources)
    if re.fullmatch(r"[A-Z][A-Za-z]+", how) and all(is_dicom_file(source.image) for source in sources):
        groups = {source.id: dicom_element(source.image, how) for source in sources}
        empty = [source.image for source in sources if not groups[source.id]]
        if empty:
            raise UserError(f"{empty[0]}: found no {how} in this and {len(empty) - 1} other files; give "
                            "--group_by a pattern, or a table")
        return groups
    try:
        pattern = re.compile(how)
    except re.error as error:
        raise UserError(f"--group_by={how}: not a regular expression ({error}); expected one, FILE.csv:COLUMN, or "
                        "PatientID for DICOM files") from None
    groups = {}
    for source in sources:
        match = pattern.search(source.name)
        if not match or not (match[1] if pattern.groups else match[0]):
            raise UserError(f"--group_by={how}: found nothing of that pattern in {source.name!a}; expected a "
                            "group in the name of every image")
        groups[source.id] = match[1] if pattern.groups else match[0]
    return groups


def name_patients(groups: Groups) -> dict[str, str]:
    """Id -> a name of the group that tells nothing but which pairs are of one: patient-0001, ..., in its order."""
    names = {group: f"patient-{number:04d}" for number, group in enumerate(sorted(set(groups.values())), 1)}
    return {id_: names[group] for id_, group in groups.items()}


def volumes(sources: Sequence[OwnFolder]) -> dict[str, str] | None:
    """Id -> name, so that slices of a volume are a group; None where there is no volume."""
    return {source.id: source.name for source in sources} if any(source.part for source in sources) else None


def patients(sources: Sequence[OwnFolder]) -> dict[str, str]:
    """Id -> PatientID, of the pairs whose images are DICOM files that hold one."""
    found = {source.id: dicom_element(source.image, "PatientID") for source in sources
             if is_dicom_file(source.image)}
    return {id_: patient for id_, patient in found.items() if patient}


def on_both_sides(groups: Groups, ids: Sequence[str], test: Collection[str]) -> list[str]:
    """Groups that train and test."""
    sides = [{groups[id_] for id_ in ids if id_ in groups and (id_ in test) == side} for side in (False, True)]
    return sorted(sides[0] & sides[1])


def dicom_element(path: pathlib.Path, keyword: str) -> str:
    """The text of a DICOM file's element; "" where it has none. Raises UserError for an unknown keyword."""
    import pydicom  # a second that most imports do without
    from pydicom.datadict import tag_for_keyword

    if tag_for_keyword(keyword) is None:
        raise UserError(f"--group_by={keyword}: DICOM has no such element; expected e.g. PatientID")
    with decoding(path, "DICOM file"):
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=[keyword])
        return str(dataset.get(keyword) or "").strip()


def _groups_of_table(path: pathlib.Path, column: str, sources: Sequence[OwnFolder]) -> dict[str, str]:
    """The column of the rows that name the pairs, in the column that names the most of them.

    One column alone, the first of several as good: an age or a row's number may read like another film's name.
    """
    header, *rows = text_files.read_table(path) or [[]]
    places = [place for place, name in enumerate(header) if name.casefold() == column.casefold()]
    if len(places) != 1:
        raise UserError(f"{path}: found columns {describe_ids(header)}, expected one called {column}")
    known = _names(sources)
    rows = [row for row in rows if len(row) > places[0] and row[places[0]]]
    named = {place: [_look_up(known, row[place]) if place < len(row) else set() for row in rows]
             for place in range(len(header)) if place != places[0]}
    most = max(named.values(), key=lambda found: len(set().union(*found)), default=[set()] * len(rows))
    groups: dict[str, str] = {}
    for row, ids in zip(rows, most, strict=True):
        group = row[places[0]]
        for id_ in ids:
            if groups.setdefault(id_, group) != group:
                raise UserError(f"{path}: found {id_} in {column} {groups[id_]!a} and {group!a}, expected each "
                                "image in one")
    missing = [source.id for source in sources if source.id not in groups]
    if missing:
        raise UserError(f"{path}: found no row with a {column} for {describe_ids(missing)}; expected the name of "
                        "every image in some column")
    return groups


def _names(sources: Sequence[OwnFolder]) -> dict[str, set[str]]:
    """Every name that may stand for a pair in a list -> ids of the pairs it may mean; ids come first."""
    known: dict[str, set[str]] = {}
    for source in sources:
        paths = [source.image, *(path for path in source.labels if path is not None)]
        for name in {source.name, source.name.rpartition("/")[2], *(path.name for path in paths),
                     *(_stem(path.name) for path in paths)}:
            for key in {_fold(name), _small(_fold(name)), _small(source.id)}:
                known.setdefault(key, set()).add(source.id)
    return known | {source.id: {source.id} for source in sources}


def _look_up(known: Mapping[str, set[str]], text: str) -> set[str]:
    """Ids of the pairs that `text` may mean, with all folders in it, or else without, or in other capitals."""
    name = _fold(text)
    return next((known[one] for one in (name, name.rpartition("/")[2], _small(name),
                                        _small(name.rpartition("/")[2])) if one in known), set())


def _fold(name: str) -> str:
    """A name as it is looked up, without its format's suffix."""
    return _stem(unicodedata.normalize("NFC", name).replace("\\", "/").strip().removeprefix("./"))


def _small(name: str) -> str:
    """A name in small letters, as no name in `_fold`'s spelling is: the two are looked up apart."""
    return f"{name.casefold()}\0"


def _stem(name: str) -> str:
    return name[:len(name) - len(picture_suffix(name))] or name
