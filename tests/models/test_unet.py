"""U-Net: counts, sizes that are no multiples, what is seen and handed across, gradients, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.unet import UNet, halvings


@pytest.mark.parametrize(("options", "count"), [({}, 46_248_196), ({"width": 16, "levels": 4}, 1_942_340)])
def test_parameter_count(options, count):
    """Within a sixth of SMANet's in the presets: 41,947,944 and 1,659,600."""
    network = UNet(4, **options)
    network.build((None, None, None, 1))
    assert sum(int(np.prod(variable.shape)) for variable in network.trainable_variables) == count


@pytest.mark.parametrize(("side", "count"), [(512, 6), (377, 6), (255, 5), (97, 4), (64, 4), (63, 3), (16, 2),
                                             (8, 1), (3, 1)])
def test_films_are_halved_as_often_as_four_pixels_remain(side, count):
    assert halvings(side) == count


def test_any_size_saved_and_in_a_graph(tmp_path):
    network = UNet(3, width=4, levels=3, standardize=True)
    films = np.random.default_rng(0).uniform(-1, 1, (2, 37, 50, 1)).astype(np.float32)
    logits = network(films)
    assert logits.shape == (2, 37, 50, 3) and logits.dtype == tf.float32
    np.testing.assert_allclose(network(0.3 * films - 0.5), logits, atol=1e-3)  # exposure does not matter
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    compiled = tf.function(loaded, input_signature=[tf.TensorSpec((None, None, None, 1))])
    np.testing.assert_allclose(compiled(films), logits, atol=1e-5)


def test_every_weight_learns_and_the_view_is_that_of_the_levels():
    network = UNet(2, width=4, levels=2, dropout=0.0)
    films = tf.constant(np.random.default_rng(0).uniform(0, 1, (1, 81, 81, 1)), tf.float32)
    network.build(films.shape)
    for variable in network.trainable_variables:
        variable.assign(tf.abs(variable))  # no ReLU hides anything
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(films)
        middle = tf.reduce_sum(network(films)[:, 40, 40])  # running statistics: a pixel's own view
        loss = tf.reduce_sum(tf.square(network(films, training=True)))
    assert all(float(tf.norm(gradient)) > 0 for gradient in tape.gradient(loss, network.trainable_variables))
    seen = np.flatnonzero(np.abs(tape.gradient(middle, films)).max((0, 2, 3)))
    # Two 3x3 convolutions down and up at strides 1 and 2, two at stride 4 between.
    assert 30 < seen[-1] - seen[0] + 1 <= 1 + 2 * (4 + 4 * 2 + 2 * 4) + 6


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="received 0"):
        UNet(4, levels=0)
