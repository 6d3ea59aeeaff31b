"""The pictures within a file: one of most kinds, a slice each of a NIfTI or NRRD volume.

Import and predict both walk over `(path, part)`:

    for part in pictures_in(path, axis="z"):
        film = read_film(path, part)                    # part is None where the file is one picture
        name = picture_stem(path) + (part.suffix if part else "")          # film_z012
    for part in pair_parts(image, label, axis="z"):
        film, label = read_film(image, part), read_mask(label, part, image)
"""

import dataclasses
import os

AXES = ("x", "y", "z")  # across left and right, front and back, feet and head: sagittal, coronal, axial slices
SLICES = ("all", "labelled", "middle")


@dataclasses.dataclass(frozen=True)
class Part:
    """A slice of a volume.

    Attributes:
      axis: one of AXES.
      index: 0 is the slice nearest the patient's right, front or feet; the first where a file does not say.
      count: slices along the axis.
    """

    axis: str
    index: int
    count: int

    @property
    def suffix(self) -> str:
        """What follows a file's stem in the slice's id, e.g. _z012."""
        return f"_{self.axis}{self.index:0{max(3, len(str(self.count - 1)))}d}"


def read_start(path: str | os.PathLike, length: int = 600) -> bytes:
    """The first bytes of a file; b"" for what cannot be read, or is no file: a pipe would wait for ever."""
    try:
        if not os.path.isfile(path):
            return b""
        with open(path, "rb") as file:
            return file.read(length)
    except (OSError, ValueError):
        return b""


def volume_kind(start: bytes) -> str | None:
    """NIfTI or NRRD by a file's start, None for others; what gzip packed is taken for NIfTI."""
    nifti = start[344:348] in (b"n+1\0", b"ni1\0") or start[4:8] in (b"n+2\0", b"ni2\0")
    if nifti or start[:2] == b"\x1f\x8b":
        return "NIfTI"
    return "NRRD" if start[:7] == b"NRRD000" else None
