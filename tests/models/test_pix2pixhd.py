"""Pix2PixHD's networks: sizes, counts, paddings, precision, coarse-to-fine weights, files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import pix2pixhd_layers as layers
from models.pix2pixhd import GlobalGenerator, LocalEnhancer, MultiscaleDiscriminator
from tools.published_weights.pix2pixhd_names import network_for, released_weights

SMALL = {"n_downsampling": 2, "n_blocks": 1}


def built(network, channels=3):
    network.build((None, None, None, channels))
    return network


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("make,channels,count", [
    (GlobalGenerator, 6, 182_446_401),
    (LocalEnhancer, 6, 182_712_801),
    (lambda: MultiscaleDiscriminator(num_D=3), 7, 8_306_499)])
def test_parameter_counts(make, channels, count, monkeypatch):
    monkeypatch.setattr(layers, "normal_initializer", keras.initializers.Zeros)  # random ones take seconds
    network = built(make(), channels)
    assert sum(np.prod(variable.shape) for variable in network.trainable_variables) == count
    assert len(network.variables) == len(network.trainable_variables)


@pytest.mark.parametrize("size,made", [((16, 16), (16, 16)), ((20, 12), (20, 12)), ((13, 21), (16, 24))])
def test_global_generator_sizes(size, made):
    network = GlobalGenerator(2, ngf=2, **SMALL)
    images = network(noise(1, *size, 3))
    assert images.shape == (1, *made, 2) == network.compute_output_shape((1, *size, 3))
    assert network.compute_output_shape((None, None, None, 3)) == (None, None, None, 2)
    assert images.dtype == tf.float32
    assert np.abs(images).max() <= 1


@pytest.mark.parametrize("network,smallest", [
    (GlobalGenerator(ngf=2, n_downsampling=1, n_blocks=1), 4), (GlobalGenerator(ngf=2, **SMALL), 5),
    (LocalEnhancer(ngf=2, n_downsampling=1, n_blocks=1), 7), (LocalEnhancer(ngf=2, **SMALL), 15),
    (MultiscaleDiscriminator(ndf=2, n_layers=2), 3), (MultiscaleDiscriminator(ndf=2, n_layers=2, num_D=3), 5)])
def test_minimum_side(network, smallest):
    assert network.minimum_side == smallest
    outputs = network(noise(1, smallest, 16, 3))
    assert all(np.isfinite(output).all() for output in tf.nest.flatten(outputs))
    with pytest.raises(ValueError, match=f"at least {smallest}"):
        network(noise(1, smallest - 1, 16, 3))


def test_paper_sized_minimum_sides():
    assert (GlobalGenerator().minimum_side, LocalEnhancer().minimum_side) == (17, 63)


def test_local_enhancer_refuses_sides_its_sum_cannot_take():
    network = LocalEnhancer(ngf=2, **SMALL)
    assert network(noise(1, 15, 24, 3)).shape == (1, 16, 24, 1)
    with pytest.raises(ValueError, match=r"multiple of 4.*18"):
        network(noise(1, 18, 24, 3))


@pytest.mark.parametrize("make", [GlobalGenerator, LocalEnhancer])
def test_unknown_sides(make):
    network = built(make(ngf=2, **SMALL))
    traced = tf.function(network.call, input_signature=[tf.TensorSpec((None, None, None, 3))])
    for size in ((16, 24), (31, 15)):
        images = noise(2, *size, 3)
        np.testing.assert_allclose(traced(images), network(images), atol=1e-5)


def test_discriminator_feature_shapes():
    results = MultiscaleDiscriminator(ndf=4)(noise(2, 32, 31, 4))
    assert [[tuple(feature.shape[1:]) for feature in scale] for scale in results] == [
        [(17, 16, 4), (9, 9, 8), (5, 5, 16), (6, 6, 32), (7, 7, 1)],
        [(9, 9, 4), (5, 5, 8), (3, 3, 16), (4, 4, 32), (5, 5, 1)]]
    assert built(MultiscaleDiscriminator(ndf=256, n_layers=2)).discriminators[0].convs[2].filters == 512


def test_instance_norm_equals_moments():
    images = noise(2, 9, 7, 5) * 3 + 1
    mean, variance = tf.nn.moments(tf.cast(images, tf.float64), (1, 2), keepdims=True)
    expected = (images - mean) * tf.math.rsqrt(variance + 1e-5)
    norm = layers.InstanceNorm()
    np.testing.assert_allclose(norm(images), expected, atol=2e-6)
    any_count = tf.function(norm, input_signature=[tf.TensorSpec((None, None, None, 5))])
    np.testing.assert_allclose(any_count(images), expected, atol=2e-6)
    assert norm.variables == []
    flat = norm(np.full((1, 4, 4, 5), 7, np.float32))  # constant maps become 0, not infinite
    np.testing.assert_allclose(flat, 0, atol=1e-3)


def test_transposed_convolution_is_the_full_one_less_its_first_row_and_column():
    images = noise(2, 5, 6, 3)
    layer = layers.DoublingConv2DTranspose(4)
    ours = layer(images)
    full = tf.nn.conv2d_transpose(images, layer.kernel.value, (2, 11, 13, 4), 2, "VALID")
    np.testing.assert_allclose(ours, full[:, 1:, 1:], atol=1e-6)
    assert ours.shape == (2, 10, 12, 4)


def test_resizing_convolution_is_one_of_the_doubled_picture():
    images = noise(2, 5, 6, 3)
    layer = layers.ResizeConv2D(4)
    ours = layer(images)
    doubled, plain = images.repeat(2, 1).repeat(2, 2), tf.transpose(layer.kernel.value[::-1, ::-1], (0, 1, 3, 2))
    np.testing.assert_allclose(ours, tf.nn.conv2d(doubled, plain, 1, "SAME"), atol=1e-6)
    assert ours.shape == (2, 10, 12, 4) == layer.compute_output_shape(images.shape)


@pytest.mark.parametrize(("upsampling", "even"), [("resize", True), ("transposed", False)])
def test_only_resizing_leaves_an_even_picture_even(upsampling, even):
    made = layers.doubling_conv(2, upsampling)(np.ones((1, 8, 8, 3), np.float32)).numpy()[:, 2:-2, 2:-2]
    assert (np.ptp(made, (1, 2)) < 1e-6).all() == even


def test_an_unknown_way_to_double_is_refused():
    with pytest.raises(ValueError, match="'bicubic'"):
        GlobalGenerator(upsampling="bicubic")


def test_padded_convolutions_equal_padding_beforehand():
    images = noise(1, 6, 9, 2)
    pads = ((0, 0), (1, 1), (1, 1), (0, 0))
    for reflect, stride, mode in ((True, 1, "reflect"), (False, 2, "constant")):
        layer = layers.PaddedConv2D(3, 3, stride, pad=1, reflect=reflect)
        ours = layer(images)
        padded = np.pad(images, pads, mode)
        np.testing.assert_allclose(ours, tf.nn.conv2d(padded, layer.kernel.value, stride, "VALID"), atol=1e-6)
        assert ours.shape == layer.compute_output_shape(images.shape)


@pytest.mark.parametrize("size", [(6, 6), (7, 5), (1, 4)])
def test_mean_pool_ignores_padding(size):
    images = noise(2, *size, 3)
    pooled = layers.mean_pool(images).numpy()
    assert pooled.shape == (2, -(-size[0] // 2), -(-size[1] // 2), 3)
    for row, column in np.ndindex(pooled.shape[1:3]):
        window = images[:, max(2 * row - 1, 0):2 * row + 2, max(2 * column - 1, 0):2 * column + 2]
        np.testing.assert_allclose(pooled[:, row, column], window.mean((1, 2)), atol=1e-6)


def test_initial_weights():
    keras.utils.set_random_seed(0)
    network = built(GlobalGenerator(ngf=16, n_downsampling=2, n_blocks=2))
    kernels = [variable.numpy() for variable in network.variables if variable.name == "kernel"]
    everything = np.concatenate([kernel.ravel() for kernel in kernels])
    assert abs(everything.mean()) < 2e-4 and abs(everything.std() - 0.02) < 2e-4
    first, second = (conv.kernel.numpy() for conv in network.features.blocks[0].convs)
    assert not np.array_equal(first, second)
    assert all(np.all(variable == 0) for variable in network.variables if variable.name == "bias")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("make", [
    lambda dtype: GlobalGenerator(2, ngf=4, dtype=dtype, upsampling="resize", **SMALL),
    lambda dtype: LocalEnhancer(3, ngf=2, n_local_blocks=1, dtype=dtype, **SMALL),
    lambda dtype: MultiscaleDiscriminator(ndf=4, n_layers=2, num_D=3, dtype=dtype)])
def test_keras_file_round_trip(tmp_path, make, policy):
    network = built(make(policy))
    network.save(tmp_path / "network.keras")
    copy = keras.saving.load_model(tmp_path / "network.keras")
    assert copy.get_config() == network.get_config()
    images = noise(2, 16, 24, 3)
    for one, other in zip(tf.nest.flatten(network(images)), tf.nest.flatten(copy(images)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", [lambda: GlobalGenerator(ngf=8, **SMALL), lambda: LocalEnhancer(ngf=4, **SMALL),
                                  lambda: MultiscaleDiscriminator(ndf=8)])
def test_mixed_precision(make):
    """Half-precision convolutions, float32 outputs close to those of the same weights in float32."""
    exact = built(make())
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = built(make())
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(exact.get_weights())
    assert all(variable.dtype == "float32" for variable in mixed.variables)
    images = noise(1, 24, 32, 3)
    for one, other in zip(tf.nest.flatten(mixed(images)), tf.nest.flatten(exact(images)), strict=True):
        assert one.dtype == tf.float32
        difference = np.abs(one - other)
        assert difference.max() > 0 and difference.mean() < 0.05


def test_enhancer_takes_a_global_generator():
    coarse = built(GlobalGenerator(ngf=4, **SMALL))
    enhancer = built(LocalEnhancer(ngf=2, **SMALL))
    images = noise(1, 16, 16, 3)
    enhancer.load_global(coarse)
    np.testing.assert_array_equal(enhancer.global_generator(images), coarse.features(images))
    for other in (GlobalGenerator(ngf=2, **SMALL), GlobalGenerator(ngf=4, n_downsampling=2, n_blocks=2),
                  GlobalGenerator(ngf=4, upsampling="resize", **SMALL)):
        with pytest.raises(ValueError, match="ngf 4, n_downsampling 2 and n_blocks 1"):
            enhancer.load_global(built(other))


def test_training_the_enhancer_alone():
    network = built(LocalEnhancer(ngf=2, n_local_blocks=1, **SMALL))
    everything = len(network.trainable_variables)
    own = {id(variable) for variable in network.enhancer_variables}
    assert own.isdisjoint(id(variable) for variable in network.global_generator.variables)
    assert len(own) + len(network.global_generator.variables) == everything
    network.global_generator.trainable = False
    assert {id(variable) for variable in network.trainable_variables} == own
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(network(noise(1, 16, 16, 3)) ** 2)
    assert all(gradient is not None for gradient in tape.gradient(loss, network.trainable_variables))
    network.global_generator.trainable = True
    assert len(network.trainable_variables) == everything


def test_released_names():
    names = list(released_weights(built(GlobalGenerator(ngf=2, n_downsampling=4, n_blocks=9))))
    kernels = [name.removesuffix(".weight") for name in names if name.endswith("weight")]
    assert kernels[:7] == [*(f"model.{i}" for i in (1, 4, 7, 10, 13)), "model.16.conv_block.1",
                           "model.16.conv_block.5"]
    assert kernels[-5:] == [f"model.{i}" for i in (25, 28, 31, 34, 38)]
    critic = built(MultiscaleDiscriminator(ndf=2))
    joined = [name for name in released_weights(critic, separate_layers=False) if name.endswith("weight")]
    assert joined == [f"layer{scale}.{i}.weight" for scale in (0, 1) for i in (0, 2, 5, 8, 11)]
    first = released_weights(critic)["scale1_layer0.0.weight"]
    assert first.variable is critic.discriminators[0].convs[0].kernel
    assert first.shape == (2, 3, 4, 4)


@pytest.mark.parametrize("network,separate", [
    (GlobalGenerator(3, ngf=5, n_downsampling=3, n_blocks=2), True),
    (LocalEnhancer(2, ngf=3, n_downsampling=1, n_blocks=4, n_local_blocks=2), True),
    (MultiscaleDiscriminator(ndf=5, n_layers=4, num_D=3), True),
    (MultiscaleDiscriminator(ndf=5, n_layers=2, num_D=1), False)])
def test_architecture_is_told_by_names_and_shapes(network, separate):
    shapes = {name: place.shape for name, place in released_weights(built(network, 7), separate).items()}
    found = network_for(shapes)
    assert {**found.get_config(), "name": network.name} == network.get_config()
    assert {name: place.shape for name, place in released_weights(found, separate).items()} == shapes


def test_foreign_names_are_refused():
    for shapes in ({"conv1.weight": (4, 3, 3, 3)}, {"model.1.weight": (4, 3, 7, 7)}, {"layer9": (3,)}):
        with pytest.raises(ValueError, match="not those of a Pix2PixHD"):
            network_for(shapes)
