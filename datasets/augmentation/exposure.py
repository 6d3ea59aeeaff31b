"""Films of other exposure: gamma, contrast and brightness drawn anew; nothing moves."""

import numpy as np

# Ranges (ours): those in which films of one detector differ.
_GAMMA = 1.3  # its logarithm is uniform between those of 1 / gamma and of gamma; likewise the contrast's
_CONTRAST = 1.25
_BRIGHTNESS = 0.1  # uniform up to this share of the scale, up or down


def change_exposure(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A film float32 [H, W] or [H, W, C] in [0, 1] -> the same, as if exposed otherwise; channels alike."""
    gamma, contrast = np.exp(rng.uniform(-1, 1, 2) * np.log([_GAMMA, _CONTRAST]))
    level = rng.uniform(-_BRIGHTNESS, _BRIGHTNESS)
    made = np.clip(film, 0.0, 1.0) ** np.float32(gamma)
    middle = made.mean()
    return np.clip((made - middle) * contrast + middle + level, 0.0, 1.0).astype(np.float32)
