"""Pictures as plain arrays: coloured label maps, films, overlays and grids, all uint8 RGB."""

import cv2
import numpy as np

from datasets import grey

# Okabe and Ito's colour-blind safe palette, background black; classes beyond repeat it darker.
_PALETTE = np.array([[0, 0, 0], [86, 180, 233], [0, 158, 115], [213, 94, 0], [240, 228, 66], [204, 121, 167],
                     [0, 114, 178], [230, 159, 0]], np.uint8)

# What `error_overlay` tints: organ pixels taken for background, the reverse, one organ taken for another.
ERRORS = {"missed": (0, 114, 178), "added": (240, 228, 66), "wrong organ": (204, 121, 167)}


def colour_labels(codes: np.ndarray, num_classes: int) -> np.ndarray:
    """Class codes [...] -> uint8 RGB [..., 3]."""
    rounds = range((num_classes - 2) // (len(_PALETTE) - 1) + 1)
    colours = np.concatenate([_PALETTE[:1]] + [_PALETTE[1:] // (1 + turn) for turn in rounds])
    return colours[codes]


def grey_to_rgb(films: np.ndarray) -> np.ndarray:
    """Films [N, H, W, 1] in [-1, 1] -> uint8 [N, H, W, 3]."""
    return np.repeat(grey.to_levels(films), 3, -1)


def grid(pictures: np.ndarray, columns: int, height: int) -> np.ndarray:
    """uint8 [N, h, w, 3] -> one picture of `columns` per row, each enlarged to `height` (nearest neighbour)."""
    factor = max(1, height // pictures.shape[1])
    rows = -(-len(pictures) // columns)
    cell_h, cell_w = pictures.shape[1] * factor, pictures.shape[2] * factor
    sheet = np.full((rows * (cell_h + 2) + 2, columns * (cell_w + 2) + 2, 3), 128, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = (index // columns) * (cell_h + 2) + 2, (index % columns) * (cell_w + 2) + 2
        big = cv2.resize(picture, (cell_w, cell_h), interpolation=cv2.INTER_NEAREST)
        sheet[top:top + cell_h, left:left + cell_w] = big
    return sheet


def error_overlay(film: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Film uint8 [H, W] in RGB, tinted where codes differ, in the colours of `ERRORS`."""
    picture = np.repeat(film[..., None], 3, -1).astype(np.float32)
    wrong = (gold > 0) & (predicted > 0) & (gold != predicted)
    places = ((gold > 0) & (predicted == 0), (gold == 0) & (predicted > 0), wrong)
    for place, colour in zip(places, ERRORS.values(), strict=True):
        picture[place] = 0.25 * picture[place] + 0.75 * np.array(colour, np.float32)
    return np.rint(picture).astype(np.uint8)
