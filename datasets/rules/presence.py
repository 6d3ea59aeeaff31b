"""Keeps the share of pairs that show a class near that of the real maps, for classes that come and go."""

import math
from collections.abc import Mapping

import numpy as np


class Presence:
    """Counts, as a set grows, in how many of its label maps each class is.

    A map fits where afterwards every class is in as many as in real maps, give or take one standard deviation of
    `count` draws at the real share (at least one map), or nearer to that than before. So shares are right in every
    part of the set, and what fits is a function of the maps before it.

    Args:
      shares: code -> share of the real maps that show the class, between 0 and 1.
      count: maps of the whole set.

    Attributes:
      maps: how many were added.
      shown: code -> in how many of them the class is.
    """

    def __init__(self, shares: Mapping[int, float], count: int):
        self.shares, self.maps, self.shown = dict(shares), 0, dict.fromkeys(shares, 0)
        self._slack = {code: max(1.0, math.sqrt(count * share * (1 - share))) for code, share in shares.items()}

    def fits(self, labels: np.ndarray) -> bool:
        """Whether codes [H, W] may be added."""
        for code, share in self.shares.items():
            before = self.shown[code] - share * self.maps
            after = before + (labels == code).any() - share
            if abs(after) > max(self._slack[code], abs(before)):
                return False
        return True

    def add(self, labels: np.ndarray) -> None:
        """Counts codes [H, W]."""
        self.maps += 1
        for code in self.shares:
            self.shown[code] += int((labels == code).any())
