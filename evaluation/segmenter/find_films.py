"""Which film files a user means by names, folders and patterns."""

import glob
import pathlib
import re
from collections.abc import Collection, Sequence

from datasets.common.errors import UserError
from datasets.formats.read import SUFFIXES


def find_films(named: Sequence[str], without: Collection[pathlib.Path] = ()) -> dict[str, pathlib.Path]:
    """Name for results -> film file, in the order given; folders are searched through, by path, but not `without`.

    In folders, files with a known suffix count, and DICOM files without one. A name is the file's stem, made safe;
    films of the same stem get their suffix, then a number.

    Raises UserError for a name, folder or pattern without any film.
    """
    paths: dict[pathlib.Path, None] = {}
    hidden = {folder.resolve() for folder in without}
    for text in named:
        found = [path for path in _expand(text.strip()) if not hidden & set(path.resolve().parents)]
        if not found:
            raise UserError(f"{text}: no film there; expected a file, a folder with films "
                            f"({', '.join(SUFFIXES)}) or a pattern such as 'films/*.png'")
        paths.update(dict.fromkeys(found))
    return _name(list(paths))


def _expand(text: str) -> list[pathlib.Path]:
    path = pathlib.Path(text)
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if _is_film(file))
    if path.exists():
        return [path]
    return [file for match in sorted(glob.glob(text, recursive=True)) for file in _expand(match)]


def _is_film(path: pathlib.Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _name(paths: Sequence[pathlib.Path]) -> dict[str, pathlib.Path]:
    stems = [_safe(path.stem if path.suffix.lower() in SUFFIXES else path.name) for path in paths]
    made: dict[str, pathlib.Path] = {}
    for path, stem in zip(paths, stems, strict=True):
        name = stem if stems.count(stem) == 1 else f"{stem}-{path.suffix[1:].lower() or 'file'}"
        number = 2
        while name in made or (name != stem and name in stems):
            name, number = f"{stem}-{path.suffix[1:].lower() or 'file'}-{number}", number + 1
        made[name] = path
    return made


def _safe(stem: str) -> str:
    return re.sub(r"[^\w.-]", "_", stem).lstrip(".-")[:120] or "film"
