"""Pictures as plain arrays: coloured label maps, films, overlays and grids, all uint8 RGB."""

import functools

import numpy as np
from skimage import color
from skimage.util import montage

from datasets import grey
from datasets.class_table import IGNORED

# Okabe and Ito's colour-blind safe palette, background black; for classes beyond see `_palette`.
_PALETTE = np.array([[0, 0, 0], [86, 180, 233], [0, 158, 115], [213, 94, 0], [240, 228, 66], [204, 121, 167],
                     [0, 114, 178], [230, 159, 0]], np.uint8)
_UNKNOWN = np.uint8(96)  # grey of what no class is known of

# What `error_overlay` tints: organ pixels taken for background, the reverse, one organ taken for another.
# No class has a colour near to these.
ERRORS = {"missed": (255, 0, 0), "added": (0, 255, 255), "wrong organ": (255, 0, 255)}
_STEPS = 10  # of each primary colour, among which `_palette` chooses
_DARKEST = 40  # CIELAB lightness, of 100, that stands out from a black ground


def colour_labels(codes: np.ndarray, num_classes: int) -> np.ndarray:
    """Class codes [...] -> uint8 RGB [..., 3]; IGNORED is grey."""
    colours = _PALETTE if num_classes <= len(_PALETTE) else _palette()
    return np.where((codes == IGNORED)[..., None], _UNKNOWN, colours[np.where(codes == IGNORED, 0, codes)])


@functools.cache
def _palette() -> np.ndarray:
    """A colour for each of 256 codes, uint8 [256, 3]: _PALETTE, then always the one farthest from all before it.

    Far in CIELAB, also from the colours of errors, from white, which marks gold borders, and from the greys.
    """
    levels = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    choice = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    lab = color.rgb2lab(choice)
    choice, lab = choice[lab[:, 0] >= _DARKEST], lab[lab[:, 0] >= _DARKEST]
    greys = np.repeat(np.arange(0, 256, 32, np.uint8)[:, None], 3, 1)
    taken = np.concatenate([_PALETTE, list(ERRORS.values()), greys, [[255] * 3]]).astype(np.uint8)
    distance = np.linalg.norm(lab[:, None] - color.rgb2lab(taken), axis=-1).min(1)
    colours = list(_PALETTE)
    while len(colours) < 256:
        place = int(distance.argmax())
        colours.append(choice[place])
        distance = np.minimum(distance, np.linalg.norm(lab - lab[place], axis=-1))
    return np.array(colours, np.uint8)


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
