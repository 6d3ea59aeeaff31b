"""What a discriminator sees under differentiable augmentation."""

import numpy as np
import pytest
import tensorflow as tf

from training.config import DIFF_AUGMENT
from training.diff_augment import HIDDEN, SHIFT, diff_augment

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
