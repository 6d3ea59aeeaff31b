"""Films that share one organ: what is inside an organ's outline, compared organ by organ.

An organ's patch is the film inside its region of the label map, the region's box brought to one size, so that
where it lies and how large it is do not matter. What is broader than about an eighth of the box is taken away, and
so is a rim, in which a pasted organ would be blended with its surroundings.
"""

import cv2
import numpy as np

from datasets.class_table import ClassTable
from datasets.formats.channels import luminance

SIDE = 32  # pixels of a patch
SHIFT = 2  # pixels of a patch by which two may be apart
RIM = 0.016  # of the film's side
MARGIN = 0.15  # of the region's box, around it
BROAD = SIDE / 8
SMOOTH = 0.0055  # of the film's side: standard deviation of the smoothing against noise
LEAST_AREA, LEAST_LEFT = 12, 0.35  # pixels of a region; its share that must be left without the rim


def organ_distances(films: np.ndarray, labels: np.ndarray, training: np.ndarray, training_labels: np.ndarray,
                    classes: ClassTable) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """1 - correlation of each organ's patch: organ -> float32 [N, M] in [0, 2], 2 where a film lacks the organ,
    and bool [N, M]: the mirror image was the nearer, the organ of its other side.

    Args:
      films, training: uint8 [N, H, W] or [N, H, W, 3]; labels uint8 [N, H, W].
    """
    found = {}
    shifts = [(down, right) for down in range(-SHIFT, SHIFT + 1) for right in range(-SHIFT, SHIFT + 1)]
    for organ in classes.organs:
        queries = _patches(films, labels, classes.code(organ)).reshape(len(films), -1)
        mirrored = _patches(training[:, :, ::-1], training_labels[:, :, ::-1],
                            classes.code(_other_side(organ, classes)))
        best = []
        for patches in (_patches(training, training_labels, classes.code(organ)), mirrored):
            moved = [np.roll(patches, shift, (1, 2)).reshape(len(training), -1) for shift in shifts]
            best.append(np.max([queries @ patch.T for patch in moved], axis=0))
        missing = ~queries.any(1)[:, None] | ~mirrored.any((1, 2))[None]
        distances = np.where(missing, 2, 1 - np.maximum(*best))
        found[organ] = np.maximum(distances, 0).astype(np.float32), best[1] > best[0]
    return found


def _other_side(organ: str, classes: ClassTable) -> str:
    """"right lung" for "left lung"; the organ itself where the class table has no other side."""
    side, _, name = organ.partition(" ")
    other = f"{ {'left': 'right', 'right': 'left'}.get(side, side)} {name}"
    return other if other in classes.organs else organ


def _patches(films: np.ndarray, labels: np.ndarray, code: int) -> np.ndarray:
    """Patches of length 1, float32 [N, 32, 32]; 0 where there is no such organ."""
    return np.stack([_patch(film, label == code) for film, label in zip(films, labels, strict=True)])


def _patch(film: np.ndarray, region: np.ndarray) -> np.ndarray:
    if region.sum() < LEAST_AREA:
        return np.zeros((SIDE, SIDE), np.float32)
    side = max(region.shape)
    axes = []
    for axis in (0, 1):
        first, last = np.flatnonzero(region.any(1 - axis))[[0, -1]]
        margin = MARGIN * (last - first + 1)
        axes.append(np.linspace(first - margin, last + margin, SIDE, dtype=np.float32))
    columns, rows = np.meshgrid(axes[1], axes[0])
    weight = _without_rim(region, RIM * side).astype(np.float32)
    grey = (luminance(film) if film.ndim == 3 else film).astype(np.float32)
    # no coarser than the patch's own pixels
    sigma = max(SMOOTH * side, 0.4 * max(axis[1] - axis[0] for axis in axes))
    values = cv2.remap(_averaged(grey, weight, sigma), columns, rows, cv2.INTER_LINEAR,
                       borderMode=cv2.BORDER_REPLICATE)
    weight = cv2.remap(weight, columns, rows, cv2.INTER_LINEAR)
    patch = (values - _averaged(values, weight, BROAD)) * weight
    length = np.linalg.norm(patch)
    return patch / length if length > 1e-3 else np.zeros((SIDE, SIDE), np.float32)


def _averaged(values: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean of the values that have weight."""
    return cv2.GaussianBlur(values * weight, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma),
                                                                         1e-3)


def _without_rim(region: np.ndarray, rim: float) -> np.ndarray:
    """The region without a rim of at most this many pixels, thinner where little of it would be left."""
    for pixels in range(round(rim), 0, -1):
        inner = cv2.erode(region.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8), borderValue=0)
        if inner.sum() >= LEAST_LEFT * region.sum():
            return inner > 0
    return region
