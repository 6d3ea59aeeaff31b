"""Pictures as plain arrays: coloured label maps, films, overlays and grids, all uint8 RGB."""

import numpy as np
from skimage.util import montage

from datasets import grey
from datasets.class_table import IGNORED

# Okabe and Ito's colour-blind safe palette, background black; classes beyond repeat it darker.
_PALETTE = np.array([[0, 0, 0], [86, 180, 233], [0, 158, 115], [213, 94, 0], [240, 228, 66], [204, 121, 167],
                     [0, 114, 178], [230, 159, 0]], np.uint8)
_UNKNOWN = np.uint8(96)  # grey of what no class is known of

# What `error_overlay` tints: organ pixels taken for background, the reverse, one organ taken for another.
ERRORS = {"missed": (0, 114, 178), "added": (240, 228, 66), "wrong organ": (204, 121, 167)}


def colour_labels(codes: np.ndarray, num_classes: int) -> np.ndarray:
    """Class codes [...] -> uint8 RGB [..., 3]; IGNORED is grey."""
    rounds = range((num_classes - 2) // (len(_PALETTE) - 1) + 1)
    colours = np.concatenate([_PALETTE[:1]] + [_PALETTE[1:] // (1 + turn) for turn in rounds])
    return np.where((codes == IGNORED)[..., None], _UNKNOWN, colours[np.where(codes == IGNORED, 0, codes)])


def pictures_to_rgb(films: np.ndarray) -> np.ndarray:
    """Films [N, H, W, 1 or 3] in [-1, 1] -> uint8 [N, H, W, 3]."""
    return np.broadcast_to(grey.to_levels(films), (*films.shape[:3], 3))


def film_to_rgb(film: np.ndarray) -> np.ndarray:
    """Film [H, W] or [H, W, 3] of any type -> [H, W, 3]."""
    return film if film.ndim == 3 else np.repeat(film[..., None], 3, -1)


def grid(pictures: np.ndarray, columns: int, height: int) -> np.ndarray:
    """uint8 [N, h, w, 3] -> one picture of `columns` per row, each enlarged to `height` (nearest neighbour)."""
    factor = max(1, height // pictures.shape[1])
    shape = -(-len(pictures) // columns), columns
    return montage(pictures.repeat(factor, 1).repeat(factor, 2), fill=(128, 128, 128), grid_shape=shape,
                   padding_width=2, channel_axis=-1)


def error_overlay(film: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Film uint8 [H, W] or [H, W, 3] in RGB, tinted where codes differ, in the colours of `ERRORS`; not where
    IGNORED."""
    picture = film_to_rgb(film).astype(np.float32)
    predicted = np.where(gold == IGNORED, gold, predicted)
    wrong = (gold > 0) & (predicted > 0) & (gold != predicted)
    places = ((gold > 0) & (predicted == 0), (gold == 0) & (predicted > 0), wrong)
    for place, colour in zip(places, ERRORS.values(), strict=True):
        picture[place] = 0.25 * picture[place] + 0.75 * np.array(colour, np.float32)
    return np.rint(picture).astype(np.uint8)
