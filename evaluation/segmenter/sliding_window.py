"""Segmenting pictures larger than the network's crop by overlapping windows (Ciano et al. 2021, 4.2).

TensorFlow operations throughout: evaluation and validation run them one by one, an export keeps them as a graph,
and both give the same bits.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Predict = Callable[[tf.Tensor], tf.Tensor]  # float32 [N, h, w, C] -> probabilities [N, h, w, K]


def probabilities_of(network) -> tf.types.experimental.PolymorphicFunction:
    """A segmenter that gives logits, as a function from films [N, h, w, C] to probabilities [N, h, w, K].

    C is the network's `film_channels`, 1 where it has none.

    Traced once, since shapes stay open; not inlined into graphs that call it, since graph rewriting would give a
    picture other bits there.
    """
    channels = getattr(network, "film_channels", 1)
    return tf.function(lambda films: tf.nn.softmax(network(films)), experimental_attributes={"_noinline": True},
                       input_signature=[tf.TensorSpec((None, None, None, channels), tf.float32, "films")])


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


def sliding_window(predict: Predict, picture: tf.Tensor, window: int = 377, overlap: float = 1 / 3,
                   batch: int = 4) -> tf.Tensor:
    """Probabilities float32 [H, W, K] of a picture [H, W, C]: the mean over the windows that cover a pixel.

    Args:
      picture: its height and width are known when a graph is built.
      window: side in pixels; shrinks to the picture where that is smaller.
      batch: windows predicted at a time.
    """
    picture = tf.convert_to_tensor(picture)
    height, width, _ = picture.shape
    tall, wide = min(window, height), min(window, width)
    places = [(top, left) for top in window_offsets(height, window, overlap)
              for left in window_offsets(width, window, overlap)]
    if len(places) == 1:
        return tf.ensure_shape(predict(picture[None])[0], (height, width, None))
    corners = tf.constant(places, tf.int32)

    def add_group(first, total=None):
        """Adds the next windows to `total` [H, W, K + 1], whose last channel counts the windows on a pixel."""
        group = corners[first:first + batch]
        parts = predict(_cut(picture, group, tall, wide))
        parts = tf.concat([parts, tf.ones_like(parts[..., :1])], -1)
        total = tf.zeros((height, width, parts.shape[-1])) if total is None else total
        return first + batch, _add(total, group, parts)

    first_group = add_group(tf.constant(0))  # outside of the loop, as it tells K
    _, total = tf.while_loop(lambda first, _: first < len(places), add_group, first_group, parallel_iterations=1)
    return total[..., :-1] / total[..., -1:]  # not by a constant: graphs multiply by 1 / constant, other bits


def segment_pictures(predict: Predict, pictures: np.ndarray, window: int = 377,
                     overlap: float = 1 / 3) -> np.ndarray:
    """The most probable codes uint8 [N, H, W] of pictures [N, H, W, C], those of `sliding_window` of each.

    Window by window, of all pictures at once: a network that gives a picture the same bits alone and among others
    gives the same codes.
    """
    pictures = tf.convert_to_tensor(pictures)
    height, width = pictures.shape[1:3]
    tall, wide = min(window, height), min(window, width)
    total, weight = None, np.zeros((height, width, 1), np.float32)
    for top in window_offsets(height, window, overlap):
        for left in window_offsets(width, window, overlap):
            part = predict(pictures[:, top:top + tall, left:left + wide])  # [N, tall, wide, K]
            part = tf.pad(part, [[0, 0], [top, height - tall - top], [left, width - wide - left], [0, 0]])
            total = part if total is None else total + part
            weight[top:top + tall, left:left + wide] += 1
    return tf.cast(tf.argmax(total / weight, -1), tf.uint8).numpy()


def _cut(picture: tf.Tensor, corners: tf.Tensor, tall: int, wide: int) -> tf.Tensor:
    """Windows [N, tall, wide, C] of picture [H, W, C] at top left corners int32 [N, 2]."""
    bands = tf.gather(picture, corners[:, :1] + tf.range(tall))  # [N, tall, W, C]
    return tf.gather(bands, corners[:, 1:] + tf.range(wide), axis=2, batch_dims=1)


def _add(total: tf.Tensor, corners: tf.Tensor, parts: tf.Tensor) -> tf.Tensor:
    """`total` [H, W, C] with each of `parts` [N, h, w, C] added at its corner, one after another."""
    def add(total, one):  # one addition a turn: graph rewriting regroups chains of them
        (top, left), part = tf.unstack(one[0]), one[1]
        below, right = total.shape[0] - top - tf.shape(part)[0], total.shape[1] - left - tf.shape(part)[1]
        return total + tf.ensure_shape(tf.pad(part, [[top, below], [left, right], [0, 0]]), total.shape)

    return tf.foldl(add, (corners, parts), total, parallel_iterations=1)
