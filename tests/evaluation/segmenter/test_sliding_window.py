"""The sliding window: where windows lie, and that it equals inference on the whole picture where it must."""

import numpy as np
import pytest
import tensorflow as tf

from datasets.sources.phantom import write_phantoms
from evaluation.segmenter.evaluate import FilmsInMemory, score_films, segment_with
from evaluation.segmenter.sliding_window import probabilities_of, segment_pictures, sliding_window, window_offsets
from tests.helpers.tiny_networks import segmenter

RNG = np.random.default_rng(0)
_MIX = RNG.normal(size=(2, 3)).astype(np.float32)
_KERNEL = RNG.normal(size=(5, 5)).astype(np.float32)


def _per_pixel(images):
    """A network of 1x1 convolutions: softmax over three classes."""
    return tf.nn.softmax(tf.tensordot(images, _MIX, 1))


def _local(images):
    """A 5x5 convolution with zero padding: a pixel nearer than 2 to the border of its window is another."""
    filtered = tf.nn.conv2d(images, _KERNEL[..., None, None], 1, "SAME")
    return tf.concat([filtered, -filtered], -1)


def _plain(predict, image, window, overlap, batch):
    """The mean over windows in NumPy, window by window."""
    height, width = image.shape[:2]
    tall, wide = min(window, height), min(window, width)
    places = [(top, left) for top in window_offsets(height, window, overlap)
              for left in window_offsets(width, window, overlap)]
    total, weight = 0.0, np.zeros((height, width, 1), np.float32)
    for first in range(0, len(places), batch):
        group = places[first:first + batch]
        parts = predict(np.stack([image[top:top + tall, left:left + wide] for top, left in group])).numpy()
        for (top, left), part in zip(group, parts, strict=True):
            around = [(top, height - tall - top), (left, width - wide - left), (0, 0)]
            total = total + np.pad(part, around)
            weight[top:top + tall, left:left + wide] += 1
    return total / weight


@pytest.fixture(scope="module")
def predict():
    return probabilities_of(segmenter())


@pytest.mark.parametrize(("shape", "window", "overlap", "batch"), [
    ((32, 32), 20, 1 / 3, 4), ((32, 32), 20, 0.8, 3), ((25, 46), 19, 0.5, 4), ((20, 90), 24, 0.0, 5),
    ((30, 30), 377, 1 / 3, 4)])
def test_one_by_one_and_in_a_graph_it_gives_the_bits_of_the_plain_sum(predict, shape, window, overlap, batch):
    film = RNG.uniform(-1, 1, (*shape, 1)).astype(np.float32)
    expected = _plain(predict, film, window, overlap, batch)
    np.testing.assert_array_equal(sliding_window(predict, film, window, overlap, batch), expected)
    graph = tf.function(lambda film: sliding_window(predict, film, window, overlap, batch))
    np.testing.assert_array_equal(graph(tf.constant(film)), expected)
    assert graph.get_concrete_function(tf.TensorSpec((*shape, 1))).output_shapes == (*shape, 4)


def test_a_folder_is_evaluated_without_tracing_for_each_film(tmp_path):
    """The network is traced once, for films of one size, and for those of another."""
    network, traced = segmenter(), []
    predict = probabilities_of(lambda films: traced.append(films.shape) or network(films))
    for size, window in ((32, 20), (40, 40)):
        store = write_phantoms(tmp_path / str(size), 3, 3, size, 0)
        one_by_one = score_films(segment_with(predict, store, window, 1 / 3), store, store.ids("test"))
        assert len(one_by_one.films) == 3
        in_batches = FilmsInMemory(store, store.ids("test"), window=window, batch=2).evaluate(predict)
        np.testing.assert_array_equal(in_batches.counts, one_by_one.counts)
        assert in_batches.mean_j == one_by_one.mean_j
    assert len(traced) == 1


@pytest.mark.parametrize("shape", [(64, 64), (37, 53), (20, 24)])
def test_pictures_at_once_have_the_codes_of_each(shape):
    pictures = RNG.normal(size=(3, *shape, 1)).astype(np.float32)
    codes = segment_pictures(_local, pictures, 24, 0.5)
    assert codes.dtype == np.uint8
    for picture, found in zip(pictures, codes, strict=True):
        np.testing.assert_array_equal(found, sliding_window(_local, picture, 24, 0.5).numpy().argmax(-1))


def test_the_papers_windows():
    assert window_offsets(512, 377) == [0, 135]


@pytest.mark.parametrize(("side", "window", "overlap", "expected"), [
    (377, 377, 1 / 3, [0]), (378, 377, 1 / 3, [0, 1]), (64, 377, 1 / 3, [0]), (1, 1, 0, [0]),
    (1024, 377, 1 / 3, [0, 251, 502, 647]), (12, 4, 0, [0, 4, 8]), (13, 4, 0, [0, 4, 8, 9]),
    (10, 4, 0.75, [0, 1, 2, 3, 4, 5, 6]), (3, 1, 0.9, [0, 1, 2]),
])
def test_offsets(side, window, overlap, expected):
    assert window_offsets(side, window, overlap) == expected


def test_windows_cover_everything_and_overlap_as_asked():
    for side in range(1, 130):
        for window in (1, 7, 32, 64):
            for overlap in (0.0, 1 / 3, 0.5, 0.9):
                offsets = window_offsets(side, window, overlap)
                covered = np.zeros(side, int)
                for start in offsets:
                    covered[start:start + window] += 1
                assert covered.min() >= 1 and offsets == sorted(set(offsets))
                assert max(offsets) + min(window, side) == side
                steps = np.diff(offsets)
                assert (steps <= max(1, round(window * (1 - overlap)))).all()


@pytest.mark.parametrize(("window", "overlap"), [(0, 0.3), (-1, 0.3), (8, 1.0), (8, -0.1), (8, float("nan"))])
def test_what_cannot_be_is_a_mistake(window, overlap):
    with pytest.raises(ValueError, match="window must be positive"):
        window_offsets(64, window, overlap)


@pytest.mark.parametrize("shape", [(64, 64), (37, 53), (101, 16), (24, 90), (1, 1), (25, 23)])
@pytest.mark.parametrize("overlap", [0.0, 1 / 3, 0.8])
def test_a_per_pixel_network_gives_the_whole_pictures_answer(shape, overlap):
    image = RNG.normal(size=(*shape, 2)).astype(np.float32)
    parts = sliding_window(_per_pixel, image, 24, overlap).numpy()
    assert parts.shape == (*shape, 3) and parts.dtype == np.float32
    np.testing.assert_allclose(parts, _per_pixel(image[None])[0], atol=1e-6)
    np.testing.assert_allclose(parts.sum(-1), 1.0, atol=1e-5)


def test_a_local_network_gives_it_away_from_window_borders():
    """Radius 2: pixels whose every window shows 2 more pixels around them, or the picture's own border."""
    shape, window, radius = (41, 58), 24, 2
    image = RNG.normal(size=(*shape, 1)).astype(np.float32)
    whole, parts = _local(image[None])[0].numpy(), sliding_window(_local, image, window).numpy()
    inside = _undisturbed(shape[0], window, radius)[:, None] & _undisturbed(shape[1], window, radius)
    assert 0.4 < inside.mean() < 0.9
    np.testing.assert_allclose(parts[inside], whole[inside], atol=1e-4)
    assert (np.abs(parts - whole)[~inside].max(-1) > 1e-4).mean() > 0.9


def _undisturbed(side, window, radius):
    good = np.ones(side, bool)
    for start in window_offsets(side, window):
        if start > 0:
            good[start:start + radius] = False
        if start + window < side:
            good[start + window - radius:start + window] = False
    return good


def test_a_pixel_is_the_mean_of_the_windows_that_cover_it():
    """Each window answers with its own number; the picture holds their means."""
    calls = []

    def number(images):
        first = len(calls)
        calls.extend(images)
        return np.stack([np.full((*image.shape[:2], 1), first + n, np.float32) for n, image in enumerate(images)])

    parts = sliding_window(number, np.zeros((10, 6, 1), np.float32), 6, overlap=0.5, batch=2).numpy()
    assert window_offsets(10, 6, 0.5) == [0, 3, 4] and len(calls) == 3
    assert parts[:, 0, 0].tolist() == [0, 0, 0, 0.5, 1, 1, 1.5, 1.5, 1.5, 2]


@pytest.mark.parametrize("shape", [(20, 20), (24, 24), (20, 60), (60, 20)])
def test_the_window_shrinks_to_a_small_picture(shape):
    seen = set()

    def predict(images):
        seen.update(tuple(image.shape) for image in images)
        return _per_pixel(images)

    sliding_window(predict, RNG.normal(size=(*shape, 2)).astype(np.float32), 24)
    assert seen == {(min(24, shape[0]), min(24, shape[1]), 2)}


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_batch_changes_nothing(batch):
    sizes = []

    def predict(images):
        sizes.append(len(images))
        return _per_pixel(images)

    image = RNG.normal(size=(50, 70, 2)).astype(np.float32)
    parts = sliding_window(predict, image, 24, batch=batch)
    np.testing.assert_allclose(parts, sliding_window(_per_pixel, image, 24), atol=1e-6)
    assert max(sizes) <= batch and sum(sizes) == len(window_offsets(50, 24)) * len(window_offsets(70, 24))
