"""Strong augmentation of a film and its label map on the fly, cut to a crop by one warp.

The list, its order, ranges and probabilities are those of nnU-Net v2 for flat images (Isensee et al. 2021, and the
trainer of its second version), but for three things: rotation goes to 15 degrees, not to 180, since films are
upright; films are shifted a little; and nothing is mirrored, left and right being different organs. Where nnU-Net
counts grey levels from a film's mean in units of its deviation, so do these, from those of the crop. Elastic
deformation, which nnU-Net has left off since its second version, is an option, and so is a factor of the
probabilities.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

_WHITE = 255.0
SOURCE = ("nnU-Net v2, nnUNetTrainer, flat images (Isensee et al. 2021), but for degrees (there 180), shift "
          "(there 0), no mirroring, and probabilities times --augment_factor; elastic, bend and points are ours")


@dataclasses.dataclass(frozen=True)
class GreyChange:
    """How often and how far grey levels are changed.

    Attributes:
      film: probability for a film.
      channel: then for each of its channels.
      low, high: range of what is drawn, in the unit of the change.
    """

    film: float
    channel: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class StrongAugmentation:
    """Ranges and probabilities, which a run's config.json keeps; `SOURCE` says whose they are.

    Attributes:
      degrees: rotation is uniform in [-degrees, degrees] about the crop's middle.
      zoom: the side of what a crop shows, as a share of its own, is uniform between these.
      shift: translation along either axis is uniform in [-shift, shift] of the film's side.
      probability: of each of the three.
      elastic: probability of a smooth deformation.
      bend: its largest displacement at a control point is uniform up to this share of the crop's side.
      points: control points along a side.
      noise: deviation of added Gaussian noise, in deviations of the crop.
      blur: deviation of a Gaussian along either axis, in pixels.
      brightness, contrast: factor of the distance from the crop's mean; contrast keeps least and greatest level.
      resolution: share of the pixels that is kept along a side.
      inverted_gamma, gamma: exponent of the levels between least and greatest, from white or from black.
    """

    degrees: float = 15.0
    zoom: tuple[float, float] = (0.7, 1.4)
    shift: float = 0.06
    probability: float = 0.2
    elastic: float = 0.0
    bend: float = 0.05
    points: int = 4
    # Of grey levels, in the order in which they are done.
    noise: GreyChange = GreyChange(0.1, 1.0, 0.0, 0.1)
    blur: GreyChange = GreyChange(0.2, 0.5, 0.5, 1.0)
    brightness: GreyChange = GreyChange(0.15, 1.0, 0.75, 1.25)
    contrast: GreyChange = GreyChange(0.15, 1.0, 0.75, 1.25)
    resolution: GreyChange = GreyChange(0.25, 0.5, 0.5, 1.0)
    inverted_gamma: GreyChange = GreyChange(0.1, 1.0, 0.7, 1.5)
    gamma: GreyChange = GreyChange(0.3, 1.0, 0.7, 1.5)

    def more_often(self, factor: float) -> "StrongAugmentation":
        """The same changes with `factor` times their probabilities for a film, but none above a half; elastic, and
        probabilities for a channel, as they are."""
        def often(probability: float) -> float:
            return max(probability, min(0.5, factor * probability))

        greys = {name: getattr(self, name) for name in _GREYS}
        return dataclasses.replace(self, probability=often(self.probability), **{
            name: dataclasses.replace(change, film=often(change.film)) for name, change in greys.items()})

    def to_json(self) -> dict[str, Any]:
        """All values and their source, as JSON gives them back."""
        return json.loads(json.dumps({"source": SOURCE, **dataclasses.asdict(self)}))

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
            return self.change_greys(film[rows, columns], rng), labels[rows, columns]

        def move(array: np.ndarray, how: int, beyond: int) -> np.ndarray:
            border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": (beyond,) * 3}
            if places is not None:
                return cv2.remap(array, places, None, how, **border)
            return cv2.warpAffine(array, matrix, (sides[1], sides[0]), flags=how | cv2.WARP_INVERSE_MAP, **border)

        return self.change_greys(move(film, cv2.INTER_LINEAR, 0), rng), move(labels, cv2.INTER_NEAREST, outside)

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
        of `points` x `points` points, with a cubic surface between them."""
        height, width = sides
        if matrix is None:
            matrix = np.array([[1.0, 0.0, corner[1]], [0.0, 1.0, corner[0]]])
        most = rng.uniform(0.0, self.bend) * min(sides)
        few = rng.uniform(-most, most, (self.points, self.points, 2)).astype(np.float32)
        places = cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC)
        places += np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
        return cv2.transform(places, matrix.astype(np.float32))

    def change_greys(self, film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Grey levels of `film`, uint8 [h, w] or [h, w, 3], changed at random; of its shape."""
        planes = [film] if film.ndim == 2 else list(np.moveaxis(film, -1, 0))
        steps = [getattr(self, name) for name in _GREYS]
        drawn = rng.random((len(steps), 1 + len(planes)))
        film_chance, channel_chance = np.array([(step.film, step.channel) for step in steps]).T
        changed = (drawn[:, 0] < film_chance) & (drawn.T[1:] < channel_chance)  # [channels, steps]
        if not changed.any():
            return film
        functions = list(_GREYS.values())
        for number, places in enumerate(changed):
            plane = planes[number].astype(np.float32)
            for place in np.flatnonzero(places):
                plane = functions[place](plane, steps[place].low, steps[place].high, rng)
            planes[number] = np.clip(np.rint(plane), 0, _WHITE).astype(np.uint8)
        return planes[0] if film.ndim == 2 else np.stack(planes, -1)


def _add_noise(plane: np.ndarray, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    deviation = rng.uniform(low, high) * plane.std()
    return plane + deviation * rng.standard_normal(plane.shape, np.float32)


def _blur(plane: np.ndarray, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    across, down = rng.uniform(low, high, 2)
    return cv2.GaussianBlur(plane, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REFLECT)


def _brighten(plane: np.ndarray, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    mean = plane.mean()
    return (plane - mean) * _factor(low, high, rng) + mean


def _contrast(plane: np.ndarray, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    return np.clip(_brighten(plane, low, high, rng), plane.min(), plane.max())


def _coarsen(plane: np.ndarray, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """Low resolution: fewer pixels by nearest neighbour, enlarged again by cubic interpolation."""
    height, width = plane.shape
    scale = rng.uniform(low, high)
    few = cv2.resize(plane, (max(1, round(width * scale)), max(1, round(height * scale))),
                     interpolation=cv2.INTER_NEAREST)
    return cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC)


def _gamma(plane: np.ndarray, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """A power of the levels between least and greatest; mean and deviation stay."""
    least, most = plane.min(), plane.max()
    if most - least < 1.0:
        return plane
    power = cv2.pow((plane - least) / (most - least), _factor(low, high, rng))
    mean, deviation = power.mean(), max(float(power.std()), 1e-7)
    return (power - mean) * (plane.std() / deviation) + plane.mean()


def _inverted_gamma(plane: np.ndarray, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    return _WHITE - _gamma(_WHITE - plane, low, high, rng)


def _factor(low: float, high: float, rng: np.random.Generator) -> float:
    """Below 1 as often as above it."""
    return float(rng.uniform(low, 1.0) if rng.random() < 0.5 else rng.uniform(1.0, high))


# Field of `StrongAugmentation` -> what it does to a channel; in this order.
_GREYS: dict[str, Callable[[np.ndarray, float, float, np.random.Generator], np.ndarray]] = {
    "noise": _add_noise, "blur": _blur, "brightness": _brighten, "contrast": _contrast, "resolution": _coarsen,
    "inverted_gamma": _inverted_gamma, "gamma": _gamma}
