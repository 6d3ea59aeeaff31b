"""Mending generated label maps, and telling which of them cannot be real."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage

from datasets.class_table import ClassTable

MAIN_SHARE = 0.9  # an organ's largest component holds at least this share of it
SPECK_SHARE = 0.05  # components below this share of their organ are dropped
AREA_SLACK = 1.5  # areas may leave the real range by this factor


@dataclasses.dataclass(frozen=True)
class AreaBounds:
    """Smallest and largest share of the picture that each organ may cover, in order of codes from 1."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def from_maps(cls, maps: Sequence[np.ndarray], num_classes: int, slack: float = AREA_SLACK) -> "AreaBounds":
        """The range over real label maps, widened by `slack` on both sides."""
        areas = np.array([np.bincount(labels.ravel(), minlength=num_classes)[1:num_classes] / labels.size
                          for labels in maps])
        return cls(tuple(areas.min(0) / slack), tuple(areas.max(0) * slack))


def clean_labels(labels: np.ndarray, classes: ClassTable, rims: bool = True) -> np.ndarray:
    """Mends codes [H, W] of a generated label map.

    With `rims`, a majority filter first takes out thin rims of codes that lie between two others in a grey
    coding (one channel per class has none). Components under 5 % of their organ go to the classes around them.
    """
    if rims:
        labels = majority_filter(labels, classes.num_classes)
    keep = np.ones(labels.shape, bool)
    for code in range(1, classes.num_classes):
        parts, areas = components(labels, classes.codes_within(code))
        if len(areas) > 1:  # an organ's only component stays, however small
            specks = 1 + np.flatnonzero(areas < SPECK_SHARE * areas.sum())
            keep &= ~((labels == code) & np.isin(parts, specks))
    return fill_from_neighbours(labels, keep)


def fill_from_neighbours(labels: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Codes [H, W] where `keep`; they grow into the rest ring by ring, first from above, left, right.

    Where nothing is to be kept, all of them stay.
    """
    if not keep.any():
        return labels
    # -1 is open; a frame of it spares the edges a case of their own
    codes = np.pad(np.where(keep, labels.astype(np.int16), -1), 1, constant_values=-1)
    inner, old = codes[1:-1, 1:-1], None  # a view: what is written to it lands in codes
    while (inner < 0).any() and (old is None or (old != codes).any()):
        old = codes.copy()
        for side in (old[:-2, 1:-1], old[1:-1, :-2], old[1:-1, 2:], old[2:, 1:-1]):
            np.copyto(inner, side, where=inner < 0)
    return inner.astype(np.uint8)


def majority_filter(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Each pixel takes the commonest code of the window around it; its own code loses ties.

    The window is 3 pixels up to side 128 and grows with it (17 at 1024): lines thinner than half of it go.
    """
    window = max(3, 2 * round(max(labels.shape) / 128) + 1)
    # shares of the window, less half a pixel's for the own code
    votes = [cv2.blur((labels == code).astype(np.float32), (window, window), borderType=cv2.BORDER_REPLICATE)
             - (labels == code) * np.float32(0.5 / window**2) for code in range(num_classes)]
    return np.argmax(votes, 0).astype(np.uint8)


def check_labels(labels: np.ndarray, classes: ClassTable, bounds: AreaBounds | None = None) -> str | None:
    """Why codes [H, W] cannot be a label map: an organ missing, in pieces, or out of bounds; None if it can."""
    for code, name in enumerate(classes.organs, 1):
        _, areas = components(labels, classes.codes_within(code))
        if not areas.sum():
            return f"{name} missing"
        if areas.max() < MAIN_SHARE * areas.sum():
            return f"{name} in pieces"
        share = areas.sum() / labels.size
        if bounds and not bounds.low[code - 1] <= share <= bounds.high[code - 1]:
            return f"{name} too {'small' if share < bounds.low[code - 1] else 'large'}"
    return None


def components(labels: np.ndarray, codes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Components of an organ, numbered from 1 in [H, W], and how many of its pixels each holds.

    The organ is the first of `codes`. The others are painted over it (`ClassTable.codes_within`) and join its
    parts without being counted: a clavicle does not cut its lung in two.
    """
    parts, count = ndimage.label(np.isin(labels, codes))
    return parts, np.bincount(parts[labels == codes[0]], minlength=count + 1)[1:]
