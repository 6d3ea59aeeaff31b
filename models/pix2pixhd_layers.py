"""Building blocks of Pix2PixHD (Wang et al. 2018) with the paddings of the released networks, channels last.

None of them is what Keras computes under `padding="same"`: reflected borders, zeros on both sides of
strided kernels, transposed convolutions that drop their first row and column, and means that leave the
padding out of their count. Every function and layer takes and returns [N, H, W, C] and works for unknown sides.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from models.cpu_conv import conv3x3
from models.device_kernels import cpu_kernels
from models.pggan_layers import sum_of_shifts

INIT_STDDEV = 0.02  # of every kernel: Wang et al. 2018, as released; biases start at 0
NORM_EPSILON = 1e-5  # PyTorch's default, as released; Keras has 1e-3
UPSAMPLING = ("transposed", "resize")


@keras.saving.register_keras_serializable(package="chest_gan")
class PaddedConv2D(keras.layers.Conv2D):
    """Convolution after padding both sides of height and width alike.

    Args:
      pad: rows and columns added on each side.
      reflect: mirror the picture about its border pixels (`pad` must be smaller than each side), else zeros.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, pad: int = 0, reflect: bool = False,
                 **kwargs):
        kwargs.setdefault("kernel_initializer", normal_initializer())  # a saved layer brings its own
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.pad = pad
        self.reflect = reflect

    def convolution_op(self, inputs, kernel):
        pads = [[0, 0], [self.pad, self.pad], [self.pad, self.pad], [0, 0]]
        # Padded first: on a CPU, bfloat16 gradients of explicit padding take 10 to 30 times as long.
        padded = tf.pad(inputs, pads, "REFLECT" if self.reflect else "CONSTANT")
        if self.kernel_size == (3, 3) and self.strides == (1, 1):
            return conv3x3(padded, tf.convert_to_tensor(kernel))
        return tf.nn.conv2d(padded, kernel, self.strides, "VALID")

    def compute_output_shape(self, input_shape):
        count, *sides, _ = input_shape
        sides = [None if side is None else (side + 2 * self.pad - size) // stride + 1
                 for side, size, stride in zip(sides, self.kernel_size, self.strides, strict=True)]
        return (count, *sides, self.filters)

    def get_config(self):
        return {**super().get_config(), "pad": self.pad, "reflect": self.reflect}


@keras.saving.register_keras_serializable(package="chest_gan")
class DoublingConv2DTranspose(keras.layers.Conv2DTranspose):
    """3x3 transposed convolution of stride 2 that exactly doubles height and width.

    Padding 1 and output padding 1 of the released network: of the 2n + 1 rows that n rows reach, the first
    is dropped.
    """

    def __init__(self, filters: int, **kwargs):
        kwargs.setdefault("kernel_initializer", normal_initializer())
        super().__init__(filters, 3, 2, **kwargs)

    def call(self, inputs):
        count, height, width, _ = tf.unstack(tf.shape(inputs))
        outputs = tf.nn.conv2d_transpose(inputs, self.kernel, (count, 2 * height + 1, 2 * width + 1, self.filters),
                                         strides=2, padding="VALID")
        # [1:2n+1]; SAME would drop the last of each
        kept = tf.slice(outputs, (0, 1, 1, 0), (count, 2 * height, 2 * width, self.filters))
        return tf.nn.bias_add(kept, self.bias)  # after the cut: fewer pixels

    def compute_output_shape(self, input_shape):
        count, *sides, _ = input_shape
        return (count, *(None if side is None else 2 * side for side in sides), self.filters)

    def get_config(self):
        config = super().get_config()
        # Those `__init__` sets.
        return {name: value for name, value in config.items() if name not in ("kernel_size", "strides")}


@keras.saving.register_keras_serializable(package="chest_gan")
class ResizeConv2D(DoublingConv2DTranspose):
    """Nearest-neighbour doubling of height and width and a 3x3 convolution: no pixel is reached by more of the
    kernel than its neighbours, which is where checkerboards come from (Odena et al. 2016, "Deconvolution and
    checkerboard artifacts"). Not in the released network.

    One transposed convolution with the kernel's shifts summed is the same function, as in `pggan_layers`.
    """

    def call(self, inputs):
        count, height, width, _ = tf.unstack(tf.shape(inputs))
        made = tf.nn.conv2d_transpose(inputs, sum_of_shifts(tf.convert_to_tensor(self.kernel)),
                                      (count, 2 * height, 2 * width, self.filters), 2, "SAME")
        return tf.nn.bias_add(made, self.bias)


def doubling_conv(filters: int, upsampling: str, **kwargs) -> DoublingConv2DTranspose:
    """The convolution that doubles height and width: "transposed", as released, or "resize".

    Raises ValueError for another word.
    """
    if upsampling not in UPSAMPLING:
        raise ValueError(f"upsampling must be one of {', '.join(UPSAMPLING)}; received {upsampling!r}")
    return (ResizeConv2D if upsampling == "resize" else DoublingConv2DTranspose)(filters, **kwargs)


@keras.saving.register_keras_serializable(package="chest_gan")
class ResidualBlock(keras.layers.Layer):
    """x + norm(conv(relu(norm(conv(x))))), 3x3 with reflected borders; no activation after the sum."""

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.filters = filters
        # [N, H, W, filters]
        self.convs = [PaddedConv2D(filters, 3, pad=1, reflect=True, dtype=policy) for _ in range(2)]
        self.norms = [InstanceNorm(dtype=policy) for _ in range(2)]

    def build(self, input_shape):
        build_chain(self.convs + self.norms, input_shape)
        self.built = True

    def call(self, inputs):
        x = tf.nn.relu(self.norms[0](self.convs[0](inputs)))
        return inputs + self.norms[1](self.convs[1](x))  # no ReLU here, as released

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="chest_gan")
class ConvNormReLU(keras.layers.Layer):
    """A convolution, instance norm and ReLU."""

    def __init__(self, conv: keras.layers.Layer, **kwargs):
        super().__init__(**{"dtype": conv.dtype_policy, **kwargs})
        self.conv = conv
        self.norm = InstanceNorm(dtype=conv.dtype_policy)

    def build(self, input_shape):
        build_chain([self.conv, self.norm], input_shape)
        self.built = True

    def call(self, inputs):
        return tf.nn.relu(self.norm(self.conv(inputs)))

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "conv": keras.saving.serialize_keras_object(self.conv)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "conv": keras.saving.deserialize_keras_object(config["conv"])})


@keras.saving.register_keras_serializable(package="chest_gan")
class InstanceNorm(keras.layers.Layer):
    """Each map of each image to mean 0 and variance 1 over its pixels; no weights.

    Batch normalisation of one image is just that, and on a CPU its fused operation takes half the time of the
    arithmetic written out, forward and backward. Statistics are float32 whatever the policy.
    """

    def call(self, inputs):
        if not cpu_kernels():  # there all images at once, and XLA fuses the arithmetic
            full = tf.cast(inputs, tf.float32)
            mean, variance = tf.nn.moments(full, (1, 2), keepdims=True)  # [N, 1, 1, C] each
            return tf.cast((full - mean) * tf.math.rsqrt(variance + NORM_EPSILON), inputs.dtype)
        count = inputs.shape[0]
        if count is not None:
            # N known: an image at a time, without the transpositions below.
            return tf.concat([_normalized(image) for image in tf.split(inputs, count)], 0)
        # N unknown: the images become further maps of one, [1, H, W, N C], as each map has statistics of its own.
        count, height, width, maps = tf.unstack(tf.shape(inputs))
        side_by_side = tf.reshape(tf.transpose(inputs, (1, 2, 0, 3)), (1, height, width, count * maps))
        normalized = tf.reshape(_normalized(side_by_side), (height, width, count, maps))
        return tf.ensure_shape(tf.transpose(normalized, (2, 0, 1, 3)), inputs.shape)  # [N, H, W, C]

    def compute_output_shape(self, input_shape):
        return input_shape


def _normalized(image: tf.Tensor) -> tf.Tensor:
    """[1, H, W, C] with mean 0 and variance 1 over each map."""
    scale = tf.ones(tf.shape(image)[-1:])  # float32 [C]
    # Is_training: this image's own statistics.
    return tf.raw_ops.FusedBatchNormV3(x=image, scale=scale, offset=tf.zeros_like(scale), mean=[], variance=[],
                                       epsilon=NORM_EPSILON, is_training=True).y


def normal_initializer() -> keras.initializers.Initializer:
    """A fresh N(0, 0.02) initializer: a shared one would repeat its draw in every layer."""
    return keras.initializers.RandomNormal(stddev=INIT_STDDEV)


def mean_pool(images: tf.Tensor) -> tf.Tensor:
    """Halves [N, H, W, C] to ceil(H/2) x ceil(W/2): means over 3x3 pixels, stride 2, padded by 1.

    Padding is not counted: a corner is the mean of four pixels.
    """
    pads = [[0, 0], [1, 1], [1, 1], [0, 0]]
    sums = tf.nn.avg_pool2d(tf.pad(images, pads), 3, 2, "VALID")  # a ninth of the sums, padding as 0
    # The share of each 3x3 that lies inside: one map of one image tells it.
    counts = tf.nn.avg_pool2d(tf.pad(tf.ones_like(images[:1, :, :, :1]), pads), 3, 2, "VALID")
    return sums / counts


def build_chain(layers: Sequence[keras.layers.Layer], input_shape: Sequence[int | None]) -> tuple:
    """Builds each layer on the output shape of the one before, with unknown sides; returns the last shape."""
    shape = (None, None, None, input_shape[-1])
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape
