"""What is burnt into films and is no anatomy: flat black or white boxes that cover a patient's name, and text.

A generator that has learnt a box at its training film's very place has learnt the film by heart there, and a
segmenter trained on it learns from a mark no new film has (Ciano et al. 2021 saw the boxes reappear). Text may
name the patient. It is found by its looks alone, nothing is read.
"""

import dataclasses
import itertools
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
TEXT_SIDE = 512  # pixels of the longer side at most, for text
STROKE = 0.02  # of the longer side: strokes of letters are thinner
STROKE_CONTRAST, STROKE_LEVEL = 0.2, 0.6  # of the grey range, against what is around, and from the other end
LINE = (0.012, 0.08)  # of the longer side: height of a line of text
GAPS = (0.02, 0.05)  # of the longer side: between letters and words of a line, small and large
LETTERS = 3  # of a line, at least
INK = (0.1, 0.75)  # share of a line's rectangle that strokes cover


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
    values = _shares(film, SIDE)
    if values is None:
        return []
    boxes = []
    for bright, mask in ((False, values <= TOLERANCE), (True, values >= 1 - TOLERANCE)):
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for outline in outlines:
            left, top, wide, tall = cv2.boundingRect(outline)
            bounds = (top, left, top + tall, left + wide)
            if _is_rectangle(outline, tall, wide, values.shape) and _stands_out(values, bounds, mask):
                boxes.append(_box(bright, bounds, values.shape))
    return boxes


def find_text(film: np.ndarray) -> list[Box]:
    """Lines of bright or dark text on a film as above: three or more thin pieces side by side, of one height.

    A line, or a word of it, may be found twice.
    """
    values = _shares(film, TEXT_SIDE)
    if values is None:
        return []
    side = max(values.shape)
    around = np.ones((_odd(STROKE * side),) * 2, np.uint8)
    lines = []
    for bright, gap in itertools.product((False, True), GAPS):
        level = values if bright else 1 - values
        hat = cv2.morphologyEx(level, cv2.MORPH_TOPHAT, around)
        strokes = ((hat >= STROKE_CONTRAST) & (level >= STROKE_LEVEL)).astype(np.uint8)
        along = cv2.dilate(strokes, np.ones((3, _odd(gap * side)), np.uint8))
        count, _, boxes, _ = cv2.connectedComponentsWithStats(along)
        for left, top, wide, tall, _ in boxes[1:count]:
            ink = strokes[top:top + tall, left:left + wide]
            if _is_line(ink, side):
                rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
                bounds = (top + rows[0], left + columns[0], top + rows[-1] + 1, left + columns[-1] + 1)
                lines.append(_box(bright, bounds, values.shape))
    return lines


def paint_over(film: np.ndarray) -> tuple[np.ndarray, int]:
    """The film, uint8 or uint16 [H, W] or uint8 [H, W, 3], with boxes and text filled from around (Telea
    2004), and how many places that were."""
    marks = [*find_boxes(film), *find_text(film)]
    if not marks:
        return film, 0
    height, width = film.shape[:2]
    mask, margin = np.zeros((height, width), np.uint8), max(2, round(0.008 * max(height, width)))
    for mark in marks:
        top, bottom = (round(edge * height) for edge in (mark.top, mark.bottom))
        left, right = (round(edge * width) for edge in (mark.left, mark.right))
        mask[max(0, top - margin):bottom + margin, max(0, left - margin):right + margin] = 1
    planes = film[..., None] if film.ndim == 2 else film
    filled = [cv2.inpaint(np.ascontiguousarray(plane), mask, 3, cv2.INPAINT_TELEA)
              for plane in np.moveaxis(planes, -1, 0)]
    return np.stack(filled, -1).reshape(film.shape), cv2.connectedComponents(mask)[0] - 1


def same_place(box: Box, others: Sequence[Box]) -> bool:
    """Whether one of `others` is of the same shade and overlaps `box` by at least half of their union."""
    return any(box.bright == other.bright and _overlap(box, other) >= SAME_PLACE for other in others)


def _shares(film: np.ndarray, side: int) -> np.ndarray | None:
    """Luminance as shares of its range, float32, the longer side at most `side` pixels; None of a flat film."""
    film = luminance(film) if film.ndim == 3 else film
    scale = min(1, side / max(film.shape))
    values = resize_film(film, tuple(max(1, round(edge * scale)) for edge in film.shape)).astype(np.float32)
    low, high = values.min(), values.max()
    least = 8 if film.dtype == np.uint8 else 64  # grey levels
    return None if high - low < least else (values - low) / (high - low)


def _box(bright: bool, bounds: tuple[int, int, int, int], shape: tuple[int, int]) -> Box:
    """Of bounds in pixels: top, left, bottom, right."""
    return Box(bright, *(float(edge) / shape[axis % 2] for axis, edge in enumerate(bounds)))


def _odd(length: float) -> int:
    return max(3, round(length) // 2 * 2 + 1)


def _is_line(ink: np.ndarray, side: int) -> bool:
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    if not len(rows):
        return False
    tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    if not (max(4, LINE[0] * side) <= tall <= LINE[1] * side and wide >= 1.5 * tall):
        return False
    pieces, _, found, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(ink), connectivity=8)
    letters = sum(high >= 0.5 * tall for high in found[1:pieces, cv2.CC_STAT_HEIGHT])
    return letters >= LETTERS and INK[0] <= ink.sum() / (tall * wide) <= INK[1]


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
