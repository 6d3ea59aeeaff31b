"""Affine and smooth deformation of pictures: one field for all that lies on a film, none of it ever mirrored.

A field tells for each pixel of the result from where in the picture it comes: rotation, scaling and translation of
the whole, and a smooth displacement as in Simard et al. 2003 ("Best practices for convolutional neural networks",
section 2), which is white noise after a Gaussian filter. Its slopes have the deviation bend / (sqrt(2) smooth),
one seventh by default, where a fold takes one.
"""

import dataclasses

import cv2
import numpy as np
from scipy import ndimage

_CELLS = 32  # side of the grid on which the smooth field is drawn


@dataclasses.dataclass(frozen=True)
class Deformation:
    """Ranges of a deformation (ours).

    Attributes:
      degrees: rotation about the picture's centre, uniform in [-degrees, degrees].
      scale: each axis is scaled alike by a factor whose logarithm is uniform in [-log scale, log scale] ...
      stretch: ... and each by itself by one in [-log stretch, log stretch].
      shift: translation along each axis, uniform in [-shift, shift] of the side.
      bend: standard deviation of the smooth displacement along each axis, in shares of the side.
      smooth: standard deviation of the Gaussian filter that makes it smooth, in shares of the side.
    """

    degrees: float = 10.0
    scale: float = 1.1
    stretch: float = 1.05
    shift: float = 0.05
    bend: float = 0.02
    smooth: float = 0.1


def draw_field(rng: np.random.Generator, shape: tuple[int, int],
               ranges: Deformation = Deformation()) -> np.ndarray:
    """A field float32 [2, H, W]: of each pixel of the result, the x and y in [0, 1] of where it comes from."""
    angle = np.deg2rad(rng.uniform(-ranges.degrees, ranges.degrees))
    factors = np.exp(rng.uniform(-1, 1) * np.log(ranges.scale) + rng.uniform(-1, 1, 2) * np.log(ranges.stretch))
    shift = rng.uniform(-ranges.shift, ranges.shift, 2)
    noise = rng.standard_normal((2, _CELLS, _CELLS))
    # From the centre, moved back: x [W] and y [H, 1].
    x, y = ((np.arange(side, dtype=np.float32) + 0.5) / side - 0.5 - moved for side, moved in
            zip(shape[::-1], shift.astype(np.float32), strict=True))
    y = y[:, None]
    # The inverse of scaling, then rotating: where a pixel of the result comes from.
    cosines, sines = (part(angle) / factors for part in (np.cos, np.sin))
    field = _bends(noise, shape, ranges)
    field[0] += np.float32(cosines[0]) * x + np.float32(sines[0]) * y + np.float32(0.5)
    field[1] += np.float32(cosines[1]) * y - np.float32(sines[1]) * x + np.float32(0.5)
    return field


def _bends(noise: np.ndarray, shape: tuple[int, int], ranges: Deformation) -> np.ndarray:
    """The smooth displacement float32 [2, H, W] of white noise [2, cells, cells]."""
    sigma = ranges.smooth * _CELLS
    # A filtered plane has the standard deviation 1 / (2 sqrt(pi) sigma).
    smooth = [ndimage.gaussian_filter(plane, sigma, mode="wrap") * (2 * np.sqrt(np.pi) * sigma * ranges.bend)
              for plane in noise]
    return np.stack([cv2.resize(plane.astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
                     for plane in smooth])


def move_labels(labels: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Codes uint8 [h, w] by nearest neighbour -> uint8 [H, W] of a field [2, H, W]; edges are repeated."""
    return _move(labels, field, cv2.INTER_NEAREST)


def move_film(film: np.ndarray, field: np.ndarray) -> np.ndarray:
    """A film uint8 [h, w] or [h, w, 3], between pixels bilinear -> [H, W] or [H, W, 3]; edges are repeated."""
    if film.ndim == 3:  # plane by plane, as everywhere
        return np.stack([_move(plane, field, cv2.INTER_LINEAR) for plane in np.moveaxis(film, -1, 0)], -1)
    return _move(film, field, cv2.INTER_LINEAR)


def _move(plane: np.ndarray, field: np.ndarray, interpolation: int) -> np.ndarray:
    # OpenCV's whole numbers are pixel centres
    x, y = (share * side - 0.5 for share, side in zip(field, plane.shape[::-1], strict=True))
    return cv2.remap(plane, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)
