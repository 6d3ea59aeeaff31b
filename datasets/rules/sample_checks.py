"""What makes a generated sample usable: the checks between the stages; and which snapshot makes the best."""

import functools
from collections.abc import Callable

import numpy as np

from datasets.dots import Dot
from datasets.rules.label_cleaning import clean_labels
from datasets.rules.label_rules import LabelRules

Check = Callable[[np.ndarray], tuple[np.ndarray, list[str | None]]]  # see `models.methods`
VALID_SLACK = 0.9  # snapshots with at least this part of the best valid share are compared by their pictures


def label_check(rules: LabelRules, rims: bool, checked: bool = True) -> Check:
    """Mends label maps; with `checked`, refuses those that the rules of the real maps forbid.

    Args:
      rims: whether thin rims of codes between two others are to be taken out (`LabelRules.rims_between`).
    """
    return functools.partial(_mend_labels, rules, rims, checked)  # other processes can be given it


def _mend_labels(rules: LabelRules, rims: bool, checked: bool,
                 maps: np.ndarray) -> tuple[np.ndarray, list[str | None]]:
    cleaned = [clean_labels(labels, rules, rims) for labels in maps]
    reasons = [rules.broken_by(labels) if checked else None for labels in cleaned]
    return np.stack(cleaned) if cleaned else maps, reasons


def dot_check(dot: Dot, num_classes: int, checked: bool = True) -> Check:
    """Reads dots and draws them anew, so that the translator sees what it was trained on.

    Those that have other numbers of dots than real ones (the paper's dots: one per organ) stay as they are; with
    `checked`, they are refused.
    """

    def check(maps: np.ndarray) -> tuple[np.ndarray, list[str | None]]:
        redrawn, reasons = maps.copy(), []
        for row, drawn in enumerate(maps):
            read = dot.read(drawn, num_classes)
            if read.reason is None:
                redrawn[row] = dot.redraw(read.centres)
            reasons.append(read.reason if checked else None)
        return redrawn, reasons

    return check


def choose_snapshot(rows: list[dict[str, float]]) -> int | None:
    """The position of the snapshot that stands for a run; None without scores.

    Args:
      rows: metrics with position, swd (distance of the pictures, lower is better) and, where samples were
        checked, valid (share that passed).

    A collapsed generator may still make near pictures, and pairs are drawn until enough are valid: among the
    snapshots with nearly the best valid share (VALID_SLACK of it), the smallest distance wins.
    """
    scored = [row for row in rows if "swd" in row]
    enough = VALID_SLACK * max((row.get("valid", 1.0) for row in scored), default=0.0)
    fit = [row for row in scored if row.get("valid", 1.0) >= enough]
    return min(fit, key=lambda row: (row["swd"], row["position"]))["position"] if fit else None
