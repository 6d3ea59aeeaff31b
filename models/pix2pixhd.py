"""Pix2PixHD (Wang et al. 2018) as released: global generator, local enhancer, multi-scale discriminators.

Input of the generators: one-hot label maps [N, H, W, classes]. Output: float32 [N, H', W', channels] in
[-1, 1]. Sides need not be even, square or known beforehand; as in the released networks
  - a global generator puts out 2^n x ceil(H / 2^n), n = n_downsampling: the input size where 2^n divides it;
  - a local enhancer takes only sides with ceil(H/2) a multiple of 2^n, and puts out 2 x ceil(H/2).
`minimum_side` is the smallest side that the reflected borders allow. Discriminators take any picture whose
smallest scale keeps more than one pixel.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from models.pix2pixhd_layers import (
    ConvNormReLU,
    InstanceNorm,
    PaddedConv2D,
    ResidualBlock,
    build_chain,
    doubling_conv,
    mean_pool,
)

MAX_DISCRIMINATOR_MAPS = 512  # as released


@keras.saving.register_keras_serializable(package="chest_gan")
class OutputHead(keras.layers.Layer):
    """7x7 convolution with reflected borders, and tanh in float32: [N, H, W, C] -> [N, H, W, channels]."""

    def __init__(self, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.conv = PaddedConv2D(channels, 7, pad=3, reflect=True, dtype=self.dtype_policy)

    def build(self, input_shape):
        build_chain([self.conv], input_shape)
        self.built = True

    def call(self, inputs):
        return tf.nn.tanh(tf.cast(self.conv(inputs), tf.float32))  # float32: the losses', whatever the policy

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


@keras.saving.register_keras_serializable(package="chest_gan")
class GlobalFeatures(keras.layers.Layer):
    """The global generator without its last three layers: [N, H, W, C] -> [N, H', W', ngf].

    Args:
      ngf: maps of the first and last layers; they double with each of `n_downsampling` halvings.
      n_blocks: residual blocks at the smallest size.
      upsampling: as in `doubling_conv`.
    """

    def __init__(self, ngf: int, n_downsampling: int, n_blocks: int, upsampling: str = "transposed", **kwargs):
        super().__init__(**kwargs)
        self.ngf, self.n_downsampling, self.n_blocks, self.upsampling = ngf, n_downsampling, n_blocks, upsampling
        self.minimum_side = least_side(n_downsampling)
        maps = [ngf * 2**i for i in range(n_downsampling + 1)]  # ngf ... 2^n ngf
        policy = self.dtype_policy
        self.stem = ConvNormReLU(PaddedConv2D(ngf, 7, pad=3, reflect=True, dtype=policy))
        self.downs = [ConvNormReLU(PaddedConv2D(count, 3, 2, pad=1, dtype=policy)) for count in maps[1:]]  # halve
        self.blocks = [ResidualBlock(maps[-1], dtype=policy) for _ in range(n_blocks)]
        # Back down, without the widest.
        self.ups = [ConvNormReLU(doubling_conv(count, upsampling, dtype=policy)) for count in maps[-2::-1]]

    @property
    def chain(self) -> list[keras.layers.Layer]:
        """All layers in order."""
        return [self.stem, *self.downs, *self.blocks, *self.ups]

    def build(self, input_shape):
        build_chain(self.chain, input_shape)
        self.built = True

    def call(self, inputs):
        check_sides(inputs, self.minimum_side)
        x = inputs  # [N, H, W, C]
        for layer in self.chain:
            x = layer(x)  # ngf at H, 2 ngf at H/2, ..., 2^n ngf at H/2^n, and back
        return x

    def compute_output_shape(self, input_shape):
        for layer in self.chain:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        return {**super().get_config(), "ngf": self.ngf, "n_downsampling": self.n_downsampling,
                "n_blocks": self.n_blocks, "upsampling": self.upsampling}


@keras.saving.register_keras_serializable(package="chest_gan")
class GlobalGenerator(keras.Model):
    """The global generator: one-hot [N, H, W, K] -> float32 [N, H', W', output_channels] in [-1, 1].

    Args:
      output_channels: 1 for grey films and grey label maps, else a channel for each class.
      ngf: feature maps of the first layer.
      n_downsampling: stride-2 convolutions.
      n_blocks: residual blocks.
      upsampling: "transposed", as released, or "resize", which makes no checkerboards.
    """

    def __init__(self, output_channels: int = 1, ngf: int = 64, n_downsampling: int = 4, n_blocks: int = 9,
                 upsampling: str = "transposed", **kwargs):
        super().__init__(**kwargs)
        self.output_channels = output_channels
        self.ngf = ngf
        self.n_downsampling = n_downsampling
        self.n_blocks = n_blocks
        self.upsampling = upsampling
        self.features = GlobalFeatures(ngf, n_downsampling, n_blocks, upsampling, dtype=self.dtype_policy)
        self.head = OutputHead(output_channels, dtype=self.dtype_policy)

    @property
    def minimum_side(self) -> int:
        """Smallest height or width that the reflected borders allow: 17 with four downsamplings."""
        return self.features.minimum_side

    def build(self, input_shape):
        build_chain([self.features, self.head], input_shape)
        self.built = True

    def call(self, inputs):
        return self.head(self.features(inputs))

    def compute_output_shape(self, input_shape):
        return self.head.compute_output_shape(self.features.compute_output_shape(input_shape))

    def get_config(self):
        return {**super().get_config(), "output_channels": self.output_channels, "ngf": self.ngf,
                "n_downsampling": self.n_downsampling, "n_blocks": self.n_blocks, "upsampling": self.upsampling}


@keras.saving.register_keras_serializable(package="chest_gan")
class LocalEnhancer(keras.Model):
    """The global generator's features at half resolution, added to full-resolution ones and refined.

    Coarse to fine (section 3.1 of the paper): train a `GlobalGenerator` of 2 x ngf maps on halved pictures;
    `load_global` its weights and train with `global_generator.trainable = False`; then set it True again.

    Args:
      ngf: feature maps of the enhancer's first layer; the inner global generator has twice as many.
      n_local_blocks: residual blocks at half resolution, after the sum.
      The others as for `GlobalGenerator`.
    """

    def __init__(self, output_channels: int = 1, ngf: int = 32, n_downsampling: int = 4, n_blocks: int = 9,
                 n_local_blocks: int = 3, upsampling: str = "transposed", **kwargs):
        super().__init__(**kwargs)
        self.output_channels = output_channels
        self.ngf = ngf
        self.n_downsampling = n_downsampling
        self.n_blocks = n_blocks
        self.n_local_blocks = n_local_blocks
        self.upsampling = upsampling
        policy = self.dtype_policy
        self.global_generator = GlobalFeatures(2 * ngf, n_downsampling, n_blocks, upsampling, dtype=policy)
        self.stem = ConvNormReLU(PaddedConv2D(ngf, 7, pad=3, reflect=True, dtype=policy))
        self.down = ConvNormReLU(PaddedConv2D(2 * ngf, 3, 2, pad=1, dtype=policy))
        self.blocks = [ResidualBlock(2 * ngf, dtype=policy) for _ in range(n_local_blocks)]
        self.up = ConvNormReLU(doubling_conv(ngf, upsampling, dtype=policy))
        self.head = OutputHead(output_channels, dtype=policy)

    @property
    def minimum_side(self) -> int:
        """Smallest height or width: 63 with four downsamplings."""
        step = 2**self.n_downsampling
        half = -(-self.global_generator.minimum_side // step) * step  # rounded up to a multiple of 2^n
        return 2 * half - 1  # the smallest side whose half, rounded up, is that

    @property
    def enhancer_variables(self) -> list[keras.Variable]:
        """Trainable variables outside the inner global generator."""
        layers = [self.stem, self.down, *self.blocks, self.up, self.head]
        return [variable for layer in layers for variable in layer.trainable_variables]

    def load_global(self, generator: GlobalGenerator) -> None:
        # The output layer is not among them: the sum is of features.
        """Copies the weights of a global generator, trained at half resolution, but for its output layer.

        Raises ValueError if it has other sizes.
        """
        ours, theirs = self.global_generator.variables, generator.features.variables
        if [v.shape for v in ours] != [v.shape for v in theirs] or generator.upsampling != self.upsampling:
            raise ValueError(
                f"load_global expects a generator of ngf {2 * self.ngf}, n_downsampling {self.n_downsampling} and "
                f"n_blocks {self.n_blocks}, upsampling {self.upsampling}; received {generator.ngf}, "
                f"{generator.n_downsampling} and {generator.n_blocks}, {generator.upsampling}, or another number "
                "of input channels")
        self.global_generator.set_weights(generator.features.get_weights())

    def build(self, input_shape):
        self.global_generator.build((None, None, None, input_shape[-1]))
        build_chain([self.stem, self.down, *self.blocks, self.up, self.head], input_shape)
        self.built = True

    def call(self, inputs):
        check_sides(inputs, self.minimum_side)
        self._check_multiple(inputs)
        x = self.down(self.stem(inputs)) + self.global_generator(mean_pool(inputs))  # [N, H/2, W/2, 2 ngf]
        for block in self.blocks:
            x = block(x)
        return self.head(self.up(x))  # [N, H, W, channels]

    def compute_output_shape(self, input_shape):
        halved = self.down.compute_output_shape(self.stem.compute_output_shape(input_shape))
        return self.head.compute_output_shape(self.up.compute_output_shape(halved))

    def get_config(self):
        return {**super().get_config(), "output_channels": self.output_channels, "ngf": self.ngf,
                "n_downsampling": self.n_downsampling, "n_blocks": self.n_blocks,
                "n_local_blocks": self.n_local_blocks, "upsampling": self.upsampling}

    def _check_multiple(self, inputs):
        step = 2**self.n_downsampling
        if any(side is not None and -(-side // 2) % step for side in inputs.shape[1:3]):  # half, rounded up
            raise ValueError(f"half of each side, rounded up, must be a multiple of {step}; received inputs of "
                             f"shape {tuple(inputs.shape)}")


@keras.saving.register_keras_serializable(package="chest_gan")
class PatchDiscriminator(keras.layers.Layer):
    """4x4 convolutions padded by 2 on both sides; returns the features of every layer, score map last.

    Args:
      ndf: maps of the first layer, doubled by each further one up to 512.
      n_layers: stride-2 convolutions; one of stride 1 and the score map follow.
    """

    def __init__(self, ndf: int, n_layers: int, **kwargs):
        super().__init__(**kwargs)
        self.ndf, self.n_layers = ndf, n_layers
        maps = [min(ndf * 2**i, MAX_DISCRIMINATOR_MAPS) for i in range(n_layers + 1)]
        layers = [*((count, 2) for count in maps[:-1]), (maps[-1], 1), (1, 1)]  # maps, stride
        policy = self.dtype_policy
        self.convs = [PaddedConv2D(count, 4, stride, pad=2, dtype=policy) for count, stride in layers]
        self.norms = [InstanceNorm(dtype=policy) for _ in range(n_layers)]  # none after the first and last conv

    def build(self, input_shape):
        build_chain(self.convs, input_shape)
        for conv, norm in zip(self.convs[1:-1], self.norms, strict=True):
            norm.build((None, None, None, conv.filters))
        self.built = True

    def call(self, inputs) -> list[tf.Tensor]:
        x = tf.nn.leaky_relu(self.convs[0](inputs), 0.2)  # [N, H/2 + 1, W/2 + 1, ndf]
        features = [x]
        for conv, norm in zip(self.convs[1:-1], self.norms, strict=True):
            x = tf.nn.leaky_relu(norm(conv(x)), 0.2)  # halves; the last one keeps the size, + 1
            features.append(x)
        features.append(self.convs[-1](x))  # raw: least squares take no sigmoid
        return [tf.cast(feature, tf.float32) for feature in features]

    def compute_output_shape(self, input_shape):
        shapes = []
        for conv in self.convs:
            input_shape = conv.compute_output_shape(input_shape)
            shapes.append(input_shape)
        return shapes

    def get_config(self):
        return {**super().get_config(), "ndf": self.ndf, "n_layers": self.n_layers}


@keras.saving.register_keras_serializable(package="chest_gan")
class MultiscaleDiscriminator(keras.Model):
    """Discriminators of one form on the picture and its successive halvings.

    `call` takes the one-hot condition and the image concatenated [N, H, W, C], and returns for each scale,
    full size first, the float32 features of its layers; the last is the score map.

    Args:
      ndf: feature maps of each discriminator's first layer.
      n_layers: its stride-2 convolutions.
      num_D: number of scales (3 in the paper, 2 as released).
    """

    def __init__(self, ndf: int = 64, n_layers: int = 3, num_D: int = 2, **kwargs):  # noqa: N803
        super().__init__(**kwargs)
        self.ndf = ndf
        self.n_layers = n_layers
        self.num_D = num_D
        self.discriminators = [PatchDiscriminator(ndf, n_layers, dtype=self.dtype_policy) for _ in range(num_D)]

    @property
    def minimum_side(self) -> int:
        """Smallest side for which instance norm has more than one pixel at every scale."""
        return least_judged_side(self.num_D)

    def build(self, input_shape):
        for discriminator in self.discriminators:
            discriminator.build((None, None, None, input_shape[-1]))
        self.built = True

    def call(self, inputs) -> list[list[tf.Tensor]]:
        check_sides(inputs, self.minimum_side)
        results = [self.discriminators[0](inputs)]
        for discriminator in self.discriminators[1:]:
            inputs = mean_pool(inputs)  # [N, H/2, W/2, C], rounded up
            results.append(discriminator(inputs))
        return results

    def compute_output_shape(self, input_shape):
        shapes = []
        for discriminator in self.discriminators:
            shapes.append(discriminator.compute_output_shape(input_shape))
            count, *sides, maps = input_shape
            # As `mean_pool`.
            input_shape = (count, *(None if side is None else -(-side // 2) for side in sides), maps)
        return shapes

    def get_config(self):
        return {**super().get_config(), "ndf": self.ndf, "n_layers": self.n_layers, "num_D": self.num_D}


def least_side(n_downsampling: int) -> int:
    """Smallest height or width that a global generator takes."""
    # 4 for the stem's reflected 3 pixels; 2^n + 1 leaves 2, for a reflected 1, at the smallest size.
    return max(4, 2**n_downsampling + 1)


def least_judged_side(num_D: int) -> int:  # noqa: N803
    """Smallest height or width that so many discriminators take."""
    return 2 ** (num_D - 1) + 1  # ceil(side / 2^(num_D - 1)) >= 2


def check_sides(inputs: tf.Tensor, minimum: int) -> None:
    """Raises ValueError if a known side of [N, H, W, C] is below `minimum`."""
    sides: Sequence[int | None] = inputs.shape[1:3]
    if any(side is not None and side < minimum for side in sides):
        raise ValueError(f"height and width must be at least {minimum}; received inputs of shape "
                         f"{tuple(inputs.shape)}")
