"""Candidates of a synthetic set made ahead of their turn, and their mending in processes.

A device makes the next candidates while earlier ones are mended and written. What comes of it is the same: a
candidate is a function of (seed, index), and batches are taken in their order.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np


class Ahead:
    """Makes batches of candidates in threads, for use as a context.

    Args:
      threads: how many, and how many batches are begun beyond the one that is asked for; with 0 a batch is made
        when it is asked for.
    """

    def __init__(self, threads: int):
        self._threads, self._made = threads, {}  # (method, first index) -> what it makes
        self._pool = ThreadPoolExecutor(threads) if threads else None

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *raised) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def make(self, method: Callable, starts: range, batch: int, seed: int) -> Any:
        """What `method` makes of the batch at the first of `starts`; those of the next ones are begun."""
        if not self._pool:
            return method(np.arange(starts[0], starts[0] + batch), seed)
        wanted = {(method, start): start for start in starts[:self._threads + 1]}
        for gone in self._made.keys() - wanted.keys():  # of a method that is no longer asked
            self._made.pop(gone).cancel()
        for key, start in wanted.items():
            if key not in self._made:
                self._made[key] = self._pool.submit(method, np.arange(start, start + batch), seed)
        return self._made.pop((method, starts[0])).result()


@contextmanager
def processes(count: int) -> Iterator[Executor | None]:
    """Processes to mend label maps in, `count` of them; None for 0. They end with this one, however it ends."""
    if not count:
        yield None
        return
    # Spawned: a copy of a process that holds TensorFlow may stand still.
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _end_with_parent) as pool:
        yield pool


def _end_with_parent() -> None:
    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)  # killed outright: nobody is left to mend for

    threading.Thread(target=watch, daemon=True).start()


def spread(check: Callable, pool: Executor | None) -> Callable:
    """A check of maps (datasets/rules/sample_checks.py), each in a process of `pool`; without a pool, itself."""
    if pool is None:
        return check

    def spread_check(maps: np.ndarray) -> tuple[np.ndarray, list[str | None]]:
        found: list[Future] = [pool.submit(check, one[None]) for one in maps]
        checked = [future.result() for future in found]
        return (np.concatenate([mended for mended, _ in checked]) if checked else maps,
                [reason for _, reasons in checked for reason in reasons])

    return spread_check
