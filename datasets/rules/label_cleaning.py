"""Mending generated label maps: what no real map of the data set has is taken out."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.rules.label_filters import components, fill_from_neighbours, majority_filter
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


def keep_largest(labels: np.ndarray, organs: Sequence[Sequence[int]]) -> np.ndarray:
    """Codes [H, W] of a segmented film in which each of `organs` has its largest piece alone; pixels of the others
    take the nearest code that stays.

    The usual last step of segmenting an organ that comes in one piece (Isensee et al. 2021).

    Args:
      organs: of each its code, and those of what is painted over it, as in `components`.
    """
    keep = np.ones(labels.shape, bool)
    for codes in organs:
        parts, areas = components(labels, codes)
        if np.count_nonzero(areas) > 1:
            keep &= (labels != codes[0]) | (parts == 1 + np.argmax(areas))
    return _fill_from_nearest(labels, keep)


def _fill_from_nearest(labels: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Codes [H, W] where `keep`; the others take the nearest of these."""
    filled = labels.copy()
    parts, _ = ndimage.label(~keep, np.ones((3, 3)))
    # What is nearest to a pixel of a part touches that part: large films are looked at around their parts alone.
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        nearest = ndimage.distance_transform_edt(~keep[around], return_distances=False, return_indices=True)
        mine = parts[around] == number
        filled[around][mine] = labels[around][tuple(nearest)][mine]
    return filled


def asked_organs(asked: str, table: ClassTable, whole: Callable[[], Sequence[str]]) -> list[tuple[str, ...]]:
    """The classes that --keep_largest asks for, each with those painted over it, as `named_organs`.

    Args:
      whole: names of those in one piece, for auto.

    Raises UserError for a class that `table` does not have.
    """
    if asked == "auto":
        return named_organs(whole(), table)
    names = [name.strip() for name in asked.split(",") if name.strip()]
    unknown = [name for name in names if name not in table.organs]
    if unknown:
        raise UserError(f"--keep_largest={asked}: found class {unknown[0]}, expected auto or some of "
                        f"{', '.join(table.organs)}")
    return named_organs(names, table)


def named_organs(names: Sequence[str], table: ClassTable) -> list[tuple[str, ...]]:
    """Each of the classes `names` and those painted over it, as `table` has them, by name."""
    return [tuple(table.names[code] for code in table.codes_within(table.code(name))) for name in names]
