"""Grey levels and the networks' range: there and back, on arrays and tensors alike."""

import numpy as np
import pytest
import tensorflow as tf

from datasets import grey

LEVELS = np.arange(256, dtype=np.uint8)


def test_the_ends_and_the_way_back():
    values = grey.from_levels(LEVELS)
    assert values.dtype == np.float32 and (values[0], values[-1]) == (-1.0, 1.0)
    assert (np.diff(values) > 0).all()
    np.testing.assert_array_equal(grey.to_levels(values), LEVELS)


@pytest.mark.parametrize("compiled", [False, True])
def test_arrays_and_tensors_agree(compiled):
    """Levels exactly; values within a graph to one unit in the last place: graphs multiply by 1 / 127.5."""
    wrap = tf.function if compiled else lambda function: function
    values = np.random.default_rng(0).uniform(-1.2, 1.2, 10_000).astype(np.float32)
    np.testing.assert_array_equal(wrap(grey.to_levels)(tf.constant(values)), grey.to_levels(values))
    found = wrap(grey.from_levels)(tf.constant(np.tile(LEVELS, 100)))[:256].numpy()
    assert np.abs(found - grey.from_levels(LEVELS)).max() <= (2**-23 if compiled else 0.0)


def test_what_lies_beyond_is_black_or_white():
    assert grey.to_levels(np.float32([-3.0, 1.001, 7.0])).tolist() == [0, 255, 255]
