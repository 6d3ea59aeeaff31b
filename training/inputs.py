"""What the trainers check and derive of their data before they start."""

import hashlib
import os
import pathlib

import numpy as np

from datasets.errors import UserError
from datasets.store import PairStore
from evaluation.saved_networks import read_facts


def train_ids(store: PairStore) -> list[str]:
    """Ids of the train split. Raises UserError if there are none."""
    ids = store.ids("train")
    if not ids:
        raise UserError(f"{store.path}/manifest.csv: found no pair with split train, expected at least one")
    return ids


def check_square(store: PairStore, size: int) -> None:
    """Raises UserError unless the store's pictures are `size` x `size`."""
    if tuple(store.description.size) != (size, size):
        height, width = store.description.size
        raise UserError(f"{store.path}: found pictures of {width} x {height}, expected {size} x {size}; set "
                        "--resolution, or prepare the data at that size (a power of two)")


def dot_radius(radius: float, size: int) -> float:
    """Radius in pixels of a dot at side `size`, from that at 64; at least one pixel."""
    return float(np.maximum(1.0, radius * size / 64))


def network_digest(path: str | os.PathLike) -> str:
    """Digest of the .keras file of a run folder, or of such a file itself. Raises UserError if there is none."""
    file = read_facts(path)[0] if pathlib.Path(path).is_dir() else pathlib.Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file; expected a run folder or a .keras file of this project")
    return hashlib.sha256(file.read_bytes()).hexdigest()
