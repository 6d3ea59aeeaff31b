"""The one rule for what counts as a picture file, in every folder that is searched.

A picture is a file with a suffix that is read, one that begins as DICOM does whatever its suffix, or one without
suffix that begins as one of the others; whether it is whole shows when it is read. What lies beside pictures on
people's disks (Thumbs.db, DICOMDIR, @eaDir/, notes, tables) is left out and counted. A file that the user names is
a picture whatever it is called.
"""

import dataclasses
import glob
import os
import pathlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from datasets.common.errors import UserError
from datasets.common.litter import why_litter, why_litter_folder
from datasets.formats.dicom_start import DIRECTORY, is_dicom
from datasets.formats.parts import read_start

KINDS = "PNG, JPEG, TIFF, BMP, GIF, WebP, DICOM, NIfTI, NRRD or JSRT's IMG"  # that are read, for messages
# Longer ones first: the first that a name ends with is its suffix.
SUFFIXES = (".seg.nrrd", ".nii.gz", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".dcm",
            ".dicom", ".nii", ".nrrd", ".nhdr", ".img")
_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"NRRD000")
_START = 2**10  # bytes of a file that tell whether it is DICOM


@dataclasses.dataclass(frozen=True)
class FoundFiles:
    """What a search found.

    Attributes:
      files: the pictures, each once, in the order of what was searched, by path within a folder.
      left_out: the other files, each with why: "hidden", "system file" or its suffix, such as ".txt".
    """

    files: tuple[pathlib.Path, ...]
    left_out: tuple[tuple[pathlib.Path, str], ...]

    def about_left_out(self) -> str:
        """One line, e.g. `left out: 3 files that are not read (1 system file, 2 .txt); ...`; empty if none is."""
        if not self.left_out:
            return ""
        count = len(self.left_out)
        return (f"left out: {count} {'file that is' if count == 1 else 'files that are'} not read "
                f"({self._reasons()}); {KINDS} files are")

    def _reasons(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in sorted(
            Counter(reason for _, reason in self.left_out).items()))


def find_in_folder(folder: str | os.PathLike, without: Collection[str | os.PathLike] = ()) -> FoundFiles:
    """The pictures of a folder and of the folders in it, but not of the folders `without`.

    Raises UserError for what cannot be listed, and for a folder without any picture.
    """
    if os.path.isfile(folder):
        raise UserError(f"{folder}: cannot be listed (it is a file); expected a folder")
    found = _search(pathlib.Path(folder), without)
    if not found.files:
        instead = f"pictures among {len(found.left_out)} files ({found._reasons()})" if found.left_out else "files"
        raise UserError(f"{folder}: found no {instead}; expected {KINDS} files")
    return found


def find_named(named: Sequence[str], without: Collection[str | os.PathLike] = ()) -> FoundFiles:
    """The pictures that files, folders and patterns name; a file counts whatever its suffix, unless a system's.

    Raises UserError for a name, folder or pattern without any picture.
    """
    files: dict[pathlib.Path, None] = {}
    left_out: dict[pathlib.Path, str] = {}
    for text in named:
        if not text.strip():
            raise UserError("found an empty name of a film; name a file, a folder or a pattern")
        path = pathlib.Path(text.strip())
        places = [path] if path.exists() else sorted(map(pathlib.Path, glob.glob(text.strip(), recursive=True)))
        found = [_search(place, without, any_suffix=place is path) for place in places]
        if not any(one.files for one in found):
            beside = FoundFiles((), tuple(item for one in found for item in one.left_out))
            raise UserError(f"{text}: no film there" + f", but {beside._reasons()}" * bool(beside.left_out)
                            + f"; expected a file, a folder or a pattern such as 'films/*.png' of {KINDS} files")
        for one in found:
            files.update(dict.fromkeys(one.files))
            left_out.update(one.left_out)
    return FoundFiles(tuple(files), tuple(item for item in left_out.items() if item[0] not in files))


def picture_stem(path: str | os.PathLike) -> str:
    """The name without its known suffix: a.nii.gz gives a; a.b gives a.b, as DICOM files are often named."""
    name = pathlib.Path(path).name
    suffix = picture_suffix(name)
    return name[:len(name) - len(suffix)] if len(suffix) < len(name) else name


def picture_suffix(path: str | os.PathLike) -> str:
    """The known suffix of a name in small letters, e.g. ".nii.gz"; "" where it has none."""
    name = pathlib.Path(path).name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def is_dicom_file(path: str | os.PathLike) -> bool:
    """`is_dicom` of a file; False where it cannot be read."""
    return is_dicom(read_start(path, _START))


def _search(place: pathlib.Path, without: Collection[str | os.PathLike], any_suffix: bool = False) -> FoundFiles:
    """What a folder holds, or the file itself; `any_suffix` takes a file whatever its suffix is."""
    closed = {pathlib.Path(path).resolve() for path in without}
    if not place.is_dir() and place.exists():
        walked = [] if closed & set(place.resolve().parents) else [(place, None)]
    else:
        walked = _walk(place, closed, None)
    files, left_out = [], []
    for path, hidden in walked:
        reason = hidden or _why_not(path)
        taken = reason is None or (any_suffix and path is place and reason != "system file")
        files.append(path) if taken else left_out.append((path, reason))
    heads = {path.with_suffix("") for path in files if picture_suffix(path) == ".nhdr"}  # their voxels lie beside
    return FoundFiles(tuple(files), tuple(item for item in left_out if not heads & {
        item[0].with_suffix(""), item[0].with_suffix("").with_suffix("")}))


def _walk(folder: pathlib.Path, seen: set[pathlib.Path], hidden: str | None) -> Iterator[
        tuple[pathlib.Path, str | None]]:
    """Every file below, by path, and why if its folder is left out; links are followed, no folder twice."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({error.strerror}); expected a folder") from None
    for child in children:
        if child.is_dir():
            yield from _walk(child, seen, hidden or why_litter_folder(child.name))
        elif child.is_file():
            yield child, hidden
        elif not child.exists():
            yield child, hidden or "broken link"


def _why_not(path: pathlib.Path) -> str | None:
    """Why the file is no picture, None if it is one."""
    litter = why_litter(path.name)
    if litter or picture_suffix(path):
        return litter
    start = read_start(path, _START)
    if is_dicom(start):
        return "system file" if DIRECTORY in start else None
    if not path.suffix and start.startswith(_STARTS):
        return None
    return path.suffix.lower() if path.suffix.isprintable() and 1 < len(path.suffix) <= 12 else "without suffix"
