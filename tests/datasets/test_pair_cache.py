"""Batches are a function of (seed, position): every row once per epoch, continuation exact, parts add up."""

import numpy as np
import pytest
import tensorflow as tf

from datasets.pair_cache import PairCache, half_and_half, stream_rows
from datasets.sources.phantom import write_phantoms
from training.batches import distributed_batches


def test_every_row_once_per_epoch():
    rows = stream_rows(7, 0, 21, seed=3)
    for epoch in range(3):
        assert sorted(rows[7 * epoch:7 * epoch + 7]) == list(range(7))
    assert not np.array_equal(rows[:7], rows[7:14])


def test_any_position_continues_the_stream():
    rows = stream_rows(7, 0, 50, seed=3)
    for position in (0, 5, 6, 7, 23):
        np.testing.assert_array_equal(stream_rows(7, position, 20, seed=3), rows[position:position + 20])


def _numbered(count=10, side=12):
    """Arrays whose every pixel tells its row and place."""
    places = np.arange(side * side).reshape(side, side) % 100
    return (np.arange(count)[:, None, None] * 20 + places % 20).astype(np.uint8)


@pytest.mark.parametrize("crop", [None, 5])
def test_continued_batches_equal_uninterrupted_ones(crop):
    arrays = (_numbered(), _numbered() + 1)
    strategy = tf.distribute.OneDeviceStrategy("/CPU:0")

    def take(position, count):
        batches = distributed_batches(strategy, arrays, 4, 1, position, crop)
        return [[part.numpy() for part in next(batches)] for _ in range(count)]

    whole, tail = take(0, 5), take(12, 2)
    for expected, found in zip(whole[3:], tail, strict=True):
        np.testing.assert_array_equal(found, expected)
    for film, label in whole:
        np.testing.assert_array_equal(film + 1, label)  # cut at the same place
        assert film.shape == (4, 12, 12) if crop is None else film.shape == (4, 5, 5)


def test_crops_shrink_to_small_pictures():
    strategy = tf.distribute.OneDeviceStrategy("/CPU:0")
    (batch,) = next(distributed_batches(strategy, (_numbered(),), 3, 0, 0, crop=377))
    assert batch.shape == (3, 12, 12)


@pytest.mark.parametrize("scored", [False, True])
def test_cache_holds_what_the_store_holds(tmp_path, scored):
    store = write_phantoms(tmp_path, 6, 0, 32, 0)
    for limit in (2**30, 10):  # in memory, and mapped from a file
        cache = PairCache(store, store.ids(), scored, memory_limit=limit)
        for row, id_ in enumerate(store.ids()):
            np.testing.assert_array_equal(cache.images[row], store.image(id_))
            expected = store.scored_label(id_) if scored else store.label(id_)
            np.testing.assert_array_equal(cache.labels[row], expected)


@pytest.mark.parametrize(("first", "second"), [(10, 3), (3, 10), (4, 4)])
def test_two_sets_make_equal_halves(first, second):
    rows = half_and_half(first, second)
    counts = np.bincount(rows, minlength=first + second)
    assert len(rows) == 2 * max(first, second) and counts[:first].sum() == counts[first:].sum()
    for half in (counts[:first], counts[first:]):
        assert half.min() >= 1 and half.max() - half.min() <= 1


def test_batches_of_chosen_rows():
    """Two rows of twelve fill half of the stream, mixed within the batches, and continuation is exact."""
    arrays = (_numbered(12), _numbered(12))
    strategy = tf.distribute.OneDeviceStrategy("/CPU:0")

    def take(position, count):
        batches = distributed_batches(strategy, arrays, 8, 1, position, rows=half_and_half(10, 2))
        return np.concatenate([next(batches)[0].numpy() for _ in range(count)])[:, 0, 0] // 20

    seen = take(0, 50)
    per_batch = (seen.reshape(50, 8) >= 10).sum(1)
    assert (seen >= 10).sum() == 200 and (seen == 10).sum() == 100  # 20 whole epochs of 20
    assert 2 < np.median(per_batch) < 6 and len(set(per_batch)) > 2
    np.testing.assert_array_equal(take(24, 4), seen[24:56])


def test_a_cache_of_two_stores_keeps_the_second_behind(tmp_path):
    one, other = write_phantoms(tmp_path / "a", 3, 0, 32, 0), write_phantoms(tmp_path / "b", 2, 0, 32, 1)
    cache = PairCache(one, one.ids(), True, behind=(other, other.ids()))
    stores = [(one, id_) for id_ in one.ids()] + [(other, id_) for id_ in other.ids()]
    assert len(cache.images) == len(cache.labels) == 5
    for row, (store, id_) in enumerate(stores):
        np.testing.assert_array_equal(cache.images[row], store.image(id_))
        np.testing.assert_array_equal(cache.labels[row], store.scored_label(id_))
