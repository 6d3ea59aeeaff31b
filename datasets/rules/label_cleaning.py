"""Mending generated label maps: what no real map of the data set has is taken out."""

import numpy as np

from datasets.rules.label_filters import fill_from_neighbours, majority_filter
from datasets.rules.label_rules import LabelRules


def clean_labels(labels: np.ndarray, rules: LabelRules, rims: bool = False) -> np.ndarray:
    """Mends codes [H, W] of a generated label map.

    With `rims`, a majority filter first takes out thin rims of codes that lie between two others in a grey
    coding (`LabelRules.rims_between` tells where there are any). Then specks go to the classes around them: pieces
    smaller than those of real maps, of a class in one piece those under 5 % of it.
    """
    if rims:
        labels = majority_filter(labels, rules.table.num_classes)
    keep = np.ones(labels.shape, bool)
    for code in rules.classes:
        parts, _, whole = rules.find_pieces(labels, code)
        keep &= (labels != code) | np.isin(parts, 1 + np.flatnonzero(whole))
    return fill_from_neighbours(labels, keep)
