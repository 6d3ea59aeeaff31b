"""Mending generated label maps, and telling which of them cannot be real."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from datasets.class_table import ClassTable
from datasets.label_filters import components, fill_from_neighbours, majority_filter

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
