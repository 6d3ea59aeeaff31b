"""Weights that keras.applications publishes (.h5, in the layout Keras 2 wrote), copied layer by layer."""

import os
import pathlib
import re
from collections.abc import Mapping

import h5py
import keras
import numpy as np

from datasets.common.errors import UserError
from models.losses import vgg19_features
from models.smanet import SMANet

# A data set's name ends with its role: "conv1_conv/kernel:0"; in VGG19's older file "block1_conv1_W_1:0".
_ROLE = re.compile(r"(kernel|bias|gamma|beta|moving_mean|moving_variance|_W|_b)(_\d+)?:0$")
_OLDER = {"_W": "kernel", "_b": "bias"}


def load_encoder_weights(network: SMANet, path: str | os.PathLike) -> None:
    """Fills a segmenter's encoder with the weights of keras.applications.ResNet50 or 101.

    Raises UserError naming the file and the first layer that is missing or of another shape.
    """
    name = f"keras.applications.ResNet{network.depth}"
    _fill(network.encoder.layers_by_name(), path, name)


def load_vgg19(path: str | os.PathLike) -> keras.Model:
    """`vgg19_features` with Keras' weights without top (vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5).

    Raises UserError as above.
    """
    network = vgg19_features()
    _fill({layer.name: layer for layer in network.layers if layer.weights}, path, "Keras' VGG19 without top")
    return network


def _fill(layers: Mapping[str, keras.layers.Layer], path: str | os.PathLike, expected: str) -> None:
    """Every layer from the group of its name; Keras' own loader passes over layers it does not find."""
    found = _read(pathlib.Path(path), expected)
    for name, layer in layers.items():
        if name not in found:
            raise UserError(f"{path}: has no layer {name}; expected the weights of {expected}")
        for variable in layer.weights:
            array = found[name].get(variable.name)  # its name is its role
            if array is None or array.shape != tuple(variable.shape):
                shape = "nothing" if array is None else f"shape {array.shape}"
                raise UserError(f"{path}: layer {name}: found {shape} for {variable.name}, expected shape "
                                f"{tuple(variable.shape)}; expected the weights of {expected}, for three channels")
            variable.assign(array)


def _read(path: pathlib.Path, expected: str) -> dict[str, dict[str, np.ndarray]]:
    """Layer name -> role -> array."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the weights of {expected} (.h5)")
    found: dict[str, dict[str, np.ndarray]] = {}

    # Visits groups and data sets alike; the first folder of a path is the layer.
    def visit(name: str, item) -> None:
        role = _ROLE.search(name)
        if isinstance(item, h5py.Dataset) and role:
            found.setdefault(name.split("/")[0], {})[_OLDER.get(role[1], role[1])] = item[()]

    try:
        with h5py.File(path, "r") as file:
            file.get("model_weights", file).visititems(visit)  # a whole model's file has them a group further down
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable .h5 weight file ({' '.join(str(error).split())})") from None
    return found
