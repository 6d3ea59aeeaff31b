"""Losses against numbers worked out by hand or in numpy, and the history of generated pictures."""

import re
import shutil

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.common.errors import UserError
from models import losses
from tests.helpers.vgg import write_vgg19
from training.discriminator_inputs import ImagePool
from training.keras_weights import load_vgg19


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def features(seed, scales=2):
    """Three layers per scale of which the last is the score map."""
    return [[noise(2, 8 >> scale, 6 >> scale, maps, seed=10 * seed + scale + maps) for maps in (3, 4, 1)]
            for scale in range(scales)]


def test_lsgan_loss():
    predictions = [[noise(1, 2, 2, 3), np.array([[0.5, 2.0]], np.float32)], [np.array([[3.0]], np.float32)]]
    assert float(losses.lsgan_loss(predictions, True)) == pytest.approx((0.25 + 1) / 2 + 4)
    assert float(losses.lsgan_loss(predictions, False)) == pytest.approx((0.25 + 4) / 2 + 9)


def test_feature_matching_loss():
    real, fake = features(1), features(2)
    differences = [np.abs(real[s][layer] - fake[s][layer]).mean() for s in range(2) for layer in range(2)]
    expected = sum(differences) * 4 / 2 / 2  # 4 / (n_layers + 1) / num_D
    assert float(losses.feature_matching_loss(real, fake)) == pytest.approx(10 * expected, rel=1e-5)
    assert float(losses.feature_matching_loss(real, fake, 1.0)) == pytest.approx(expected, rel=1e-5)
    assert losses.feature_matching_loss(real, real) == 0


def test_feature_matching_leaves_the_real_features_alone():
    real, fake = tf.nest.map_structure(tf.constant, (features(1), features(2)))
    with tf.GradientTape() as tape:
        tape.watch(tf.nest.flatten((real, fake)))
        loss = losses.feature_matching_loss(real, fake)
    to_real, to_fake = tape.gradient(loss, (real, fake))
    assert all(gradient is None for gradient in tf.nest.flatten(to_real))
    assert [gradient is None for gradient in tf.nest.flatten(to_fake)] == [False, False, True] * 2


def test_losses_compute_in_float32():
    half = tf.nest.map_structure(lambda array: tf.cast(array * 100, tf.float16), features(1))
    assert losses.lsgan_loss(half, True).dtype == tf.float32
    assert losses.feature_matching_loss(half, half).dtype == tf.float32
    logits = tf.constant(noise(1, 2, 2, 3), tf.float16)
    assert losses.cross_entropy(tf.zeros((1, 2, 2), tf.uint8), logits).dtype == tf.float32


def test_cross_entropy():
    labels = np.random.default_rng(0).integers(0, 4, (2, 3, 5)).astype(np.uint8)
    logits = noise(2, 3, 5, 4) * 3
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = -np.log(np.take_along_axis(chances, labels[..., None].astype(int), -1)).mean()
    assert float(losses.cross_entropy(labels, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    return write_vgg19(tmp_path_factory.mktemp("vgg") / "vgg19_notop.h5")


@pytest.fixture(scope="module")
def perceptual(vgg_file):
    return losses.PerceptualLoss(load_vgg19(vgg_file))


def test_perceptual_loss_is_its_definition(vgg_file, perceptual):
    network = keras.applications.VGG19(include_top=False, weights=str(vgg_file), input_shape=(None, None, 3))
    names = [f"block{i}_conv1" for i in range(1, 6)]
    activations = keras.Model(network.input, [network.get_layer(name).output for name in names])

    def seen(images):
        levels = np.repeat((images + 1) * 127.5, 3, -1)
        return activations(keras.applications.vgg19.preprocess_input(levels))

    real, fake = np.tanh(noise(2, 20, 17, 1)), np.tanh(noise(2, 20, 17, 1, seed=1))
    weights = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)
    expected = sum(weight * np.abs(a.numpy() - b.numpy()).mean() / 127.5
                   for weight, a, b in zip(weights, seen(real), seen(fake), strict=True))
    assert float(perceptual(real, fake)) == pytest.approx(10 * expected, rel=1e-4)
    assert perceptual(real, real) == 0


def test_perceptual_loss_takes_grey_as_three_equal_channels(perceptual):
    real, fake = np.tanh(noise(1, 16, 16, 1)), np.tanh(noise(1, 16, 16, 1, seed=1))
    colour = perceptual(np.repeat(real, 3, -1), np.repeat(fake, 3, -1))
    assert float(perceptual(real, fake)) == pytest.approx(float(colour), rel=1e-6)
    red, blue = (np.pad(real, ((0, 0),) * 3 + (pad,)) for pad in ((0, 2), (2, 0)))
    assert float(perceptual(red, fake)) != pytest.approx(float(perceptual(blue, fake)), rel=1e-3)


def test_perceptual_loss_trains_the_fake_only(perceptual):
    assert perceptual.network.trainable_variables == []
    real, fake = tf.constant(np.tanh(noise(1, 16, 16, 1))), tf.zeros((1, 16, 16, 1))
    with tf.GradientTape() as tape:
        tape.watch((real, fake))
        loss = perceptual(real, fake)
    to_real, to_fake = tape.gradient(loss, (real, fake))
    assert to_real is None and np.abs(to_fake).max() > 0


@pytest.mark.parametrize("shape", [(1, 15, 20, 1), (1, 32, 32, 4)])
def test_perceptual_loss_refuses_other_shapes(perceptual, shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        perceptual(np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def test_vgg_file_is_checked(tmp_path, vgg_file):
    with pytest.raises(UserError, match="no such file"):
        load_vgg19(tmp_path / "missing.h5")
    paths = [tmp_path / name for name in ("other.weights.h5", "text.h5", "shape.h5")]
    keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]).save_weights(paths[0])
    paths[1].write_text("no weights")
    shutil.copy(vgg_file, paths[2])
    with h5py.File(paths[2], "a") as file:
        del file["block1_conv1"]["block1_conv1_W_1:0"]
        file["block1_conv1"]["block1_conv1_W_1:0"] = noise(3, 3, 1, 64)
    for path in paths:
        with pytest.raises(UserError, match=re.escape(str(path))) as caught:
            load_vgg19(path)
        assert "\n" not in str(caught.value)


def history(size, batches, seed=0, start=0):
    """The pool written plainly: what is shown for each batch, with the same draws."""
    kept, shown = [], []
    for step, batch in enumerate(batches, start):
        key = tf.random.experimental.stateless_fold_in([seed, step], 0)
        for image, (chance, place) in zip(batch, tf.random.stateless_uniform((len(batch), 2), key), strict=True):
            if len(kept) < size:
                kept.append(image)
                shown.append(image)
            elif chance < 0.5:
                slot = int(place * size)
                shown.append(kept[slot])
                kept[slot] = image
            else:
                shown.append(image)
    return np.stack(shown)


def test_pool_exchanges_half_of_the_pictures():
    batches = np.arange(120, dtype=np.float32).reshape(40, 3, 1, 1, 1) * np.ones((2, 2, 1), np.float32)
    pool = ImagePool(5, (2, 2, 1), seed=3)
    query = tf.function(pool.query)
    shown = np.concatenate([query(batch, tf.constant(step)) for step, batch in enumerate(batches)])
    np.testing.assert_array_equal(shown, history(5, batches, seed=3))
    older = (shown != batches.reshape(shown.shape)).any((1, 2, 3))
    assert not older[:5].any() and 0.3 < older[5:].mean() < 0.7
    numbers = shown[5:, 0, 0, 0]
    assert len(set(numbers)) == len(numbers)  # what was exchanged is gone


def test_pool_continues_from_a_checkpoint(tmp_path):
    batches = noise(12, 2, 3, 3, 2)
    whole = ImagePool(4, (3, 3, 2), seed=1)
    expected = [whole.query(batch, step) for step, batch in enumerate(batches)]
    first, second = ImagePool(4, (3, 3, 2), seed=1), ImagePool(4, (3, 3, 2), seed=1)
    for step in range(7):
        first.query(batches[step], step)
    path = tf.train.Checkpoint(pool=first).save(tmp_path / "pool")
    tf.train.Checkpoint(pool=second).restore(path).assert_consumed()
    for step in range(7, 12):
        np.testing.assert_array_equal(second.query(batches[step], step), expected[step])


def test_pool_of_none():
    images = noise(2, 3, 3, 1)
    pool = ImagePool(0, (3, 3, 1))
    np.testing.assert_array_equal(pool.query(images, 0), images)
    with pytest.raises(ValueError, match="-1"):
        ImagePool(-1, (3, 3, 1))


def test_cross_entropy_leaves_ignored_pixels_out():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
    labels = rng.integers(0, 3, (2, 4, 4)).astype(np.uint8)
    cut = labels.copy()
    cut[:, 2:] = 255
    expected = losses.cross_entropy(labels[:, :2], logits[:, :2])
    np.testing.assert_allclose(losses.cross_entropy(cut, logits, 255), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.cross_entropy(labels, logits, 255), losses.cross_entropy(labels, logits),
                               rtol=1e-6)
    assert float(losses.cross_entropy(np.full_like(labels, 255), logits, 255)) == 0.0
