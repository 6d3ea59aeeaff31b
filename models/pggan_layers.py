"""Layers of PGGAN (Karras et al. 2018): equalised learning rate, fused scaling, pixel norm, batch statistics.

Weights are drawn from N(0, 1) and multiplied at run time by gain / sqrt(fan-in) (section 4.1 there), so that
Adam moves all of them at the same relative speed. Activations are [N, H, W, C].
"""

import math

import keras
import numpy as np
import tensorflow as tf

RELU_GAIN = math.sqrt(2.0)  # He et al. 2015
_EPSILON = 1e-8  # of pixel norm and of the deviation, as released
_PLACES = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]], np.float32)  # a row of 3 at its two places in 4


class _Equalized(keras.layers.Layer):
    """A kernel with its run-time factor, and a bias."""

    def _add_weights(self, kernel_shape: tuple[int, ...], fan_in: int, gain: float, bias: int) -> None:
        self.kernel = self.add_weight(name="kernel", shape=kernel_shape,
                                      initializer=keras.initializers.RandomNormal(0.0, 1.0))
        self.bias = self.add_weight(name="bias", shape=(bias,), initializer="zeros")
        self._factor = gain / math.sqrt(fan_in)  # He's constant, applied at run time

    def _scaled_kernel(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.kernel) * self._factor

    def _add_bias(self, x: tf.Tensor) -> tf.Tensor:
        return x + tf.convert_to_tensor(self.bias)


@keras.saving.register_keras_serializable(package="chest_gan")
class EqualizedDense(_Equalized):
    """[N, inputs] -> [N, units]."""

    def __init__(self, units: int, gain: float = RELU_GAIN, **kwargs):
        super().__init__(**kwargs)
        self.units, self.gain = units, gain

    def build(self, input_shape):
        self._add_weights((input_shape[-1], self.units), input_shape[-1], self.gain, self.units)
        self.built = True

    def call(self, x):
        return self._add_bias(tf.matmul(x, self._scaled_kernel()))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "gain": self.gain}


@keras.saving.register_keras_serializable(package="chest_gan")
class LatentToMaps(_Equalized):
    """The generator's first layer: [N, latent] -> [N, 4, 4, filters], one bias per map."""

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        latent = input_shape[-1]
        self._add_weights((latent, 16 * self.filters), latent, RELU_GAIN / 4, self.filters)  # / 4 as released
        self.built = True

    def call(self, x):
        x = tf.matmul(x, self._scaled_kernel())
        return self._add_bias(tf.reshape(x, (-1, 4, 4, self.filters)))  # a bias per map, not per unit

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 4, 4, self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="chest_gan")
class EqualizedConv2D(_Equalized):
    """Convolution with zero padding that keeps the size; square kernel of `kernel_size`."""

    def __init__(self, filters: int, kernel_size: int, gain: float = RELU_GAIN, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.gain = filters, kernel_size, gain

    def build(self, input_shape):
        side, channels = self.kernel_size, input_shape[-1]
        self._add_weights((side, side, channels, self.filters), side * side * channels, self.gain, self.filters)
        self.built = True

    def call(self, x):
        return self._add_bias(tf.nn.conv2d(x, self._scaled_kernel(), 1, "SAME"))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "kernel_size": self.kernel_size,
                "gain": self.gain}


@keras.saving.register_keras_serializable(package="chest_gan")
class UpscaleConv2D(_Equalized):
    """2x nearest-neighbour upscaling and 3x3 convolution.

    Fused: one transposed convolution of stride 2 whose 4x4 kernel is the sum of the four shifts of the 3x3
    one; the same function with 4/9 of the multiplications. The kernel is kept in the transposed form
    [3, 3, filters, inputs], mirrored against that of the plain convolution.
    """

    def __init__(self, filters: int, fused: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.fused = filters, fused

    def build(self, input_shape):
        channels = input_shape[-1]
        self._add_weights((3, 3, self.filters, channels), 9 * channels, RELU_GAIN, self.filters)  # in either form
        self.built = True

    def call(self, x):
        kernel = self._scaled_kernel()
        if not self.fused:
            plain = tf.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))  # [3, 3, inputs, filters]
            return self._add_bias(tf.nn.conv2d(upscale(x), plain, 1, "SAME"))
        shape = tf.shape(x)  # sides may be open
        output_shape = (shape[0], 2 * shape[1], 2 * shape[2], self.filters)
        x = tf.nn.conv2d_transpose(x, sum_of_shifts(kernel), output_shape, 2, "SAME")  # 4x4 kernel
        return self._add_bias(x)

    def compute_output_shape(self, input_shape):
        count, *sides, _ = input_shape
        return (count, *(None if side is None else 2 * side for side in sides), self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "fused": self.fused}


@keras.saving.register_keras_serializable(package="chest_gan")
class ConvDownscale2D(_Equalized):
    """3x3 convolution and 2x2 mean pooling, then the bias; fused into one 4x4 convolution of stride 2."""

    def __init__(self, filters: int, fused: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.fused = filters, fused

    def build(self, input_shape):
        channels = input_shape[-1]
        self._add_weights((3, 3, channels, self.filters), 9 * channels, RELU_GAIN, self.filters)
        self.built = True

    def call(self, x):
        kernel = self._scaled_kernel()
        if not self.fused:
            return self._add_bias(downscale(tf.nn.conv2d(x, kernel, 1, "SAME")))
        return self._add_bias(tf.nn.conv2d(x, sum_of_shifts(kernel) * 0.25, 2, "SAME"))  # the mean of 2x2 pixels

    def compute_output_shape(self, input_shape):
        count, *sides, _ = input_shape
        return (count, *(None if side is None else side // 2 for side in sides), self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "fused": self.fused}


def sum_of_shifts(kernel: tf.Tensor) -> tf.Tensor:
    """[3, 3, a, b] -> [4, 4, a, b]: the sum of the kernel at its four places in a 4x4 square.

    As one product of matrices, whose gradient is another; slices would each fill a picture with zeros.
    """
    places = np.kron(_PLACES, _PLACES)  # [16, 9]
    summed = tf.matmul(tf.constant(places, kernel.dtype), tf.reshape(kernel, (9, -1)))  # [16, 9] x [9, ab]
    return tf.reshape(summed, (4, 4, *kernel.shape[2:]))


def upscale(x: tf.Tensor) -> tf.Tensor:
    """[N, H, W, C] -> [N, 2H, 2W, C], each pixel repeated."""
    return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)


def downscale(x: tf.Tensor) -> tf.Tensor:
    """[N, H, W, C] -> [N, H/2, W/2, C], means of 2x2 boxes."""
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")


def leaky_relu(x: tf.Tensor) -> tf.Tensor:
    """Slope 0.2 below zero (appendix A.1)."""
    return tf.nn.leaky_relu(x, 0.2)


def pixel_norm(x: tf.Tensor) -> tf.Tensor:
    """x / sqrt(mean over channels of x^2 + 1e-8), computed in float32 (section 4.2)."""
    full = tf.cast(x, tf.float32)
    return tf.cast(full * tf.math.rsqrt(tf.reduce_mean(tf.square(full), -1, keepdims=True) + _EPSILON), x.dtype)


def minibatch_stddev(x: tf.Tensor, group_size: int) -> tf.Tensor:
    """Appends one map: the standard deviation over a group of images, averaged over maps and pixels (section 3).

    Groups are strided: with N images and M = N / G groups, group m holds images m, m + M, m + 2M, ...
    [N, H, W, C], N known -> [N, H, W, C + 1]. Raises ValueError if N is above G and no multiple of it.
    """
    count, height, width, channels = x.shape
    group = min(group_size, count)
    if count % group:
        raise ValueError(f"the batch must be a multiple of the group size {group}; received {count} images")
    # [G, M, H, W, C]: image i in group i mod M
    grouped = tf.reshape(tf.cast(x, tf.float32), (group, count // group, height, width, channels))
    centred = grouped - tf.reduce_mean(grouped, 0, keepdims=True)  # over the group
    deviation = tf.sqrt(tf.reduce_mean(tf.square(centred), 0) + _EPSILON)  # [M, H, W, C]
    statistic = tf.reduce_mean(deviation, (1, 2, 3))  # [N / G]
    # Image i gets the number of its group, i mod M, at every pixel.
    extra = tf.broadcast_to(tf.reshape(tf.tile(statistic, [group]), (count, 1, 1, 1)), (count, height, width, 1))
    return tf.concat([x, tf.cast(extra, x.dtype)], -1)
