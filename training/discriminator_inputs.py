"""Differentiable augmentation of what a discriminator sees, for few real pictures (Zhao et al. 2020, section 3).

Real and generated pictures are moved and partly hidden alike, so that the discriminator cannot learn the few real
ones by heart and the generator does not learn to move anything: its gradient passes through the operations.
Brightness and contrast of that paper are left out, since label maps have none.
"""

from collections.abc import Sequence

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
    # [4, N]: down and right, for each operation
    draws = tf.random.stateless_uniform((4, tf.shape(images)[0]), seed)
    if policy in ("translation", "both"):
        images = _translate(images, draws[0], draws[1])
    if policy in ("cutout", "both"):
        images = _cut_out(images, draws[2], draws[3])
    return images


def diff_augment_ranges(policy: str) -> dict[str, dict[str, float]]:
    """The ranges that `policy` uses, for the record of a run: nothing for "none"."""
    used = {"shift": (SHIFT, "translation"), "hidden": (HIDDEN, "cutout")}
    found = {name: value for name, (value, operation) in used.items() if policy in (operation, "both")}
    return {"diff_augmentation": found} if found else {}


def _translate(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Moved by whole pixels; draws [N] in [0, 1)."""
    for axis, draw in ((1, down), (2, right)):
        side = tf.shape(images)[axis]
        most = tf.cast(tf.round(tf.cast(side, tf.float32) * SHIFT), tf.int32)  # pixels
        # Uniform in -most ... most.
        shift = tf.cast(tf.floor(draw * tf.cast(2 * most + 1, tf.float32)), tf.int32) - most
        images = _moved(images, shift, axis)
    return images


def _moved(images: tf.Tensor, shift: tf.Tensor, axis: int) -> tf.Tensor:
    """Each picture moved by its own number of pixels along an axis (1 or 2), borders repeated; shift int32 [N].

    The gradient that TensorFlow has of it adds up segments, which GPUs refuse where results must repeat.
    """
    side = tf.shape(images)[axis]
    shape = (-1, side, 1, 1) if axis == 1 else (-1, 1, side, 1)
    sources = tf.range(side)[None] - shift[:, None]  # [N, side]: where each line comes from
    targets = tf.range(side)[None] + shift[:, None]  # and where it goes

    def lines(pictures, places):  # clipping repeats the border
        return tf.gather(pictures, tf.clip_by_value(places, 0, side - 1), axis=axis, batch_dims=1)

    @tf.custom_gradient
    def move(pictures):
        return lines(pictures, sources), move_back

    @tf.custom_gradient
    def move_back(upstream):
        def only(those):
            return tf.where(tf.reshape(those, shape), upstream, tf.zeros((), upstream.dtype))

        inside = tf.reshape((targets >= 0) & (targets < side), shape)
        back = tf.where(inside, lines(upstream, targets), tf.zeros((), upstream.dtype))
        # The lines that repeat a border add to its gradient.
        for beyond, border in ((sources < 0, 0), (sources > side - 1, side - 1)):
            there = tf.reshape(tf.cast(tf.range(side) == border, upstream.dtype), shape)
            back += there * tf.reduce_sum(only(beyond), axis, keepdims=True)
        return back, move

    return move(images)


def _cut_out(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """With a square hidden whose centre lies anywhere in the picture; draws [N] in [0, 1)."""
    hidden = [_near(tf.shape(images)[axis], draw) for axis, draw in ((1, down), (2, right))]
    # [N, H, 1, 1] & [N, 1, W, 1] -> [N, H, W, 1]
    square = hidden[0][:, :, None, None] & hidden[1][:, None, :, None]
    return tf.where(square, tf.zeros((), images.dtype), images)


def _near(side: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """bool [N, side]: the places within half of HIDDEN of a drawn centre."""
    length = tf.cast(side, tf.float32)
    first = tf.floor(draw * length - HIDDEN * length / 2)  # may lie outside
    places = tf.cast(tf.range(side), tf.float32)[None]
    return (places >= first[:, None]) & (places < first[:, None] + tf.round(HIDDEN * length))


class ImagePool(tf.Module):
    """Keeps `size` pictures and gives back, for each new one, either itself or an older one it replaces.

    While the pool fills, pictures are kept and given back. Then each picture is, with probability 1/2,
    exchanged for a random one of the pool. As released, what is pooled is the discriminators' whole input.
    The draws depend on (seed, step) alone, and the state is in `tf.Variable`s that checkpoints keep; with
    several replicas each has its own history, and a checkpoint that of the first.

    Args:
      size: pictures kept; 0 gives every picture back and keeps none.
      image_shape: height, width and channels.
      seed: of all draws.

    Raises ValueError for a negative size.
    """

    def __init__(self, size: int, image_shape: Sequence[int], seed: int = 0):
        super().__init__()
        if size < 0:
            raise ValueError(f"size must be 0 or more; received {size}")
        self.size = size
        self.seed = seed
        shape = (size, *image_shape) if size else (0,)  # no pool: an empty variable
        per_replica = {"trainable": False, "synchronization": tf.VariableSynchronization.ON_READ,
                       "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.images = tf.Variable(tf.zeros(shape), **per_replica)
        self.count = tf.Variable(0, **per_replica)  # pictures kept so far

    def query(self, images: tf.Tensor, step: tf.Tensor | int) -> tf.Tensor:
        """The pictures to show instead of `images` [N, H, W, C] (N known) at training step `step`."""
        if not self.size:
            return images
        images = tf.stop_gradient(tf.cast(images, tf.float32))  # old fakes carry no gradient
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.random.experimental.stateless_fold_in([self.seed, tf.cast(step, tf.int32)], replica)
        draws = tf.random.stateless_uniform((images.shape[0], 2), seed)  # [N, 2]: whether, and for which
        pool, count = tf.identity(self.images), tf.identity(self.count)  # assigned once, below
        shown = []
        # One by one: a picture may be exchanged for an earlier one of its batch.
        for image, draw in zip(tf.unstack(images), tf.unstack(draws), strict=True):
            filling = count < self.size
            slot = tf.where(filling, count, tf.cast(draw[1] * self.size, tf.int32))  # the first free one, or any
            exchange = tf.logical_and(tf.logical_not(filling), draw[0] < 0.5)
            shown.append(tf.where(exchange, pool[slot], image))
            kept = tf.where(tf.logical_or(filling, exchange), image, pool[slot])  # the slot's new content
            pool = tf.tensor_scatter_nd_update(pool, [[slot]], [kept])
            count = tf.minimum(count + 1, self.size)
        self.images.assign(pool)
        self.count.assign(count)
        return tf.stack(shown)
