"""Which channels of a film are used: its colours, its luminance, or one of red, green and blue."""

import dataclasses

import numpy as np

from datasets.formats.raster import Film

CHANNELS = ("grey", "red", "green", "blue", "colour")
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def with_channel(film: Film, channel: str) -> Film:
    """`film` with the pixels that `channel` (of CHANNELS) names: [H, W, 3] for "colour", else [H, W].

    "grey" is the luminance. A grey film has three equal channels: any one of them is the film as it is.
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel must be one of {CHANNELS}; received {channel!r}")
    pixels = film.pixels
    if channel == "colour":
        pixels = pixels if film.coloured else np.repeat(pixels[..., None], 3, -1)
    elif film.coloured:
        pixels = luminance(pixels) if channel == "grey" else pixels[..., CHANNELS.index(channel) - 1]
    return dataclasses.replace(film, pixels=pixels)


def luminance(pixels: np.ndarray) -> np.ndarray:
    """RGB [..., 3] of an integer type -> the same type [...]."""
    return np.rint(pixels @ _LUMINANCE).astype(pixels.dtype)
