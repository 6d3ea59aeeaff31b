"""Films as another hospital may make them: of other proportions, place, frame, exposure and sharpness.

For who has no films of elsewhere: a segmenter, or a recipe, can be judged on films left over that were changed so,
instead of being chosen by films that a paper reports. The ranges are ours, wider than those of strong augmentation
for flat films in proportion and exposure, and with three changes that no segmenter here is trained with: grey
frames, sharpening and local contrast. They do not take the place of a test elsewhere: another hospital's patients
and another reader's outlines are in none of them.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np

from datasets.augmentation.augment import move
from datasets.augmentation.changed_store import Variant, write_changed
from datasets.augmentation.exposure import Exposure, change_exposure
from datasets.manifest import Entry
from datasets.pair_store import PairStore

_BACKGROUND = 0


@dataclasses.dataclass(frozen=True)
class DomainShift:
    """Ranges; what is made by them keeps them.

    Attributes:
      squeeze: factor of either side by itself.
      degrees: deviation of the rotation about the middle.
      shift: translation along either axis is uniform in [-shift, shift] of the side.
      frame: level beyond the film's edges, as a share of white: 0 in half of the films, else uniform up to this.
      exposure: see there.
      blurred, sharpened: shares of the films, none of them both.
      sharpness: deviation of the Gaussian of either, as a share of the side.
      local: share of the films whose contrast is equalised region by region.
      noise: deviation of Gaussian noise, uniform up to this share of white.
    """

    squeeze: tuple[float, float] = (0.75, 1.2)
    degrees: float = 4.0
    shift: float = 0.06
    frame: float = 0.25
    exposure: Exposure = dataclasses.field(default_factory=lambda: Exposure(1.6, 1.3, 0.08))
    blurred: float = 1 / 3
    sharpened: float = 1 / 3
    sharpness: tuple[float, float] = (0.004, 0.012)
    local: float = 0.3
    noise: float = 0.03

    def __call__(self, film: np.ndarray, layers: Sequence[np.ndarray],
                 rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
        """A film and all that lies on it, changed at random.

        Args:
          film: float32 [H, W] or [H, W, C] in [0, 1]; moved with bilinear interpolation.
          layers: uint8 [H, W] or [H, W, K], moved alike by nearest neighbour; 0 beyond the film's edges.

        Returns them in the same formats.
        """
        matrix = self._matrix(film.shape[:2], rng)
        frame = rng.uniform(0.0, self.frame) * (rng.random() < 0.5)
        moved = [move(layer, matrix, cv2.INTER_NEAREST, _BACKGROUND) for layer in layers]
        return self._changed(move(film, matrix, cv2.INTER_LINEAR, frame), rng), moved

    def _matrix(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """[2, 3], from pixels (x, y) of the film to pixels of the new one."""
        sides = np.array(shape[::-1])
        angle = np.deg2rad(rng.normal(0.0, self.degrees))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turn = turn @ np.diag(rng.uniform(*self.squeeze, 2))
        middle = (sides - 1) / 2  # OpenCV's whole numbers are pixel centres
        return np.column_stack([turn, middle + rng.uniform(-self.shift, self.shift, 2) * sides - turn @ middle])

    def _changed(self, film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        film = change_exposure(film, rng, self.exposure)
        which, deviation = rng.random(), rng.uniform(*self.sharpness) * min(film.shape[:2])
        if which < self.blurred + self.sharpened:
            smooth = cv2.GaussianBlur(film, (0, 0), deviation, borderType=cv2.BORDER_REFLECT)
            film = smooth if which < self.blurred else np.clip(2.0 * film - smooth, 0.0, 1.0)
        if rng.random() < self.local:
            film = _equalized(film)
        noise = rng.uniform(0.0, self.noise) * rng.standard_normal(film.shape, np.float32)
        return np.clip(film + noise, 0.0, 1.0).astype(np.float32)


def shift_store(store: PairStore, ids: Sequence[str], path: pathlib.Path, seed: int,
                ranges: DomainShift = DomainShift()) -> PairStore:
    """Writes the pairs `ids`, changed, as a new pair folder, under their names and in their splits; see
    `write_changed`.

    A pair is a function of (seed, id). The folder tells no size of a pixel, since films are squeezed. A complete
    folder of the same pairs, seed and ranges is left as it is. Raises UserError if the folder holds other pairs or
    those of another seed, is of another description or cannot be written to, or if a film is damaged.
    """
    def changed(film: np.ndarray, layers: Sequence[np.ndarray],
                rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
        shifted, moved = ranges(film.astype(np.float32) / 255.0, layers, rng)
        return np.rint(shifted * 255.0).astype(np.uint8), moved

    description = store.description.renamed(f", changed, seed {seed}", max_value=255, spacing_mm=None)
    variant = Variant(lambda film: Entry(film.id, film.split, f"seed {seed}", patient=film.patient), changed)
    return write_changed(store, ids, path, description, seed, ranges, [variant])


def _equalized(film: np.ndarray) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation, channel by channel; [0, 1] -> [0, 1]."""
    if film.ndim == 3:
        return np.stack([_equalized(plane) for plane in np.moveaxis(film, -1, 0)], -1)
    # Of 256 levels: the limit is counted in pixels of a level, and among 65,536 there would be none to limit.
    levels = np.rint(film * 255.0).astype(np.uint8)
    return cv2.createCLAHE(2.0, (8, 8)).apply(levels).astype(np.float32) / 255.0
