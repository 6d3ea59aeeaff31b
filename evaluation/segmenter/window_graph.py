"""`evaluation.segmenter.sliding_window` as TensorFlow operations, for a graph that is exported."""

from collections.abc import Callable

import tensorflow as tf

from evaluation.segmenter.sliding_window import window_offsets

PredictTensor = Callable[[tf.Tensor], tf.Tensor]  # [N, h, w, C] -> probabilities [N, h, w, K]


def window_probabilities(predict: PredictTensor, picture: tf.Tensor, size: int, num_classes: int, window: int,
                         overlap: float = 1 / 3, batch: int = 4) -> tf.Tensor:
    """Probabilities float32 [size, size, K] of picture [size, size, C]: the mean over the windows on a pixel.

    Windows lie where `window_offsets` puts them, are predicted `batch` at a time and added in the same order as
    in `sliding_window`, so both give the same bits.
    """
    side = min(window, size)
    offsets = window_offsets(size, window, overlap)
    places = [(top, left) for top in offsets for left in offsets]
    if len(places) == 1:
        return tf.ensure_shape(predict(picture[None])[0], (size, size, num_classes))
    total = tf.zeros((size, size, num_classes))
    weight = tf.zeros((size, size, 1))
    full = len(places) // batch * batch
    if full:
        groups = tf.constant(places[:full], tf.int32, shape=(full // batch, batch, 2))
        total, weight = _add_groups(predict, picture, groups, side, total, weight)
    if full < len(places):
        groups = tf.constant([places[full:]], tf.int32)
        total, weight = _add_groups(predict, picture, groups, side, total, weight)
    return total / weight


def _add_groups(predict: PredictTensor, picture: tf.Tensor, groups: tf.Tensor, side: int, total: tf.Tensor,
                weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds the windows at `groups` (top and left, int [G, B, 2]) to the sums, one group at a time."""
    batch, size, channels = groups.shape[1], total.shape[0], picture.shape[-1]

    def add_group(group, total, weight):
        corners = groups[group]
        parts = predict(tf.stack([tf.slice(picture, (corners[row, 0], corners[row, 1], 0), (side, side, channels))
                                  for row in range(batch)]))

        def add(row, total, weight):  # one addition a turn: graph rewriting regroups chains of them
            around = [[corner, size - side - corner] for corner in (corners[row, 0], corners[row, 1])] + [[0, 0]]
            part, ones = tf.pad(parts[row], around), tf.pad(tf.ones((side, side, 1)), around)
            return (row + 1, total + tf.ensure_shape(part, total.shape),
                    weight + tf.ensure_shape(ones, weight.shape))

        sums = tf.while_loop(lambda row, *_: row < batch, add, (tf.constant(0), total, weight))
        return group + 1, sums[1], sums[2]

    count = groups.shape[0]
    return tf.while_loop(lambda group, *_: group < count, add_group, (tf.constant(0), total, weight),
                         parallel_iterations=1)[1:]
