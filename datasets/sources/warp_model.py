"""Real label maps, deformed: a sampler without a network, to compare generators with and to use in their place.

A map is a real one, as likely as any other, under one field for the whole of it (`datasets.augmentation.deform`):
what touches goes on touching, what lies inside another goes on lying there, and classes come together, and in as
many pieces, as in real maps. Branches, holes and absences need nothing of their own. After GenSeg (Nature
Communications 2025), which makes its pairs from warped masks by a translator; the ranges are ours.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from datasets.augmentation.deform import draw_field, move_labels


@dataclasses.dataclass(frozen=True)
class WarpModel:
    """Real label maps to be deformed.

    Attributes:
      maps: codes uint8 [H, W].
    """

    maps: Sequence[np.ndarray]

    def sample(self, indices: np.ndarray, seed: int, size: int) -> np.ndarray:
        """Label maps [N] -> codes uint8 [N, size, size]; map i is a function of (seed, i) alone."""
        made = [self._draw(np.random.default_rng([seed, int(index)]), size) for index in indices]
        return np.stack(made) if made else np.zeros((0, size, size), np.uint8)

    def _draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        labels = self.maps[rng.integers(len(self.maps))]
        return move_labels(labels, draw_field(rng, (size, size)))
