"""Sliced Wasserstein distance between two image sets, by the definition of the PGGAN authors.

Karras et al. 2018, section 5: patches of each level of a Laplacian pyramid, normalised per channel over their
set, are compared along random directions. Coarse levels tell of overall structure, fine ones of texture, sharpness
and noise. A set against another of the same kind does not give 0 but a noise floor that falls as images are added.
"""

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SMALLEST_LEVEL = 16  # pixels of the shorter side
PATCH = 7
DIRECTIONS = 128  # random ones, drawn anew for each repeat


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, seed: int = 0, *, patches: int = 128, repeats: int = 4,
                       view: Callable | None = None) -> dict[str, float]:
    """Distance x 1e3 of each pyramid level, keyed by its shorter side ("64", "32", "16"), and their "mean".

    Sets of different size are made equal by leaving out images of the larger one, drawn by `seed`. Every draw
    is a function of `seed`; patches of the two sets are drawn apart.

    Args:
      a, b: uint8 [N, H, W] or [N, H, W, C] with the same H, W and C; both sides at least 16.
      patches: 7x7 patches per image and level.
      repeats: the distance is the mean over `repeats` x DIRECTIONS random directions.
      view: turns one image into [H, W] or [H, W, C] of any number type, e.g. a label map into organ channels.
    """
    for images in (a, b):
        if images.ndim not in (3, 4) or images.dtype != np.uint8 or not len(images):
            raise ValueError("images must be uint8 [N, H, W] or [N, H, W, C] with N > 0; "
                             f"received {images.dtype} {images.shape}")
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"both sets must have images of one shape; received {a.shape[1:]} and {b.shape[1:]}")
    count = min(len(a), len(b))
    a, b = (_draw(images, count, [seed, 2 + which]) for which, images in enumerate((a, b)))
    return distance_of_streams(a, b, level_sides(*a.shape[1:3]), seed, patches=patches, repeats=repeats, view=view)


def distance_of_streams(a: Iterable[np.ndarray], b: Iterable[np.ndarray], sides: Sequence[int], seed: int = 0, *,
                        patches: int = 128, repeats: int = 4, view: Callable | None = None) -> dict[str, float]:
    """`sliced_wasserstein` of as many images [H, W] or [H, W, C] of either set, of which only patches are held.

    Args:
      sides: `level_sides` of the images.
    """
    descriptors = [_descriptors(images, view, len(sides), patches, [seed, which])
                   for which, images in enumerate((a, b))]
    distances = {}
    for level, side in enumerate(sides):
        rng = np.random.default_rng([seed, 4, level])
        one, other = (_normalise(found[level]) for found in descriptors)
        parts = [_projected_distance(one, other, rng) for _ in range(repeats)]
        distances[str(side)] = 1e3 * float(np.mean(parts))
    distances["mean"] = float(np.mean(list(distances.values())))
    return distances


def level_sides(height: int, width: int) -> list[int]:
    """Shorter side of each pyramid level, from full size down to 16. Raises ValueError below 16 pixels."""
    side = min(height, width)
    if side < SMALLEST_LEVEL:
        raise ValueError(f"images must have sides of {SMALLEST_LEVEL} pixels or more; received {height} x {width}")
    sides = [side]
    while (side := (side + 1) // 2) >= SMALLEST_LEVEL:
        sides.append(side)
    return sides


def laplacian_pyramid(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """[H, W, C] -> `levels` float32 arrays, each half the side of the one before; the last is the low-pass.

    Burt and Adelson 1983 with a = 3/8, borders mirrored about the outermost pixel.
    """
    pyramid = [np.float32(image)]
    for _ in range(levels - 1):
        finer = pyramid[-1]
        coarser = cv2.pyrDown(finer)
        pyramid[-1] = finer - cv2.pyrUp(coarser, dstsize=finer.shape[1::-1]).reshape(finer.shape)
        pyramid.append(coarser.reshape(*coarser.shape[:2], -1))  # OpenCV drops a channel that is alone
    return pyramid


def _draw(images: np.ndarray, count: int, seed: list[int]) -> np.ndarray:
    if len(images) == count:
        return images
    return images[np.sort(np.random.default_rng(seed).permutation(len(images))[:count])]


def _descriptors(images: Iterable[np.ndarray], view: Callable | None, levels: int, patches: int,
                 seed: list[int]) -> list[np.ndarray]:
    """Random patches of every level: a list of float32 [N x patches, C, 7, 7]."""
    rng = np.random.default_rng(seed)
    found = [[] for _ in range(levels)]
    for image in images:
        image = image if view is None else view(image)
        image = image.reshape(*image.shape[:2], -1)
        for level, values in enumerate(laplacian_pyramid(image, levels)):
            # a view of all patches, [h - 6, w - 6, C, 7, 7]; only those drawn are copied
            windows = sliding_window_view(values, (PATCH, PATCH), axis=(0, 1))
            rows = rng.integers(windows.shape[0], size=patches)
            columns = rng.integers(windows.shape[1], size=patches)
            found[level].append(windows[rows, columns])
    return [np.concatenate(parts) for parts in found]


def _normalise(descriptors: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 per channel over the whole set (a constant channel stays 0); [patches, C x 49]."""
    centred = descriptors - descriptors.mean((0, 2, 3), np.float64, keepdims=True).astype(np.float32)
    deviation = np.sqrt(np.square(centred).mean((0, 2, 3), np.float64, keepdims=True))
    centred /= np.where(deviation > 1e-6, deviation, 1).astype(np.float32)
    return centred.reshape(len(centred), -1)


def _projected_distance(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> float:
    """Mean over DIRECTIONS random unit directions of the 1-D Wasserstein distance of the projections."""
    axes = rng.standard_normal((DIRECTIONS, a.shape[1]))
    axes = np.float32(axes / np.linalg.norm(axes, axis=1, keepdims=True))
    along_a, along_b = axes @ a.T, axes @ b.T  # [DIRECTIONS, patches]
    along_a.sort(axis=1)  # in one dimension the n-th smallest of either set belong together
    along_b.sort(axis=1)
    return float(np.abs(along_a - along_b).mean(dtype=np.float64))
