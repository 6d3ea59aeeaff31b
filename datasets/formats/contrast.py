"""Bringing films of any exposure to the same range of grey values."""

import numpy as np

LOW, HIGH = 0.5, 99.5  # percentiles that become black and white
_LEAST = 2.0**-12  # of the range, below which a film is left as it is


def stretch_film(film: np.ndarray, white: float) -> np.ndarray:
    """float32 of the film's shape with its 0.5th and 99.5th percentiles at 0 and `white`, clipped there.

    Some of the JSRT films use a sixteenth of the grey scale, others all of it. A constant film stays as it is.
    All channels are stretched alike, so that colours keep their hue.

    Args:
      film: [H, W] or [H, W, 3] of any number type, 0 to `white`.
    """
    values = film.astype(np.float32)
    low, high = np.percentile(values, (LOW, HIGH))
    if high - low <= _LEAST * white:  # would stretch noise
        return values
    return np.clip((values - low) * (white / (high - low)), 0.0, white)
