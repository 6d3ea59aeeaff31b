"""Rectangles burnt into films: the flat black or white boxes that cover a patient's name.

A generator that has learnt a box at its training film's very place has learnt the film by heart there, and a
segmenter trained on it learns from a mark no new film has (Ciano et al. 2021 saw the boxes reappear).
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from datasets.formats.channels import luminance
from datasets.resize import resize_film

SIDE = 256  # pixels of the longer side at most
TOLERANCE = 0.06  # of the film's grey range, from its darkest or brightest value
CONTRAST = 0.15  # of the grey range, between a box and what lies on each of its sides
SMALLEST, LARGEST = 0.0015, 0.04  # of the film's area
SAME_PLACE = 0.5  # intersection over union


@dataclasses.dataclass(frozen=True)
class Box:
    """A burnt-in rectangle; edges as shares of the film's height and width."""

    bright: bool
    top: float
    left: float
    bottom: float
    right: float


def find_boxes(film: np.ndarray) -> list[Box]:
    """Flat rectangles at either end of the grey range of a film uint8 [H, W], or of the luminance of [H, W, 3].

    At most 0.3 of the height, 0.6 of the width and 4 % of the area; at least 2 x 5 pixels, 1.2 % of either side
    and 0.15 % of the area; set off from their surroundings on all sides. A rectangle with writing in it counts;
    the bright or dark border of a film does not.
    """
    film = luminance(film) if film.ndim == 3 else film
    scale = min(1, SIDE / max(film.shape))
    height, width = (max(1, round(side * scale)) for side in film.shape)
    values = resize_film(film, (height, width)).astype(np.float32)
    low, high = values.min(), values.max()
    if high - low < 8:
        return []
    values = (values - low) / (high - low)
    boxes = []
    for bright, mask in ((False, values <= TOLERANCE), (True, values >= 1 - TOLERANCE)):
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for outline in outlines:
            left, top, wide, tall = cv2.boundingRect(outline)
            bounds = (top, left, top + tall, left + wide)
            if _is_rectangle(outline, tall, wide, values.shape) and _stands_out(values, bounds, mask):
                boxes.append(Box(bright, *(edge / (height, width)[axis % 2] for axis, edge in enumerate(bounds))))
    return boxes


def same_place(box: Box, others: Sequence[Box]) -> bool:
    """Whether one of `others` is of the same shade and overlaps `box` by at least half of their union."""
    return any(box.bright == other.bright and _overlap(box, other) >= SAME_PLACE for other in others)


def _is_rectangle(outline: np.ndarray, tall: int, wide: int, shape: tuple[int, int]) -> bool:
    height, width = shape
    if not (max(2, 0.012 * height) <= tall <= 0.3 * height and max(2, 0.012 * width) <= wide <= 0.6 * width):
        return False
    if max(tall, wide) < 5 or not SMALLEST <= tall * wide / (height * width) <= LARGEST:
        return False
    return cv2.contourArea(outline) >= 0.85 * (tall - 1) * (wide - 1)  # the outline runs through pixel centres


def _stands_out(values: np.ndarray, bounds: tuple[int, int, int, int], mask: np.ndarray) -> bool:
    """Contrast on every side of the box that is not the film's edge, with strips of two pixels, one pixel away."""
    top, left, bottom, right = bounds
    inside = values[top:bottom, left:right][mask[top:bottom, left:right]].mean()  # without the writing
    strips = (values[max(0, top - 3):max(0, top - 1), left:right], values[bottom + 1:bottom + 3, left:right],
              values[top:bottom, max(0, left - 3):max(0, left - 1)], values[top:bottom, right + 1:right + 3])
    return all(abs(strip.mean() - inside) >= CONTRAST for strip in strips if strip.size)


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    tall = max(0.0, min(a.bottom, b.bottom) - max(a.top, b.top))
    wide = max(0.0, min(a.right, b.right) - max(a.left, b.left))
    both = tall * wide
    areas = ((box.bottom - box.top) * (box.right - box.left) for box in (a, b))
    return both / (sum(areas) - both)
