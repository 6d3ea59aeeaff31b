"""Pix2PixHD against the released networks' numbers, and against its definition at odd and oblong sizes.

Errors are the largest difference over the largest entry, float32 on a CPU; every one must be below 1e-4.
"""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from models.losses import feature_matching_loss, lsgan_loss
from tests.parity import pix2pixhd_plain as plain
from tools.published_weights.pix2pixhd_names import network_for, released_weights

TOLERANCE = 1e-4
SIZES = pathlib.Path(__file__).parent / "data" / "pix2pixhd_sizes.npz"


@pytest.fixture(scope="module")
def reference(shared_dir):
    with np.load(shared_dir / "reference" / "pix2pixhd_32px.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def sizes():
    with np.load(SIZES) as file:
        return dict(file)


@pytest.fixture
def check(capsys):
    """check(name, (ours, released), ...): prints the largest relative error, also when pytest captures, and
    asserts that it is small. Errors are relative to the largest entry released, or to `scale`."""
    def compare(name, *pairs, scale=None):
        errors = []
        for ours, released in pairs:
            assert ours.shape == released.shape, name
            errors.append(np.abs(ours - released).max() / (scale or np.abs(released).max()))
        with capsys.disabled():
            print(f"\n  pix2pixhd {name}: {max(errors):.1e}", end="")
        assert max(errors) < TOLERANCE, name
    return compare


def arrays(reference, prefix):
    return {name[len(prefix):]: array for name, array in reference.items() if name.startswith(prefix)}


def network_with(weights):
    """The network that the released names tell, holding these weights; every name must be used."""
    network = network_for({name: array.shape for name, array in weights.items()})
    places = released_weights(network)
    assert {name: place.shape for name, place in places.items()} == {
        name: array.shape for name, array in weights.items()}
    assert len(places) == len(network.trainable_variables)
    for name, place in places.items():
        place.variable.assign(place.convert(weights[name]))
    return network


def inputs(case, classes):
    """One-hot label map and, for discriminators, the film beside it: [N, H, W, C]."""
    x = tf.one_hot(case["label_map"], classes)
    return tf.concat([x, channels_last(case["real"])], -1) if "real" in case else x


def channels_last(array):
    return array.transpose(0, 2, 3, 1)


def channels_first(tensor):
    return np.asarray(tensor).transpose(0, 3, 1, 2)


def feature_pairs(features, released):
    """(ours, released) of every layer; released names end in `scaleS_layerL`, scale 0 = full size."""
    return [(channels_first(feature), released[f"scale{scale}_layer{layer}"])
            for scale, layers in enumerate(features) for layer, feature in enumerate(layers)]


def test_generators(reference, check):
    x = tf.one_hot(reference["label_map"], 4)
    for kind in ("global", "local"):
        network = network_with(arrays(reference, f"{kind}/"))
        check(f"{kind} generator", (channels_first(network(x)), reference[f"{kind}_out"]))


def test_discriminator_features(reference, check):
    features = network_with(arrays(reference, "disc/"))(inputs(reference, 4))
    pairs = feature_pairs(features, arrays(reference, "real_features/"))
    assert len(pairs) == 10
    for number, pair in enumerate(pairs):
        check(f"discriminator scale {number // 5} layer {number % 5}", pair)


def test_losses_and_gradients(reference, check):
    """Gradients by the largest entry of their tensor. A bias ahead of instance norm, that is each but the last,
    has none but rounding errors: those by the largest entry of all."""
    generator, critic = (network_with(arrays(reference, prefix)) for prefix in ("global/", "disc/"))
    x = tf.one_hot(reference["label_map"], 4)
    real = critic(inputs(reference, 4))
    places = released_weights(generator)
    with tf.GradientTape() as tape:
        fake = critic(tf.concat([x, generator(x)], -1))
        losses = {"G_GAN": lsgan_loss(fake, True), "G_GAN_Feat": feature_matching_loss(real, fake)}
        total = tf.add_n(list(losses.values()))
    gradients = tape.gradient(total, [place.variable.value for place in places.values()])
    losses |= {"D_real": lsgan_loss(real, True), "D_fake": lsgan_loss(fake, False)}
    for name, loss in losses.items():
        check(f"loss {name}", (loss.numpy(), reference[f"loss/{name}"]))
    released = arrays(reference, "grad_global/")
    largest = max(np.abs(gradient).max() for gradient in released.values())
    for (name, place), gradient in zip(places.items(), gradients, strict=True):
        normed = name.endswith("bias") and place.variable is not generator.head.conv.bias
        pair = (gradient.numpy(), place.convert(released[name]))
        check(f"gradient {name}", pair, scale=largest if normed else None)


@pytest.mark.parametrize("kind,size", [
    *(("global", size) for size in ("33x47", "37x37", "16x40", "9x9")),
    *(("local", size) for size in ("31x39", "24x40", "7x12"))])
def test_generators_at_odd_sizes(sizes, check, kind, size):
    network = network_with(arrays(sizes, f"{kind}/"))
    case = arrays(sizes, f"{kind}_{size}/")
    ours = network(inputs(case, 3))
    assert ours.shape[1:3] == network.compute_output_shape((2, *case["label_map"].shape[1:], 3))[1:3]
    check(f"{kind} generator {size}", (channels_first(ours), case["out"]))


@pytest.mark.parametrize("size", ["33x47", "37x37", "18x24", "5x6"])
def test_discriminators_at_odd_sizes(sizes, check, size):
    case = arrays(sizes, f"disc_{size}/")
    pairs = feature_pairs(network_with(arrays(sizes, "disc/"))(inputs(case, 3)), case)
    assert len(pairs) == 12
    check(f"discriminator {size}, all features", *pairs)


@pytest.mark.parametrize("kind,side", [("global", (21, 34)), ("local", (16, 27)), ("disc", (13, 22))])
def test_definition_in_numpy(sizes, check, kind, side):
    weights = arrays(sizes, f"{kind}/")
    x = np.random.default_rng(3).uniform(-1, 1, (1, *side, 4 if kind == "disc" else 3)).astype(np.float32)
    written_out = {"global": plain.global_generator, "local": plain.local_enhancer, "disc": plain.discriminator}
    ours = tf.nest.flatten(network_with(weights)(x))
    expected = tf.nest.flatten(written_out[kind](weights, channels_first(x)[0].astype(np.float64)))
    pairs = [(channels_first(one)[0], other) for one, other in zip(ours, expected, strict=True)]
    check(f"{kind} {side[0]}x{side[1]} against plain numpy", *pairs)
