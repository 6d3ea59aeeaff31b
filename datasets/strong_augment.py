"""Strong augmentation of a film and its label map on the fly, cut to a crop by one warp.

The list, its order, ranges and probabilities are those of nnU-Net v2 for flat images (Isensee et al. 2021, and the
trainer of its second version), but for three things: rotation goes to 15 degrees, not to 180, since films are
upright; films are shifted a little; and nothing is mirrored, left and right being different organs. Where nnU-Net
counts grey levels from a film's mean in units of its deviation, so do these, from those of the crop. Elastic
deformation, which nnU-Net has left off since its second version, is an option.
"""

import dataclasses
from collections.abc import Callable, Sequence

import cv2
import numpy as np

_WHITE = 255.0
_CONTROL = 4  # points along a side


@dataclasses.dataclass(frozen=True)
class StrongAugmentation:
    """Ranges and probabilities of what moves a film; those of grey levels are `_GREYS`.

    Attributes:
      degrees: rotation is uniform in [-degrees, degrees] about the crop's middle.
      zoom: the side of what a crop shows, as a share of its own, is uniform between these.
      shift: translation along either axis is uniform in [-shift, shift] of the film's side.
      probability: of each of the three.
      elastic: probability of a smooth deformation.
      bend: its largest displacement at a control point is uniform up to this share of the crop's side.
    """

    degrees: float = 15.0
    zoom: tuple[float, float] = (0.7, 1.4)
    shift: float = 0.06
    probability: float = 0.2
    elastic: float = 0.0
    bend: float = 0.05

    def crop(self, film: np.ndarray, labels: np.ndarray, corner: Sequence[int], sides: Sequence[int], outside: int,
             rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A window of `sides` (height, width) at `corner` (top, left), augmented.

        Args:
          film: uint8 [H, W] or [H, W, 3]; moved with bilinear interpolation, black beyond its edges.
          labels: uint8 codes [H, W]; moved by nearest neighbour, so that codes stay codes.
          outside: code beyond the film's edges.

        Returns uint8 [h, w] or [h, w, 3], and uint8 [h, w].
        """
        matrix = self._matrix(film.shape[:2], corner, sides, rng)
        bent = rng.random() < self.elastic
        places = self._bent(matrix, corner, sides, rng) if bent else None
        if matrix is None and places is None:
            rows, columns = (slice(start, start + side) for start, side in zip(corner, sides, strict=True))
            return change_greys(film[rows, columns], rng), labels[rows, columns]

        def move(array: np.ndarray, how: int, beyond: int) -> np.ndarray:
            border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": (beyond,) * 3}
            if places is not None:
                return cv2.remap(array, places, None, how, **border)
            return cv2.warpAffine(array, matrix, (sides[1], sides[0]), flags=how | cv2.WARP_INVERSE_MAP, **border)

        return change_greys(move(film, cv2.INTER_LINEAR, 0), rng), move(labels, cv2.INTER_NEAREST, outside)

    def _matrix(self, shape: Sequence[int], corner: Sequence[int], sides: Sequence[int],
                rng: np.random.Generator) -> np.ndarray | None:
        """[2, 3], from pixels (x, y) of the crop to pixels of the film; None where it is only cut out."""
        turned, zoomed, shifted = rng.random(3) < self.probability
        if not (turned or zoomed or shifted):
            return None
        angle = np.deg2rad(rng.uniform(-self.degrees, self.degrees)) if turned else 0.0
        zoom = rng.uniform(*self.zoom) if zoomed else 1.0
        shift = rng.uniform(-self.shift, self.shift, 2) * shape[::-1] if shifted else np.zeros(2)
        middle = (np.array(sides[::-1]) - 1) / 2  # whole numbers are pixel centres
        turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.column_stack([turn, np.array(corner[::-1]) + middle + shift - turn @ middle])

    def _bent(self, matrix: np.ndarray | None, corner: Sequence[int], sides: Sequence[int],
              rng: np.random.Generator) -> np.ndarray:
        """Where each pixel of the crop lies in the film, float32 [h, w, 2] (x, y): `matrix` after displacements
        of `_CONTROL` x `_CONTROL` points, with a cubic surface between them."""
        height, width = sides
        if matrix is None:
            matrix = np.array([[1.0, 0.0, corner[1]], [0.0, 1.0, corner[0]]])
        most = rng.uniform(0.0, self.bend) * min(sides)
        few = rng.uniform(-most, most, (_CONTROL, _CONTROL, 2)).astype(np.float32)
        places = cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC)
        places += np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
        return cv2.transform(places, matrix.astype(np.float32))


def _add_noise(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    deviation = rng.uniform(0.0, 0.1) * plane.std()
    return plane + deviation * rng.standard_normal(plane.shape, np.float32)


def _blur(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    across, down = rng.uniform(0.5, 1.0, 2)  # pixels
    return cv2.GaussianBlur(plane, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REFLECT)


def _brighten(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    mean = plane.mean()
    return (plane - mean) * _factor(rng, 0.75, 1.25) + mean


def _contrast(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(_brighten(plane, rng), plane.min(), plane.max())


def _coarsen(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Low resolution: fewer pixels by nearest neighbour, enlarged again by cubic interpolation."""
    height, width = plane.shape
    scale = rng.uniform(0.5, 1.0)
    few = cv2.resize(plane, (max(1, round(width * scale)), max(1, round(height * scale))),
                     interpolation=cv2.INTER_NEAREST)
    return cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC)


def _gamma(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A power of the levels between least and greatest; mean and deviation stay."""
    least, most = plane.min(), plane.max()
    if most - least < 1.0:
        return plane
    power = cv2.pow((plane - least) / (most - least), _factor(rng, 0.7, 1.5))
    mean, deviation = power.mean(), max(float(power.std()), 1e-7)
    return (power - mean) * (plane.std() / deviation) + plane.mean()


def _inverted_gamma(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _WHITE - _gamma(_WHITE - plane, rng)


def _factor(rng: np.random.Generator, low: float, high: float) -> float:
    """Below 1 as often as above it."""
    return float(rng.uniform(low, 1.0) if rng.random() < 0.5 else rng.uniform(1.0, high))


# In this order: probability for a film, then for each of its channels, and what it does to a channel.
_GREYS: tuple[tuple[float, float, Callable], ...] = (
    (0.1, 1.0, _add_noise), (0.2, 0.5, _blur), (0.15, 1.0, _brighten), (0.15, 1.0, _contrast),
    (0.25, 0.5, _coarsen), (0.1, 1.0, _inverted_gamma), (0.3, 1.0, _gamma))


def change_greys(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey levels of `film`, uint8 [h, w] or [h, w, 3], changed at random as `_GREYS` says; of its shape."""
    planes = [film] if film.ndim == 2 else list(np.moveaxis(film, -1, 0))
    drawn = rng.random((len(_GREYS), 1 + len(planes)))
    film_chance, channel_chance = np.array([step[:2] for step in _GREYS]).T
    changed = (drawn[:, 0] < film_chance) & (drawn.T[1:] < channel_chance)  # [channels, steps]
    if not changed.any():
        return film
    for number, steps in enumerate(changed):
        plane = planes[number].astype(np.float32)
        for step in np.flatnonzero(steps):
            plane = _GREYS[step][2](plane, rng)
        planes[number] = np.clip(np.rint(plane), 0, _WHITE).astype(np.uint8)
    return planes[0] if film.ndim == 2 else np.stack(planes, -1)
