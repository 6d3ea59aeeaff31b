"""Losses as pure functions, named as in the papers: WGAN-GP, least squares, feature matching, VGG, cross-entropy.

Those of WGAN-GP are per image, float32 [N]; the others are means over the batch they are given. With several
replicas, divide by their number before the gradients are summed. All are computed in float32.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from models.precision import dtype_policy
from models.resnet import GREY_LEVELS_PER_UNIT, imagenet_input

Features = Sequence[Sequence[tf.Tensor]]  # for each scale, the features of each layer; score map [N, h, w, 1] last

VGG_LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1")
VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # as released; deeper is heavier
VGG_MINIMUM_SIDE = 16  # four halvings come before block5_conv1


def critic_loss(real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    """D(fake) - D(real), [N], for score pairs [N, 1] (Gulrajani et al. 2017, equation 3, first terms)."""
    return tf.reshape(fake_scores - real_scores, [-1])


def generator_loss(fake_scores: tf.Tensor) -> tf.Tensor:
    """-D(fake), [N], for scores [N, 1] (algorithm 1 there)."""
    return tf.reshape(-fake_scores, [-1])


def gradient_penalty(critic: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, fake: tf.Tensor, mix: tf.Tensor,
                     weight: float = 10.0, target: float = 1.0) -> tf.Tensor:
    """weight / target^2 x (|grad D(mixed)| - target)^2, [N] (equation 3 there, last term).

    Args:
      critic: pictures -> scores [N, 1].
      real, fake: pictures [N, H, W, C].
      mix: weights of the fake ones in the mixture, uniform in [0, 1], [N, 1, 1, 1].
    """
    mixed = real + (fake - real) * mix  # [N, H, W, C], on the line between each two
    with tf.GradientTape() as tape:
        tape.watch(mixed)
        # Of the sum: each picture's gradient is its own score's, but for PGGAN's minibatch statistic, as released.
        scores = tf.reduce_sum(critic(mixed))
    gradient = tf.cast(tape.gradient(scores, mixed), tf.float32)  # float16 squares would overflow
    norm = tf.sqrt(tf.reduce_sum(tf.square(gradient), (1, 2, 3)))  # [N]
    return tf.square(norm - target) * (weight / target**2)


def drift(real_scores: tf.Tensor, weight: float = 1e-3) -> tf.Tensor:
    """weight x D(real)^2, [N], for scores [N, 1]: keeps them near zero (Karras et al., appendix A.1)."""
    return tf.reshape(tf.square(real_scores), [-1]) * weight


def lsgan_loss(predictions: Features, target_is_real: bool) -> tf.Tensor:
    """Least-squares GAN loss: sum over scales of mean((score - target)^2), target 1 for real and 0 for fake.

    Mao et al. 2017 with the labels that Wang et al. 2018 use. The discriminators minimise half the sum of
    this over real and over fake pictures; the generator minimises it on fake ones with `target_is_real`.
    """
    target = 1.0 if target_is_real else 0.0
    # The score map is last.
    return tf.add_n([tf.reduce_mean(tf.square(_float32(scale[-1]) - target)) for scale in predictions])


def feature_matching_loss(real: Features, fake: Features, weight: float = 10.0) -> tf.Tensor:
    """weight / num_D x 4 / (n_layers + 1) x sum over scales and layers but the last of mean |real - fake|.

    Wang et al. 2018, equation 4, with the factors of the released code, where n_layers + 1 is the number of
    layers before the score map. No gradient flows into the real features.
    """
    terms = [_mean_difference(tf.stop_gradient(theirs), ours)
             for real_scale, fake_scale in zip(real, fake, strict=True)
             for theirs, ours in zip(real_scale[:-1], fake_scale[:-1], strict=True)]
    # n_layers + 1 layers come before the score map.
    return (weight / len(real) * 4.0 / (len(real[0]) - 1)) * tf.add_n(terms)


class PerceptualLoss:
    """weight x sum over i of w_i x mean |F_i(real) - F_i(fake)|, F_i the relu(i)_1 features of VGG19.

    Wang et al. 2018, section 3.2, with w = 1/32, 1/16, 1/8, 1/4, 1 from the first to the last block.

    The released loss gives pictures in [-1, 1] to a VGG19 trained on normalised ones. Keras' weights expect
    grey levels with the data set's means taken off, blue first; they are given just that, a grey picture as
    three equal channels, and the features are divided by 127.5, the grey levels in one unit of the picture.
    A ReLU network's features grow with its input, so that the term keeps the released one's size.

    Args:
      network: from `vgg19_features`, with Keras' weights in it (`training.keras_weights.load_vgg19`).
    """

    def __init__(self, network: keras.Model, weight: float = 10.0):
        self.network, self.weight = network, weight

    def __call__(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        """Scalar loss of two batches of pictures [N, H, W, 1 or 3] (RGB) in [-1, 1], H and W 16 or more."""
        pairs = zip(VGG_WEIGHTS, self.features(real), self.features(fake), strict=True)
        terms = [weight * _mean_difference(tf.stop_gradient(theirs), ours) for weight, theirs, ours in pairs]
        return self.weight * tf.add_n(terms)

    def features(self, images: tf.Tensor) -> list[tf.Tensor]:
        """relu1_1, relu2_1, ... relu5_1 of pictures [N, H, W, 1 or 3] in [-1, 1], in the picture's units.

        Raises ValueError for other channels, or sides below 16.
        """
        sides = images.shape[1:3]
        if images.shape[-1] not in (1, 3) or any(side is not None and side < VGG_MINIMUM_SIDE for side in sides):
            raise ValueError(f"VGG19 takes [N, H, W, 1 or 3] with sides of at least {VGG_MINIMUM_SIDE}; received "
                             f"shape {tuple(images.shape)}")
        return [feature / GREY_LEVELS_PER_UNIT for feature in self.network(imagenet_input(images))]


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, ignored: int | None = None) -> tf.Tensor:
    """Mean over images and pixels of -log softmax(logits)[label].

    Args:
      labels: integer codes [N, H, W].
      logits: [N, H, W, K].
      ignored: a code whose pixels do not count, K or above; 0 where all are of it. None counts all.
    """
    codes = tf.cast(labels, tf.int32)
    known = None if ignored is None else codes != ignored
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=codes if known is None else tf.where(known, codes, 0), logits=_float32(logits))  # in float32
    if known is None:
        return tf.reduce_mean(each)
    known = tf.cast(known, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(each * known), tf.reduce_sum(known))


def vgg19_features() -> keras.Model:
    """VGG19 with the outputs of VGG_LAYERS, random weights, frozen, in float32 whatever the global policy."""
    with dtype_policy("float32"):
        network = keras.applications.VGG19(include_top=False, weights=None, input_shape=(None, None, 3))
    features = keras.Model(network.input, [network.get_layer(name).output for name in VGG_LAYERS])
    features.trainable = False
    return features


def _mean_difference(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.abs(_float32(one) - _float32(other)))


def _float32(tensor: tf.Tensor) -> tf.Tensor:
    return tf.cast(tensor, tf.float32)
