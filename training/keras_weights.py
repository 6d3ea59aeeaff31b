"""Loads ImageNet weights of keras.applications into a segmenter's encoder."""

import os
import pathlib

import h5py
import keras
import numpy as np

from datasets.common.errors import UserError
from models.smanet import SMANet

_ROLES = {"kernel:0": "kernel", "bias:0": "bias", "gamma:0": "gamma", "beta:0": "beta",
          "moving_mean:0": "moving_mean", "moving_variance:0": "moving_variance"}


def load_encoder_weights(network: SMANet, path: str | os.PathLike) -> None:
    """Copies the weights of keras.applications.ResNet50 or 101 (.h5 by layer names, as published).

    Raises UserError naming the file and the first layer that is missing or of another shape.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected weights of keras.applications.ResNet50 or 101 (.h5)")
    try:
        with h5py.File(path, "r") as file:
            layers = _layers(file)
    except OSError as error:
        raise UserError(f"{path}: not a readable .h5 weight file ({error})") from None
    for name, layer in network.encoder.layers_by_name().items():
        if name not in layers:
            raise UserError(f"{path}: has no layer {name}; expected the weights of keras.applications."
                            f"ResNet{network.depth}")
        _assign(layer, layers[name], f"{path}: layer {name}")


def _layers(file: h5py.File) -> dict[str, dict[str, np.ndarray]]:
    """Layer name -> role -> array, from the layout that Keras 2 wrote and keras.applications publishes."""
    root = file.get("model_weights", file)
    found: dict[str, dict[str, np.ndarray]] = {}

    def visit(name: str, item) -> None:
        role = _ROLES.get(name.rsplit("/", 1)[-1])
        if isinstance(item, h5py.Dataset) and role:
            found.setdefault(name.split("/")[0], {})[role] = item[()]

    root.visititems(visit)
    return found


def _assign(layer: keras.layers.Layer, arrays: dict[str, np.ndarray], where: str) -> None:
    for variable in layer.weights:
        array = arrays.get(variable.name)
        if array is None or array.shape != tuple(variable.shape):
            found = "nothing" if array is None else f"shape {array.shape}"
            raise UserError(f"{where}: found {found} for {variable.name}, expected shape {tuple(variable.shape)}; "
                            "use a three-channel network of the file's depth and width")
        variable.assign(array)
