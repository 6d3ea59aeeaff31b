"""Phantoms of five kinds: procedural pictures with their label maps, the built-in data of the demo and the tests.

A kind stands for what data sets of its sort have in common: the chest for organs that are always there, disc and
cup for classes inside one another and for colour, cells for many pieces of one class, vessels for a class that is
no blob, the abdomen for classes that come in pairs or not at all. Everything is a function of (seed, index);
another size shows the same patient.
"""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from datasets.class_table import CHEST, ClassTable
from datasets.common import atomic_files
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.sources.phantoms import abdomen, cells, chest, disc_cup, vessels


class Kind(NamedTuple):
    """A kind of phantom."""

    classes: ClassTable
    # (rng, size) -> picture [C, C] or [C, C, 3] in 0..255 with C >= size, masks bool [size, size, organs]
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
    side_mm: float  # of the picture
    channel: str = "grey"  # of the pictures, see `formats.channels`
    overlaps: bool = False  # whether organs overlap, so that their masks are kept beside the label map


KINDS = {
    "chest": Kind(CHEST, chest.draw, 358.4, overlaps=True),  # the side of a JSRT film
    "disc_cup": Kind(disc_cup.CLASSES, disc_cup.draw, 4.6, "colour"),
    "cells": Kind(cells.CLASSES, cells.draw, 0.16),
    "vessels": Kind(vessels.CLASSES, vessels.draw, 12.0),
    "abdomen": Kind(abdomen.CLASSES, abdomen.draw, 420.0),
}


class Phantom(NamedTuple):
    """A patient: image uint8 [size, size] or RGB [size, size, 3], organ masks bool [size, size, organs]."""

    image: np.ndarray
    masks: np.ndarray


def phantom(seed: int, index: int, size: int, kind: str = "chest") -> Phantom:
    """Patient `index` of `seed` at `size` x `size` pixels.

    Raises ValueError for a size outside 32..1024.
    """
    if not 32 <= size <= 1024:
        raise ValueError(f"size must be 32 to 1024; received {size}")
    picture, masks = KINDS[kind].draw(np.random.default_rng([seed, index]), size)
    if len(picture) != size:
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return Phantom(np.clip(np.rint(picture), 0, 255).astype(np.uint8), masks)


def write_phantoms(path: str | pathlib.Path, count: int, test_count: int, size: int, seed: int,
                   kind: str = "chest") -> PairStore:
    """Writes `count` patients, the last `test_count` as test pairs; a complete folder is left as it is.

    Raises UserError if the folder holds more than these.
    """
    path, drawn = pathlib.Path(path), KINDS[kind]
    ids = [f"phantom-{index:06d}" for index in range(count)]
    done = {"count": count, "test_count": test_count, "size": size, "seed": seed}
    name = f"phantoms, seed {seed}"
    if kind != "chest":
        done["kind"], name = kind, f"{kind} {name}"
    if (path / "complete.json").is_file() and atomic_files.read_json(path / "complete.json") == done:
        return PairStore(path)
    description = Description(name, (size, size), drawn.classes, spacing_mm=drawn.side_mm / size,
                              channel=drawn.channel)
    with PairWriter(path, description) as writer:
        writer.refuse_others(ids)
        for index, id_ in enumerate(ids):
            patient = phantom(seed, index, size, kind)
            split = "train" if index < count - test_count else "test"
            writer.add(Entry(id_, split, f"seed {seed}"), patient.image, drawn.classes.paint(patient.masks),
                       patient.masks if drawn.overlaps else None)
    atomic_files.write_json(path / "complete.json", done)
    return PairStore(path)
