"""From a pair folder to arrays, batches and a `tf.data.Dataset`: functions of (seed, place), continued exactly."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.augmentation.augmented_crops import AugmentedCrops
from datasets.augmentation.strong_augment import StrongAugmentation
from datasets.common.errors import UserError
from datasets.pair_cache import half_and_half, load_pairs, pair_dataset, stream_rows
from datasets.pair_store import PairStore, check_square
from datasets.sources.phantom import write_phantoms
from training.batches import _parts, distributed_batches


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


def test_augmented_batches_are_the_same_continued_and_on_two_devices():
    films = np.random.default_rng(0).integers(0, 256, (10, 40, 40), np.uint8)
    labels, cut = films // 90, AugmentedCrops(StrongAugmentation(probability=0.5, elastic=0.3), cutmix=0.5)

    def take(position, steps, replicas=1, first=0):
        parts = _parts((films, labels), 4, 1, position, 24, replicas, first, 1, None, cut)
        return [np.stack(part) for part in zip(*parts.take(steps), strict=True)]  # [steps, 4 / replicas, 24, 24]

    whole, tail, dealt = take(0, 5), take(12, 2), [take(0, 5, 2, first) for first in (0, 1)]
    for number in (0, 1):  # films, labels
        np.testing.assert_array_equal(whole[number][3:], tail[number])
        for first in (0, 1):
            np.testing.assert_array_equal(whole[number][:, first::2], dealt[first][number])


def test_crops_shrink_to_small_pictures():
    strategy = tf.distribute.OneDeviceStrategy("/CPU:0")
    (batch,) = next(distributed_batches(strategy, (_numbered(),), 3, 0, 0, crop=377))
    assert batch.shape == (3, 12, 12)


@pytest.mark.parametrize("scored", [False, True])
def test_arrays_hold_what_the_store_holds(tmp_path, scored):
    store = write_phantoms(tmp_path, 6, 0, 32, 0)
    for limit in (2**30, 10):  # in memory, and mapped from a file
        films, labels = load_pairs(store, store.ids(), scored, memory_limit=limit)
        assert isinstance(films, np.memmap) == (limit == 10)
        for row, id_ in enumerate(store.ids()):
            np.testing.assert_array_equal(films[row], store.image(id_))
            expected = store.scored_label(id_) if scored else store.label(id_)
            np.testing.assert_array_equal(labels[row], expected)


def test_pairs_are_brought_to_a_size(tmp_path):
    large, small = write_phantoms(tmp_path / "a", 2, 0, 64, 0), write_phantoms(tmp_path / "b", 1, 0, 32, 1)
    films, labels = load_pairs(large, large.ids(), size=(32, 32), behind=(small, small.ids()))
    assert films.shape == labels.shape == (3, 32, 32)
    blocks = large.image(large.ids()[0]).reshape(32, 2, 32, 2)
    np.testing.assert_allclose(films[0], blocks.mean((1, 3)), atol=1)
    np.testing.assert_array_equal(films[2], small.image(small.ids()[0]))
    assert set(np.unique(labels[:2])) == set(range(6))


def test_a_damaged_pair_is_named(tmp_path):
    store = write_phantoms(tmp_path, 3, 0, 32, 0)
    broken = tmp_path / "labels" / f"{store.ids()[1]}.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(UserError, match=f"labels/{broken.name}"):
        load_pairs(store, store.ids())


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
    films, labels = load_pairs(one, one.ids(), True, behind=(other, other.ids()))
    stores = [(one, id_) for id_ in one.ids()] + [(other, id_) for id_ in other.ids()]
    assert len(films) == len(labels) == 5
    for row, (store, id_) in enumerate(stores):
        np.testing.assert_array_equal(films[row], store.image(id_))
        np.testing.assert_array_equal(labels[row], store.scored_label(id_))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Five train pairs and three test ones of 32 pixels."""
    return write_phantoms(tmp_path_factory.mktemp("pairs"), 8, 3, 32, 0)


def _levels(films):
    return np.rint((np.asarray(films)[..., 0] + 1) * 127.5).astype(np.uint8)


def test_a_dataset_in_the_manifests_order(pairs):
    found = list(pair_dataset(pairs.path, "test", batch=2, seed=None))
    assert [film.shape for film, _ in found] == [(2, 32, 32, 1), (1, 32, 32, 1)]
    assert found[0][0].dtype == tf.float32 and found[0][1].dtype == tf.uint8
    films, labels = load_pairs(pairs, pairs.ids("test"), scored=True)
    np.testing.assert_array_equal(np.concatenate([_levels(film) for film, _ in found]), films)
    np.testing.assert_array_equal(np.concatenate([label for _, label in found]), labels)
    painted = pair_dataset(pairs.path, "test", batch=3, scored=False, seed=None)
    np.testing.assert_array_equal(next(iter(painted))[1], load_pairs(pairs, pairs.ids("test"))[1])


def test_every_iteration_is_the_next_epoch_of_the_shuffled_stream(pairs):
    films = load_pairs(pairs, pairs.ids("train"))[0]
    made = pair_dataset(pairs.path, batch=2, seed=3)
    for epoch in range(3):
        shown = np.concatenate([_levels(film) for film, _ in made])
        np.testing.assert_array_equal(shown, films[stream_rows(5, 5 * epoch, 5, seed=3)])


@pytest.mark.parametrize("crop", [None, 12])
def test_the_endless_dataset_is_the_trainers_stream(pairs, crop):
    arrays = load_pairs(pairs, pairs.ids("train"), scored=True)
    expected = distributed_batches(tf.distribute.OneDeviceStrategy("/CPU:0"), arrays, 4, 7, 0, crop)
    made = pair_dataset(pairs.path, batch=4, crop=crop, seed=7, repeat=True)
    assert made.cardinality() == tf.data.INFINITE_CARDINALITY
    for (film, label), one in zip(made.take(4), expected, strict=False):
        np.testing.assert_array_equal(_levels(film), one[0])
        np.testing.assert_array_equal(label, one[1])


def test_without_a_seed_the_middle_is_cut(pairs):
    whole, middle = (next(iter(pair_dataset(pairs.path, batch=5, seed=None, crop=crop))) for crop in (99, 10))
    for one, other in zip(whole, middle, strict=True):
        np.testing.assert_array_equal(one[:, 11:21, 11:21], other)


@pytest.mark.parametrize(("drop", "sizes"), [(False, [2, 2, 1]), (True, [2, 2])])
def test_the_last_batch(pairs, drop, sizes):
    made = pair_dataset(pairs.path, batch=2, drop_remainder=drop)
    assert [len(label) for _, label in made] == sizes and len(made) == len(sizes)
    assert made.element_spec[1].shape.as_list() == [2 if drop else None, 32, 32]


def test_a_model_fits_a_dataset(pairs):
    """Whole epochs with validation, and steps of the endless stream."""
    model = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same")])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    held_out = pair_dataset(pairs.path, "test", seed=None)
    history = model.fit(pair_dataset(pairs.path, batch=2), validation_data=held_out, epochs=3, verbose=0).history
    assert len(history["val_loss"]) == 3 and history["val_loss"][-1] < history["val_loss"][0]
    model.fit(pair_dataset(pairs.path, batch=2, crop=8, repeat=True), steps_per_epoch=4, epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 3 * 3 + 2 * 4


def test_what_cannot_become_a_dataset(pairs):
    with pytest.raises(UserError, match=f"{pairs.path}/manifest.csv.* validation"):
        pair_dataset(pairs.path, "validation")
    with pytest.raises(ValueError, match="received 0"):
        pair_dataset(pairs.path, batch=0)
    with pytest.raises(UserError, match="found pictures of 32 x 32, expected 64 x 64"):
        check_square(PairStore(pairs.path), 64)
