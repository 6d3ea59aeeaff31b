"""Segmenting pictures larger than the network's crop by overlapping windows (Ciano et al. 2021, 4.2)."""

from collections.abc import Callable

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]  # [N, h, w, C] -> probabilities [N, h, w, K]


def window_offsets(side: int, window: int, overlap: float = 1 / 3) -> list[int]:
    """Where windows start along a side: every (1 - overlap) x window pixels, the last shifted back inside.

    512 with window 377 gives 0 and 135. A window larger than the side shrinks to it: [0].
    """
    if window < 1 or not 0 <= overlap < 1:
        raise ValueError(f"window must be positive and overlap in [0, 1); received {window} and {overlap}")
    if side <= window:
        return [0]
    stride = max(1, round(window * (1 - overlap)))
    return [*range(0, side - window, stride), side - window]


def sliding_window(predict: Predict, image: np.ndarray, window: int = 377, overlap: float = 1 / 3,
                   batch: int = 4) -> np.ndarray:
    """Probabilities [H, W, K] of image [H, W, C]: the mean over the windows that cover a pixel.

    Args:
      window: side in pixels; shrinks to the image where that is smaller.
      batch: windows predicted at a time.
    """
    height, width = image.shape[:2]
    tall, wide = min(window, height), min(window, width)
    places = [(top, left) for top in window_offsets(height, window, overlap)
              for left in window_offsets(width, window, overlap)]
    if len(places) == 1:
        return predict(image[None])[0]
    total, weight = None, np.zeros((height, width, 1), np.float32)
    for first in range(0, len(places), batch):
        group = places[first:first + batch]
        parts = predict(np.stack([image[top:top + tall, left:left + wide] for top, left in group]))
        for (top, left), part in zip(group, parts, strict=True):
            if total is None:
                total = np.zeros((height, width, part.shape[-1]), np.float32)
            total[top:top + tall, left:left + wide] += part
            weight[top:top + tall, left:left + wide] += 1
    return total / weight
