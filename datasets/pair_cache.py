"""From a pair folder to arrays: pairs in memory, the shuffled stream of their rows, a `tf.data.Dataset` of them.

Order and crops are functions of (seed, place), where place 0, 1, 2, ... counts the pairs shown since the start: a
training continued at a place sees what it would have seen.
"""

import functools
import itertools
import math
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from datasets import grey
from datasets.common.machine import usable_cores
from datasets.pair_store import PairStore, split_ids
from datasets.resize import resize_film, resize_labels

MEMORY_LIMIT = 4 * 2**30  # bytes of pixels kept in memory; beyond, they are mapped from a temporary file


def load_pairs(store: PairStore, ids: Sequence[str], scored: bool = False, size: tuple[int, int] | None = None,
               behind: tuple[PairStore, Sequence[str]] | None = None, filled: bool = False,
               memory_limit: int = MEMORY_LIMIT) -> tuple[np.ndarray, np.ndarray]:
    """Films and label maps of the pairs `ids`, decoded once, uint8 [N, height, width]; films in colour
    [N, height, width, 3].

    Args:
      scored: labels hold the scored codes instead of the painted ones.
      size: height and width to which pairs of another size are brought; None is the store's.
      behind: another store of as many channels and the ids of its pairs, which stand behind the others; with
        `size`, or of one size.
      filled: painted labels with a class everywhere, see `PairStore.filled_label`; else IGNORED stays.
      memory_limit: bytes of pixels beyond which they are mapped from a temporary file.

    Raises UserError naming the file for a pair that cannot be read.
    """
    pairs = [(store, id_) for id_ in ids]
    pairs += [(behind[0], id_) for id_ in behind[1]] if behind else []
    channels, shape = store.description.channels, (len(pairs), *(size or store.description.size))
    mapped = (1 + channels) * np.prod(shape, dtype=np.int64) > memory_limit
    films, labels = (_empty(array, mapped) for array in (shape if channels == 1 else (*shape, channels), shape))

    def load(row: int) -> None:
        source, id_ = pairs[row]
        read = source.scored_label if scored else source.filled_label if filled else source.label
        film, label = source.image(id_), read(id_)
        if label.shape != shape[1:]:
            film, label = resize_film(film, size), resize_labels(label, size, source.classes.num_classes)
        films[row], labels[row] = film, label

    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(load, range(len(pairs))))  # list() raises what a thread raised
    return films, labels


def _empty(shape: tuple[int, ...], mapped: bool) -> np.ndarray:
    if not mapped:
        return np.empty(shape, np.uint8)
    with tempfile.NamedTemporaryFile(suffix=".cache", delete=False) as file:
        array = np.memmap(file.name, np.uint8, "w+", shape=shape)
    pathlib.Path(file.name).unlink()  # the mapping keeps it until the process ends
    return array


def pair_dataset(path: str | os.PathLike, split: str = "train", batch: int = 8, scored: bool = True,
                 crop: int | None = None, seed: int | None = 0, repeat: bool = False,
                 drop_remainder: bool = False):
    """A split of pair folder `path` as a `tf.data.Dataset`, for `keras.Model.fit` and its `validation_data`.

    Yields (films float32 [N, H, W, 1 or 3] in [-1, 1], labels uint8 [N, H, W]). Without `repeat` each iteration
    is an epoch, the n-th of one dataset being shuffled and cut as epoch n. Where the store's class table has
    `ignored`, labels may hold IGNORED (255): give Keras' losses `ignore_class=255`.

    Args:
      batch: N; the last batch of an epoch is smaller unless `drop_remainder`.
      scored: labels are codes of the scored organs, else the painted codes of all.
      crop: side of a square cut out of each pair, at random, or from the middle without a seed; a side that is
        shorter stays whole.
      seed: of order and crops; None keeps the manifest's order, for validation.
      repeat: an endless stream of whole batches, as the trainers read it; `fit` then needs `steps_per_epoch`.

    Raises UserError for what is no pair folder, or has no pair of that split; ValueError for a batch or crop of 0.
    """
    if batch < 1 or (crop is not None and crop < 1):
        raise ValueError(f"batch and crop must be positive; received {batch} and {crop}")
    import tensorflow as tf  # here alone: the dataset tools do without it

    store = PairStore(path)
    arrays = load_pairs(store, split_ids(store, split), scored)
    count, epochs = len(arrays[0]), itertools.count()
    steps = count // batch if drop_remainder else -(-count // batch)
    side = crop or max(store.description.size)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first = 0 if repeat else next(epochs) * count  # tf.data calls this once for every iteration
        end = math.inf if repeat else first + count
        for step in itertools.count() if repeat else range(steps):
            start = first + step * batch
            places = np.arange(start, min(start + batch, end))
            rows = places % count if seed is None else stream_rows(count, start, len(places), seed)
            films, labels = crop_rows(arrays, rows, side, places, seed)
            yield grey.to_network(films), labels

    shape = [batch if repeat or drop_remainder else None, *(min(side, whole) for whole in arrays[1].shape[1:])]
    dataset = tf.data.Dataset.from_generator(batches, output_signature=(
        tf.TensorSpec([*shape, grey.film_channels(arrays[0])], tf.float32), tf.TensorSpec(shape, tf.uint8)))
    length = tf.data.INFINITE_CARDINALITY if repeat else steps  # `fit` shows its progress by it
    return dataset.apply(tf.data.experimental.assert_cardinality(length)).prefetch(2)


def crop_rows(arrays: Sequence[np.ndarray], rows: np.ndarray, side: int, places: Sequence[int],
              seed: int | None) -> list[np.ndarray]:
    """Squares of `side` pixels of the rows of arrays uint8 [N, H, W] or [N, H, W, C], all cut at the same corner.

    The corner of a row depends on (seed, its place in the stream) alone; without a seed it is the middle's.
    A picture's side that is smaller stays whole.
    """
    sides = [min(whole, side) for whole in arrays[0].shape[1:3]]
    cuts = [np.empty((len(rows), *sides, *array.shape[3:]), np.uint8) for array in arrays]
    free = [whole - part + 1 for whole, part in zip(arrays[0].shape[1:3], sides, strict=True)]
    for number, (row, place) in enumerate(zip(rows, places, strict=True)):
        top, left = ((room // 2 for room in free) if seed is None
                     else np.random.default_rng([seed, place]).integers(0, free))
        for window, array in zip(cuts, arrays, strict=True):
            window[number] = array[row, top:top + sides[0], left:left + sides[1]]
    return cuts


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
