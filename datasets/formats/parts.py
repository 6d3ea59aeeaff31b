"""The pictures within a file: one of most kinds, a slice each of a NIfTI or NRRD volume.

Import and predict both walk over `(path, part)`:

    for part in pictures_in(path, axis="z"):
        film = read_film(path, part)                    # part is None where the file is one picture
        name = picture_stem(path) + (part.suffix if part else "")          # film_z012
    for part in pair_parts(image, label, axis="z", slices="labelled"):
        film, label = read_film(image, part), read_mask(label, part, image)
"""

import dataclasses
import pathlib
from collections.abc import Sequence

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


def pictures_in(path: pathlib.Path, axis: str = "z") -> Sequence[Part | None]:
    """`[None]` for a file that is one picture, a volume of one slice included; else the slices along `axis`.

    Raises UserError for a volume that cannot be read.
    """
    return [None]


def pair_parts(image: pathlib.Path, label: pathlib.Path, axis: str = "z",
               slices: str = "all") -> Sequence[Part | None]:
    """The pictures that an image file and its label map have in common.

    Args:
      slices: of volumes: "all", those in which the label map has any code but 0 ("labelled"), or the "middle" one.

    Raises UserError where the two do not have the same slices.
    """
    return [None]
