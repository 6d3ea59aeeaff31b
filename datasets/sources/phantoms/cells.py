"""Cell nuclei under a fluorescence microscope: bright blobs of one class, from few to many, some touching.

Nuclei differ in size, brightness and focus; the light falls off to one side, and specks brighter than nuclei
but smaller belong to the background.
"""

import numpy as np

from datasets.class_table import ClassTable
from datasets.sources.phantoms.parts import CANVAS, blob, blur, bulge, clouds, fill, grain, grid

CLASSES = ClassTable(("background", "nucleus"))


def draw(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture [C, C] of C = max(size, CANVAS) pixels in 0..255, and masks bool [size, size, 1]."""
    outlines = _nuclei(rng)
    canvas = max(size, CANVAS)
    mask = np.any([fill(outline, size) for outline in outlines], 0)
    return _picture(outlines, canvas, rng), mask[..., None]


def _nuclei(rng: np.random.Generator) -> list[np.ndarray]:
    """Outlines of 6 to 40 nuclei, clustered; neighbours come as near as touching, none lies inside another."""
    wanted, typical = int(rng.integers(6, 41)), rng.uniform(0.036, 0.05)
    clusters = rng.uniform(0.1, 0.9, (int(rng.integers(2, 5)), 2))
    placed, outlines = [], []
    for _ in range(20 * wanted):
        centre = (clusters[rng.integers(len(clusters))] + rng.normal(0, 0.2, 2) if rng.random() < 0.6
                  else rng.uniform(0, 1, 2))
        radius = typical * rng.uniform(0.75, 1.3)
        near = any(np.hypot(*(centre - other)) < 0.95 * (radius + reach) for other, reach in placed)
        if near or not ((centre > 0.02) & (centre < 0.98)).all():
            continue
        placed.append((centre, radius))
        long = rng.uniform(1.0, 1.25)
        outlines.append(blob(centre, (radius * long, radius / long), rng.uniform(0, np.pi), 0.05, rng))
        if len(placed) == wanted:
            break
    return outlines


def _picture(outlines: list[np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    x, y = grid(size)
    fall = rng.uniform(-0.25, 0.25, 2)
    light = 1 + fall[0] * (x - 0.5) + fall[1] * (y - 0.5)
    contrast, haze = rng.uniform(60, 140), rng.uniform(10, 45)
    glow = np.zeros((size, size), np.float32)
    for outline in outlines:
        body = bulge(fill(outline, size), 0.03) * (0.75 + 0.18 * clouds(size, 24, rng))
        glow = np.maximum(glow, rng.uniform(0.5, 1.2) * blur(body, rng.choice([0.003, 0.006, 0.01])))
    for _ in range(int(rng.integers(0, 8))):
        speck = blob(rng.uniform(0, 1, 2), (0.007, 0.005), rng.uniform(0, np.pi), 0.1, rng)
        glow = np.maximum(glow, 1.5 * blur(fill(speck, size).astype(np.float32), 0.003))
    picture = (haze + 5 * clouds(size, 5, rng) + contrast * glow + 0.3 * contrast * blur(glow, 0.03)) * light
    return picture + grain(size, 1, rng.uniform(3, 8), rng)
