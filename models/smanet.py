"""SMANet: a dilated ResNet, multi-scale attention, and a decoder of two levels (Bonechi et al. 2020).

Its code was never published. The reading here, where the paper leaves a choice:
  - X is the encoder's output through a 3x3 convolution. For each scale s, X is pooled to s x s bins; from them a
    3x3 and a 1x1 convolution make one map, enlarged to X and put through a sigmoid: the attention of scale s.
    It weighs a 1x1 convolution of X. The weighed maps and X are concatenated and fused.
  - each decoder level enlarges to the size of its skip connection, never by a fixed factor.
Enlarging is bilinear with half-pixel centres. Widths are for a stem of 64 maps and scale with it. With six
classes and three input channels it has 41,954,474 trainable parameters: 41,927,914, and the 26,560 biases that
keras.applications' ResNet-50 has ahead of its batch norms, kept so that its weight files load. With one input
channel they are 41,948,202.
"""

import keras
import tensorflow as tf

from models.cpu_conv import conv3x3
from models.resnet import DilatedResNet, batch_norm, imagenet_input
from models.segmenter import Segmenter

ATTENTIONS = ("multiscale", "psp", "none")
SCALES = (1, 2, 3, 6)  # bins per side, as PSPNet's


@keras.saving.register_keras_serializable(package="chest_gan")
class SameConv2D(keras.layers.Conv2D):
    """Keras' convolution of stride 1 without bias: [N, H, W, C] -> [N, H, W, filters]; 3x3 ones by `conv3x3`."""

    def __init__(self, filters: int, kernel_size: int, **kwargs):
        super().__init__(filters, kernel_size, padding="same", use_bias=False, **kwargs)

    def convolution_op(self, inputs, kernel):
        if self.kernel_size != (3, 3):
            return super().convolution_op(inputs, kernel)
        # SAME, at stride 1
        return conv3x3(tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]]), tf.convert_to_tensor(kernel))

    def get_config(self):
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in ("padding", "use_bias")}


@keras.saving.register_keras_serializable(package="chest_gan")
class ConvBlock(keras.layers.Layer):
    """Convolution without bias, batch norm, ReLU; keeps the size."""

    def __init__(self, filters: int, kernel_size: int, bn_momentum: float, synchronized_bn: bool, **kwargs):
        super().__init__(**kwargs)
        self.bn_momentum, self.synchronized_bn = bn_momentum, synchronized_bn
        self.conv = SameConv2D(filters, kernel_size, name="conv")
        self.norm = batch_norm(bn_momentum, synchronized_bn, "norm")

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build((None, None, None, self.conv.filters))
        self.built = True

    def call(self, x, training=False):
        return tf.nn.relu(self.norm(self.conv(x), training=training))  # no bias between: the norm has one

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.conv.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.conv.filters, "kernel_size": self.conv.kernel_size[0],
                "bn_momentum": self.bn_momentum, "synchronized_bn": self.synchronized_bn}


@keras.saving.register_keras_serializable(package="chest_gan")
class ScaleAttention(keras.layers.Layer):
    """One scale: [N, h, w, C] -> weighed values [N, h, w, V] and their attention map [N, h, w, 1] in (0, 1)."""

    def __init__(self, scale: int, values: int, bn_momentum: float, synchronized_bn: bool, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.bn_momentum, self.synchronized_bn = scale, bn_momentum, synchronized_bn
        self.pooled = ConvBlock(values, 3, bn_momentum, synchronized_bn, name="pooled")
        self.to_map = keras.layers.Conv2D(1, 1, name="to_map")
        self.values = ConvBlock(values, 1, bn_momentum, synchronized_bn, name="values")

    def build(self, input_shape):
        self.pooled.build(input_shape)
        self.to_map.build((None, None, None, self.pooled.conv.filters))
        self.values.build(input_shape)
        self.built = True

    def call(self, x, training=False):
        # [N, s, s, C] -> [N, s, s, V] -> [N, s, s, 1]
        score = self.to_map(self.pooled(adaptive_pool(x, self.scale), training=training))
        # [N, h, w, 1]: the sigmoid after enlarging
        attention = tf.sigmoid(tf.cast(enlarge_to(score, x), tf.float32))
        values = self.values(x, training=training)  # [N, h, w, V]
        return values * tf.cast(attention, values.dtype), attention

    def compute_output_shape(self, input_shape):
        return self.values.compute_output_shape(input_shape), (*input_shape[:-1], 1)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "values": self.values.conv.filters,
                "bn_momentum": self.bn_momentum, "synchronized_bn": self.synchronized_bn}


@keras.saving.register_keras_serializable(package="chest_gan")
class ScalePooling(keras.layers.Layer):
    """One scale of PSPNet's pyramid pooling: [N, h, w, C] -> [N, h, w, V]."""

    def __init__(self, scale: int, values: int, bn_momentum: float, synchronized_bn: bool, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.bn_momentum, self.synchronized_bn = scale, bn_momentum, synchronized_bn
        self.values = ConvBlock(values, 1, bn_momentum, synchronized_bn, name="values")

    def build(self, input_shape):
        self.values.build(input_shape)
        self.built = True

    def call(self, x, training=False):
        # [N, s, s, V] -> [N, h, w, V]
        return enlarge_to(self.values(adaptive_pool(x, self.scale), training=training), x)

    def compute_output_shape(self, input_shape):
        return self.values.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "values": self.values.conv.filters,
                "bn_momentum": self.bn_momentum, "synchronized_bn": self.synchronized_bn}


@keras.saving.register_keras_serializable(package="chest_gan")
class SMANet(Segmenter):
    """Films [N, H, W, C] in [-1, 1] -> logits float32 [N, H, W, num_classes]; see `Segmenter`.

    Args:
      num_classes: background included.
      depth: of the ResNet: 50 or 101; 14 or 26 for small presets.
      width: maps of its stem; every other width scales with it.
      attention: "multiscale" (SMANet), "psp" (PSPNet's pooling in the same place) or "none".
      pretrained_input: a grey film is repeated to three channels, and any given levels as ImageNet weights expect.
      dropout: before the decoder, in training.
      bn_momentum, synchronized_bn: of all batch norms.
      standardize: see `Segmenter`.
    """

    def __init__(self, num_classes: int, depth: int = 50, width: int = 64, attention: str = "multiscale",
                 pretrained_input: bool = False, dropout: float = 0.1, bn_momentum: float = 0.99,
                 synchronized_bn: bool = False, standardize: bool = False, **kwargs):
        super().__init__(num_classes, standardize, **kwargs)
        if attention not in ATTENTIONS:
            raise ValueError(f"attention must be one of {ATTENTIONS}; received {attention!r}")
        self.depth, self.width, self.attention = depth, width, attention
        self.pretrained_input, self.dropout_rate = pretrained_input, dropout
        self.bn_momentum, self.synchronized_bn = bn_momentum, synchronized_bn
        norm = {"bn_momentum": bn_momentum, "synchronized_bn": synchronized_bn}
        # Encoder, and X at stride 8.
        self.encoder = DilatedResNet(depth, width, name="encoder", **norm)
        self.reduce = ConvBlock(self._scaled(512), 3, name="reduce", **norm)
        # One branch for each scale, joined with X.
        kinds = {"multiscale": ScaleAttention, "psp": ScalePooling, "none": None}
        kind = kinds[attention]
        self.scales = [kind(scale, self._scaled(128), name=f"scale_{scale}", **norm)
                       for scale in SCALES if kind]
        self.fuse = ConvBlock(self._scaled(512), 3, name="fuse", **norm)
        self.dropout = keras.layers.Dropout(dropout)
        # Decoder: the skips of stage 1 and of the stem, each joined and refined.
        self.skips = [ConvBlock(self._scaled(maps), 1, name=f"skip_{maps}", **norm) for maps in (48, 32)]
        self.refine = [ConvBlock(self._scaled(maps), 3, name=f"refine_{maps}", **norm) for maps in (256, 128)]
        self.to_logits = keras.layers.Conv2D(num_classes, 1, name="to_logits")

    def build(self, input_shape):
        self.film_channels = input_shape[-1]
        self.encoder.build(_maps(3 if self.pretrained_input else self.film_channels))
        self.reduce.build(_maps(32 * self.width))  # of stage 4
        for scale in self.scales:
            scale.build(_maps(self._scaled(512)))
        # X and the scales' values
        self.fuse.build(_maps(self._scaled(512) + len(self.scales) * self._scaled(128)))
        self.dropout.build(_maps(self._scaled(512)))  # it has no weights, but `summary` asks for its shape
        below = self._scaled(512)  # maps of the level below
        # Skips: stage 1 has 4 x width maps, the stem width.
        for skip, refine, maps in zip(self.skips, self.refine, (4 * self.width, self.width), strict=True):
            skip.build(_maps(maps))
            refine.build(_maps(below + skip.conv.filters))
            below = refine.conv.filters
        self.to_logits.build(_maps(below))
        self.built = True

    def call(self, films, training=False):
        features = self.encoder(self.prepare(films), training=training)  # stage4: [N, H/8, W/8, 2048]
        x, _ = self._attend(self.reduce(features["stage4"], training=training), training)  # [N, H/8, W/8, 512]
        x = self.dropout(x, training=training)
        for skip, refine, name in zip(self.skips, self.refine, ("stage1", "stem"), strict=True):
            low = skip(features[name], training=training)  # [N, H/4, W/4, 48], then [N, H/2, W/2, 32]
            x = refine(tf.concat([enlarge_to(x, low), low], -1), training=training)  # [..., 256], then [..., 128]
        return tf.cast(enlarge_to(self.to_logits(x), films), tf.float32)  # [N, H, W, K]

    def attention_maps(self, films) -> dict[int, tf.Tensor]:
        """Scale -> attention [N, h, w, 1] in (0, 1) at stride 8; empty unless attention is "multiscale"."""
        x = self.reduce(self.encoder(self.prepare(films))["stage4"])
        return self._attend(x, False)[1]

    def _attend(self, x, training) -> tuple[tf.Tensor, dict[int, tf.Tensor]]:
        parts, maps = [], {}
        for scale in self.scales:
            part = scale(x, training=training)
            if self.attention == "multiscale":
                part, maps[scale.scale] = part  # a pair
            parts.append(part)
        # [N, h, w, 512 + 4 x 128] -> [N, h, w, 512]
        return self.fuse(tf.concat([*parts, x], -1), training=training), maps

    def prepare(self, films):
        films = super().prepare(films)
        return imagenet_input(films) if self.pretrained_input else films

    def _scaled(self, maps: int) -> int:
        """`maps` at a stem of 64, in proportion to this network's; at least 8."""
        return max(8, maps * self.width // 64)

    def get_config(self):
        return {**super().get_config(), "depth": self.depth, "width": self.width, "attention": self.attention,
                "pretrained_input": self.pretrained_input, "dropout": self.dropout_rate,
                "bn_momentum": self.bn_momentum, "synchronized_bn": self.synchronized_bn}


def _maps(channels: int) -> tuple[None, None, None, int]:
    return (None, None, None, channels)


def enlarge_to(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Bilinear resizing of [N, h, w, C] to the height and width of `like`."""
    # Half-pixel centres; XLA has no gradient of it in bfloat16.
    return tf.cast(tf.image.resize(tf.cast(x, tf.float32), tf.shape(like)[1:3]), x.dtype)


def adaptive_pool(x: tf.Tensor, bins: int) -> tf.Tensor:
    """[N, H, W, C] -> means over bins x bins cells; cell i spans floor(iH/bins) to ceil((i+1)H/bins)."""
    full = tf.cast(x, tf.float32)
    rows, columns = (_averaging_matrix(tf.shape(x)[axis], bins) for axis in (1, 2))  # [bins, H], [bins, W]
    # Two products of matrices, the cheaper order of them.
    return tf.cast(tf.einsum("ph,nhwc,qw->npqc", rows, full, columns, optimize="optimal"), x.dtype)


def _averaging_matrix(side: tf.Tensor, bins: int) -> tf.Tensor:
    """float32 [bins, side] whose rows average the cells."""
    cells = tf.range(bins)
    # -(-a // b): rounded up, so that cells may share a row
    start, end = cells * side // bins, -(-(cells + 1) * side // bins)
    places = tf.range(side)
    inside = (places[None] >= start[:, None]) & (places[None] < end[:, None])  # [bins, side]
    return tf.cast(inside, tf.float32) / tf.cast(end - start, tf.float32)[:, None]
