"""A volume in the patient's axes, and its slices.

Voxels are put in order by the header: x to the patient's left, y to the back, z to the head. A slice is shown as
radiologists look at it: the patient's right on its left, the front or the head up. A header that does not say how
the patient lies (none of NIfTI's codes, NRRD without space) leaves voxels in order of storage, the first axis
running to the right and the second down. The identity as a matrix is believed, unless the other file of a pair has
voxels of another size: then it is what a program wrote that lost the image's matrix.
"""

import dataclasses
import pathlib

import numpy as np
from nibabel import orientations

from datasets.common.errors import UserError
from datasets.formats.parts import AXES, Part


@dataclasses.dataclass(frozen=True)
class Volume:
    """What a file holds.

    Attributes:
      stored: [i, j, k] of an integer or float type, as in the file.
      to_patient: how nibabel turns `stored` into the patient's axes; None where the header does not say.
      sizes_mm: of a voxel along the axes of `stored`; 0 where not known.
      identity: whether the header's matrix is the identity.
    """

    stored: np.ndarray
    to_patient: np.ndarray | None
    sizes_mm: tuple[float, float, float]
    identity: bool = False

    def values(self) -> np.ndarray:
        """[x, y, z]."""
        if self.to_patient is None:
            return self.stored
        return orientations.apply_orientation(self.stored, self.to_patient)

    def counts(self) -> dict[str, int]:
        """Slices along each of AXES."""
        return dict(zip(AXES, self.values().shape, strict=True))

    def only_axis(self) -> str | None:
        """The axis along which there is one slice, z before y before x; None where there are more along each."""
        counts = self.counts()
        return next((axis for axis in reversed(AXES) if counts[axis] == 1), None)

    def lying_like(self, other: "Volume") -> "Volume":
        """This volume in the other's axes where one of the two does not say, and both have as many voxels."""
        if self._lost_beside(other) == other._lost_beside(self) or self.stored.shape != other.stored.shape:
            return self
        return dataclasses.replace(self, to_patient=other.to_patient)

    def _lost_beside(self, other: "Volume") -> bool:
        """Whether the header does not say how the patient lies, or is not to be believed."""
        sized = other.to_patient is not None and not other.identity and not np.allclose(other.sizes_mm, 1.0, 0.01)
        return self.to_patient is None or (self.identity and sized)

    def slice(self, part: Part | None, path: pathlib.Path) -> tuple[np.ndarray, float | None]:
        """Values [H, W] of a slice (of the only one for None), and its spacing if its pixels are square.

        Raises UserError for a slice that there is not, and for several where `part` is None.
        """
        counts = self.counts()
        if part is None:
            axis, index = self.only_axis(), 0
            if axis is None:
                found = " x ".join(map(str, counts.values()))
                raise UserError(f"{path}: found a volume of {found} voxels, expected a picture; "
                                "tools.import_dataset and tools.predict take its slices (--axis)")
        else:
            axis, index = part.axis, part.index
            if part.count != counts[axis]:
                raise UserError(f"{path}: found {counts[axis]} slices along {axis}, expected {part.count}")
        place = AXES.index(axis)
        plane = np.take(self.values(), index, place).T
        if axis != "z" and self.to_patient is not None:
            plane = plane[::-1]  # the head up
        width, height = np.delete(self._patient_sizes(), place)
        square = width > 0 and abs(width - height) <= 0.01 * width
        return plane, float(width) if square else None

    def _patient_sizes(self) -> np.ndarray:
        sizes = np.array(self.sizes_mm)
        if self.to_patient is None:
            return sizes
        return sizes[np.argsort(self.to_patient[:, 0])]
