"""Averaged weights: a network that follows one in training, and is the better of the two to use."""

import keras
import tensorflow as tf


def copy_of(network: keras.Model, name: str = "average") -> keras.Model:
    """A network like it, not built yet."""
    return type(network).from_config({**network.get_config(), "name": name})


def follow(average: keras.Model, network: keras.Model, decay: float | tf.Tensor) -> None:
    """average <- decay x average + (1 - decay) x network, weight by weight, running statistics too.

    For a step on a replica; mirrored variables change together.
    """
    def update(strategy) -> None:
        for ours, theirs in zip(average.weights, network.weights, strict=True):
            # This form rounds as PGGAN's released one.
            ours.assign(theirs + (ours - theirs) * decay)

    tf.distribute.get_replica_context().merge_call(update)


def early_decay(decay: float, steps: tf.Tensor) -> tf.Tensor:
    """`decay`, or less after few steps: at most (1 + n) / (10 + n) after n, so that the beginning is forgotten."""
    steps = tf.cast(steps, tf.float32)
    return tf.minimum(decay, (1.0 + steps) / (10.0 + steps))
