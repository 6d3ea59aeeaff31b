"""WGAN-GP against hand-written float64 numbers on a tiny network, weight gradients included."""

import numpy as np
import pytest
import tensorflow as tf

from models import losses

RNG = np.random.default_rng(0)
REAL, FAKE = RNG.standard_normal((2, 3, 2, 2, 1))
MIX = RNG.uniform(size=(3, 1, 1, 1))
WEIGHTS = [RNG.standard_normal((4, 5)), RNG.standard_normal((5, 1))]


def _critic(weights):
    """A tiny critic, twice differentiable: tanh(x W) V."""
    return lambda images: tf.tanh(tf.reshape(images, (-1, 4)) @ weights[0]) @ weights[1]


def _by_hand(weights):
    """Mean of all of the critic's losses from the equations."""
    first, second = weights
    score = lambda x: (np.tanh(x.reshape(-1, 4) @ first) @ second)[:, 0]  # noqa: E731
    mixed = (REAL + (FAKE - REAL) * MIX).reshape(-1, 4)
    gradient = ((1 - np.tanh(mixed @ first) ** 2) * second[:, 0]) @ first.T
    penalty = 10 * (np.sqrt((gradient**2).sum(1)) - 1) ** 2
    return np.mean(score(FAKE) - score(REAL) + penalty + 1e-3 * score(REAL) ** 2)


def _computed(weights):
    critic = _critic(weights)
    real_scores, fake_scores = critic(tf.constant(REAL)), critic(tf.constant(FAKE))
    penalty = losses.gradient_penalty(critic, tf.constant(REAL), tf.constant(FAKE), tf.constant(MIX))
    each = tf.cast(losses.critic_loss(real_scores, fake_scores) + losses.drift(real_scores), tf.float32) + penalty
    return tf.reduce_mean(each)


def test_critic_loss_and_its_weight_gradients():
    variables = [tf.Variable(weight) for weight in WEIGHTS]
    with tf.GradientTape() as tape:
        loss = _computed(variables)
    assert float(loss) == pytest.approx(_by_hand(WEIGHTS), rel=1e-5)
    for index, gradient in enumerate(tape.gradient(loss, variables)):
        numeric = np.zeros_like(WEIGHTS[index])
        for place in np.ndindex(numeric.shape):
            moved = [[weight.copy() for weight in WEIGHTS] for _ in range(2)]
            moved[0][index][place] += 1e-5
            moved[1][index][place] -= 1e-5
            numeric[place] = (_by_hand(moved[0]) - _by_hand(moved[1])) / 2e-5
        np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6)


def test_penalty_is_zero_for_slope_one_and_grows_with_the_target():
    slope = np.array([[0.6], [0.8], [0.0], [0.0]])
    critic = lambda images: tf.reshape(images, (-1, 4)) @ slope  # noqa: E731
    arguments = (critic, tf.constant(REAL), tf.constant(FAKE), tf.constant(MIX))
    np.testing.assert_allclose(losses.gradient_penalty(*arguments), 0, atol=1e-10)
    np.testing.assert_allclose(losses.gradient_penalty(*arguments, weight=10, target=2), 10 / 4, rtol=1e-6)


def test_generator_loss_is_the_negative_score():
    assert losses.generator_loss(tf.constant([[2.0], [-3.0]])).numpy().tolist() == [-2.0, 3.0]
