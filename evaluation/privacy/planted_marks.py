"""How well burnt-in boxes and text are found: planted ones, and films that are clean."""

import zlib
from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd

from datasets.burnt_in import Box, find_boxes, find_text, paint_over
from evaluation.privacy.figures import share

BOX_SIDES = {"small": (0.05, 0.06), "medium": (0.06, 0.15), "large": (0.12, 0.3)}  # height, width as shares
TEXT_HEIGHTS = {"2 %": 0.02, "3 %": 0.03, "5 %": 0.05}  # of capitals, of the side
SAMPLE = "NAME J 1950"  # no patient's
FOUND = 0.5  # of a planted mark's rectangle that is covered


def measure_marks(films: Sequence[np.ndarray]) -> pd.DataFrame:
    """A row for each kind of mark: mark, size, planted, found, recall, low, high; and how many films of those that
    had their own marks painted over still have one by the finder.

    Args:
      films: uint8 [H, W] or [H, W, 3], of several patients; their own marks are painted over first.
    """
    clean = [paint_over(film)[0] for film in films]
    rows = []
    for kind, sizes in (("black box", BOX_SIDES), ("white box", BOX_SIDES), ("white text", TEXT_HEIGHTS),
                        ("black text", TEXT_HEIGHTS)):
        for name, size in sizes.items():
            found = 0
            for place, film in enumerate(clean):
                rng = np.random.default_rng([0, zlib.crc32(f"{kind} {name}".encode()), place])
                mark = _with_box if "box" in kind else _with_text
                marked, box = mark(film, size, kind.startswith("white"), rng)
                found += any(_covers(mark, box) for mark in (*find_boxes(marked), *find_text(marked)))
            rows.append({"mark": kind, "size": name, "planted": len(clean), "found": found})
    for name, finder in (("box", find_boxes), ("text", find_text)):
        rows.append({"mark": f"{name} in painted films", "size": "", "planted": len(clean),
                     "found": sum(bool(finder(film)) for film in clean)})
    table = pd.DataFrame(rows)
    values = [share(int(row["found"]), int(row["planted"])) for _, row in table.iterrows()]
    for place, column in enumerate(("share", "low", "high")):
        table[column] = [value[place] for value in values]
    return table


def _with_box(film: np.ndarray, size: tuple[float, float], white: bool, rng: np.random.Generator):
    """The film with a flat rectangle at a random place, as a share of its greys at the end of the range."""
    tall, wide = (max(2, round(share_ * side)) for share_, side in zip(size, film.shape[:2], strict=True))
    top, left = _place(film, (tall, wide), white, rng)
    marked = film.copy()
    marked[top:top + tall, left:left + wide] = 255 if white else 0
    return marked, _box(white, top, left, top + tall, left + wide, film.shape)


def _with_text(film: np.ndarray, height: float, white: bool, rng: np.random.Generator):
    """The film with a line of text at a random place."""
    font, pixels = cv2.FONT_HERSHEY_SIMPLEX, height * film.shape[0]
    scale = cv2.getFontScaleFromHeight(font, max(4, round(pixels)), 1)
    thick = max(1, round(0.12 * pixels))
    (wide, tall), _ = cv2.getTextSize(SAMPLE, font, scale, thick)
    top, left = _place(film, (tall, wide), white, rng)
    marked = cv2.putText(film.copy(), SAMPLE, (left, top + tall), font, scale, (255 if white else 0,) * 3, thick,
                         cv2.LINE_AA)
    return marked, _box(white, top, left, top + tall, left + wide, film.shape)


def _place(film: np.ndarray, size: tuple[int, int], white: bool, rng: np.random.Generator) -> tuple[int, int]:
    """Top and left of a random place where the film differs from the mark by 90 levels on average, or of fifty the
    one where it does most: white on white tissue is nowhere to be seen."""
    tall, wide = size
    drawn = rng.integers(0, [film.shape[0] - tall + 1, max(1, film.shape[1] - wide + 1)], (50, 2))
    means = [film[top:top + tall, left:left + wide].mean() for top, left in drawn]
    visible = [place for place, mean in zip(drawn, means, strict=True) if abs(mean - (255 if white else 0)) > 90]
    best = drawn[int(np.argmin(means) if white else np.argmax(means))]
    top, left = visible[0] if visible else best
    return int(top), int(left)


def _box(white: bool, top: int, left: int, bottom: int, right: int, shape: tuple[int, ...]) -> Box:
    height, width = shape[:2]
    return Box(white, top / height, left / width, bottom / height, right / width)


def _covers(mark: Box, planted: Box) -> bool:
    tall = min(mark.bottom, planted.bottom) - max(mark.top, planted.top)
    wide = min(mark.right, planted.right) - max(mark.left, planted.left)
    area = (planted.bottom - planted.top) * (planted.right - planted.left)
    return min(tall, wide) > 0 and tall * wide >= FOUND * area
