"""The fused Adam takes Keras' steps; what is logged of the gradients is true."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reliability import two_devices
from training import pggan, pix2pixhd, smanet
from training.devices import prepare
from training.optimizers import FusedAdam, make_optimizer


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


@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"])
def test_the_logged_norm_is_unscaled_by_the_scale_it_was_made_with(name, monkeypatch):
    """A loss scale that grows with each step must not show in the norm of the step before."""
    def first_norms(growth_steps):
        def made(*args):
            optimizer = make_optimizer(*args)
            optimizer.initial_scale, optimizer.dynamic_growth_steps = 16.0, growth_steps  # nothing overflows
            return optimizer

        build, config, module = {"pggan": (two_devices.pggan, two_devices.PGGAN, pggan),
                                 "pix2pixhd": (two_devices.pix2pixhd, two_devices.PIX2PIXHD, pix2pixhd),
                                 "smanet": (two_devices.smanet, two_devices.SMANET, smanet)}[name]
        monkeypatch.setattr(module, "make_optimizer", made)
        config = dataclasses.replace(config, precision="mixed_float16")
        labels, films = np.random.default_rng(0).integers(0, 6, (2, 8, 32, 32), np.uint8)
        _, metrics = build(config, prepare(config), labels, 40 * films)[0].step(0)
        return [float(value) for key, value in metrics.items() if key.endswith("gradient")]

    norms = first_norms(2000)
    assert min(norms) > 0 and first_norms(1) == pytest.approx(norms, rel=1e-3)


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="amsgrad"):
        FusedAdam(amsgrad=True)
