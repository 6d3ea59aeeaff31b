"""WGAN-GP as PGGAN uses it (Gulrajani et al. 2017; Karras et al. 2018, appendix A.1), as pure functions.

Losses are per image, float32 [N]; the caller averages them, so that replicas can divide by the whole batch.
"""

from collections.abc import Callable

import keras
import tensorflow as tf


def critic_loss(real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    """D(fake) - D(real) for score pairs [N, 1] (Gulrajani et al., equation 3, first terms)."""
    return tf.reshape(fake_scores - real_scores, [-1])


def generator_loss(fake_scores: tf.Tensor) -> tf.Tensor:
    """-D(fake)."""
    return tf.reshape(-fake_scores, [-1])


def gradient_penalty(critic: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, fake: tf.Tensor, mix: tf.Tensor,
                     weight: float = 10.0, target: float = 1.0) -> tf.Tensor:
    """weight / target^2 x (|grad D(mixed)| - target)^2 (equation 3, last term).

    Args:
      critic: pictures -> scores [N, 1].
      real, fake: pictures [N, H, W, C].
      mix: weights of the fake ones in the mixture, uniform in [0, 1], [N, 1, 1, 1].
    """
    mixed = real + (fake - real) * mix
    with tf.GradientTape() as tape:
        tape.watch(mixed)
        scores = tf.reduce_sum(critic(mixed))
    gradient = tf.cast(tape.gradient(scores, mixed), tf.float32)
    norm = tf.sqrt(tf.reduce_sum(tf.square(gradient), (1, 2, 3)))
    return tf.square(norm - target) * (weight / target**2)


def drift(real_scores: tf.Tensor, weight: float = 1e-3) -> tf.Tensor:
    """weight x D(real)^2 keeps the scores near zero (Karras et al., appendix A.1)."""
    return tf.reshape(tf.square(real_scores), [-1]) * weight


def update_average(average: keras.Model, model: keras.Model, decay: float) -> None:
    """average <- decay x average + (1 - decay) x model, variable by variable."""
    for ours, theirs in zip(average.variables, model.variables, strict=True):
        ours.assign(theirs + (ours - theirs) * decay)
