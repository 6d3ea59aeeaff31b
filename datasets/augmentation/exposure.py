"""Films of other exposure: gamma, contrast and brightness drawn anew; nothing moves."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Exposure:
    """Ranges of an exposure (ours): those in which films of one detector differ. What is made by them keeps them.

    Attributes:
      gamma: the exponent's logarithm is uniform in [-log gamma, log gamma].
      contrast: likewise that of the factor of the distance from the film's mean.
      brightness: uniform up to this share of the scale, up or down.
    """

    gamma: float = 1.3
    contrast: float = 1.25
    brightness: float = 0.1


def change_exposure(film: np.ndarray, rng: np.random.Generator, ranges: Exposure = Exposure()) -> np.ndarray:
    """A film float32 [H, W] or [H, W, C] in [0, 1] -> the same, as if exposed otherwise; channels alike."""
    gamma, contrast = np.exp(rng.uniform(-1, 1, 2) * np.log([ranges.gamma, ranges.contrast]))
    level = rng.uniform(-ranges.brightness, ranges.brightness)
    made = np.clip(film, 0.0, 1.0) ** np.float32(gamma)
    middle = made.mean()
    return np.clip((made - middle) * contrast + middle + level, 0.0, 1.0).astype(np.float32)
