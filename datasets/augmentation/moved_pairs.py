"""Pairs for a translator, deformed on the fly: condition and target together, by one field.

Few films teach a translator few shapes. A deformed pair is another true pair: what stands in the label map stands
in the film. Every draw is a function of (seed, place in the stream).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from datasets.augmentation.deform import Deformation, draw_field, move_film, move_labels
from datasets.augmentation.exposure import Exposure, change_exposure
from datasets.resize import enlarge

_STREAM = 2  # of draws by seed and place; 0 and 1 are those of crops


@dataclasses.dataclass(frozen=True)
class MovedPairs:
    """Called as `datasets.pair_cache.crop_rows` is, with label maps and their films, or with label maps twice.

    Attributes:
      deform: share of the pairs that are deformed.
      expose: share of the films whose exposure is changed.
      dots: draws the dot map uint8 [h, w] of codes [H, W], which then stands for the first label map, enlarged by
        nearest neighbour to the size of the maps; None to translate label maps.
      deformation, exposure: ranges of either.
    """

    deform: float
    expose: float = 0.0
    dots: Callable[[np.ndarray], np.ndarray] | None = None
    deformation: Deformation = dataclasses.field(default_factory=Deformation)
    exposure: Exposure = dataclasses.field(default_factory=Exposure)

    def ranges(self) -> dict[str, dict[str, Any]]:
        """Those that are used, by what they are of, as JSON."""
        used = {"deformation": (self.deform, self.deformation), "exposure": (self.expose, self.exposure)}
        return {name: dataclasses.asdict(ranges) for name, (share, ranges) in used.items() if share}

    def __call__(self, arrays: Sequence[np.ndarray], rows: np.ndarray, side: int, places: Sequence[int],
                 seed: int) -> list[np.ndarray]:
        """Label maps uint8 [N, H, W], and films uint8 [N, H, W] or [N, H, W, 3] or label maps -> those of `rows`;
        `side` is the pictures' own."""
        made = [np.empty((len(rows), *array.shape[1:]), np.uint8) for array in arrays]
        for number, (row, place) in enumerate(zip(rows, places, strict=True)):
            pair = self._pair(*(array[row] for array in arrays), np.random.default_rng([seed, place, _STREAM]))
            for part, one in zip(made, pair, strict=True):
                part[number] = one
        return made

    def _pair(self, labels: np.ndarray, target: np.ndarray,
              rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        moved, exposed = rng.random(2) < (self.deform, self.expose)
        field = draw_field(rng, labels.shape, self.deformation) if moved else None
        if moved:
            labels = move_labels(labels, field)
        if self.dots:
            return enlarge(self.dots(labels), labels.shape), labels
        film = move_film(target, field) if moved else target
        if exposed:
            changed = change_exposure(film.astype(np.float32) / 255.0, rng, self.exposure)
            film = np.rint(changed * 255.0).astype(np.uint8)
        return labels, film
