"""What a user's label files mean: class codes, colours, a mask for each organ, or numbers of instances.

Each kind reads the files of a pair, and brings what it read to another size:

    labels = CodeLabels(classes, remap, ignore)     # or ColourLabels, MaskLabels, InstanceLabels
    found = labels.read(source)                     # Labels
    small = labels.resize(found, (96, 128))
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from datasets.class_table import IGNORED, ClassTable
from datasets.common.errors import UserError
from datasets.formats.read import read_label_samples, read_mask
from datasets.pair_store import describe_ids
from datasets.resize import resize_labels, resize_masks
from datasets.sources.own_colours import Colours, pack_colours
from datasets.sources.own_files import OwnFolder


@dataclasses.dataclass(frozen=True)
class Labels:
    """A pair's labels.

    Attributes:
      codes: uint8 [H, W]; IGNORED where nobody knows the class.
      masks: bool [H, W, organs] with overlaps, None where the files have none.
      instances: int32 [H, W], 0 between the instances, None where the files have none.
      gap: pixels taken from instances that touched.
    """

    codes: np.ndarray
    masks: np.ndarray | None = None
    instances: np.ndarray | None = None
    gap: int = 0

    def shares(self, num_classes: int) -> np.ndarray:
        """Shares of the picture by class, IGNORED last: [num_classes + 1]. Masks give whole organs."""
        counts = np.bincount(np.where(self.codes == IGNORED, num_classes, self.codes).ravel(),
                             minlength=num_classes + 1)
        if self.masks is not None:
            counts[1:num_classes] = self.masks.sum((0, 1))
        return counts / self.codes.size


class _Codes:
    """Labels that are class codes and nothing else."""

    classes: ClassTable

    def resize(self, found: Labels, size: tuple[int, int]) -> Labels:
        return Labels(resize_labels(found.codes, size, self.classes.num_classes))


@dataclasses.dataclass(frozen=True)
class CodeLabels(_Codes):
    """Label maps of class codes.

    Attributes:
      remap: codes found -> class codes; others stay.
      ignore: codes found of which nobody knows the class.
    """

    classes: ClassTable
    remap: Mapping[int, int] = dataclasses.field(default_factory=dict)
    ignore: Sequence[int] = ()

    def read(self, source: OwnFolder) -> Labels:
        """Raises UserError for codes that no class has."""
        table = np.arange(256)
        for old, new in self.remap.items():
            table[old] = new
        unknown = np.isin(np.arange(256), self.ignore)
        known = ~unknown & (table < self.classes.num_classes)
        found = read_mask(source.label, source.part, source.image)
        there = np.bincount(found.ravel(), minlength=256) > 0
        if (there & ~known & ~unknown).any():
            codes = describe_ids(map(str, np.flatnonzero(there)), 8)
            expected = f"0 to {self.classes.num_classes - 1} ({describe_ids(self.classes.names)})"
            raise UserError(f"{source.label}: found codes {codes}, expected {expected}; name every class, "
                            "translate with --remap, e.g. --remap=0:0,255:1, or name codes for --ignore")
        return Labels(np.where(unknown, IGNORED, table).astype(np.uint8)[found])


@dataclasses.dataclass(frozen=True)
class ColourLabels(_Codes):
    """Label maps in which a colour stands for a class, see `own_colours`."""

    colours: Colours

    @property
    def classes(self) -> ClassTable:
        return self.colours.classes

    def read(self, source: OwnFolder) -> Labels:
        """Raises UserError for a colour that no class has."""
        found = read_label_samples(source.label, source.part, source.image, colours=True)
        return Labels(self.colours.to_codes(found, source.label))


@dataclasses.dataclass(frozen=True)
class MaskLabels:
    """A mask file for each organ, painted in order of codes, with overlaps; a missing file is an absent organ."""

    classes: ClassTable

    def read(self, source: OwnFolder) -> Labels:
        """Raises UserError for a mask of more than two values, or of another size than the others."""
        masks: dict[int, np.ndarray] = {}
        for organ, path in enumerate(source.labels):
            if path is None:
                continue
            mask = read_label_samples(path, source.part, source.image)
            if mask.ndim == 3:  # in one colour: a number for each
                mask = mask.astype(np.int64) @ np.array([1 << 32, 1 << 16, 1])
            values = np.unique(mask)
            if len(values) > 2 or (len(values) == 2 and values[0] != 0):
                found = (f"{len(values)} colours" if values[-1] > 65535 else
                         f"values {describe_ids(map(str, values), 8)}")
                raise UserError(f"{path}: found {found}, expected a mask of 0 and one other value; for a map of "
                                "several classes leave --masks out")
            first = next(iter(masks.values()), mask)
            if mask.shape != first.shape:
                raise UserError(f"{path}: found {mask.shape[1]} x {mask.shape[0]} pixels, expected "
                                f"{first.shape[1]} x {first.shape[0]} as in {source.label}")
            masks[organ] = mask > 0
        empty = np.zeros(next(iter(masks.values())).shape, bool)
        return self._labels(np.stack([masks.get(organ, empty) for organ in range(len(source.labels))], -1))

    def resize(self, found: Labels, size: tuple[int, int]) -> Labels:
        return self._labels(resize_masks(found.masks, size))

    def _labels(self, masks: np.ndarray) -> Labels:
        return Labels(self.classes.paint(masks), masks)


@dataclasses.dataclass(frozen=True)
class InstanceLabels:
    """Label maps that number the instances of one class, in any integers; 0 lies between them.

    Resized, two instances that touch are parted by a gap of one pixel of background, taken from the larger one, so
    that they stay two pieces, by the sides of pixels and by their corners.
    """

    classes: ClassTable
    ignore: Sequence[int] = ()

    def read(self, source: OwnFolder) -> Labels:
        """Raises UserError for files of one pair that are not of one size."""
        found = self._numbers(source, source.label)
        for number, path in enumerate(source.labels[1:], 2):  # where each instance has a file
            mask = self._numbers(source, path)
            if mask.shape != found.shape:
                raise UserError(f"{path}: found {mask.shape[1]} x {mask.shape[0]} pixels, expected "
                                f"{found.shape[1]} x {found.shape[0]} as in {source.label}")
            found = np.where(mask > 0, number, found if number > 2 else found > 0)
        unknown = np.isin(found, self.ignore)
        codes = np.where(unknown, IGNORED, found > 0).astype(np.uint8)
        return Labels(codes, instances=np.where(unknown, 0, found))

    def _numbers(self, source: OwnFolder, path: pathlib.Path) -> np.ndarray:
        """The numbers of a file, int32 [H, W]; of colours, one for each."""
        found = read_label_samples(path, source.part, source.image).astype(np.int32)
        return pack_colours(found) if found.ndim == 3 else found

    def resize(self, found: Labels, size: tuple[int, int]) -> Labels:
        codes = resize_labels(found.codes, size, 2)
        codes, gap = _parted(codes, _numbers(found.instances, codes))
        return Labels(codes, gap=gap)


LabelReader = CodeLabels | ColourLabels | MaskLabels | InstanceLabels


def _numbers(instances: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Instance numbers int32 at the size of `codes`, where those are 1: the number in the middle of each pixel, or
    else the nearest number."""
    from scipy import ndimage  # a second that most imports do without

    rows, columns = (np.minimum(((np.arange(small) + 0.5) * whole / small).astype(int), whole - 1)
                     for small, whole in zip(codes.shape, instances.shape, strict=True))
    numbers = instances[np.ix_(rows, columns)]
    if (numbers > 0).any():
        nearest = ndimage.distance_transform_edt(numbers == 0, return_distances=False, return_indices=True)
        numbers = numbers[tuple(nearest)]
    return np.where(codes == 1, numbers, 0)


def _parted(codes: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, int]:
    """`codes` with background where a pixel touches one of a smaller instance, and how many pixels that took."""
    present, places, areas = np.unique(numbers, return_inverse=True, return_counts=True)
    # rank of each pixel's instance, the largest first; background comes before all
    order = np.lexsort((present, -areas * (present > 0), present > 0))
    rank = np.argsort(order)[places].reshape(numbers.shape)
    # the highest rank around, by sides and corners, is another and smaller instance's
    highest = cv2.dilate(rank.astype(np.float32), np.ones((3, 3), np.uint8))
    touching = (numbers > 0) & (highest > rank)
    return np.where(touching, 0, codes).astype(np.uint8), int(touching.sum())
