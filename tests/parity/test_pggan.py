"""PGGAN computes what the released networks compute: stored activations, and a plain float64 definition."""

import numpy as np
import pytest

from models.pggan import Discriminator, Generator
from tests.parity import pggan_plain
from tools.published_weights.check_activations import check_pggan
from tools.published_weights.pggan_names import network_for, released_weights, was_fused

TOLERANCE = 1e-4


def _fill(network, arrays, fused=True):
    for name, place in released_weights(network, fused).items():
        assert arrays[name].shape == tuple(place.shape), name
        place.variable.assign(place.convert(arrays[name]))


def test_stored_activations(shared_dir):
    released = dict(np.load(shared_dir / "reference" / "pggan_16px.npz"))
    networks = {}
    for key in ("G", "D"):
        prefix = f"weights/{key}/"
        arrays = {name.removeprefix(prefix): array for name, array in released.items() if name.startswith(prefix)}
        networks[key] = network_for({name: array.shape for name, array in arrays.items()})
        assert was_fused(arrays) and set(released_weights(networks[key])) == set(arrays)
        _fill(networks[key], arrays)
    errors = dict(check_pggan(networks, released))
    print("\n" + "\n".join(f"{name:45} {error:.1e}" for name, error in errors.items()))
    assert len(errors) == 15 and max(errors.values()) < TOLERANCE


@pytest.mark.parametrize(("level", "fade"), [(6, 1.0), (6, 0.3), (5, 1.0), (4, 0.75), (2, 1.0)])
def test_plain_definition_two_channels_64_pixels(level, fade):
    rng = np.random.default_rng(level)
    shape = {"channels": 2, "fmap_base": 128, "fmap_max": 16}
    generator, critic = Generator(64, **shape), Discriminator(64, **shape)
    generator.build((None, 16))
    critic.build((None, 64, 64, 2))
    released = {}
    for key, network in (("G", generator), ("D", critic)):
        released[key] = {name: rng.standard_normal(place.shape).astype(np.float32)
                         for name, place in released_weights(network).items()}
        _fill(network, released[key])
    latents = rng.standard_normal((2, 16)).astype(np.float32)
    expected = pggan_plain.generate(released["G"], latents, level, fade)
    made = generator(latents, level=level, fade=fade).numpy()
    images = rng.uniform(-1, 1, (8, 2**level, 2**level, 2)).astype(np.float32)
    scores = critic(images, level=level, fade=fade).numpy()
    plain = pggan_plain.discriminate(released["D"], images, level, fade, last_level=6)
    errors = [np.abs(ours - theirs).max() / np.abs(theirs).max()
              for ours, theirs in ((made, expected), (scores, plain))]
    print(f"\nlevel {level} fade {fade}: generator {errors[0]:.1e}, discriminator {errors[1]:.1e}")
    assert max(errors) < TOLERANCE


def test_plain_weights_give_the_same_network():
    """Weights of a network trained unfused, by their own names and layout."""
    rng = np.random.default_rng(0)
    fused, plain = (Generator(16, fmap_base=32, fmap_max=8, fused=form) for form in (True, False))
    for network in (fused, plain):
        network.build((None, 8))
    arrays = {name: rng.standard_normal(place.shape).astype(np.float32)
              for name, place in released_weights(fused, fused=False).items()}
    assert "8x8/Conv0/weight" in arrays and not was_fused(arrays)
    for network in (fused, plain):
        _fill(network, arrays, fused=False)
    latents = rng.standard_normal((3, 8)).astype(np.float32)
    np.testing.assert_allclose(fused(latents), plain(latents), rtol=1e-4, atol=1e-4)
