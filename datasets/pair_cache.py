"""Decoded pairs in memory, and the shuffled stream of rows that training reads."""

import functools
import pathlib
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from datasets.pair_store import PairStore

MEMORY_LIMIT = 4 * 2**30  # bytes of pixels kept in memory; beyond, they are mapped from a temporary file


class PairCache:
    """The pairs `ids` of a store, decoded once to uint8.

    Args:
      scored: labels hold the scored codes instead of the painted ones.
      memory_limit: bytes of pixels beyond which they are mapped from a temporary file.
      behind: a store of pictures of the same size, and the ids of its pairs, which are kept behind the others.

    Attributes:
      images, labels: uint8 [N, height, width]; labels are painted codes, or scored ones with `scored`.

    Raises UserError naming the file for a pair that cannot be read.
    """

    def __init__(self, store: PairStore, ids: Sequence[str], scored: bool = False,
                 memory_limit: int = MEMORY_LIMIT, behind: tuple[PairStore, Sequence[str]] | None = None):
        pairs = [(store, id_) for id_ in ids]
        pairs += [(behind[0], id_) for id_ in behind[1]] if behind else []
        shape = (len(pairs), *store.description.size)
        mapped = 2 * np.prod(shape, dtype=np.int64) > memory_limit
        self.images, self.labels = (_empty(shape, mapped) for _ in range(2))

        def load(row: int) -> None:
            source, id_ = pairs[row]
            self.images[row] = source.image(id_)
            self.labels[row] = source.scored_label(id_) if scored else source.label(id_)

        with ThreadPoolExecutor() as pool:
            list(pool.map(load, range(len(pairs))))


def _empty(shape: tuple[int, ...], mapped: bool) -> np.ndarray:
    if not mapped:
        return np.empty(shape, np.uint8)
    with tempfile.NamedTemporaryFile(suffix=".cache", delete=False) as file:
        array = np.memmap(file.name, np.uint8, "w+", shape=shape)
    pathlib.Path(file.name).unlink()  # the mapping keeps it until the process ends
    return array


def stream_rows(count: int, position: int, batch: int, seed: int) -> np.ndarray:
    """Rows at places position ... position + batch - 1 of an endless shuffled stream, int64 [batch].

    Place p lies in epoch p // count; each epoch is a permutation of all rows drawn from (seed, epoch).
    """
    places = np.arange(position, position + batch)
    epochs = places // count
    rows = [_permutation(count, int(epoch), seed)[places[epochs == epoch] % count] for epoch in np.unique(epochs)]
    return np.concatenate(rows)


def half_and_half(first: int, second: int) -> np.ndarray:
    """The rows 0 ... first - 1 and the `second` rows behind them, the fewer ones repeated until they are as many.

    Every row stands there equally often, or once more than others of its half. int64 [2 max(first, second)].
    """
    places = np.arange(max(first, second))
    return np.concatenate([places % first, first + places % second])


@functools.lru_cache(maxsize=8)
def _permutation(count: int, epoch: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)
