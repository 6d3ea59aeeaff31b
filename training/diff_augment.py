"""Differentiable augmentation of what a discriminator sees, for few real pictures (Zhao et al. 2020, section 3).

Real and generated pictures are moved and partly hidden alike, so that the discriminator cannot learn the few real
ones by heart and the generator does not learn to move anything: its gradient passes through the operations.
Brightness and contrast of that paper are left out, since label maps have none.
"""

import tensorflow as tf

from training.config import DIFF_AUGMENT

SHIFT = 1 / 8  # translation is uniform in whole pixels up to this share of the side, as there
HIDDEN = 1 / 2  # side of the square that cutout hides, as a share of the picture's


def diff_augment(images: tf.Tensor, policy: str, seed: tf.Tensor) -> tf.Tensor:
    """Pictures [N, H, W, C] in [-1, 1], each changed by a draw of its own that `seed` (int [2]) decides.

    Args:
      policy: "translation" (borders repeated), "cutout" (a square set to 0), "both" or "none".

    Raises ValueError for another policy.
    """
    if policy not in DIFF_AUGMENT:
        raise ValueError(f"policy must be one of {DIFF_AUGMENT}; received {policy!r}")
    draws = tf.random.stateless_uniform((4, tf.shape(images)[0]), seed)
    if policy in ("translation", "both"):
        images = _translate(images, draws[0], draws[1])
    if policy in ("cutout", "both"):
        images = _cut_out(images, draws[2], draws[3])
    return images


def _translate(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Moved by whole pixels; draws [N] in [0, 1)."""
    for axis, draw in ((1, down), (2, right)):
        side = tf.shape(images)[axis]
        most = tf.cast(tf.round(tf.cast(side, tf.float32) * SHIFT), tf.int32)
        shift = tf.cast(tf.floor(draw * tf.cast(2 * most + 1, tf.float32)), tf.int32) - most
        places = tf.clip_by_value(tf.range(side)[None] - shift[:, None], 0, side - 1)
        images = tf.gather(images, places, axis=axis, batch_dims=1)
    return images


def _cut_out(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """With a square hidden whose centre lies anywhere in the picture; draws [N] in [0, 1)."""
    hidden = [_near(tf.shape(images)[axis], draw) for axis, draw in ((1, down), (2, right))]
    square = hidden[0][:, :, None, None] & hidden[1][:, None, :, None]
    return tf.where(square, tf.zeros((), images.dtype), images)


def _near(side: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """bool [N, side]: the places within half of HIDDEN of a drawn centre."""
    length = tf.cast(side, tf.float32)
    first = tf.floor(draw * length - HIDDEN * length / 2)
    places = tf.cast(tf.range(side), tf.float32)[None]
    return (places >= first[:, None]) & (places < first[:, None] + tf.round(HIDDEN * length))
