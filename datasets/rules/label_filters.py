"""Operations on label maps that know no rule: components, a majority filter, filling from neighbours."""

from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage


def components(labels: np.ndarray, codes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Components of an organ, numbered from 1 in [H, W], and how many of its pixels each holds.

    The organ is the first of `codes`. The others are painted over it (`ClassTable.codes_within`) and join its
    parts without being counted: a clavicle does not cut its lung in two.
    """
    parts, count = ndimage.label(np.isin(labels, codes))
    return parts, np.bincount(parts[labels == codes[0]], minlength=count + 1)[1:]


def fill_from_neighbours(labels: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Codes [H, W] where `keep`; they grow into the rest ring by ring, first from above, left, right.

    Where nothing is to be kept, all of them stay.
    """
    if not keep.any():
        return labels
    # -1 is open; a frame of it spares the edges a case of their own
    codes = np.pad(np.where(keep, labels.astype(np.int16), -1), 1, constant_values=-1)
    inner, old = codes[1:-1, 1:-1], None  # a view: what is written to it lands in codes
    while (inner < 0).any() and (old is None or (old != codes).any()):
        old = codes.copy()
        for side in (old[:-2, 1:-1], old[1:-1, :-2], old[1:-1, 2:], old[2:, 1:-1]):
            np.copyto(inner, side, where=inner < 0)
    return inner.astype(np.uint8)


def majority_filter(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Each pixel takes the commonest code of the window around it; its own code loses ties.

    The window is 3 pixels up to side 128 and grows with it (17 at 1024): lines thinner than half of it go.
    """
    window = max(3, 2 * round(max(labels.shape) / 128) + 1)
    # shares of the window, less half a pixel's for the own code
    votes = [cv2.blur((labels == code).astype(np.float32), (window, window), borderType=cv2.BORDER_REPLICATE)
             - (labels == code) * np.float32(0.5 / window**2) for code in range(num_classes)]
    return np.argmax(votes, 0).astype(np.uint8)
