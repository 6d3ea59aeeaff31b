"""A plain U-Net (Ronneberger et al. 2015): what is learnt on the way down is handed across on the way up.

As there: two 3x3 convolutions and ReLUs on each level, 2x2 max pooling, 2x2 transposed convolutions of stride 2,
concatenation, a 1x1 convolution at the end. As in nnU-Net (Isensee et al. 2021): convolutions keep the size, a
norm follows each (batch normalisation, as SMANet has), maps double from level to level up to 512, and films are
halved as often as four pixels remain. Sides that are no multiple of that are halved rounding up, and what is
enlarged is cut to the size of its level; no film is padded or resized.

With four classes, one channel and the defaults it has 46,248,196 trainable parameters, SMANet 41,947,944; in the
preset `cpu` (16 maps, four halvings) 1,942,340, SMANet 1,659,600: `width` means the same for both.
"""

import keras
import tensorflow as tf

from models.segmenter import Segmenter
from models.smanet import ConvBlock

_MOST_MAPS = 512
_MOST_LEVELS = 6
_FEWEST_PIXELS = 4  # along a side of the lowest level


def halvings(side: int) -> int:
    """How often films of `side` pixels are halved, as nnU-Net chooses: as often as four pixels remain, but once at
    least and _MOST_LEVELS times at most."""
    return next(count for count in range(_MOST_LEVELS, -1, -1) if count <= 1 or side >> count >= _FEWEST_PIXELS)


@keras.saving.register_keras_serializable(package="chest_gan")
class TwoConvBlocks(keras.layers.Layer):
    """A level: [N, h, w, C] -> [N, h, w, filters] by 3x3 convolutions with norm and ReLU."""

    def __init__(self, filters: int, bn_momentum: float, synchronized_bn: bool, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.bn_momentum, self.synchronized_bn = filters, bn_momentum, synchronized_bn
        self.first = ConvBlock(filters, 3, bn_momentum, synchronized_bn, name="first")
        self.second = ConvBlock(filters, 3, bn_momentum, synchronized_bn, name="second")

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(self.compute_output_shape(input_shape))
        self.built = True

    def call(self, x, training=False):
        return self.second(self.first(x, training=training), training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "bn_momentum": self.bn_momentum,
                "synchronized_bn": self.synchronized_bn}


@keras.saving.register_keras_serializable(package="chest_gan")
class UNet(Segmenter):
    """Films [N, H, W, C] in [-1, 1] -> logits float32 [N, H, W, num_classes]; see `Segmenter`.

    Args:
      num_classes: background included.
      width: maps of the first level; they double on each lower one, up to 512.
      levels: how often films are halved; see `halvings`.
      dropout: on the lowest level, in training.
      bn_momentum, synchronized_bn: of all batch norms.
      standardize: see `Segmenter`.
    """

    def __init__(self, num_classes: int, width: int = 64, levels: int = 6, dropout: float = 0.1,
                 bn_momentum: float = 0.99, synchronized_bn: bool = False, standardize: bool = False, **kwargs):
        super().__init__(num_classes, standardize, **kwargs)
        if levels < 1:
            raise ValueError(f"levels must be 1 or more; received {levels}")
        self.width, self.levels, self.dropout_rate = width, levels, dropout
        self.bn_momentum, self.synchronized_bn = bn_momentum, synchronized_bn
        maps = [min(_MOST_MAPS, width * 2**level) for level in range(levels + 1)]
        norm = {"bn_momentum": bn_momentum, "synchronized_bn": synchronized_bn}
        self.down = [TwoConvBlocks(count, name=f"down_{level}", **norm) for level, count in enumerate(maps)]
        self.dropout = keras.layers.Dropout(dropout)
        above = list(enumerate(maps))[-2::-1]  # from above the lowest level to the first
        self.enlarge = [keras.layers.Conv2DTranspose(count, 2, 2, name=f"enlarge_{level}")
                        for level, count in above]
        self.up = [TwoConvBlocks(count, name=f"up_{level}", **norm) for level, count in above]
        self.to_logits = keras.layers.Conv2D(num_classes, 1, name="to_logits")

    def build(self, input_shape):
        self.film_channels = below = input_shape[-1]
        for level in self.down:
            level.build((None, None, None, below))
            below = level.filters
        self.dropout.build((None, None, None, below))
        for enlarge, level in zip(self.enlarge, self.up, strict=True):
            enlarge.build((None, None, None, below))
            level.build((None, None, None, 2 * level.filters))  # with what is handed across
            below = level.filters
        self.to_logits.build((None, None, None, below))
        self.built = True

    def call(self, films, training=False):
        x, across = self.prepare(films), []
        for level in self.down:
            x = tf.nn.max_pool2d(x, 2, 2, "SAME") if across else x  # [N, ceil(h / 2), ceil(w / 2), maps]
            x = level(x, training=training)
            across.append(x)
        x = self.dropout(across.pop(), training=training)
        for enlarge, level in zip(self.enlarge, self.up, strict=True):
            same = across.pop()  # [N, h, w, maps]
            height, width = tf.unstack(tf.shape(same)[1:3])
            x = tf.concat([same, enlarge(x)[:, :height, :width]], -1)  # [N, h, w, 2 maps]
            x = level(x, training=training)
        return tf.cast(self.to_logits(x), tf.float32)  # [N, H, W, K]

    def get_config(self):
        return {**super().get_config(), "width": self.width, "levels": self.levels, "dropout": self.dropout_rate,
                "bn_momentum": self.bn_momentum, "synchronized_bn": self.synchronized_bn}
