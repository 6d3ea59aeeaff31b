"""The paper's augmentation x6: each film as it is, and one copy for each operation (Ciano et al. 2021, 4.1).

Image and label map move together. Nothing is ever mirrored: left and right are different organs.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np

from datasets.augmentation.changed_store import Variant, write_changed
from datasets.manifest import AS_IT_IS, OPERATIONS, Entry
from datasets.pair_store import PairStore


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Ranges of the operations; the defaults are the paper's.

    Attributes:
      degrees: rotation is uniform in [-degrees, degrees] about the centre.
      shift: translation is uniform in [-shift, shift] of the side.
      noise: the Gaussian noise's standard deviation is uniform between these shares of 255 grey levels.
    """

    degrees: float = 2.0
    shift: float = 0.03
    noise: tuple[float, float] = (0.01, 0.03)


def augment(operation: str, image: np.ndarray, labels: Sequence[np.ndarray], rng: np.random.Generator,
            ranges: Augmentation = Augmentation()) -> tuple[np.ndarray, list[np.ndarray]]:
    """One operation on a film and everything that lies on it.

    Args:
      image: uint8 [H, W] or [H, W, 3]; moved with bilinear interpolation, its edge repeated.
      labels: arrays [H, W] or [H, W, K] moved alike by nearest neighbour; what comes in at an edge repeats it.

    Returns the new film and label arrays.
    """
    if operation not in OPERATIONS:
        raise ValueError(f"operation must be one of {OPERATIONS}; received {operation!r}")
    if operation == AS_IT_IS:
        return image, list(labels)
    if operation == "noise":
        return _add_noise(image, rng, ranges), list(labels)
    matrix = _matrix(operation, image.shape[:2], rng, ranges)
    moved = [move(label, matrix, cv2.INTER_NEAREST) for label in labels]
    return move(image, matrix, cv2.INTER_LINEAR), moved


def augment_store(store: PairStore, ids: Sequence[str], path: pathlib.Path, seed: int) -> PairStore:
    """Writes the six variants of each film `ids` as the train pairs of a new folder; see `write_changed`.

    A variant ID-OPERATION depends on (seed, id, operation) alone. A complete folder of the same films, seed and
    ranges is left as it is. Raises UserError if the folder holds other pairs, is of another description or cannot
    be written to, or if a film is damaged.
    """
    ranges = Augmentation()
    description = dataclasses.replace(store.description, max_value=255)
    return write_changed(store, ids, path, description, seed, ranges,
                         [_variant(operation, ranges) for operation in OPERATIONS])


def _variant(operation: str, ranges: Augmentation) -> Variant:
    return Variant(lambda film: Entry(f"{film.id}-{operation}", "train", film.id, operation, film.patient),
                   lambda film, layers, rng: augment(operation, film, layers, rng, ranges))


def _matrix(operation: str, shape: tuple[int, int], rng: np.random.Generator, ranges: Augmentation) -> np.ndarray:
    """The 2 x 3 affine matrix of a rotation or translation, in pixels (x, y)."""
    height, width = shape
    if operation == "rotation":
        centre = ((width - 1) / 2, (height - 1) / 2)  # OpenCV's whole numbers are pixel centres
        return cv2.getRotationMatrix2D(centre, rng.uniform(-ranges.degrees, ranges.degrees), 1.0)
    x, y = rng.uniform(-ranges.shift, ranges.shift, 2) * (width, height)  # both, whichever is used
    x = 0.0 if operation == "vertical" else x
    y = 0.0 if operation == "horizontal" else y
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def move(array: np.ndarray, matrix: np.ndarray, interpolation: int, beyond: float | None = None) -> np.ndarray:
    """[H, W] or [H, W, K] moved by a 2 x 3 matrix, from pixels (x, y) to new ones; its format stays.

    Args:
      interpolation: OpenCV's.
      beyond: value beyond the edges; None repeats the edge.
    """
    if array.ndim == 3:  # plane by plane: OpenCV takes few, and rounds differently where there are several
        return np.stack([move(plane, matrix, interpolation, beyond) for plane in np.moveaxis(array, -1, 0)], -1)
    border = cv2.BORDER_REPLICATE if beyond is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(array, matrix, array.shape[::-1], flags=interpolation, borderMode=border,
                          borderValue=beyond or 0.0)


def _add_noise(image: np.ndarray, rng: np.random.Generator, ranges: Augmentation) -> np.ndarray:
    deviation = rng.uniform(*ranges.noise) * 255.0
    noisy = image + rng.normal(0.0, deviation, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
