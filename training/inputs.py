"""What the trainers check and derive of their data before they start."""

import hashlib
import os
import pathlib

from datasets.common.errors import UserError
from datasets.pair_store import PairStore
from evaluation.segmenter.saved_network import read_facts


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


def network_digest(path: str | os.PathLike) -> str:
    """Digest of the .keras file of a run folder, or of such a file itself. Raises UserError if there is none."""
    file = read_facts(path)[0] if pathlib.Path(path).is_dir() else pathlib.Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file; expected a run folder or a .keras file of this project")
    return hashlib.sha256(file.read_bytes()).hexdigest()
