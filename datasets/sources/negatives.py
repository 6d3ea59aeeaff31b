"""Films that look like negatives of the others, by their coarse distribution of light."""

from collections.abc import Sequence

import cv2
import numpy as np

SIDE = 16  # of the coarse picture
_ALIKE = 0.5  # correlation with what films have in common, above which a film is like it or like its negative


def coarse_picture(pixels: np.ndarray) -> np.ndarray:
    """float32 [SIDE * SIDE] of mean 0 and length 1, of a film [H, W] or [H, W, 3]; zeros if it is constant."""
    grey = pixels.astype(np.float32)
    grey = grey.mean(-1) if grey.ndim == 3 else grey
    coarse = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()
    coarse -= coarse.mean()
    return coarse / max(float(np.linalg.norm(coarse)), 1e-9)


def find_negatives(coarse: Sequence[np.ndarray]) -> list[int]:
    """Places of the films that are like the negative of most, the fewer of both kinds; [] if films differ anyway.

    Most films must be like their common picture, or like its negative, for the difference to mean something.
    """
    if len(coarse) < 2:
        return []
    _, _, common = np.linalg.svd(np.stack(coarse), full_matrices=False)
    alike = np.stack(coarse) @ common[0]  # the first direction is the same for a film and its negative
    if np.mean(np.abs(alike) > _ALIKE) < 0.75:
        return []
    sides = np.flatnonzero(alike < -_ALIKE), np.flatnonzero(alike > _ALIKE)
    return min(sides, key=len).tolist()
