"""What the drawings of all kinds share: outlines, their insides, soft edges and slow clouds.

Lengths are in sides of the picture, points are (x, y) from its top left corner.
"""

import cv2
import numpy as np

CANVAS = 192  # pictures below this size are drawn at it and reduced: details would be less than a pixel wide


def fill(outline: np.ndarray, size: int) -> np.ndarray:
    """The inside of a closed outline, bool [size, size]."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint((outline * size - 0.5) * 256).astype(np.int32)], 1, shift=8)
    return mask.astype(bool)


def blob(centre: tuple[float, float], radii: tuple[float, float], angle: float, wobble: float,
         rng: np.random.Generator) -> np.ndarray:
    """A closed outline [96, 2]: an ellipse turned by `angle` (radians), its radii irregular by `wobble`."""
    around = 2 * np.pi * np.arange(12) / 12
    unit = np.stack([np.cos(around), np.sin(around)], 1)
    points = smooth((unit + wobble * slow_noise(12, rng)) * radii)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return points @ turn + np.array(centre)


def slow_noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Periodic noise [count, 2] of the three lowest frequencies, of about unit deviation."""
    angles = 2 * np.pi * np.arange(count)[:, None] / count
    waves = np.concatenate([function(angles * k) / k for k in (1, 2, 3) for function in (np.sin, np.cos)], 1)
    return waves @ rng.standard_normal((6, 2)) / 1.2


def smooth(points: np.ndarray) -> np.ndarray:
    """A closed Catmull-Rom spline through points [n, 2]: [8 n, 2]."""
    before, after, beyond = (np.roll(points, shift, 0) for shift in (1, -1, -2))
    t = (np.arange(8) / 8)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (before, points, after, beyond))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
                   + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return curve.reshape(-1, 2)


def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x [1, size] and y [size, 1] of the pixel centres."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return centres[None, :], centres[:, None]


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, `sigma` in sides of the picture."""
    return cv2.GaussianBlur(image, (0, 0), max(0.3, sigma * image.shape[0]))


def soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    """A mask bool [H, W] with blurred rims, float32 in 0..1."""
    return blur(mask.astype(np.float32), sigma)


def bulge(mask: np.ndarray, depth: float) -> np.ndarray:
    """A rounded thickness in 0..1 that rises from the rim of the mask over about `depth`."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3) / (depth * mask.shape[0])
    # a quarter of a circle: thickness sqrt(d (2 - d)) at distance d from the rim, 1 from d = 1 on
    return np.sqrt(np.clip(distance * (2 - np.minimum(distance, 1)), 0, 1)).astype(np.float32)


def clouds(size: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of unit deviation whose hills are about 1 / `cells` wide, float32 [size, size]."""
    coarse = rng.standard_normal((cells + 2, cells + 2)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def grain(size: int, channels: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """A camera's noise: independent pixels, slightly blurred; float32 [size, size] or [size, size, channels]."""
    shape = (size, size) if channels == 1 else (size, size, channels)
    return deviation * blur(rng.standard_normal(shape).astype(np.float32), 0.0025) * 1.6
