"""How much of a method is done at once: pairs in a batch, batches ahead of their turn, processes that mend."""

import dataclasses
import subprocess
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from datasets.common.errors import UserError
from datasets.common.machine import usable_cores

_PIXELS_AT_ONCE = 2**20  # on a CPU: the released translators take some 3.5 GiB for them (docs/performance.md)
_GIB_OF_THEM = 3.5
_GPU_SHARE = 0.25  # of a card's memory: others may be on it, and a batch too large is halved
_MOST = 16  # pairs at a time
_MENDERS = 8  # processes at most


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """What decides how fast pairs are made, never which.

    Attributes:
      batch: pairs made at a time.
      workers: processes that mend label maps; 0 mends them where they are made.
      ahead: batches in the making while earlier ones are mended and written.
    """

    batch: int
    workers: int
    ahead: int


def pipeline(size: int, batch: int | None = None, workers: int | None = None) -> Pipeline:
    """For pictures of `size` pixels on this machine, where `batch` and `workers` do not say.

    On a GPU a core is left to feed it and the others mend, which takes longer than making a pair; on a CPU mending
    is little beside the networks, and one batch is ahead where there is a core for it.
    """
    gpu, cores = bool(tf.config.list_logical_devices("GPU")), own_cores()
    batch = batch or gpu_batch(size) or cpu_batch(size)
    workers = min(_MENDERS, cores - 1) * gpu if workers is None else workers
    return Pipeline(batch, workers, max(2, -(-workers // batch)) if workers else int(cores > 1))


def own_cores() -> int:
    """Cores of this process: its task's share in an experiment, else all that it may use."""
    return tf.config.threading.get_intra_op_parallelism_threads() or usable_cores()


def cpu_batch(size: int) -> int:
    """Pairs at a time on a CPU, and of a set made on several machines: as many as take the memory of one of 1024
    pixels, at most 16."""
    return min(_MOST, max(1, _PIXELS_AT_ONCE // size**2))


def gpu_batch(size: int) -> int | None:
    """Pairs at a time by the memory of the smallest GPU here; None without one that tells it."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
        memory = min(int(line) for line in told.split()) / 1024  # GiB
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return min(_MOST, max(1, int(_GPU_SHARE * memory / (_GIB_OF_THEM * size**2 / _PIXELS_AT_ONCE))))


def with_less_memory(make: Callable[[int], Any], batch: int, path: str, say: Callable[[str], None]) -> Any:
    """`make(batch)`; where memory does not suffice, again with half as many pairs at a time, and so on.

    Raises UserError where it does not suffice for one. What `make` has done before it failed must stand.
    """
    while True:
        try:
            return make(batch)
        except (tf.errors.ResourceExhaustedError, MemoryError):
            if batch == 1:
                raise UserError(f"{path}: out of memory for one pair at a time; what is there is kept; continue "
                                "by the same command where more is free") from None
            say(f"warning: out of memory for {batch} pairs at a time; going on with {batch // 2}")
            batch //= 2
