"""What the trainers check and derive of their data before they start."""

from datasets.common.errors import UserError
from datasets.pair_store import PairStore


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
