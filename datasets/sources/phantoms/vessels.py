"""A branching tree: thin dark vessels, thinner at each fork, on textured ground.

Dark spots and pale patches as wide as a vessel lie on the ground, so that grey alone does not tell a vessel.
"""

import math

import cv2
import numpy as np

from datasets.class_table import ClassTable
from datasets.sources.phantoms.parts import CANVAS, blob, blur, clouds, fill, grain, grid, soft

CLASSES = ClassTable(("background", "vessel"))


def draw(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture [C, C] of C = max(size, CANVAS) pixels in 0..255, and masks bool [size, size, 1]."""
    pieces = _trees(rng)
    return _picture(pieces, max(size, CANVAS), rng), _paint(pieces, size)[..., None] > 0


def _trees(rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Pieces (x, y, next x, next y, width) of two to four trees that grow in from one side of the picture."""
    pieces: list[tuple[float, ...]] = []
    side = rng.choice([-1, 1])
    root_x, root_y = 0.5 - side * rng.uniform(0.46, 0.52), rng.uniform(0.35, 0.65)
    count = int(rng.integers(2, 5))
    for angle in np.linspace(-1.0, 1.0, count) + rng.normal(0, 0.12, count):
        heading = angle if side > 0 else math.pi - angle
        _grow(pieces, root_x, root_y + rng.normal(0, 0.03), heading, rng.uniform(0.024, 0.032), rng)
    return pieces


def _grow(pieces: list, x: float, y: float, heading: float, width: float, rng: np.random.Generator) -> None:
    """A vessel that winds on until it is hair-thin or leaves the picture, with branches on the way."""
    while width > 0.008 and -0.05 < x < 1.05 and -0.05 < y < 1.05:
        length = rng.uniform(0.04, 0.08)
        next_x, next_y = x + length * math.cos(heading), y + length * math.sin(heading)
        pieces.append((x, y, next_x, next_y, width))
        x, y = next_x, next_y
        if rng.random() < 0.3:
            turn = rng.choice([-1, 1]) * rng.uniform(0.4, 0.9)
            _grow(pieces, x, y, heading + turn, width * rng.uniform(0.55, 0.75), rng)
            heading -= 0.3 * turn
            width *= 0.88
        heading, width = heading + rng.normal(0, 0.16), width * 0.96


def _paint(pieces: list[tuple[float, ...]], size: int) -> np.ndarray:
    """The pieces as lines of 1 in uint8 [size, size], at least a pixel wide."""
    layer = np.zeros((size, size), np.uint8)
    for *ends, width in pieces:
        x, y, next_x, next_y = (round((end * size - 0.5) * 16) for end in ends)  # sixteenths of a pixel
        cv2.line(layer, (x, y), (next_x, next_y), 1, max(1, round(width * size)), cv2.LINE_8, 4)
    return layer


def _picture(pieces: list[tuple[float, ...]], size: int, rng: np.random.Generator) -> np.ndarray:
    x, y = grid(size)
    lit = rng.uniform(0.3, 0.7, 2)
    ground = rng.uniform(110, 165) - rng.uniform(60, 140) * ((x - lit[0]) ** 2 + (y - lit[1]) ** 2)
    ground = ground + 8 * clouds(size, 4, rng) + rng.uniform(3, 7) * clouds(size, 30, rng)
    for _ in range(int(rng.integers(3, 9))):
        radii = rng.uniform(0.01, 0.04, 2)
        spot = fill(blob(rng.uniform(0, 1, 2), radii, rng.uniform(0, np.pi), 0.15, rng), size)
        ground += rng.choice([-1, 1]) * rng.uniform(12, 40) * soft(spot, 0.006)
    depth = rng.uniform(30, 60)
    wide = [piece for piece in pieces if piece[-1] > 0.02]
    dark = soft(_paint(pieces, size) > 0, 0.004) + 0.3 * soft(_paint(wide, size) > 0, 0.006)
    fades = np.clip(1 + 0.25 * clouds(size, 3, rng), 0.35, 1.4)  # some stretches are hardly seen
    return blur((ground - depth * fades * dark).astype(np.float32), 0.002) + grain(size, 1, rng.uniform(3, 7), rng)
