"""A statistical shape model of label maps: a sampler without a network, to compare generators with.

A point distribution model (Cootes et al. 1995, "Active shape models: their training and application"): points at
corresponding places of every organ's outline are one long vector; a map is the mean vector plus a few principal
modes of variation, each within 3 standard deviations. Maps are not aligned before: position, size and tilt vary
as in the data. Where classes come in pieces or come and go, `datasets.sources.piece_model` takes its place.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from scipy import ndimage, special

from datasets.class_table import ClassTable
from datasets.common.errors import UserError

POINTS = 64  # per organ
VARIANCE = 0.98  # share that the kept modes explain
REACH = 3.0  # standard deviations that a mode may leave its mean
_SUBPIXEL = 8  # bits behind the point in the coordinates of cv2.fillPoly


@dataclasses.dataclass(frozen=True)
class ShapeModel:
    """Outlines of all organs and how they vary together.

    Attributes:
      classes: names the organs, in the order in which they are painted.
      mean: float64 [D], D = organs x points x 2; (x, y) in [0, 1] from the picture's corner.
      modes: float64 [K, D], orthonormal, largest first.
      deviations: float64 [K], standard deviations of the training maps along the modes.
    """

    classes: ClassTable
    mean: np.ndarray
    modes: np.ndarray
    deviations: np.ndarray

    @classmethod
    def fit(cls, maps: Iterable[np.ndarray], classes: ClassTable,
            variance: float = VARIANCE) -> "ShapeModel":
        """The model of those label maps (codes [H, W]) that show every organ.

        Args:
          variance: share in (0, 1] of the variance that the kept modes explain.

        Raises UserError if fewer than two maps show every organ.
        """
        found = [outlines(labels, classes) for labels in maps]
        vectors = np.array([shape.ravel() for shape in found if shape is not None])
        if len(vectors) < 2:
            raise UserError(f"shape model: found {len(vectors)} of {len(found)} label maps with all of "
                            f"{', '.join(classes.organs)}, expected at least 2; leave shape out of --extras")
        return cls(classes, *principal_modes(vectors, variance))

    def sample(self, indices: np.ndarray, seed: int, size: int) -> np.ndarray:
        """Label maps [N] -> codes uint8 [N, size, size]; map i is a function of (seed, i) alone."""
        made = [self.paint(self.draw(int(index), seed), size) for index in indices]
        return np.stack(made) if made else np.zeros((0, size, size), np.uint8)

    def draw(self, index: int, seed: int) -> np.ndarray:
        """Coefficients [K] of map `index`: normal with the modes' deviations, truncated at REACH of them."""
        return truncated_normal(np.random.default_rng([seed, index]), len(self.deviations)) * self.deviations

    def paint(self, coefficients: np.ndarray, size: int) -> np.ndarray:
        """The label map of coefficients [K], organs painted in order of their codes: uint8 [size, size]."""
        shape = (self.mean + coefficients @ self.modes).reshape(len(self.classes.organs), -1, 2)
        labels = np.zeros((size, size), np.uint8)
        for code, points in enumerate(shape, 1):
            fill(labels, points, code)
        return labels


def principal_modes(vectors: np.ndarray, variance: float = VARIANCE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [D], orthonormal modes [K, D] that explain this share of the variance, and the standard deviations [K]
    along them, of vectors [N, D], N at least 2."""
    mean = vectors.mean(0)
    _, values, modes = np.linalg.svd(vectors - mean, full_matrices=False)
    kept = _kept(values**2, variance)
    return mean, _with_fixed_signs(modes[:kept]), values[:kept] / np.sqrt(len(vectors) - 1)


def truncated_normal(rng: np.random.Generator, count: int) -> np.ndarray:
    """Standard normal numbers [count] within REACH."""
    low, high = special.ndtr([-REACH, REACH])
    return special.ndtri(rng.uniform(low, high, count))


def fill(labels: np.ndarray, outline: np.ndarray, code: int) -> None:
    """Paints `code` into uint8 [H, W] inside an outline [points, 2], (x, y) in [0, 1] of the picture."""
    # pixel centres are whole numbers in OpenCV, halves in shares of the picture
    corners = np.rint((outline * labels.shape[::-1] - 0.5) * 2**_SUBPIXEL).astype(np.int32)
    cv2.fillPoly(labels, [corners], code, shift=_SUBPIXEL)


def outlines(labels: np.ndarray, classes: ClassTable, codes: Sequence[int] | None = None) -> np.ndarray | None:
    """Corresponding points of all outlines in codes [H, W]: float64 [organs, POINTS, 2] as (x, y) in [0, 1].

    An organ's region is its pixels and those of the organs painted over it, its largest component. None if an
    organ is missing. `codes`: of the organs (None: all).
    """
    shapes = []
    for code in range(1, classes.num_classes) if codes is None else codes:
        if not (labels == code).any():
            return None
        region = _largest(np.isin(labels, classes.codes_within(code)))
        shapes.append((outline(region, POINTS) + 0.5) / labels.shape[::-1])
    return np.stack(shapes)


def outline(region: np.ndarray, points: int) -> np.ndarray:
    """Points evenly spaced along the border of a connected region bool [H, W]: float64 [points, 2], (x, y).

    They run through the centres of its border pixels with increasing angle from x to y, and start where the
    border, straight above the region's centroid, is highest.
    """
    found, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    border = max(found, key=len)[:, 0].astype(np.float64)  # [n, 1, 2] without the middle axis
    if cv2.contourArea(border.astype(np.float32), oriented=True) < 0:
        border = border[::-1]
    border = _started_above(border, np.nonzero(region)[1].mean())
    # the share of the whole length at which each point lies, then points at equal shares
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(border, axis=0).T))])
    places = np.arange(points) * lengths[-1] / points
    return np.stack([np.interp(places, lengths, border[:, axis]) for axis in (0, 1)], 1)


def _started_above(border: np.ndarray, middle: float) -> np.ndarray:
    """A closed border [n, 2] from its highest crossing of the line x = `middle` round to it again: [n+2, 2]."""
    ahead = np.roll(border, -1, 0)
    run = ahead[:, 0] - border[:, 0]
    crosses = (border[:, 0] - middle) * (ahead[:, 0] - middle) <= 0  # its ends on either side of the line
    share = np.where(run == 0, 0.0, (middle - border[:, 0]) / np.where(run == 0, 1.0, run))
    heights = border[:, 1] + share * (ahead[:, 1] - border[:, 1])
    first = int(np.argmin(np.where(crosses, heights, np.inf)))
    start = np.array([[middle, heights[first]]])
    return np.concatenate([start, np.roll(border, -first - 1, 0), start])


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest component of a mask bool [H, W] that is not empty, neighbours by corners included."""
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    return parts == 1 + np.argmax(np.bincount(parts.ravel(), minlength=count + 1)[1:])


def _kept(variances: np.ndarray, share: float) -> int:
    """How many of the variances, largest first, make up `share` of their sum."""
    total = variances.sum()
    if total == 0:
        return 0  # all maps are alike
    return min(len(variances), 1 + int(np.searchsorted(np.cumsum(variances) / total, share)))


def _with_fixed_signs(modes: np.ndarray) -> np.ndarray:
    """Modes [K, D] whose entry of largest size is positive: a decomposition leaves their signs open."""
    largest = np.argmax(np.abs(modes), 1)
    return modes * np.sign(modes[np.arange(len(modes)), largest])[:, None]
