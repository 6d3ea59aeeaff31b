"""Segmenting pictures larger than the network's crop by overlapping windows (Ciano et al. 2021, 4.2)."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Predict = Callable[[np.ndarray], np.ndarray]  # [N, h, w, C] -> probabilities [N, h, w, K]


def window_offsets(side: int, window: int, overlap: float = 1 / 3) -> list[int]:
    """Where windows start along a side: every (1 - overlap) x window pixels, the last shifted back inside.

    512 with window 377 gives 0 and 135. A window larger than the side shrinks to it: [0].
    """
    if window < 1 or not 0 <= overlap < 1:
        raise ValueError(f"window must be positive and overlap in [0, 1); received {window} and {overlap}")
    if side <= window:
        return [0]
    stride = max(1, round(window * (1 - overlap)))
    return [*range(0, side - window, stride), side - window]


def sliding_window(predict: Predict, image: np.ndarray, window: int = 377, overlap: float = 1 / 3,
                   batch: int = 4) -> np.ndarray:
    """Probabilities [H, W, K] of image [H, W, C]: the mean over the windows that cover a pixel.

    Args:
      window: side in pixels; shrinks to the image where that is smaller.
      batch: windows predicted at a time.
    """
    height, width = image.shape[:2]
    tall, wide = min(window, height), min(window, width)
    places = [(top, left) for top in window_offsets(height, window, overlap)
              for left in window_offsets(width, window, overlap)]
    if len(places) == 1:
        return predict(image[None])[0]
    total, weight = None, np.zeros((height, width, 1), np.float32)
    for first in range(0, len(places), batch):
        group = places[first:first + batch]
        parts = predict(np.stack([image[top:top + tall, left:left + wide] for top, left in group]))
        for (top, left), part in zip(group, parts, strict=True):
            if total is None:
                total = np.zeros((height, width, part.shape[-1]), np.float32)
            total[top:top + tall, left:left + wide] += part
            weight[top:top + tall, left:left + wide] += 1
    return total / weight


def probabilities_of(network) -> Predict:
    """A segmenter that gives logits, as a function from films [N, h, w, 1] to probabilities [N, h, w, K]."""
    compiled = probability_graph(network)

    def predict(films: np.ndarray) -> np.ndarray:
        return compiled(tf.constant(films, tf.float32)).numpy()

    return predict


def probability_graph(network) -> tf.types.experimental.PolymorphicFunction:
    """The same of tensors, float32 [N, h, w, 1]; traced once, and kept as a whole inside other graphs.

    Shapes stay open and the graph is not inlined, so that a picture's probabilities have the same bits however
    and wherever it is called.
    """
    return tf.function(lambda films: tf.nn.softmax(network(films)), experimental_attributes={"_noinline": True},
                       input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32, "films")])


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
