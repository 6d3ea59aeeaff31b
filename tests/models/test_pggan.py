"""PGGAN's shapes, counts, growth and serialization."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import pggan_layers
from models.pggan import Discriminator, Generator

TINY = {"channels": 1, "fmap_base": 64, "fmap_max": 8}
LATENTS = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
IMAGES = np.random.default_rng(1).uniform(-1, 1, (4, 32, 32, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def networks():
    keras.utils.set_random_seed(1)
    generator, critic = Generator(32, **TINY), Discriminator(32, **TINY)
    generator.build((None, 8))
    critic.build((None, 32, 32, 1))
    return generator, critic


# Published (Karras et al. 2018, table 2) and the paper's with at most 64 maps.
@pytest.mark.parametrize(("resolution", "channels", "fmap_max", "counts"), [
    (1024, 3, 512, (23_079_115, 23_087_249)), (1024, 1, 64, (580_825, 582_001)),
    (1024, 2, 64, (581_330, 582_497)), (64, 1, 64, (398_277, 399_233))])
def test_parameter_counts(resolution, channels, fmap_max, counts):
    generator = Generator(resolution, channels, fmap_max=fmap_max)
    critic = Discriminator(resolution, channels, fmap_max=fmap_max)
    generator.build((None, fmap_max))
    critic.build((None, resolution, resolution, channels))
    assert (generator.count_params(), critic.count_params()) == counts


def test_shapes_at_every_level(networks):
    generator, critic = networks
    for level in generator.levels:
        images = generator(LATENTS, level=level, fade=tf.constant(0.5))
        assert images.shape == (4, 2**level, 2**level, 1) and images.dtype == tf.float32
        assert critic(images, level=level, fade=tf.constant(0.5)).shape == (4, 1)


def test_a_new_level_fades_in_without_a_jump(networks):
    generator, critic = networks
    old = generator(LATENTS, level=4)
    np.testing.assert_allclose(generator(LATENTS, level=5, fade=0.0), pggan_layers.upscale(old), atol=1e-6)
    np.testing.assert_allclose(generator(LATENTS, level=5, fade=tf.constant(1.0)), generator(LATENTS, level=5),
                               atol=1e-5)
    small = pggan_layers.downscale(tf.constant(IMAGES))
    np.testing.assert_allclose(critic(IMAGES, level=5, fade=0.0), critic(small, level=4), rtol=1e-5)
    halves = [critic(IMAGES, level=5, fade=fade).numpy() for fade in (0.0, 0.001)]
    assert 0 < np.abs(halves[1] - halves[0]).max() < 0.05


def test_fused_equals_plain(networks):
    for network, inputs in zip(networks, (LATENTS, IMAGES), strict=True):
        plain = type(network).from_config({**network.get_config(), "fused": False})
        plain.build(inputs.shape)
        plain.set_weights(network.get_weights())
        np.testing.assert_allclose(plain(inputs), network(inputs), rtol=1e-4, atol=1e-5)


def test_saved_networks_are_the_same(networks, tmp_path):
    for network, inputs in zip(networks, (LATENTS, IMAGES), strict=True):
        network.save(tmp_path / "network.keras")
        loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
        np.testing.assert_array_equal(loaded(inputs, level=4) if network.levels and inputs is LATENTS
                                      else loaded(inputs), network(inputs, level=4) if inputs is LATENTS
                                      else network(inputs))


def test_levels_that_take_part_have_gradients_and_others_none(networks):
    generator, _ = networks
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(generator(LATENTS, level=4, fade=tf.constant(0.5)) ** 2)
    with_gradient = {variable.path for variable, gradient in
                     zip(generator.trainable_variables, tape.gradient(loss, generator.trainable_variables),
                         strict=True) if gradient is not None}
    assert all(any(part in path for path in with_gradient) for part in ("block_8/", "block_16/", "to_image_8/"))
    assert not any("block_32/" in path or "to_image_4/" in path for path in with_gradient)


def test_minibatch_stddev_uses_strided_groups():
    x = np.random.default_rng(2).standard_normal((8, 2, 2, 3)).astype(np.float32)
    extra = pggan_layers.minibatch_stddev(tf.constant(x), 4)[..., -1].numpy()
    expected = np.sqrt(np.var(x[[0, 2, 4, 6]], 0) + 1e-8).mean()
    np.testing.assert_allclose(extra[[0, 2, 4, 6]], expected, rtol=1e-5)
    assert not np.isclose(extra[1, 0, 0], expected)
    with pytest.raises(ValueError, match="received 6 images"):
        pggan_layers.minibatch_stddev(tf.constant(x[:6]), 4)


def test_bfloat16_is_near_float32(networks):
    for network, inputs in zip(networks, (LATENTS, IMAGES), strict=True):
        half = type(network).from_config({**network.get_config(), "dtype": "mixed_bfloat16"})
        half.build(inputs.shape)
        half.set_weights(network.get_weights())
        assert half(inputs).dtype == tf.float32
        assert np.abs(half(inputs) - network(inputs)).max() < 0.1 * np.abs(network(inputs)).max()


def test_what_cannot_be_is_refused(networks):
    generator, critic = networks
    with pytest.raises(ValueError, match="received 48"):
        Generator(48)
    with pytest.raises(ValueError, match="received 6"):
        generator(LATENTS, level=6)
    with pytest.raises(ValueError, match="side 16"):
        critic(IMAGES, level=4)
