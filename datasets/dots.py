"""Dots: one disc per organ at the centroid of its mask, each with the organ's code (Ciano et al. 2021, 3.2.3)."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from scipy import ndimage

SPECK = 1 / 3  # components below this share of a dot's area are noise


@dataclasses.dataclass(frozen=True)
class ReadDots:
    """What `read_dots` found.

    Attributes:
      centroids: code -> (y, x) in pixels, of every organ found.
      reason: why this is not one dot per organ; None if it is.
    """

    centroids: dict[int, tuple[float, float]]
    reason: str | None


def draw_dots(label: np.ndarray, num_classes: int, size: int = 64, radius: float = 2.0) -> np.ndarray:
    """The dot map of a label map.

    Args:
      label: codes [H, W]; organs that are absent get no dot.
      size: side of the dot map in pixels (paper: 64).
      radius: of the discs, in pixels of the dot map.

    Returns codes uint8 [size, size], background 0.
    """
    present = [code for code in range(1, num_classes) if (label == code).any()]
    centres = ndimage.center_of_mass(np.ones_like(label), label, present) if present else []
    scale = np.array([size / label.shape[0], size / label.shape[1]])
    centroids = {code: tuple((np.array(centre) + 0.5) * scale - 0.5)
                 for code, centre in zip(present, centres, strict=True)}
    return redraw(centroids, size, radius)


def redraw(centroids: Mapping[int, tuple[float, float]], size: int, radius: float = 2.0) -> np.ndarray:
    """Discs of the codes at the given (y, x), later codes on top; a disc holds at least its nearest pixel."""
    dots = np.zeros((size, size), np.uint8)
    rows, columns = np.mgrid[:size, :size]
    for code, (y, x) in sorted(centroids.items()):
        distance = (rows - y) ** 2 + (columns - x) ** 2
        dots[(distance <= radius**2) | (distance == distance.min())] = code
    return dots


def read_dots(dots: np.ndarray, num_classes: int, radius: float = 2.0) -> ReadDots:
    """Finds the one dot of each organ in codes [size, size]; specks under a third of a dot are ignored."""
    smallest = max(1.0, SPECK * np.pi * radius**2)
    centroids: dict[int, tuple[float, float]] = {}
    reasons = []
    for code in range(1, num_classes):
        parts, count = ndimage.label(dots == code)
        areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        whole = [index + 1 for index, area in enumerate(areas) if area >= smallest]
        if len(whole) != 1:
            reasons.append(f"{'no dot' if not whole else f'{len(whole)} dots'} of class {code}")
        if whole:
            largest = max(whole, key=lambda index: areas[index - 1])
            centroids[code] = tuple(float(v) for v in ndimage.center_of_mass(parts == largest))
    return ReadDots(centroids, reasons[0] if reasons else None)


def dot_radius(radius: float, size: int) -> float:
    """Radius in pixels of a dot at side `size`, from that at 64; at least one pixel."""
    return float(np.maximum(1.0, radius * size / 64))
