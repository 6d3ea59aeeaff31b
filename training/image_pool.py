"""A history of generated pictures for the discriminators (Shrivastava et al. 2017, section 2.3)."""

from collections.abc import Sequence

import tensorflow as tf


class ImagePool(tf.Module):
    """Keeps `size` pictures and gives back, for each new one, either itself or an older one it replaces.

    While the pool fills, pictures are kept and given back. Then each picture is, with probability 1/2,
    exchanged for a random one of the pool. As released, what is pooled is the discriminators' whole input.
    The draws depend on (seed, step) alone, and the state is in `tf.Variable`s that checkpoints keep; with
    several replicas each has its own history, and a checkpoint that of the first.

    Args:
      size: pictures kept; 0 gives every picture back and keeps none.
      image_shape: height, width and channels.
    """

    def __init__(self, size: int, image_shape: Sequence[int], seed: int = 0):
        super().__init__()
        if size < 0:
            raise ValueError(f"size must be 0 or more; received {size}")
        self.size = size
        self.seed = seed
        shape = (size, *image_shape) if size else (0,)
        per_replica = {"trainable": False, "synchronization": tf.VariableSynchronization.ON_READ,
                       "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.images = tf.Variable(tf.zeros(shape), **per_replica)
        self.count = tf.Variable(0, **per_replica)  # pictures kept so far

    def query(self, images: tf.Tensor, step: tf.Tensor | int) -> tf.Tensor:
        """The pictures to show instead of `images` [N, H, W, C] (N known) at training step `step`."""
        if not self.size:
            return images
        images = tf.stop_gradient(tf.cast(images, tf.float32))
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.random.experimental.stateless_fold_in([self.seed, tf.cast(step, tf.int32)], replica)
        draws = tf.random.stateless_uniform((images.shape[0], 2), seed)
        pool, count = tf.identity(self.images), tf.identity(self.count)
        shown = []
        for image, draw in zip(tf.unstack(images), tf.unstack(draws), strict=True):
            filling = count < self.size
            slot = tf.where(filling, count, tf.cast(draw[1] * self.size, tf.int32))
            exchange = tf.logical_and(tf.logical_not(filling), draw[0] < 0.5)
            shown.append(tf.where(exchange, pool[slot], image))
            kept = tf.where(tf.logical_or(filling, exchange), image, pool[slot])
            pool = tf.tensor_scatter_nd_update(pool, [[slot]], [kept])
            count = tf.minimum(count + 1, self.size)
        self.images.assign(pool)
        self.count.assign(count)
        return tf.stack(shown)
