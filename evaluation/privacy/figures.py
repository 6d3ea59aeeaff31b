"""Shares and areas under curves with their intervals, and the file of figures that go onto a set's card."""

import os
import pathlib
from collections.abc import Mapping

import numpy as np
from scipy import stats

from datasets.common import atomic_files
from datasets.common.errors import UserError
from evaluation.synthetic.copies import MEASURE

Interval = tuple[float, float, float]  # a value and its 95 % interval


def share(found: int, of: int) -> Interval:
    """A share with Wilson's interval; NaN of none."""
    if not of:
        return (float("nan"),) * 3
    interval = stats.binomtest(found, of).proportion_ci(method="wilson")
    return found / of, float(interval.low), float(interval.high)


def auc(members: np.ndarray, others: np.ndarray) -> Interval:
    """Chance that a member [M] scores above another [N], ties counting half, with DeLong's interval (1988)."""
    members, others = np.asarray(members, float), np.asarray(others, float)
    if min(len(members), len(others)) < 2:
        raise ValueError(f"expected at least 2 members and 2 others; received {len(members)} and {len(others)}")
    above = (members[:, None] > others[None]) + 0.5 * (members[:, None] == others[None])
    value = float(above.mean())
    deviation = np.sqrt(above.mean(1).var(ddof=1) / len(members) + above.mean(0).var(ddof=1) / len(others))
    return value, max(0.0, value - 1.96 * float(deviation)), min(1.0, value + 1.96 * float(deviation))


def add_figures(path: str | os.PathLike, figures: Mapping[str, Interval], of: str, of_set: str = "") -> None:
    """Puts figures into a file that `evaluation.synthetic.fit_to_share` reads, beside those that are there.

    Args:
      of: what they were measured on, in words.
      of_set: digest of the set they are of (`marked_copies.set_digest`); "" for figures of the check alone.

    Raises UserError where the file is of another set, or no such file.
    """
    path = pathlib.Path(path)
    known = atomic_files.read_json(path) if path.is_file() else {}
    if not isinstance(known, dict) or not isinstance(known.get("figures", {}), dict):
        raise UserError(f'{path}: not a file of figures, expected {{"figures": ...}}; remove it, or name another')
    if of_set and known.get("set", of_set) != of_set:
        raise UserError(f"{path}: figures of the set {known['set']}, expected {of_set}; remove it, or name "
                        "another")
    added = {name: {**dict(zip(("value", "low", "high"), values, strict=True)), "of": of, "measure": MEASURE}
             for name, values in figures.items()}
    whole = {**known, **({"set": of_set} if of_set else {}), "figures": {**known.get("figures", {}), **added}}
    atomic_files.write_json(path, whole)
