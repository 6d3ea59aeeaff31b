"""ResNet (He et al. 2016) as keras.applications has it, with dilation in place of the later strides.

The undilated form equals keras.applications.ResNet50/101 weight for weight: 7x7 stem, stride on the first 1x1
of a stage, biases, batch-norm epsilon 1.001e-5. Dilated (as in PSPNet, Zhao et al. 2017): stages 3 and 4 keep
the size and dilate their 3x3 convolutions by 2 and 4, so that the output stride is 8.
"""

from collections.abc import Mapping

import keras
import tensorflow as tf

from models.device_kernels import cpu_kernels
from models.gpu_norm import normalize

BLOCKS = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}  # by stage
FEATURES = ("stem", "stage1", "stage2", "stage3", "stage4")
_BN_EPSILON = 1.001e-5  # keras.applications' own, which its weights expect
GREY_LEVELS_PER_UNIT = 127.5  # [-1, 1] spans 255 of them
_MEANS_BGR = (103.939, 116.779, 123.68)  # grey levels: those of the ImageNet images


def imagenet_input(pictures: tf.Tensor) -> tf.Tensor:
    """Pictures [N, H, W, 1 or 3] (RGB) in [-1, 1] as weights of keras.applications expect them, [N, H, W, 3]: grey
    levels with the means of ImageNet taken off, blue first; a grey picture as three equal channels."""
    levels = (tf.cast(pictures, tf.float32) + 1.0) * GREY_LEVELS_PER_UNIT  # 0 ... 255
    levels = tf.repeat(levels, 3, axis=-1) if pictures.shape[-1] == 1 else levels[..., ::-1]
    return levels - tf.constant(_MEANS_BGR)


@keras.saving.register_keras_serializable(package="chest_gan")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation of [N, H, W, C] by the fused operation, which Keras 3 no longer uses.

    The same function, with statistics and weights in float32 under every policy; a segmenter's step takes a tenth
    less time by it on a CPU (docs/performance.md). In training on a GPU it is `models.gpu_norm`'s. Synchronized
    statistics are left to Keras.

    Takes and returns [N, H, W, C] in any floating-point format.
    """

    def __init__(self, **kwargs):
        # Inputs keep their format: the operation takes it beside float32 statistics.
        super().__init__(**{"dtype": "float32", **kwargs}, autocast=False)

    def call(self, inputs, training=None):
        training = bool(training) and self.trainable  # as Keras: a frozen layer keeps its statistics
        if self.synchronized and training:
            return tf.cast(super().call(inputs, training=training), inputs.dtype)
        if not training:
            return self.with_running(inputs)
        weights = (tf.convert_to_tensor(weight.value) for weight in (self.gamma, self.beta))
        if cpu_kernels():
            outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(  # mean, variance: [C]
                inputs, *weights, epsilon=self.epsilon, is_training=True)
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
            variance *= (count - 1) / count  # the operation's is that of a sample, Keras averages the plain one
        else:
            outputs, mean, variance = normalize(inputs, *weights, self.epsilon)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + value * (1 - self.momentum))
        return outputs

    def with_running(self, inputs: tf.Tensor, bias: tf.Tensor | float = 0.0) -> tf.Tensor:
        """`inputs` + `bias` by the running statistics, without ever making that sum."""
        mean = self.moving_mean.value - tf.cast(bias, tf.float32)  # a layer around this one may have cast the bias
        return tf.compat.v1.nn.fused_batch_norm(inputs, self.gamma.value, self.beta.value, mean,
                                                self.moving_variance.value, self.epsilon, is_training=False)[0]


def batch_norm(momentum: float, synchronized: bool, name: str, epsilon: float = 1e-3) -> BatchNormalization:
    """Batch normalisation; computed in float32 under mixed precision."""
    return BatchNormalization(momentum=momentum, epsilon=epsilon, synchronized=synchronized, name=name)


def convolve(conv: keras.layers.Conv2D, norm: BatchNormalization, x: tf.Tensor, training: bool) -> tf.Tensor:
    """`norm(conv(x))`; in inference conv's bias is taken from the running mean, not added to every pixel.

    TensorFlow joins a convolution, a norm and a ReLU into one operation where no bias stands between them.
    """
    if training:
        return norm(conv(x), training=True)
    kernel = tf.cast(conv.kernel.value, conv.compute_dtype)
    return norm.with_running(conv.convolution_op(tf.cast(x, kernel.dtype), kernel), conv.bias.value)


@keras.saving.register_keras_serializable(package="chest_gan")
class Bottleneck(keras.layers.Layer):
    """1x1, 3x3, 1x1 convolutions with batch norm, added to the input or to its 1x1 projection.

    Args:
      filters: of the first two; the last has four times as many.
      stride: of the first 1x1 and of the projection.
      dilation: of the 3x3.
      project: whether the shortcut is a convolution (first block of a stage).
    """

    def __init__(self, filters: int, stride: int, dilation: int, project: bool, bn_momentum: float,
                 synchronized_bn: bool, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.stride, self.dilation, self.project = filters, stride, dilation, project
        self.bn_momentum, self.synchronized_bn = bn_momentum, synchronized_bn

        def conv(number: int, maps: int, kernel: int, stride: int = 1, dilation: int = 1):
            return (keras.layers.Conv2D(maps, kernel, stride, "same" if kernel > 1 else "valid",
                                        dilation_rate=dilation, name=f"{number}_conv"),
                    batch_norm(bn_momentum, synchronized_bn, f"{number}_bn", _BN_EPSILON))

        # The stride on the first 1x1, as keras.applications has it; others have it on the 3x3.
        self.convs = [conv(1, filters, 1, stride), conv(2, filters, 3, 1, dilation), conv(3, 4 * filters, 1)]
        self.projection = conv(0, 4 * filters, 1, stride) if project else None

    @property
    def parts(self) -> dict[str, keras.layers.Layer]:
        """Layers by the names keras.applications gives them within a block: 1_conv, 1_bn, ..."""
        pairs = [*self.convs, self.projection] if self.projection else self.convs
        return {layer.name: layer for pair in pairs for layer in pair}

    def build(self, input_shape):
        shape = input_shape
        for layer, norm in self.convs:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            norm.build(shape)
        if self.projection:
            self.projection[0].build(input_shape)
            self.projection[1].build(shape)
        self.built = True

    def call(self, inputs, training=False):
        x = inputs
        for number, (conv, norm) in enumerate(self.convs):
            x = convolve(conv, norm, x, training)
            if number < 2:  # the third's comes after the sum
                x = tf.nn.relu(x)
        if self.projection:
            inputs = convolve(*self.projection, inputs, training)
        return tf.nn.relu(x + inputs)

    def compute_output_shape(self, input_shape):
        for conv, _ in self.convs:
            input_shape = conv.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "stride": self.stride, "dilation": self.dilation,
                "project": self.project, "bn_momentum": self.bn_momentum,
                "synchronized_bn": self.synchronized_bn}


@keras.saving.register_keras_serializable(package="chest_gan")
class DilatedResNet(keras.Model):
    """Pictures [N, H, W, C] -> features by name: stem (stride 2), stage1 (4), stage2, stage3, stage4 (8).

    Args:
      depth: 50 or 101 layers; 14 and 26 are the same blocks, fewer, for small presets.
      width: maps of the stem; stage k has width x 2^(k+1).
      dilated: False gives the strides 8, 16, 32 of the plain network.
      bn_momentum: decay of the batch-norm statistics.
      synchronized_bn: whether replicas share the statistics of a batch.
    """

    def __init__(self, depth: int = 50, width: int = 64, dilated: bool = True, bn_momentum: float = 0.99,
                 synchronized_bn: bool = False, **kwargs):
        super().__init__(**kwargs)
        if depth not in BLOCKS:
            raise ValueError(f"depth must be one of {tuple(BLOCKS)}; received {depth}")
        self.depth, self.width, self.dilated = depth, width, dilated
        self.bn_momentum, self.synchronized_bn = bn_momentum, synchronized_bn
        self.stem_conv = keras.layers.Conv2D(width, 7, 2, name="conv1_conv")
        self.stem_norm = batch_norm(bn_momentum, synchronized_bn, "conv1_bn", _BN_EPSILON)
        strides, dilations = ((1, 2, 1, 1), (1, 1, 2, 4)) if dilated else ((1, 2, 2, 2), (1, 1, 1, 1))  # by stage
        self.stages = [
            [Bottleneck(width * 2**stage, strides[stage] if block == 0 else 1, dilations[stage], block == 0,
                        # The stem is conv1.
                        bn_momentum, synchronized_bn, name=f"conv{stage + 2}_block{block + 1}")
             for block in range(count)] for stage, count in enumerate(BLOCKS[depth])]

    def build(self, input_shape):
        self.stem_conv.build(input_shape)
        shape = (None, None, None, self.width)
        self.stem_norm.build(shape)
        for block in (block for stage in self.stages for block in stage):
            block.build(shape)
            shape = (None, None, None, block.convs[-1][0].filters)
        self.built = True

    def call(self, inputs, training=False) -> dict[str, tf.Tensor]:
        x = tf.pad(inputs, ((0, 0), (3, 3), (3, 3), (0, 0)))  # SAME pads an even side by 2 and 3
        x = tf.nn.relu(convolve(self.stem_conv, self.stem_norm, x, training))  # [N, H/2, W/2, width], rounded up
        features = {"stem": x}
        # [N, H/4, W/4, width]; zeros around it, since after a ReLU they change no maximum.
        x = tf.nn.max_pool2d(tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), 3, 2, "VALID")
        for number, stage in enumerate(self.stages, 1):
            for block in stage:
                x = block(x, training=training)
            features[f"stage{number}"] = x  # [N, H/4, W/4, 4w], [N, H/8, W/8, 8w], then 16w and 32w
        return features

    def compute_output_shape(self, input_shape):
        count, *sides, _ = input_shape
        strides = (2, 4, 8, 8, 8) if self.dilated else (2, 4, 8, 16, 32)
        maps = [self.width, *(self.width * 2 ** (stage + 2) for stage in range(4))]
        # -(-a // b): rounded up
        return {name: (count, *(None if side is None else -(-side // stride) for side in sides), filters)
                for name, stride, filters in zip(FEATURES, strides, maps, strict=True)}

    def layers_by_name(self) -> Mapping[str, keras.layers.Layer]:
        """Every layer with weights under its name in keras.applications, e.g. conv2_block1_1_conv."""
        named = {"conv1_conv": self.stem_conv, "conv1_bn": self.stem_norm}
        for block in (block for stage in self.stages for block in stage):
            named.update({f"{block.name}_{part}": layer for part, layer in block.parts.items()})
        return named

    def get_config(self):
        return {**super().get_config(), "depth": self.depth, "width": self.width, "dilated": self.dilated,
                "bn_momentum": self.bn_momentum, "synchronized_bn": self.synchronized_bn}
