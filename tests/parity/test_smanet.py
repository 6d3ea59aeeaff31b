"""The undilated encoder is keras.applications.ResNet50, weight for weight; its weight files load."""

import h5py
import keras
import numpy as np
import pytest

from datasets.common.errors import UserError
from models.resnet import DilatedResNet
from models.smanet import SMANet
from training.keras_weights import load_encoder_weights


@pytest.fixture(scope="module")
def published():
    """keras.applications.ResNet50 with every weight random, batch-norm statistics too."""
    network = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(None, None, 3))
    rng = np.random.default_rng(0)
    for layer in network.layers:
        layer.set_weights([rng.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else w for w in layer.get_weights()])
    return network


def test_same_function(published):
    ours = DilatedResNet(50, dilated=False)
    ours.build((None, None, None, 3))
    named = ours.layers_by_name()
    weighted = [layer for layer in published.layers if layer.weights]
    assert {layer.name for layer in weighted} == set(named)
    for layer in weighted:
        named[layer.name].set_weights(layer.get_weights())
    for side in (64, 97):
        images = np.random.default_rng(side).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
        expected = published(images).numpy()
        error = np.abs(ours(images)["stage4"] - expected).max() / np.abs(expected).max()
        print(f"\n{side} x {side}: {error:.1e}")
        assert error < 1e-5


def _write_published_file(network, path):
    """The layout of the files that keras.applications publishes: a group per layer, datasets LAYER/ROLE:0."""
    with h5py.File(path, "w") as file:
        for layer in network.layers:
            for variable in layer.weights:
                file[f"{layer.name}/{layer.name}/{variable.name}:0"] = variable.numpy()


def test_published_weight_files_load(published, tmp_path):
    _write_published_file(published, tmp_path / "resnet50.h5")
    network = SMANet(4, pretrained_input=True)
    network.build((None, None, None, 1))
    load_encoder_weights(network, tmp_path / "resnet50.h5")
    theirs = published.get_layer("conv4_block3_2_conv").get_weights()
    for ours, expected in zip(network.encoder.layers_by_name()["conv4_block3_2_conv"].get_weights(), theirs,
                              strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(("settings", "message"), [
    ({"width": 16, "pretrained_input": True}, "layer conv1_conv: found shape"),
    ({}, "layer conv1_conv: found shape"),
    ({"depth": 101, "pretrained_input": True}, "conv4_block7")])
def test_other_networks_are_refused(published, tmp_path, settings, message):
    _write_published_file(published, tmp_path / "resnet50.h5")
    network = SMANet(4, **settings)
    network.build((None, None, None, 1))
    with pytest.raises(UserError, match=message):
        load_encoder_weights(network, tmp_path / "resnet50.h5")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"not hdf5")
    network = SMANet(4, depth=14, width=8)
    network.build((None, None, None, 1))
    with pytest.raises(UserError, match="not a readable"):
        load_encoder_weights(network, tmp_path / "weights.h5")
