"""Overlap of label maps: counts per organ, pooled and per film, Jaccard index and Dice coefficient.

The paper's tables pool pixels: true positives, false positives and false negatives are summed over all test
films before dividing, so that DSC = 2 J / (1 + J) in every cell. Scores here are fractions of 1.

An organ that no label map shows (`shown`) is left out of every mean over organs, also where it was predicted: so a
column's mean does not depend on the columns beside it, and means differ by what differences say.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from datasets.class_table import IGNORED


def overlap_counts(predicted: np.ndarray, gold: np.ndarray, num_classes: int,
                   regions: Iterable[Sequence[int]] | None = None,
                   gold_regions: Iterable[Sequence[int]] | None = None) -> np.ndarray:
    """Pixels per organ, or region, of one film.

    Args:
      predicted, gold: codes of one shape, 0 (background) to num_classes - 1; nothing counts where `gold` is
        IGNORED.
      regions: codes that count as one, e.g. `ClassTable.regions`' values; by default 1, 2, ... by themselves.
      gold_regions: those in `gold`, where it has other codes than `predicted`.

    Returns int64 [regions, 3]: true positives, false positives, false negatives.
    """
    if predicted.shape != gold.shape:
        raise ValueError(f"label maps must be of one shape; received {predicted.shape} and {gold.shape}")
    known = gold != IGNORED
    gold, predicted = gold[known], predicted[known]
    # gold x predicted in one histogram: the diagonal agrees, columns were predicted, rows are true
    joint = np.bincount(gold.ravel().astype(np.int64) * num_classes + predicted.ravel(), minlength=num_classes**2)
    joint = joint.reshape(num_classes, num_classes)
    regions = [[code] for code in range(1, num_classes)] if regions is None else list(map(list, regions))
    counts = []
    for codes, golden in zip(regions, regions if gold_regions is None else map(list, gold_regions), strict=True):
        hits = joint[np.ix_(golden, codes)].sum()
        counts.append([hits, joint[:, codes].sum() - hits, joint[golden].sum() - hits])
    return np.array(counts)


def jaccard(counts: np.ndarray) -> np.ndarray:
    """J = TP / (TP + FP + FN) of counts [..., 3]; NaN where the organ is in neither map."""
    counts = np.asarray(counts, np.float64)
    with np.errstate(invalid="ignore"):
        return counts[..., 0] / counts.sum(-1)


def dice(counts: np.ndarray) -> np.ndarray:
    """DSC = 2 TP / (2 TP + FP + FN) of counts [..., 3]; NaN where the organ is in neither map."""
    counts = np.asarray(counts, np.float64)
    with np.errstate(invalid="ignore"):
        return 2 * counts[..., 0] / (2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


def shown(counts: np.ndarray) -> np.ndarray:
    """Whether a label map has the organ, bool [...] of counts [..., 3]: true positives or false negatives."""
    counts = np.asarray(counts)
    return counts[..., 0] + counts[..., 2] > 0


def pooled(counts: Sequence[np.ndarray]) -> np.ndarray:
    """Counts of films [organs, 3] each, summed: [organs, 3]."""
    return np.sum(counts, axis=0)
