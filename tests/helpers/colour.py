"""Red lesions on green skin: pairs that only colour tells apart once they are grey."""

import pathlib

import numpy as np

from datasets.class_table import ClassTable
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter

GREEN, RED = (0, 130, 0), (255, 0, 0)  # of one luminance: 76
TABLE = ClassTable(("skin", "lesion"))


def lesion_pair(index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Film uint8 [size, size, 3] with a red box, whose place depends on `index`, and its label map."""
    top, left = size // 8 + np.random.default_rng(index).integers(0, size // 4, 2)
    label = np.zeros((size, size), np.uint8)
    label[top:top + size // 2, left:left + size // 2] = 1
    return np.where(label[..., None] == 1, RED, GREEN).astype(np.uint8), label


def lesion_store(path: pathlib.Path, train: int, size: int = 16, test: int = 0) -> PairStore:
    with PairWriter(path, Description("lesions", (size, size), TABLE, channel="colour")) as writer:
        for index in range(train + test):
            writer.add(Entry(f"p{index}", "train" if index < train else "test"), *lesion_pair(index, size))
    return PairStore(path)
