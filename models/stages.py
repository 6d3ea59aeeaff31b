"""What a method's networks do, as TensorFlow graphs from latents or codes to codes or films.

`models.methods` composes them in Python; an exported method holds the same graphs. They are traced once with
open shapes and kept as a whole inside other graphs, so that a sample has the same bits either way.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from models import label_coding
from models.label_coding import LabelCoding

Graph = tf.types.experimental.PolymorphicFunction
_CODES = tf.TensorSpec((None, None, None), tf.uint8, "codes")


def _graph(function: Callable, spec: tf.TensorSpec) -> Graph:
    return tf.function(function, input_signature=[spec], experimental_attributes={"_noinline": True})


def draw_latents(indices: tf.Tensor, seed: tf.Tensor, size: int) -> tf.Tensor:
    """Standard normal latents float32 [N, size] of int64 indices [N] and seed []; a row depends on both alone.

    Philox counters and the Box-Muller transform, on the CPU everywhere, so that a sample can be made again.
    """
    def row(index):
        return tf.random.stateless_normal([size], tf.stack([seed, index]), alg="philox")

    with tf.device("/CPU:0"):
        return tf.map_fn(row, indices, fn_output_signature=tf.TensorSpec(size, tf.float32))


def code_graph(generator: keras.Model, coding: LabelCoding) -> Graph:
    """Latents [N, L] -> codes uint8 [N, h, w], by a PGGAN of dots or label maps."""
    return _graph(lambda z: coding.decode(generator(z)), _latents_of(generator))


def pair_graph(generator: keras.Model, coding: LabelCoding) -> Graph:
    """Latents [N, L] -> codes uint8 [N, h, w] and films float32 [N, h, w, 1] in [-1, 1], by one PGGAN."""

    def draw(z):
        channels = generator(z)
        return coding.decode(channels[..., :-1]), tf.clip_by_value(channels[..., -1:], -1.0, 1.0)

    return _graph(draw, _latents_of(generator))


def label_graph(generator: keras.Model, size: int, coding: LabelCoding) -> Graph:
    """Dots uint8 [N, h, w], enlarged to `size` -> label maps uint8 [N, size, size], by a Pix2PixHD."""

    def translate(dots):
        return coding.decode(generator(label_coding.one_hot(label_coding.enlarge(dots, size), coding.num_classes)))

    return _graph(translate, _CODES)


def film_graph(generator: keras.Model, num_classes: int) -> Graph:
    """Label maps uint8 [N, h, w] -> films float32 [N, h, w, 1] in [-1, 1], by a Pix2PixHD."""
    return _graph(lambda labels: generator(label_coding.one_hot(labels, num_classes)), _CODES)


def _latents_of(generator: keras.Model) -> tf.TensorSpec:
    return tf.TensorSpec((None, generator.latent_size), tf.float32, "latents")
