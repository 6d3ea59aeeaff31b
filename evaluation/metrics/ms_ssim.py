"""Multi-scale structural similarity of image pairs, as the PGGAN authors use it to measure diversity.

Wang, Simoncelli and Bovik 2003; Karras et al. 2018, section 5: the mean over pairs of generated images. A set with
much variation scores low; a collapsed one near 1. Only scores at the same size and number of scales compare.

Our own, since `tf.image.ssim_multiscale` begins at 176 pixels, averages channels after the product of scales, and
in float32 is off by 1e-4 on flat pictures; elsewhere both agree to 1e-5
(tests/evaluation/synthetic/test_realism.py).
"""

from collections.abc import Callable

import cv2
import numpy as np

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
WINDOW, SIGMA = 11, 1.5
SMALLEST_SCALE = 4  # pixels; five scales from 64 pixels on
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ms_ssim_pairs(images: np.ndarray, pairs: np.ndarray | None = None, view: Callable | None = None) -> float:
    """Mean multi-scale similarity over pairs of one image set.

    Args:
      images: uint8 [N, H, W] or [N, H, W, C]; sides of at least 11 pixels.
      pairs: int [P, 2] indices; None is each even image with the odd one after it, as the authors pair them.
      view: turns one image into uint8 [H, W] or [H, W, C], e.g. a label map into organ channels.
    """
    pairs = neighbour_pairs(len(images)) if pairs is None else np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise ValueError(f"pairs must be [P, 2] with P > 0 (two images or more); received shape {pairs.shape}")
    view = view or (lambda image: image)
    return float(np.mean([ms_ssim(view(images[one]), view(images[other])) for one, other in pairs]))


def neighbour_pairs(count: int) -> np.ndarray:
    """(0, 1), (2, 3), ... as int [count // 2, 2]."""
    return np.arange(count // 2 * 2).reshape(-1, 2)


def scale_count(height: int, width: int) -> int:
    """Scales used at a size: five, or as many as keep 4 pixels. Raises ValueError under 11 pixels."""
    side = min(height, width)
    if side < WINDOW:
        raise ValueError(f"images must be at least {WINDOW} pixels on each side; received {height} x {width}")
    return min(len(WEIGHTS), 1 + int(np.log2(side / SMALLEST_SCALE)))


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Similarity in [0, 1] of two uint8 images [H, W] or [H, W, C].

    The contrast-structure terms of all scales and the full term of the last, each clipped at 0 and raised to its
    weight. With fewer than five scales the weights are rescaled to their sum.
    """
    if a.shape != b.shape or a.ndim not in (2, 3) or a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError("both images must be uint8 [H, W] or [H, W, C] of one shape; "
                         f"received {a.dtype} {a.shape} and {b.dtype} {b.shape}")
    weights = WEIGHTS[:scale_count(*a.shape[:2])]
    weights = weights * (WEIGHTS.sum() / weights.sum())
    a, b = (np.float64(image).reshape(*image.shape[:2], -1) for image in (a, b))
    score = 1.0
    for scale, weight in enumerate(weights):
        similarity, contrast = _terms(a, b)
        last = scale == len(weights) - 1
        score *= np.clip(similarity if last else contrast, 0, 1) ** weight
        a, b = _halve(a), _halve(b)
    return float(score)


def _terms(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Structural similarity and its contrast-structure part, each averaged over all windows and channels."""
    mean_a, mean_b = _smooth(a), _smooth(b)
    variances = _smooth(a * a) - mean_a**2 + _smooth(b * b) - mean_b**2
    covariance = _smooth(a * b) - mean_a * mean_b
    contrast = (2 * covariance + _C2) / (variances + _C2)
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return float((luminance * contrast).mean()), float(contrast.mean())


def _smooth(image: np.ndarray) -> np.ndarray:
    """Gaussian window wholly inside the image; at scales smaller than the window, both shrink to the side."""
    size = min(WINDOW, *image.shape[:2])
    offsets = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-np.square(offsets * WINDOW / (size * SIGMA)) / 2)  # a smaller window has a smaller sigma
    kernel /= kernel.sum()
    filtered = cv2.sepFilter2D(image, -1, kernel, kernel).reshape(image.shape)
    start, stop = size // 2, size // 2 - size + 1  # where the window would leave the image
    return filtered[start:stop or None, start:stop or None]


def _halve(image: np.ndarray) -> np.ndarray:
    """2x2 means; an odd side repeats its last row or column."""
    image = np.pad(image, [(0, side % 2) for side in image.shape[:2]] + [(0, 0)], mode="edge")
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4
