"""Mending generated label maps, and telling which of them cannot be real."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage

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
        areas = np.array([_areas(labels, num_classes) for labels in maps])
        return cls(tuple(areas.min(0) / slack), tuple(areas.max(0) * slack))


def clean_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Removes false rims and specks from codes [H, W].

    A majority filter over a window of about 1/40 of the side (odd, at least 3) takes out thin rims of codes
    that lie between two others in a grey coding; components under 5 % of their organ then go to the class
    around them.
    """
    labels = majority_filter(labels, num_classes)
    keep = np.ones(labels.shape, bool)
    for code in range(1, num_classes):
        parts, count = ndimage.label(labels == code)
        if count > 1:
            areas = np.bincount(parts.ravel())
            areas[0] = 0
            keep &= ~np.isin(parts, np.nonzero((areas > 0) & (areas < SPECK_SHARE * areas.sum()))[0])
    if keep.all():
        return labels
    nearest = ndimage.distance_transform_edt(~keep, return_distances=False, return_indices=True)
    return labels[tuple(nearest)]


def majority_filter(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Each pixel takes the commonest code of the square window around it; its own code wins ties."""
    window = max(3, 2 * round(max(labels.shape) / 80) + 1)
    votes = [cv2.blur((labels == code).astype(np.float32), (window, window), borderType=cv2.BORDER_REPLICATE)
             + (labels == code) * np.float32(0.5 / window**2) for code in range(num_classes)]
    return np.argmax(votes, 0).astype(np.uint8)


def check_labels(labels: np.ndarray, num_classes: int, bounds: AreaBounds | None = None) -> str | None:
    """Why codes [H, W] cannot be a label map: an organ missing, in pieces, or out of bounds; None if it can."""
    for code in range(1, num_classes):
        parts, count = ndimage.label(labels == code)
        if count == 0:
            return f"class {code} missing"
        areas = np.bincount(parts.ravel())[1:]
        if areas.max() < MAIN_SHARE * areas.sum():
            return f"class {code} in pieces"
        share = areas.sum() / labels.size
        if bounds and not bounds.low[code - 1] <= share <= bounds.high[code - 1]:
            return f"class {code} too {'small' if share < bounds.low[code - 1] else 'large'}"
    return None


def _areas(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return np.bincount(labels.ravel(), minlength=num_classes)[1:num_classes] / labels.size
