"""PGGAN's growing generator and discriminator (Karras et al. 2018), as their authors released them.

A level is the log2 of a resolution: 2 is 4x4. Both networks hold the blocks of every level from the start;
`level` says how far they are grown, and `fade` how much the newest block counts (section 2 and figure 2 there).
"""

import math

import keras
import tensorflow as tf

from models.pggan_layers import (
    ConvDownscale2D,
    EqualizedConv2D,
    EqualizedDense,
    LatentToMaps,
    UpscaleConv2D,
    downscale,
    leaky_relu,
    minibatch_stddev,
    pixel_norm,
    upscale,
)

FIRST_LEVEL = 2  # 4x4
STDDEV_GROUP = 4  # images whose standard deviation the discriminator sees together (section 3 there)


def feature_maps(level: int, fmap_base: int, fmap_max: int) -> int:
    """Maps of the block at `level`, min(fmap_base / 2^(level - 1), fmap_max) (table 2 there).

    Level 1 stands for the dense layer of the discriminator.
    """
    return min(fmap_base // 2 ** (level - 1), fmap_max)


@keras.saving.register_keras_serializable(package="chest_gan")
class GeneratorBlock(keras.layers.Layer):
    """[N, H, W, C] -> [N, 2H, 2W, filters]: upscale and 3x3 conv, then 3x3 conv."""

    def __init__(self, filters: int, fused: bool, **kwargs):
        super().__init__(**kwargs)
        self.up = UpscaleConv2D(filters, fused, name="up")
        self.conv = EqualizedConv2D(filters, 3, name="conv")

    def build(self, input_shape):
        self.up.build(input_shape)
        self.conv.build((None, None, None, self.up.filters))
        self.built = True

    def call(self, x):
        x = pixel_norm(leaky_relu(self.up(x)))  # [N, 2H, 2W, filters]
        return pixel_norm(leaky_relu(self.conv(x)))

    def compute_output_shape(self, input_shape):
        return self.up.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "filters": self.up.filters, "fused": self.up.fused}


@keras.saving.register_keras_serializable(package="chest_gan")
class DiscriminatorBlock(keras.layers.Layer):
    """[N, H, W, C] -> [N, H/2, W/2, filters]: 3x3 conv, then 3x3 conv and downscale; bias after pooling."""

    def __init__(self, filters: int, fused: bool, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.fused = filters, fused

    def build(self, input_shape):
        self.conv = EqualizedConv2D(input_shape[-1], 3, name="conv")  # keeps its input's number of maps
        self.down = ConvDownscale2D(self.filters, self.fused, name="down")
        self.conv.build(input_shape)
        self.down.build(input_shape)
        self.built = True

    def call(self, x):
        return leaky_relu(self.down(leaky_relu(self.conv(x))))  # [N, H, W, C], then [N, H/2, W/2, filters]

    def compute_output_shape(self, input_shape):
        return self.down.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "fused": self.fused}


class _Growing(keras.Model):
    """What both networks share: their levels and the sizes of their blocks."""

    def __init__(self, resolution: int, channels: int, fmap_base: int, fmap_max: int, fused: bool, **kwargs):
        super().__init__(autocast=False, **kwargs)  # the layers cast; `fade` must keep its float32
        if resolution < 4 or resolution & (resolution - 1):
            raise ValueError(f"resolution must be a power of two of at least 4; received {resolution}")
        self.resolution, self.channels = resolution, channels
        self.fmap_base, self.fmap_max, self.fused = fmap_base, fmap_max, fused
        self.last_level = int(math.log2(resolution))

    @property
    def levels(self) -> range:
        """All levels, 2 (4x4) to log2(resolution)."""
        return range(FIRST_LEVEL, self.last_level + 1)

    def _maps(self, level: int) -> int:
        return feature_maps(level, self.fmap_base, self.fmap_max)

    def _check_level(self, level: int | None) -> int:
        level = self.last_level if level is None else level
        if level not in self.levels:
            raise ValueError(f"level must be in {FIRST_LEVEL}..{self.last_level}; received {level}")
        return level

    def get_config(self):
        return {**super().get_config(), "resolution": self.resolution, "channels": self.channels,
                "fmap_base": self.fmap_base, "fmap_max": self.fmap_max, "fused": self.fused}


@keras.saving.register_keras_serializable(package="chest_gan")
class Generator(_Growing):
    """Latents [N, latent_size] -> pictures float32 [N, 2^level, 2^level, channels], about [-1, 1].

    Args:
      resolution: side of the full-grown pictures, a power of two.
      channels: of the pictures.
      fmap_base, fmap_max: maps of a block are min(fmap_base / 2^(level-1), fmap_max); the paper of the
        three-stage method has fmap_max 64.
      latent_size: fmap_max if None.
      fused: upscale and convolve in one operation.
    """

    def __init__(self, resolution: int, channels: int = 1, fmap_base: int = 8192, fmap_max: int = 64,
                 latent_size: int | None = None, fused: bool = True, **kwargs):
        super().__init__(resolution, channels, fmap_base, fmap_max, fused, **kwargs)
        self.latent_size = fmap_max if latent_size is None else latent_size
        self.latent_to_maps = LatentToMaps(self._maps(FIRST_LEVEL), name="latent_to_maps")
        self.first_conv = EqualizedConv2D(self._maps(FIRST_LEVEL), 3, name="first_conv")
        self.blocks = [GeneratorBlock(self._maps(level), fused, name=f"block_{2**level}")
                       for level in self.levels[1:]]
        self.to_image = [EqualizedConv2D(channels, 1, gain=1.0, name=f"to_image_{2**level}")
                         for level in self.levels]

    def build(self, input_shape):
        self.latent_to_maps.build((None, self.latent_size))
        self.first_conv.build((None, 4, 4, self._maps(FIRST_LEVEL)))
        for block, level in zip(self.blocks, self.levels[1:], strict=True):
            block.build((None, 2 ** (level - 1), 2 ** (level - 1), self._maps(level - 1)))
        for to_image, level in zip(self.to_image, self.levels, strict=True):
            to_image.build((None, 2**level, 2**level, self._maps(level)))
        self.built = True

    def call(self, latents, level: int | None = None, fade: float | tf.Tensor = 1.0):
        """`level` is a Python int (None: full-grown); `fade` in [0, 1] may be a scalar tensor."""
        level = self._check_level(level)
        x = leaky_relu(self.latent_to_maps(pixel_norm(latents)))  # [N, 4, 4, maps]
        x = pixel_norm(leaky_relu(self.first_conv(pixel_norm(x))))
        coarse = x  # what the level before shows
        for block in self.blocks[:level - FIRST_LEVEL]:
            coarse, x = x, block(x)
        image = tf.cast(self.to_image[level - FIRST_LEVEL](x), tf.float32)  # [N, 2^level, 2^level, channels]
        # A Python 1.0 leaves the old branch out of the graph; a tensor, whose value may change, keeps it.
        if level == FIRST_LEVEL or (isinstance(fade, float) and fade == 1.0):
            return image
        old = upscale(tf.cast(self.to_image[level - FIRST_LEVEL - 1](coarse), tf.float32))
        return old + (image - old) * fade  # figure 2 there

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.resolution, self.resolution, self.channels)

    def get_config(self):
        return {**super().get_config(), "latent_size": self.latent_size}


@keras.saving.register_keras_serializable(package="chest_gan")
class Discriminator(_Growing):
    """Pictures [N, 2^level, 2^level, channels] -> scores float32 [N, 1], higher for real.

    Args:
      group_size: images per group of the minibatch standard deviation; N must be a multiple of it, or less.
      The others as for `Generator`.
    """

    def __init__(self, resolution: int, channels: int = 1, fmap_base: int = 8192, fmap_max: int = 64,
                 group_size: int = STDDEV_GROUP, fused: bool = True, **kwargs):
        super().__init__(resolution, channels, fmap_base, fmap_max, fused, **kwargs)
        self.group_size = group_size
        self.from_image = [EqualizedConv2D(self._maps(level), 1, name=f"from_image_{2**level}")
                           for level in self.levels]
        self.blocks = [DiscriminatorBlock(self._maps(level - 1), fused, name=f"block_{2**level}")
                       for level in self.levels[1:]]
        self.last_conv = EqualizedConv2D(self._maps(FIRST_LEVEL), 3, name="last_conv")
        self.dense = EqualizedDense(self._maps(FIRST_LEVEL - 1), name="dense")
        self.to_score = EqualizedDense(1, gain=1.0, name="to_score")

    def build(self, input_shape):
        for from_image, level in zip(self.from_image, self.levels, strict=True):
            from_image.build((None, 2**level, 2**level, self.channels))
        for block, level in zip(self.blocks, self.levels[1:], strict=True):
            block.build((None, 2**level, 2**level, self._maps(level)))
        maps = self._maps(FIRST_LEVEL)
        self.last_conv.build((None, 4, 4, maps + 1))  # + 1: the minibatch statistic
        self.dense.build((None, 16 * maps))  # 4 x 4 places
        self.to_score.build((None, self.dense.units))
        self.built = True

    def call(self, images, level: int | None = None, fade: float | tf.Tensor = 1.0):
        """`level` is a Python int (None: full-grown); `fade` in [0, 1] may be a scalar tensor."""
        level = self._check_level(level)
        index = level - FIRST_LEVEL
        if images.shape[1] not in (None, 2**level):
            raise ValueError(f"level {level} takes pictures of side {2**level}; received {tuple(images.shape)}")
        x = leaky_relu(self.from_image[index](images))  # [N, 2^level, 2^level, maps]
        for depth in range(index, 0, -1):  # finest block first
            x = self.blocks[depth - 1](x)  # [N, H/2, W/2, maps]
            if depth == index and not (isinstance(fade, float) and fade == 1.0):
                old = leaky_relu(self.from_image[index - 1](downscale(images)))  # the level before's way in
                x = old + (x - old) * tf.cast(fade, x.dtype)
        x = leaky_relu(self.last_conv(minibatch_stddev(x, self.group_size)))  # [N, 4, 4, maps]
        x = leaky_relu(self.dense(tf.reshape(x, (x.shape[0], -1))))  # [N, maps]; N is known, as above it must be
        return tf.cast(self.to_score(x), tf.float32)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def get_config(self):
        return {**super().get_config(), "group_size": self.group_size}
