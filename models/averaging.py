"""Exponential moving averages of weights: a network that follows the one in training, and is used in its place.

As the averaged generator of Karras et al. 2018 (appendix A); the decay of the first updates is that of
tf.train.ExponentialMovingAverage with `num_updates`.
"""

import keras
import tensorflow as tf


def copy_of(network: keras.Model) -> keras.Model:
    """A network like it, not built yet, called "average"."""
    return type(network).from_config({**network.get_config(), "name": "average"})


def update_average(average: keras.Model, network: keras.Model, decay: float | tf.Tensor) -> None:
    """average <- decay x average + (1 - decay) x network, weight by weight, running statistics too.

    For a step on a replica; mirrored variables change together. Raises ValueError for networks of other weights.

    Args:
      decay: in [0, 1], a scalar.
    """
    def update(strategy) -> None:
        for ours, theirs in zip(average.weights, network.weights, strict=True):
            # This form rounds as PGGAN's released one.
            ours.assign(theirs + (ours - theirs) * decay)

    tf.distribute.get_replica_context().merge_call(update)


def early_decay(decay: float, steps: tf.Tensor) -> tf.Tensor:
    """`decay`, float32, or less after few steps: at most (1 + n) / (10 + n) after n, so that the beginning is
    forgotten."""
    steps = tf.cast(steps, tf.float32)
    return tf.minimum(decay, (1.0 + steps) / (10.0 + steps))
