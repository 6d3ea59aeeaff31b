"""How well the borders of two organ masks agree: HD95, ASSD, and surface Dice at a tolerance.

For the distances a mask's border is its pixels with a 4-neighbour outside the mask or outside the film. With
d(a, B) the distance of border pixel a of one mask to the nearest border pixel of the other:

    HD95 = max(95th percentile of d(a, B) over a, 95th percentile of d(b, A) over b)
    ASSD = mean of all d(a, B) and d(b, A) together

Surface Dice (Nikolov et al. 2018, arXiv 1809.04430, equation 1) is the share of both borders' length that lies
within the tolerance of the other border. It's measured where they did: at the corners between pixels, where a
border passes if the four pixels around are not all in or all out, with the length of the lines that cut them off:
sqrt(1/2) for one pixel alone in or out, 1 for two side by side, sqrt(2) for two across. Where only one mask has
the organ it is 0. A tolerance below a pixel's side counts borders alone that coincide.
"""

import functools
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from datasets.class_table import IGNORED

METRICS = ("hd95", "assd", "surface_dice")
TOLERANCE = 2.0  # of surface Dice: millimetres, or pixels where their size is not known


def measure_names(unit: str) -> dict[str, str]:
    """METRICS -> what they are called in per-film files, with their unit, "mm" or "px"."""
    return {"hd95": f"hd95_{unit}", "assd": f"assd_{unit}", "surface_dice": f"surface_dice_{TOLERANCE:g}{unit}"}


def measure_titles(unit: str) -> dict[str, str]:
    """METRICS -> what tables call them, with their unit."""
    return {"hd95": f"HD95 ({unit})", "assd": f"ASSD ({unit})",
            "surface_dice": f"Surface Dice, {TOLERANCE:g} {unit}"}


def surface_distances(predicted: np.ndarray, gold: np.ndarray, spacing: float = 1.0) -> tuple[float, float]:
    """HD95 and ASSD of two bool masks [H, W], in the unit of `spacing`, the side of a pixel.

    Both are NaN where either mask is empty: there is no border to measure to.
    """
    _check_shapes(predicted, gold)
    if not predicted.any() or not gold.any():
        return float("nan"), float("nan")
    box = _box(predicted, gold)
    # the box holds both masks, so distances between borders are the same inside it, and quicker
    ours, theirs = _border(predicted[box]), _border(gold[box])
    # from each border pixel of one mask to the nearest of the other
    there = ndimage.distance_transform_edt(~theirs)[ours] * spacing
    back = ndimage.distance_transform_edt(~ours)[theirs] * spacing
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return float(hd95), float(np.concatenate([there, back]).mean())


def surface_dice(predicted: np.ndarray, gold: np.ndarray, spacing: float = 1.0,
                 tolerance: float = TOLERANCE) -> float:
    """Surface Dice of two bool masks [H, W], in [0, 1]; `tolerance` is in the unit of `spacing`.

    0 where one mask is empty, NaN where both are.
    """
    _check_shapes(predicted, gold)
    if not predicted.any() or not gold.any():
        return 0.0 if predicted.any() or gold.any() else float("nan")
    box = _box(predicted, gold)
    ours, theirs = _border_lengths(predicted[box]), _border_lengths(gold[box])
    near_theirs, near_ours = (ndimage.distance_transform_edt(lengths == 0) * spacing <= tolerance
                              for lengths in (theirs, ours))
    near = ours[near_theirs].sum() + theirs[near_ours].sum()
    return min(1.0, float(near / (ours.sum() + theirs.sum())))  # sums of other order may round up


def organ_distances(predicted: np.ndarray, gold: np.ndarray, regions: Iterable[Sequence[int]],
                    spacing: float = 1.0, gold_regions: Iterable[Sequence[int]] | None = None) -> np.ndarray:
    """METRICS of every region of two label maps [H, W]: float64 [regions, 3], NaN as above.

    Where `gold` is IGNORED neither map has an organ.

    Args:
      regions: codes of each, e.g. `ClassTable.regions`' values.
      gold_regions: those in `gold`, where it has other codes than `predicted`.
    """
    predicted = np.where(gold == IGNORED, 0, predicted)
    regions = list(regions)
    pairs = ((np.isin(predicted, codes), np.isin(gold, golden))
             for codes, golden in zip(regions, gold_regions or regions, strict=True))
    return np.array([[*surface_distances(*masks, spacing), surface_dice(*masks, spacing)] for masks in pairs])


def _check_shapes(predicted: np.ndarray, gold: np.ndarray) -> None:
    if predicted.shape != gold.shape:
        raise ValueError(f"masks must be of one shape; received {predicted.shape} and {gold.shape}")


def _box(predicted: np.ndarray, gold: np.ndarray) -> tuple[slice, ...]:
    """The rows and columns that hold all of both masks."""
    return ndimage.find_objects((predicted | gold).astype(np.uint8))[0]


def _border(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _border_lengths(mask: np.ndarray) -> np.ndarray:
    """Length of the border at every corner between pixels, float64 [H + 1, W + 1], in pixels."""
    padded = np.pad(mask, 1).astype(np.uint8)
    around = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return _lengths()[sum(pixel << bit for bit, pixel in enumerate(around))]


@functools.cache
def _lengths() -> np.ndarray:
    """Length of the border for each of the 16 ways in which the four pixels around a corner may be in: bits 0 to 3
    are above left, above right, below left, below right."""
    inside = np.array([code.bit_count() for code in range(16)])
    lengths = np.choose(inside, [0.0, np.sqrt(0.5), 1.0, np.sqrt(0.5), 0.0])
    lengths[[0b1001, 0b0110]] = np.sqrt(2.0)  # two across: each is cut off by itself
    return lengths
