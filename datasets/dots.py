"""Dots: one disc per organ at the centroid of its mask, each with the organ's code (Ciano et al. 2021, 3.2.3)."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

_SPECK = 1 / 3  # components below this share of a dot's area are noise


@dataclasses.dataclass(frozen=True)
class ReadDots:
    """What `Dot.read` found.

    Attributes:
      centroids: code -> (y, x) in pixels, of every organ found.
      reason: why this is not one dot per organ; None if it is.
    """

    centroids: dict[int, tuple[float, float]]
    reason: str | None


@dataclasses.dataclass(frozen=True)
class Dot:
    """What the dots of a map look like. A translator knows no others than those it was trained on.

    Attributes:
      size: side of the dot map in pixels (paper: 64).
      radius: of the discs, in pixels of the dot map.

    Raises ValueError unless both are positive numbers.
    """

    size: int
    radius: float

    def __post_init__(self):
        if type(self.size) is not int or self.size < 1 or not 0 < self.radius < math.inf:
            raise ValueError(f"a dot has a side in whole pixels and a radius above 0; received {self}")

    @classmethod
    def scaled(cls, size: int, radius_at_64: float) -> "Dot":
        """On a map of side `size`: a radius in proportion to that at 64 x 64, but at least one pixel."""
        return cls(size, max(1.0, radius_at_64 * size / 64))

    @property
    def least_area(self) -> float:
        """Pixels that a part of a map must have to be a dot and not a speck."""
        return max(1.0, _SPECK * math.pi * self.radius**2)

    def draw(self, label: np.ndarray, num_classes: int) -> np.ndarray:
        """The dot map uint8 [size, size] of codes [H, W]; organs that are absent get no dot."""
        present = [code for code in range(1, num_classes) if (label == code).any()]
        centres = ndimage.center_of_mass(np.ones_like(label), label, present) if present else []
        scale = self.size / np.array(label.shape)
        return self.redraw({code: tuple((np.array(centre) + 0.5) * scale - 0.5)  # pixel centres lie at halves
                            for code, centre in zip(present, centres, strict=True)})

    def redraw(self, centroids: Mapping[int, tuple[float, float]]) -> np.ndarray:
        """Discs of the codes at the given (y, x), later codes on top; a disc holds at least its nearest pixel."""
        dots = np.zeros((self.size, self.size), np.uint8)
        rows, columns = np.mgrid[:self.size, :self.size]
        for code, (y, x) in sorted(centroids.items()):
            distance = (rows - y) ** 2 + (columns - x) ** 2
            dots[(distance <= self.radius**2) | (distance == distance.min())] = code
        return dots

    def read(self, dots: np.ndarray, num_classes: int) -> ReadDots:
        """Finds the one dot of each organ in codes [size, size]; specks are ignored."""
        centroids: dict[int, tuple[float, float]] = {}
        reasons = []
        for code in range(1, num_classes):
            parts, count = ndimage.label(dots == code)
            areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
            whole = [index + 1 for index, area in enumerate(areas) if area >= self.least_area]
            if len(whole) != 1:
                reasons.append(f"{'no dot' if not whole else f'{len(whole)} dots'} of class {code}")
            if whole:
                largest = max(whole, key=lambda index: areas[index - 1])
                centroids[code] = tuple(float(v) for v in ndimage.center_of_mass(parts == largest))
        return ReadDots(centroids, reasons[0] if reasons else None)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Dot":
        """Raises KeyError, TypeError or ValueError for anything else than `to_json` gives."""
        return cls(value["size"], value["radius"])
