"""Crops of a stream of pairs, strongly augmented, mixed with one another, or both: what `crop_rows` is without.

Every draw is a function of (seed, place in the stream), so crops are the same for any number of replicas and after
a continuation.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from datasets.augmentation.strong_augment import StrongAugmentation

_STREAM = 1  # draws of (seed, place) alone are those of `crop_rows`


@dataclasses.dataclass(frozen=True)
class AugmentedCrops:
    """Called as `datasets.pair_cache.crop_rows` is, with arrays of films and of label maps.

    Attributes:
      strong: what augments each crop; None for nothing.
      cutmix: probability that a rectangle of a crop is that of another pair's, taken at the same place, label map
        and all (CutMix, Yun et al. 2019), its middle anywhere. "Cut to the Mix" (Liu et al. 2026) finds it ahead
        of CarveMix and of putting organs together, for organs.
      outside: code of what lies beyond a film's edges.
      rectangle: its share of the crop is uniform between these.
    """

    strong: StrongAugmentation | None
    cutmix: float = 0.0
    outside: int = 0
    rectangle: tuple[float, float] = (0.0, 1.0)

    def ranges(self) -> dict[str, dict[str, Any]]:
        """Those that are used, by what they are of, as JSON."""
        return {**({"strong_augmentation": self.strong.to_json()} if self.strong else {}),
                **({"cutmix": {"rectangle": list(self.rectangle)}} if self.cutmix else {})}

    def __call__(self, arrays: Sequence[np.ndarray], rows: np.ndarray, side: int, places: Sequence[int],
                 seed: int) -> list[np.ndarray]:
        """Films uint8 [n, h, w] or [n, h, w, 3] and codes uint8 [n, h, w]; h and w are `side`, or a film's own."""
        films, labels = arrays
        sides = np.minimum(labels.shape[1:], side)
        made = [np.empty((len(rows), *sides, *array.shape[3:]), np.uint8) for array in arrays]
        for number, (row, place) in enumerate(zip(rows, places, strict=True)):
            rng = np.random.default_rng([seed, place, _STREAM])
            corner = rng.integers(0, np.array(labels.shape[1:]) - sides + 1)
            film, codes = self._cut(films[row], labels[row], corner, sides, rng)
            made[0][number], made[1][number] = film, codes
            if rng.random() < self.cutmix:
                window, other = self._window(sides, rng), rng.integers(len(films))
                film, codes = self._cut(films[other], labels[other], corner, sides, rng)
                made[0][number][window], made[1][number][window] = film[window], codes[window]
        return made

    def _cut(self, film: np.ndarray, labels: np.ndarray, corner: Sequence[int], sides: Sequence[int],
             rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if self.strong:
            return self.strong.crop(film, labels, corner, sides, self.outside, rng)
        window = tuple(slice(start, start + part) for start, part in zip(corner, sides, strict=True))
        return film[window], labels[window]

    def _window(self, sides: np.ndarray, rng: np.random.Generator) -> tuple[slice, slice]:
        """A rectangle of the crop's shape, cut off at its edges: rows and columns."""
        share = np.sqrt(rng.uniform(*self.rectangle))  # of each side
        middle = rng.random(2) * sides
        low, high = middle - share * sides / 2, middle + share * sides / 2
        return tuple(slice(max(0, round(start)), max(0, round(stop)))
                     for start, stop in zip(low, high, strict=True))
