"""The products of matrices are TensorFlow's convolution, forward and backward."""

import numpy as np
import pytest
import tensorflow as tf

from models.cpu_conv import WIDE, conv3x3

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("maps", [WIDE - 1, WIDE, WIDE + 3])
@pytest.mark.parametrize(("count", "height", "width"), [(1, 7, 5), (3, 1, 4), (2, 6, 1)])
@pytest.mark.parametrize("open_shape", [False, True])
def test_it_is_the_convolution(maps, count, height, width, open_shape):
    pictures = RNG.normal(size=(count, height + 2, width + 2, maps)).astype(np.float32)
    kernel = RNG.normal(scale=maps**-0.5, size=(3, 3, maps, 6)).astype(np.float32)
    weights = RNG.normal(size=(count, height, width, 6)).astype(np.float32)

    def outputs_and_gradients(convolve):
        spec = tf.TensorSpec((None, None, None, maps) if open_shape else pictures.shape)

        @tf.function(input_signature=[spec])
        def run(given):
            weighed = tf.constant(kernel)
            with tf.GradientTape() as tape:
                tape.watch([given, weighed])
                made = convolve(given, weighed)
                loss = tf.reduce_sum(made * weights)
            return [made, *tape.gradient(loss, [given, weighed])]

        return run(tf.constant(pictures))

    expected = outputs_and_gradients(lambda given, weighed: tf.nn.conv2d(given, weighed, 1, "VALID"))
    for found, wanted in zip(outputs_and_gradients(conv3x3), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_shape_is_known_where_it_can_be():
    kernel = tf.zeros((3, 3, WIDE, 2))
    function = tf.function(conv3x3)
    known = function.get_concrete_function(tf.TensorSpec((None, 9, None, WIDE)), kernel)
    assert known.structured_outputs.shape.as_list() == [None, 7, None, 2]


def test_a_picture_has_the_same_bits_alone_and_among_others():
    pictures = RNG.normal(size=(4, 18, 18, WIDE)).astype(np.float32)
    kernel = tf.constant(RNG.normal(size=(3, 3, WIDE, 64)).astype(np.float32))
    together = conv3x3(tf.constant(pictures), kernel).numpy()
    for one, made in zip(pictures, together, strict=True):
        np.testing.assert_array_equal(conv3x3(tf.constant(one[None]), kernel).numpy()[0], made)
