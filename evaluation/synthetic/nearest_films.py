"""Distances from pictures to training pictures that stay small for a copy, however it was disguised.

A copy may be shifted, slightly rotated, mirrored, noisy, or of another brightness and contrast. So pictures are
compared small, over small shifts, rotations and the mirror image of each training picture:

- films by pixels: 1 - correlation after removing what is broader than 1/16 of the side (overall shading and the
  anatomy all films share; ribs, vessels and outlines remain), of all channels together;
- films by features: 1 - cosine of histograms of gradient directions (Dalal and Triggs 2005, block-free; in colour,
  as there, each pixel's strongest gradient of the three channels);
- label maps: 1 - cosine of organ masks, 0 for equal maps; organs that differ only in side share one mask, so
  that a mirrored map is found whether or not its sides were renamed. Maps are compared as they are and with all
  organs together brought to one place and size.

Larger movements are met by `keypoints`, a single organ by `organ_patches`.
"""

from collections.abc import Callable

import cv2
import numpy as np

from datasets.class_table import ClassTable
from datasets.resize import resize_film

FILM_SIDE, LABEL_SIDE = 48, 64  # pixels; outlines need finer steps of the shift than ribs and vessels
MAX_SHIFT = 0.045  # of the side; augmentation shifts up to 3 %
ANGLES = (-2.0, 0.0, 2.0)  # degrees; augmentation rotates up to 2
RADIUS = 0.22  # of the side: root mean square distance of the organs' pixels to their middle, in posed maps
TWIN = 0.03  # distance by `film_vectors` of what is one film twice; JSRT's two nearest films are 0.1 apart
_CELL, _BINS = 6, 8
_CHUNK = 256  # queries at a time

Distances = tuple[np.ndarray, np.ndarray]  # float32 [N, M], and bool [N, M]: the mirror image was the nearer


def film_distances(films: np.ndarray, training: np.ndarray) -> Distances:
    """By pixels, from each of `films` [N, H, W] or [N, H, W, 3] to each training film, uint8: [N, M] in [0, 2]."""
    return _registered(_band_passed(films), _band_passed(training), centred=True)


def label_distances(labels: np.ndarray, training: np.ndarray, classes: ClassTable) -> Distances:
    """From each of `labels` [N, H, W] to each training label map [M, h, w], uint8 codes; in [0, 1]."""
    queries, originals = _organ_masks(labels, classes), _organ_masks(training, classes)
    return nearer(_registered(queries, originals, centred=False),
                  _registered(_posed(queries), _posed(originals), centred=False))


def nearer(one: Distances, other: Distances) -> Distances:
    """The smaller distance of each place, and whether it is one to a mirror image."""
    first = one[0] <= other[0]
    return np.where(first, one[0], other[0]), np.where(first, one[1], other[1])


def feature_distances(films: np.ndarray, training: np.ndarray) -> Distances:
    """By gradient directions, from each of `films` to each training film, as above: [N, M] in [0, 1]."""
    queries, training = _smoothed(films), _smoothed(training)
    vectors = _in_chunks(_gradient_histograms, queries)
    best = []
    for variant in (training, training[:, :, ::-1]):
        shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        best.append(np.max([vectors @ _in_chunks(_gradient_histograms, _shifted(variant, *shift)).T
                            for shift in shifts], axis=0))
    return np.maximum(1 - np.maximum(*best), 0), best[1] > best[0]


def film_vectors(films: np.ndarray) -> np.ndarray:
    """Films uint8 [N, H, W] or [N, H, W, 3] as unit vectors float32 [N, D]; 1 - their product is the distance by
    pixels without shift, rotation and mirroring."""
    return _unit(_band_passed(films), centred=True)


def twins(films: np.ndarray) -> np.ndarray:
    """Which films uint8 [N, H, W] or [N, H, W, 3] are one film by two names, each with itself: bool [N, N]."""
    vectors = film_vectors(films)
    return (1 - vectors @ vectors.T < TWIN) | np.eye(len(films), dtype=bool)


def _registered(queries: np.ndarray, training: np.ndarray, centred: bool) -> Distances:
    """1 - the highest cosine over shifts, angles and mirroring; maps are float32 [N, side, side, C]."""
    shift, side = round(MAX_SHIFT * queries.shape[1]), queries.shape[1]
    inner = slice(shift, side - shift)
    variants = [_rotated(maps, angle)[:, inner, inner]
                for maps in (training, training[:, :, ::-1]) for angle in ANGLES]
    # The middle of each template against windows of each query at every shift: one matrix product a shift.
    templates = np.concatenate([_unit(maps, centred) for maps in variants])  # [2 x angles x M, D]
    best = np.concatenate([_best_shift(queries[start:start + _CHUNK], templates, shift, centred)
                           for start in range(0, len(queries), _CHUNK)])
    straight, mirrored = best.reshape(len(queries), 2, len(ANGLES), len(training)).max(2).swapaxes(0, 1)
    return np.maximum(1 - np.maximum(straight, mirrored), 0), mirrored > straight


def _best_shift(queries: np.ndarray, templates: np.ndarray, shift: int, centred: bool) -> np.ndarray:
    """Highest cosine over shifts of each query with each template, [N, templates]."""
    size = queries.shape[1] - 2 * shift
    best = np.full((len(queries), len(templates)), -1, np.float32)
    for top in range(2 * shift + 1):
        for left in range(2 * shift + 1):
            window = _unit(queries[:, top:top + size, left:left + size], centred)
            np.maximum(best, window @ templates.T, out=best)
    return best


def _unit(maps: np.ndarray, centred: bool) -> np.ndarray:
    """[N, ...] -> [N, D] of length 1; an empty (or, if centred, constant) map stays 0."""
    vectors = maps.reshape(len(maps), -1)
    if centred:
        vectors = vectors - vectors.mean(1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 1e-6, lengths, 1)


def _rotated(maps: np.ndarray, angle: float) -> np.ndarray:
    if angle == 0:
        return maps
    side = maps.shape[1]
    centre = (side - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), angle, 1)
    turned = [cv2.warpAffine(map_, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE) for map_ in maps]
    return np.reshape(turned, maps.shape)


def _shifted(maps: np.ndarray, down: int, right: int) -> np.ndarray:
    """Shifted by whole pixels; the border rows and columns are repeated."""
    places = np.arange(FILM_SIDE)
    rows, columns = (np.clip(places - shift, 0, FILM_SIDE - 1) for shift in (down, right))
    return maps[:, rows][:, :, columns]


def _reduced(films: np.ndarray) -> np.ndarray:
    """float32 [N, 48, 48, C] of films [N, H, W] or [N, H, W, C]."""
    small = np.stack([resize_film(film, (FILM_SIDE, FILM_SIDE)) for film in films]).astype(np.float32)
    return small if small.ndim == 4 else small[..., None]


def _blurred(films: np.ndarray, sigma: float) -> np.ndarray:
    # OpenCV drops a channel that is alone.
    return np.reshape([cv2.GaussianBlur(film, (0, 0), sigma) for film in films], films.shape)


def _smoothed(films: np.ndarray) -> np.ndarray:
    return _blurred(_reduced(films), 1)


def _band_passed(films: np.ndarray) -> np.ndarray:
    films = _reduced(films)
    return films - _blurred(films, FILM_SIDE / 16)


def _organ_masks(labels: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Codes [N, H, W] -> share of each pixel that an organ covers, float32 [N, 64, 64, organs less sides]."""
    kinds: dict[str, list[int]] = {}
    for name in classes.organs:
        kinds.setdefault(name.removeprefix("left ").removeprefix("right "), []).append(classes.code(name))
    size = (LABEL_SIDE, LABEL_SIDE)
    return np.stack([[resize_film(np.isin(label, codes).astype(np.float32), size) for label in labels]
                     for codes in kinds.values()], -1)


def _posed(masks: np.ndarray) -> np.ndarray:
    """Masks [N, side, side, C] moved and enlarged so that all organs together have one middle and RADIUS."""
    side, posed = masks.shape[1], []
    rows, columns = np.mgrid[:side, :side]
    for mask in masks:
        weight = mask.sum(-1)
        if not weight.any():
            posed.append(mask)
            continue
        right, down = (np.average(places, weights=weight) for places in (columns, rows))
        radius = np.sqrt(np.average((columns - right) ** 2 + (rows - down) ** 2, weights=weight))
        scale, middle = RADIUS * side / max(radius, 1), (side - 1) / 2
        matrix = np.array([[scale, 0, middle - scale * right], [0, scale, middle - scale * down]])
        posed.append(cv2.warpAffine(mask, matrix, (side, side)).reshape(mask.shape))
    return np.stack(posed)


def _gradient_histograms(films: np.ndarray) -> np.ndarray:
    """Unit vectors [N, 8 x 8 cells x 8 directions] of [N, 48, 48, C], each cell scaled to its own contrast."""
    down, right = np.gradient(films[..., 0], axis=(1, 2))
    for channel in range(1, films.shape[-1]):  # its gradient where it is the stronger
        other_down, other_right = np.gradient(films[..., channel], axis=(1, 2))
        stronger = np.hypot(other_down, other_right) > np.hypot(down, right)
        down, right = np.where(stronger, other_down, down), np.where(stronger, other_right, right)
    strength = np.hypot(down, right)
    direction = np.arctan2(down, right) % np.pi * (_BINS / np.pi)
    histograms, cells = [], FILM_SIDE // _CELL
    for bin_ in range(_BINS):
        away = np.abs(direction - bin_)  # directions wrap round; each pixel is shared by the two nearest bins
        share = np.maximum(0, 1 - np.minimum(away, _BINS - away)) * strength
        histograms.append(share.reshape(len(films), cells, _CELL, cells, _CELL).mean((2, 4)))
    histograms = np.stack(histograms, -1)  # [N, 8, 8, bins]
    contrast = np.linalg.norm(histograms, axis=-1, keepdims=True)
    histograms = histograms / (contrast + 0.2 * contrast.mean((1, 2), keepdims=True) + 1e-6)
    return _unit(histograms, centred=False)


def _in_chunks(function: Callable[[np.ndarray], np.ndarray], films: np.ndarray) -> np.ndarray:
    return np.concatenate([function(films[start:start + _CHUNK]) for start in range(0, len(films), _CHUNK)])
