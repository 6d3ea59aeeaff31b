"""Distances between the borders of two organ masks: Hausdorff distance at 95 % and average symmetric distance.

A mask's border is its pixels with a 4-neighbour outside the mask or outside the film. With d(a, B) the distance
of border pixel a of one mask to the nearest border pixel of the other:

    HD95 = max(95th percentile of d(a, B) over a, 95th percentile of d(b, A) over b)
    ASSD = mean of all d(a, B) and d(b, A) together
"""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from datasets.class_table import IGNORED

METRICS = ("hd95", "assd")


def surface_distances(predicted: np.ndarray, gold: np.ndarray, spacing: float = 1.0) -> tuple[float, float]:
    """HD95 and ASSD of two bool masks [H, W], in the unit of `spacing`, the side of a pixel.

    Both are NaN where either mask is empty: there is no border to measure to.
    """
    if predicted.shape != gold.shape:
        raise ValueError(f"masks must be of one shape; received {predicted.shape} and {gold.shape}")
    if not predicted.any() or not gold.any():
        return float("nan"), float("nan")
    box = ndimage.find_objects((predicted | gold).astype(np.uint8))[0]
    # the box holds both masks, so distances between borders are the same inside it, and quicker
    ours, theirs = _border(predicted, box), _border(gold, box)
    # from each border pixel of one mask to the nearest of the other
    there = ndimage.distance_transform_edt(~theirs)[ours] * spacing
    back = ndimage.distance_transform_edt(~ours)[theirs] * spacing
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return float(hd95), float(np.concatenate([there, back]).mean())


def organ_distances(predicted: np.ndarray, gold: np.ndarray, regions: Iterable[Sequence[int]],
                    spacing: float = 1.0) -> np.ndarray:
    """HD95 and ASSD of every region of two label maps [H, W]: float64 [regions, 2], NaN as above.

    Where `gold` is IGNORED neither map has an organ.

    Args:
      regions: codes of each, e.g. `ClassTable.regions`' values.
    """
    predicted = np.where(gold == IGNORED, 0, predicted)
    return np.array([surface_distances(np.isin(predicted, codes), np.isin(gold, codes), spacing)
                     for codes in regions])


def _border(mask: np.ndarray, box: tuple[slice, ...]) -> np.ndarray:
    """Border of `mask` inside `box`, which holds all of the mask."""
    inside = mask[box]
    return inside & ~ndimage.binary_erosion(inside)
