"""Borders of label maps as vector paths, so that they stay sharp at any size on a screen."""

import numpy as np
from skimage.measure import find_contours


def organ_paths(codes: np.ndarray, num_classes: int) -> list[str]:
    """The border of every organ of a label map as SVG path data.

    Coordinates are whole numbers of half pixels: the picture spans `0 0 2W 2H`. Borders run midway between
    pixels of different classes, holes and specks included, nothing smoothed.

    Args:
      codes: uint8 [H, W].
      num_classes: background included.

    Returns a path for each of the codes 1, 2, ...; empty for an organ that is not there.
    """
    return [mask_path(codes == code) for code in range(1, num_classes)]


def mask_path(mask: np.ndarray) -> str:
    """The border of a bool mask [H, W] as closed subpaths; see `organ_paths`."""
    padded = np.pad(mask.astype(np.float32), 1)  # borders close at the picture's edge
    return "".join(_subpath(border) for border in find_contours(padded, 0.5))


def _subpath(border: np.ndarray) -> str:
    """A closed border [points, (row, column)] of the padded mask, points on straight runs left out."""
    points = np.rint(2 * border[:, ::-1]).astype(int) - 1  # half pixels, (x, y), padding taken off
    steps = np.diff(points, axis=0)
    # First and last point are one, so the run may go over them.
    turns = np.any(steps != np.roll(steps, 1, axis=0), axis=1)
    corners = points[:-1][turns]
    moves = " ".join(f"{x} {y}" for x, y in np.diff(corners, axis=0))  # relative moves are shorter
    return f"M{corners[0, 0]} {corners[0, 1]}l{moves}z"
