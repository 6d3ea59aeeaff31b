"""SMANet and its encoder: published counts and sizes, receptive field, attention, serialization."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import smanet
from models.device_kernels import kernels_of
from models.losses import cross_entropy
from models.resnet import DilatedResNet, batch_norm, convolve
from models.smanet import SMANet

FILMS = np.random.default_rng(0).uniform(-1, 1, (2, 65, 49, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    network = SMANet(4, depth=14, width=8)
    network.build((None, None, None, 1))
    return network


def test_parameter_count():
    network = SMANet(6, pretrained_input=True)
    network.build((None, None, None, 1))
    trainable = sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)
    # 41,927,914 with a bias-free ResNet-50; 26,560 biases let keras.applications' weights load.
    assert trainable == 41_927_914 + 26_560
    biases = [v for v in network.encoder.trainable_variables if v.path.endswith("conv/bias")]
    assert sum(int(np.prod(v.shape)) for v in biases) == 26_560


def test_crop_377_runs_through_the_published_sizes():
    encoder = DilatedResNet(50, width=8)
    features = encoder(tf.zeros((1, 377, 377, 1)))
    assert {name: feature.shape[1] for name, feature in features.items()} == {
        "stem": 189, "stage1": 95, "stage2": 48, "stage3": 48, "stage4": 48}
    assert [feature.shape[3] for feature in features.values()] == [8, 32, 64, 128, 256]


def test_dilation_keeps_the_stride_and_the_view():
    """Which rows of the film one output unit of an all-positive network sees."""
    # A stem that sees 11 (7x7, then 3x3 pooling at stride 2); 3x3 convolutions reach one pixel to each side, at
    # stride 4, at 8, then dilated by 2 and 4 at stride 8 - or plain at strides 16 and 32, which is as far.
    view = 11 + 2 * 4 + 2 * 8 + 2 * 16 + 2 * 32
    for dilated, stride in ((True, 8), (False, 32)):
        encoder = DilatedResNet(14, width=1, dilated=dilated)
        encoder.build((None, None, None, 1))
        for variable in encoder.trainable_variables:
            variable.assign(tf.ones_like(variable) * (0.0 if variable.name in ("bias", "beta") else 1.0))
        films = np.ones((1, 321, 16, 1), np.float32)
        output = encoder(films)["stage4"]
        assert output.shape[1] == -(-321 // stride)
        middle = output.shape[1] // 2
        rows = np.arange(160 - 90, 160 + 91)
        changed = films.repeat(len(rows), 0)
        changed[np.arange(len(rows)), rows] += 100
        moved = encoder(changed)["stage4"][:, middle] - output[0, middle]
        seen = rows[np.abs(moved).max((1, 2)) > 0]
        assert seen[-1] - seen[0] + 1 == view


def test_any_size_and_float32_logits(network):
    for shape in ((1, 64, 64, 1), (2, 65, 49, 1), (1, 33, 40, 1)):
        logits = network(np.zeros(shape, np.float32))
        assert logits.shape == (*shape[:3], 4) and logits.dtype == tf.float32


def test_unknown_sizes_in_a_graph(network):
    compiled = tf.function(network, input_signature=[tf.TensorSpec((None, None, None, 1))])
    np.testing.assert_allclose(compiled(FILMS), network(FILMS), atol=1e-4)


def test_attention_maps(network):
    maps = network.attention_maps(FILMS)
    assert list(maps) == [1, 2, 3, 6]
    for attention in maps.values():
        assert attention.shape == (2, 9, 7, 1) and 0 < float(tf.reduce_min(attention)) <= 1
    np.testing.assert_allclose(maps[1], tf.broadcast_to(maps[1][:, :1, :1], maps[1].shape), atol=1e-6)
    assert float(tf.math.reduce_std(maps[6][0])) > 0


@pytest.mark.parametrize("attention", smanet.ATTENTIONS)
def test_saved_network_is_the_same(attention, tmp_path):
    network = SMANet(3, depth=14, width=8, attention=attention)
    before = network(FILMS)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(FILMS), before)
    assert loaded.get_config() == network.get_config()


def test_adaptive_pool_against_slices():
    x = np.random.default_rng(1).standard_normal((2, 11, 5, 3)).astype(np.float32)
    for bins in (1, 2, 3, 6):
        pooled = smanet.adaptive_pool(tf.constant(x), bins).numpy()
        cells = [[slice(i * side // bins, -(-(i + 1) * side // bins)) for i in range(bins)] for side in (11, 5)]
        for i, rows in enumerate(cells[0]):
            for j, columns in enumerate(cells[1]):
                np.testing.assert_allclose(pooled[:, i, j], x[:, rows, columns].mean((1, 2)), atol=1e-5)


def test_bfloat16_is_near_float32(network):
    """As in training, where the policy is the process's: in validation, and in a step."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = SMANet.from_config({**network.get_config(), "dtype": "mixed_bfloat16"})
        half.build((None, None, None, 1))
        half.set_weights(network.get_weights())
    finally:
        keras.config.set_dtype_policy("float32")
    assert half.encoder.compute_dtype == "bfloat16"
    assert half(FILMS).dtype == half(FILMS, training=True).dtype == tf.float32
    half.set_weights(network.get_weights())
    agreement = np.mean(np.argmax(half(FILMS), -1) == np.argmax(network(FILMS), -1))
    assert agreement > 0.9


def test_learns_one_picture():
    keras.utils.set_random_seed(2)
    network = SMANet(2, depth=14, width=8, bn_momentum=0.8)
    film = np.full((2, 32, 32, 1), -1, np.float32)
    film[:, 8:20, 10:25] = 1
    labels = (film[..., 0] > 0).astype(np.int32)
    network.build(film.shape)
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(network.trainable_variables)  # else the step is traced twice

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, network(film, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, network.trainable_variables),
                                      network.trainable_variables, strict=True))
        return loss

    losses = [float(step()) for _ in range(25)]
    assert losses[-1] < 0.3 * losses[0]


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="received 'self'"):
        SMANet(4, attention="self")
    with pytest.raises(ValueError, match="received 18"):
        SMANet(4, depth=18)


def test_exposure_does_not_matter_when_standardized():
    network = SMANet(3, depth=14, width=8, standardize=True)
    films = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 1)).astype(np.float32)
    expected = network(films).numpy()
    darker = films * np.array([0.1, 1.0], np.float32).reshape(2, 1, 1, 1) + 0.9
    np.testing.assert_allclose(network(darker), expected, rtol=1e-3, atol=1e-3)
    assert np.isfinite(network(np.ones((1, 32, 32, 1), np.float32))).all()
    plain = SMANet(3, depth=14, width=8)
    assert not np.allclose(plain(films), plain(darker), atol=1e-2)


@pytest.mark.parametrize(("training", "device"), [(True, "cpu"), (True, "gpu"), (False, "cpu")])
def test_batch_norm_is_keras_own_function(training, device):
    """Each device's kernels: outputs, gradients and moving statistics of keras.layers.BatchNormalization."""
    draw = np.random.default_rng(0)
    images = tf.constant(draw.normal(2, 3, (3, 5, 7, 4)), tf.float32)
    results = []
    for norm in (batch_norm(0.9, False, "n"), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)):
        norm.build(images.shape)
        norm.set_weights([np.linspace(0.5, 2, 4) + index for index in range(4)])
        with tf.GradientTape() as tape:
            tape.watch(images)
            with kernels_of(device):
                made = norm(images, training=training)
            loss = tf.reduce_sum(tf.square(made) * images)
        gradients = tape.gradient(loss, [images, norm.gamma.value, norm.beta.value])
        results.append([made, *gradients, *norm.get_weights()])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize(("kernel", "stride", "dilation", "padding"), [(3, 1, 2, "same"), (1, 2, 1, "valid")])
def test_bias_in_the_running_mean_is_the_same_function(kernel, stride, dilation, padding):
    """In inference: convolution with bias, then norm; in float32 and, coarser, in bfloat16."""
    draw = np.random.default_rng(0)
    images = tf.constant(draw.normal(size=(2, 9, 11, 5)), tf.float32)
    for policy, tolerance in (("float32", 1e-5), ("mixed_bfloat16", 0.05)):
        conv = keras.layers.Conv2D(7, kernel, stride, padding, dilation_rate=dilation, dtype=policy)
        norm = batch_norm(0.9, False, "n")
        conv.build(images.shape)
        norm.build((None, None, None, 7))
        conv.set_weights([draw.normal(size=value.shape) for value in conv.get_weights()])
        norm.set_weights([draw.uniform(0.5, 2, 7) for _ in range(4)])
        expected = tf.cast(norm(conv(images)), tf.float32)
        made = tf.function(convolve)(conv, norm, images, False)
        assert made.dtype == conv.compute_dtype
        np.testing.assert_allclose(tf.cast(made, tf.float32), expected, rtol=tolerance, atol=5 * tolerance)
