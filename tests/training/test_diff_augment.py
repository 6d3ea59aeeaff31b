"""What a discriminator sees under differentiable augmentation."""

import numpy as np
import pytest
import tensorflow as tf

from models.label_coding import LabelCoding
from tests.helpers.rewind import rewinder
from training.config import DIFF_AUGMENT, PGGANConfig, Pix2PixHDConfig
from training.devices import prepare
from training.discriminator_inputs import HIDDEN, SHIFT, _moved, diff_augment
from training.pggan import PGGANTrainer
from training.pix2pixhd import Pix2PixHDTrainer

_CODES = np.random.default_rng(0).integers(0, 3, (4, 16, 16)).astype(np.uint8)
SEED = tf.constant([3, 5], tf.int64)


def pictures(count: int = 8, side: int = 16) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).uniform(0.1, 1, (count, side, side, 2)), tf.float32)


def test_none_changes_nothing_and_unknown_is_refused():
    images = pictures()
    np.testing.assert_array_equal(diff_augment(images, "none", SEED), images)
    with pytest.raises(ValueError, match="mirror"):
        diff_augment(images, "mirror", SEED)


@pytest.mark.parametrize("policy", [policy for policy in DIFF_AUGMENT if policy != "none"])
def test_a_seed_decides_and_pictures_differ(policy):
    same = tf.repeat(pictures(1), 8, 0)
    made = diff_augment(same, policy, SEED).numpy()
    np.testing.assert_array_equal(made, diff_augment(same, policy, SEED))
    assert not np.array_equal(made, diff_augment(same, policy, SEED + 1))
    assert len({picture.tobytes() for picture in made}) > 4


def test_translation_moves_whole_pixels_up_to_an_eighth():
    side = 32
    ramp = np.broadcast_to(np.arange(side, dtype=np.float32)[:, None, None], (64, side, side, 1))
    made = diff_augment(tf.constant(ramp), "translation", SEED).numpy()
    shifts = {int(picture[side // 2, 0, 0] - side // 2) for picture in made}
    assert shifts == set(range(-int(side * SHIFT), int(side * SHIFT) + 1))
    assert made.min() == 0 and made.max() == side - 1  # borders are repeated, nothing is made up


def test_cutout_hides_at_most_its_square():
    made = diff_augment(pictures(64), "cutout", SEED).numpy()
    hidden = (made == 0).all(-1).mean((1, 2))
    assert hidden.max() <= HIDDEN**2 + 1e-6 and hidden.min() >= HIDDEN**2 / 4 - 0.05
    assert hidden.max() > 0.9 * HIDDEN**2


def test_gradients_pass_through_what_is_seen():
    images = pictures()
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(diff_augment(images, "cutout", SEED))
    made = diff_augment(images, "cutout", SEED).numpy()
    np.testing.assert_array_equal(tape.gradient(total, images).numpy(), (made != 0).astype(np.float32))


@pytest.mark.parametrize("axis", [1, 2])
def test_the_gradients_of_a_move_are_those_of_what_it_gathers(axis):
    images, shift = pictures(5, 6), tf.constant([0, 2, -3, 5, -5])
    rng = np.random.default_rng(1)
    weights, others = (tf.constant(rng.normal(size=images.shape), tf.float32) for _ in range(2))
    places = tf.clip_by_value(tf.range(6)[None] - shift[:, None], 0, 5)

    def results(move):
        with tf.GradientTape() as second:
            second.watch(weights)
            with tf.GradientTape() as first:
                first.watch(images)
                made = move(images)
                total = tf.reduce_sum(made * weights)
            gradient = first.gradient(total, images)
            again = tf.reduce_sum(gradient * others)
        return made, gradient, second.gradient(again, weights)

    expected = results(lambda x: tf.gather(x, places, axis=axis, batch_dims=1))
    for found, wanted in zip(results(lambda x: _moved(x, shift, axis)), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def _losses(trainer) -> list[float]:
    position, losses = 0, []
    for _ in range(2):
        position, metrics = trainer.step(position)
        losses.append(float(metrics["d_loss" if "d_loss" in metrics else "d_real"][0]))
    return losses


def _pggan(policy: str) -> PGGANTrainer:
    config = PGGANConfig(precision="float32", resolution=8, start_resolution=8, fmap_base=32, fmap_max=8,
                         max_batch=4, score_images=0, diff_augment=policy)
    return PGGANTrainer(config, _CODES[:, :8, :8], None, LabelCoding("grey", (0, 1, 2)), prepare(config))


def _pix2pixhd(policy: str) -> Pix2PixHDTrainer:
    config = Pix2PixHDConfig(precision="float32", ngf=4, ndf=4, n_downsampling=1, n_blocks=1, n_layers=1, num_D=1,
                             batch=2, diff_augment=policy)
    return Pix2PixHDTrainer(config, _CODES, 80 * _CODES, 3, None, prepare(config))


@pytest.mark.parametrize("make", [_pggan, _pix2pixhd])
def test_trainers_use_it_and_repeat_its_draws(make, eager):
    trainer = make("both")
    rewind = rewinder(trainer)
    augmented = _losses(trainer)
    assert np.isfinite(augmented).all()
    rewind()
    np.testing.assert_array_equal(augmented, _losses(trainer))
    assert augmented != _losses(make("none"))
