"""Slices through the abdomen as a computed tomography shows them, with organs that come in pairs or not at all.

A slice's height decides what it cuts: the liver gets smaller downwards, the spleen ends, the kidneys begin (one
of them first). About half of the slices have a gallbladder. The patient's right is on the picture's left. Bowel
and stomach are as bright as organs and belong to the background.
"""

import numpy as np

from datasets.class_table import ClassTable
from datasets.sources.phantoms.parts import CANVAS, blob, blur, clouds, fill, grain, soft

CLASSES = ClassTable(("background", "liver", "spleen", "kidneys", "gallbladder"))


def draw(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A slice [C, C] of C = max(size, CANVAS) pixels in 0..255, and masks bool [size, size, 4]."""
    body = blob(rng.normal(0.5, 0.012, 2), rng.uniform((0.40, 0.29), (0.46, 0.35)), 0.0, 0.012, rng)
    organs = _organs(rng.random(), rng)
    return _picture(body, organs, max(size, CANVAS), rng), _masks(organs, size)


def _organs(level: float, rng: np.random.Generator) -> list[list[np.ndarray]]:
    """The outlines of each organ's pieces at `level`, 0 the highest slice and 1 the lowest; none where absent."""

    def place(x: float, y: float, spread: float = 0.012) -> tuple[float, float]:
        return x + rng.normal(0, spread), y + rng.normal(0, spread)

    width = (0.17 - 0.07 * level) * rng.uniform(0.9, 1.1)
    liver = [blob(place(0.30, 0.44), (width, 0.19 - 0.05 * level), rng.uniform(-0.3, 0.1), 0.05, rng)]
    spleen = [blob(place(0.76, 0.52), (0.055 * rng.uniform(0.8, 1.2), 0.11 - 0.06 * level), rng.uniform(-0.5, 0),
                   0.05, rng)] if level < 0.75 else []
    starts = rng.uniform(0.15, 0.4, 2)  # where the two kidneys begin
    kidneys = [blob(place(x, 0.64), rng.uniform((0.042, 0.055), (0.055, 0.07)), turn, 0.04, rng)
               for x, turn, start in ((0.36, 0.4, starts[0]), (0.64, -0.4, starts[1])) if level > start]
    shown = rng.random() < 0.5
    gallbladder = [blob(place(0.43, 0.36), rng.uniform((0.025, 0.03), (0.04, 0.05)), rng.uniform(-0.6, 0.6), 0.04,
                        rng)] if shown else []
    return [liver, spleen, kidneys, gallbladder]


def _masks(organs: list[list[np.ndarray]], size: int) -> np.ndarray:
    """Outlines -> bool [size, size, organs] without overlaps, later organs in front."""
    masks = np.zeros((size, size, len(organs)), bool)
    for place, pieces in enumerate(organs):
        for outline in pieces:
            inside = fill(outline, size)
            masks[inside] = False
            masks[inside, place] = True
    return masks


def _picture(body: np.ndarray, organs: list[list[np.ndarray]], size: int, rng: np.random.Generator) -> np.ndarray:
    inside = fill(body, size)
    wall = fill((body - 0.5) * rng.uniform(0.86, 0.93) + 0.5, size)  # within it muscle and organs, around it fat
    picture = 62 * soft(inside, 0.003) + 38 * soft(wall, 0.004)
    for _ in range(int(rng.integers(5, 10))):  # stomach and bowel, some with gas
        centre, radii = rng.uniform((0.42, 0.28), (0.70, 0.56)), rng.uniform(0.025, 0.06, 2)
        loop = soft(fill(blob(centre, radii, rng.uniform(0, 3), 0.1, rng), size), 0.005)
        picture += (rng.uniform(-95, -60) if rng.random() < 0.25 else rng.uniform(-12, 40)) * loop
    picture = np.clip(picture, 5, None) + 5 * clouds(size, 9, rng) * inside
    enhanced = rng.uniform(0, 1)  # how far the contrast agent has come
    greys = (122 + 22 * enhanced, 126 + 30 * enhanced, 128 + 62 * enhanced, 84.0)
    masks = _masks(organs, size)
    for place, grey in enumerate(greys):
        layer = soft(masks[..., place], 0.004)
        picture = (1 - layer) * picture + layer * (grey + rng.normal(0, 5) + 3 * clouds(size, 20, rng))
    for x, y, radii, grey in ((0.5, 0.70, (0.055, 0.045), 215), (0.5, 0.775, (0.018, 0.03), 205),
                              (0.53, 0.625, (0.022, 0.021), 140 + 70 * enhanced)):  # vertebra, spine, aorta
        layer = soft(fill(blob((x, y), radii, 0.0, 0.05, rng), size), 0.004)
        picture = (1 - layer) * picture + layer * grey
    exposed = blur(picture.astype(np.float32), 0.002) * rng.uniform(0.85, 1.1)
    return exposed + grain(size, 1, rng.uniform(4, 9), rng)
