"""What imported networks compute, against activations of the released ones stored beside their weights.

Each check yields (name, largest difference / largest entry released). Pictures and features in the files are
[N, channels, height, width].
"""

import math
from collections.abc import Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from models.losses import feature_matching_loss, lsgan_loss
from tools.published_weights.pix2pixhd_names import released_weights

Arrays = Mapping[str, np.ndarray]
Errors = Iterator[tuple[str, float]]


def check_pix2pixhd(networks: Mapping[str, keras.Model], released: Arrays) -> Errors:
    """Generators on `label_map`, discriminators on it and `real`, losses and the global generator's gradient."""
    if "label_map" not in released:
        return
    for key, network in networks.items():
        if key != "disc" and f"{key}_out" in released:
            yield f"{key}_out", error(channels_first(network(_one_hot(network, released))), released[f"{key}_out"])
    critic = networks.get("disc")
    if critic is None or "real" not in released:
        return
    real = channels_last(released["real"])
    condition = _one_hot(critic, released, less=real.shape[-1])
    real_features = critic(tf.concat([condition, real], -1))
    for scale, layers in enumerate(real_features):
        for layer, feature in enumerate(layers):
            name = f"real_features/scale{scale}_layer{layer}"
            if name in released:
                yield name, error(channels_first(feature), released[name])
    if "global" in networks:
        yield from _losses(networks["global"], critic, condition, real_features, released)


def check_pggan(networks: Mapping[str, keras.Model], released: Arrays) -> Errors:
    """Generator on `latents`, discriminator and its gradient on `images`, at each level of detail in `lods`.

    Level of detail 0 is the full resolution, 1 half of it, fractions are fades. The released networks take
    and give full-sized pictures at every level: generated ones enlarged, shown ones averaged.
    """
    for number, lod in enumerate(released.get("lods", ())):
        if "G" in networks and f"G_out/{number}" in released:
            level, fade = _level(networks["G"], lod)
            images = networks["G"](released["latents"], level=level, fade=fade)
            expected = released[f"G_out/{number}"]
            # The released network enlarges what it makes to its full size.
            factor = expected.shape[-1] // images.shape[1]
            images = np.repeat(np.repeat(images, factor, 1), factor, 2)
            yield f"G_out/{number} (level of detail {lod:g})", error(channels_first(images), expected)
        if "D" in networks and f"D_scores/{number}" in released:
            scores, gradient = _scores(networks["D"], channels_last(released["images"]), lod)
            yield f"D_scores/{number} (level of detail {lod:g})", error(scores, released[f"D_scores/{number}"])
            if f"D_input_grad/{number}" in released:
                yield (f"D_input_grad/{number} (level of detail {lod:g})",
                       error(channels_first(gradient), released[f"D_input_grad/{number}"]))


def error(ours: tf.Tensor | np.ndarray, released: np.ndarray) -> float:
    """Largest difference over the largest entry released. Raises ValueError if the shapes differ."""
    ours = np.asarray(ours)
    if ours.shape != released.shape:
        raise ValueError(f"shape {released.shape} in the file, {ours.shape} computed")
    # Not by 0.
    return float(np.abs(ours - released).max() / max(np.abs(released).max(), np.finfo(np.float32).tiny))


def channels_first(images: tf.Tensor | np.ndarray) -> np.ndarray:
    """[N, H, W, C] -> [N, C, H, W]."""
    return np.asarray(images).transpose(0, 3, 1, 2)


def channels_last(images: np.ndarray) -> np.ndarray:
    """[N, C, H, W] -> [N, H, W, C]."""
    return images.transpose(0, 2, 3, 1)


def _losses(generator, critic, condition, real_features, released: Arrays) -> Errors:
    """Losses on the global generator's output, and the gradient of its two by its weights.

    Gradients relative to the network's largest: a bias ahead of instance norm has none but rounding errors.
    """
    places = released_weights(generator)  # by released name
    with tf.GradientTape() as tape:
        fake_features = critic(tf.concat([condition, generator(condition)], -1))
        losses = {"G_GAN": lsgan_loss(fake_features, True),
                  "G_GAN_Feat": feature_matching_loss(real_features, fake_features)}
        total = tf.add_n(list(losses.values()))
    gradients = tape.gradient(total, [place.variable.value for place in places.values()])
    losses |= {"D_real": lsgan_loss(real_features, True), "D_fake": lsgan_loss(fake_features, False)}
    for name, loss in losses.items():
        if f"loss/{name}" in released:
            yield f"loss/{name}", error(loss, released[f"loss/{name}"])
    known = [(released[f"grad_global/{name}"], place, gradient) for (name, place), gradient
             in zip(places.items(), gradients, strict=True) if f"grad_global/{name}" in released]
    if known:
        largest = max(np.abs(expected).max() for expected, _, _ in known)  # of all tensors
        difference = max(np.abs(gradient - place.convert(expected)).max() for expected, place, gradient in known)
        yield f"grad_global ({len(known)} tensors, relative to the largest entry)", float(difference / largest)


def _one_hot(network: keras.Model, released: Arrays, less: int = 0) -> tf.Tensor:
    """The label map as one-hot channels: as many as the network takes, less those of a picture beside it."""
    # The first layer's.
    first_kernel = network.variables[0]  # [kh, kw, in, out]
    labels, classes = released["label_map"], first_kernel.shape[2] - less  # input channels
    if labels.max() >= classes:
        raise ValueError(f"label_map holds code {labels.max()}, the network takes {classes} classes")
    return tf.one_hot(labels, classes)


def _level(network: keras.Model, lod: float) -> tuple[int, float]:
    """Level of detail -> log2 of the resolution, and the newest block's weight."""
    whole = math.floor(lod)
    # Fraction: the part not yet faded in.
    return int(math.log2(network.resolution)) - whole, 1.0 - (float(lod) - whole)


def _scores(network: keras.Model, images: np.ndarray, lod: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Scores of full-sized pictures averaged down to the level, and the gradient of their sum by the pictures."""
    level, fade = _level(network, lod)
    images = tf.constant(images)
    factor = images.shape[1] // 2**level
    with tf.GradientTape() as tape:
        tape.watch(images)
        # The released network averages what it is shown.
        scores = network(tf.nn.avg_pool2d(images, factor, factor, "VALID"), level=level, fade=fade)
    return scores, tape.gradient(scores, images)  # of the sum, by the full-sized pictures
