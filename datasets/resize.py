"""Changing the size of pairs: films by area averaging, label maps by the majority of the covered area, dots by the
nearest pixel."""

import dataclasses
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np

from datasets.class_table import IGNORED
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import PairStore, PairWriter


def resize_film(film: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W] or [H, W, C] -> the same type, sides `size`; area averaging when smaller, bilinear when larger.

    uint8, uint16 or float32; each channel becomes what it would alone.
    """
    if film.ndim == 3:  # plane by plane: OpenCV rounds differently where there are several
        return np.stack([resize_film(plane, size) for plane in np.moveaxis(film, -1, 0)], -1)
    height, width = size
    method = cv2.INTER_AREA if height <= film.shape[0] and width <= film.shape[1] else cv2.INTER_LINEAR
    return cv2.resize(film, (width, height), interpolation=method)


def resize_labels(labels: np.ndarray, size: tuple[int, int], num_classes: int) -> np.ndarray:
    """Codes [H, W] -> codes [size]: each pixel takes the class that covers most of it (the lower of equals).

    IGNORED counts as a class of its own, the last.
    """
    codes = [*range(num_classes), *([IGNORED] if (labels == IGNORED).any() else [])]
    shares = [resize_film((labels == code).astype(np.float32), size) for code in codes]
    return np.array(codes, np.uint8)[np.argmax(shares, 0)]


def resize_masks(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Organ masks bool [H, W, organs] -> [size, organs]: true where at least half of the pixel is covered."""
    shares = [resize_film(masks[..., organ].astype(np.float32), size) for organ in range(masks.shape[-1])]
    return np.stack(shares, -1) >= 0.5


def enlarge(codes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Codes [h, w] -> [size] by nearest neighbour, of the same type; as `models.label_coding.enlarge`."""
    rows, columns = ((np.arange(side) + 0.5) * old / side for side, old in zip(size, codes.shape, strict=True))
    return codes[rows.astype(int)[:, None], columns.astype(int)]


def refuse_oblong(store: PairStore) -> None:
    """Raises UserError unless the store's pictures are square."""
    height, width = store.description.size
    if height != width:
        raise UserError(f"{store.path}: found pictures of {width} x {height} pixels, expected square ones; pad "
                        "them, or import the films with tools.import_dataset, which does")


def resize_store(store: PairStore, ids: Sequence[str], path: pathlib.Path, size: int) -> PairStore:
    """Writes the pairs `ids` of a square store at `size` x `size` in 8 bits; a whole folder of them is kept.

    Raises UserError if the store is not square, a file of it is damaged, or `path` holds other pairs.
    """
    old, new = store.description, (size, size)
    refuse_oblong(store)
    spacing = None if old.spacing_mm is None else old.spacing_mm * old.size[0] / size
    description = dataclasses.replace(old, size=new, max_value=255, spacing_mm=spacing)
    entries = {entry.id: entry for entry in store.entries}
    done = path / "complete.json"
    if done.is_file():
        made = PairStore(path)
        if made.description == description and set(made.ids()) == set(ids):
            return made
    for id_ in ids:
        store.image(id_), store.label(id_), store.masks(id_)  # a damaged file is told before anything is written
    with PairWriter(path, description) as writer:
        writer.refuse_others(ids)
        for id_ in ids:
            film, label, masks = store.image(id_), store.label(id_), store.masks(id_)
            if old.size != new:
                film = resize_film(film, new)
                label = resize_labels(label, new, store.classes.num_classes)
                masks = None if masks is None else resize_masks(masks, new)
            writer.add(entries[id_], film, label, masks)
    atomic_files.write_json(done, {"pairs": len(ids)})
    return PairStore(path)
