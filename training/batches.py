"""Endless training batches that are a function of (seed, position) and shared out over replicas."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from datasets.common.errors import UserError
from datasets.pair_cache import crop_rows, stream_rows


def distributed_batches(strategy: tf.distribute.Strategy, arrays: Sequence[np.ndarray], batch: int, seed: int,
                        position: int, crop: int | None = None, rows: np.ndarray | None = None,
                        cut: Callable = crop_rows) -> Iterator:
    """Batches of the shuffled stream of rows from image `position` on, as `strategy.run` takes them.

    Each global batch holds the next `batch` rows of the stream, dealt to the replicas in turn like cards; a run
    continued at a position therefore sees what it would have seen. Dealing in turn keeps the strided groups of
    PGGAN's minibatch statistic together: R replicas that share a multiple of 4 R images have those of one device.

    Args:
      arrays: [N, H, W, ...] each, with rows that belong together; uint8, or float32 pictures.
      batch: images per step over all replicas.
      crop: side of a random square cut from all arrays at the same place; the whole picture if it is smaller.
      rows: the rows that are shuffled, some perhaps several times; None is each once.
      cut: what cuts the crops; takes and gives what `crop_rows` does.

    Yields tuples of tensors [batch / replicas, h, w, ...].
    Raises UserError as `check_shares`.
    """
    check_shares(strategy, [batch])
    replicas = strategy.num_replicas_in_sync

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = replicas // context.num_input_pipelines  # replicas fed by this process
        first = context.input_pipeline_id * local  # of this process
        return _parts(arrays, batch, seed, position, crop, replicas, first, local, rows, cut)

    return iter(strategy.distribute_datasets_from_function(pipeline))


def check_shares(strategy: tf.distribute.Strategy, batches: Iterable[int]) -> None:
    """Raises UserError if the replicas cannot share each batch of so many images evenly."""
    replicas = strategy.num_replicas_in_sync
    for batch in batches:
        if batch % replicas:
            raise UserError(f"a batch of {batch} images cannot be shared evenly by {replicas} devices; set "
                            "--batch (PGGAN: --max_batch) to a multiple, or --strategy=one_device")


def _parts(arrays: Sequence[np.ndarray], batch: int, seed: int, position: int, crop: int | None, replicas: int,
           first: int, local: int, chosen: np.ndarray | None, cut: Callable) -> tf.data.Dataset:
    """The parts of replicas first ... first + local - 1, step by step, as tensors."""
    part = batch // replicas
    # A crop is common to all arrays; uncropped, each keeps its own sides (dots have few pixels).
    sides = [min(side, crop) if crop else side for side in arrays[0].shape[1:3]]
    shapes = [(part, *(sides if crop else array.shape[1:3]), *array.shape[3:]) for array in arrays]

    def load(number: np.ndarray) -> list[np.ndarray]:
        step, replica = divmod(int(number), local)  # counted replica by replica, then step by step
        start = position + step * batch  # of the global batch in the stream
        dealt = slice(first + replica, None, replicas)  # every replicas-th row
        rows = stream_rows(len(arrays[0] if chosen is None else chosen), start, batch, seed)[dealt]
        rows = rows if chosen is None else chosen[rows]
        if not crop:
            return [array[rows] for array in arrays]
        # Cut by place in the stream: the same for any number of replicas.
        return cut(arrays, rows, crop, range(start, start + batch)[dealt], seed)

    def fetch(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parts = tf.numpy_function(load, [number], [array.dtype for array in arrays], stateful=False)
        # The shape that the call above loses.
        return tuple(tf.ensure_shape(one, shape) for one, shape in zip(parts, shapes, strict=True))

    numbers = tf.data.Dataset.counter()
    # Two steps ahead, in order.
    return numbers.map(fetch, num_parallel_calls=2, deterministic=True).prefetch(2 * local)
