"""The fused Adam takes Keras' steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.optimizers import FusedAdam


@pytest.mark.parametrize("options", [{}, {"beta_1": 0.0, "beta_2": 0.99, "epsilon": 1e-8}, {"learning_rate": 0.1}])
def test_the_same_steps_as_keras(options):
    draw = np.random.default_rng(0)
    start = draw.normal(size=(5, 3)).astype(np.float32)
    pairs = [(kind(**options), keras.Variable(start)) for kind in (FusedAdam, keras.optimizers.Adam)]
    for optimizer, variable in pairs:
        optimizer.build([variable])
    for scale in (1.0, 1e-6, 1e3, 0.0, 1.0):
        gradient = tf.constant(draw.normal(size=(5, 3)) * scale, tf.float32)
        for optimizer, variable in pairs:
            optimizer.apply_gradients([(gradient, variable)])
        np.testing.assert_allclose(*(variable.numpy() for _, variable in pairs), rtol=1e-4, atol=1e-6)
    moments = zip(*([v.numpy() for v in optimizer.variables] for optimizer, _ in pairs), strict=True)
    for ours, theirs in moments:
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)  # 1 - 0.999 in float32 is 5e-5 off
    assert int(pairs[0][0].iterations.numpy()) == 5


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="amsgrad"):
        FusedAdam(amsgrad=True)
