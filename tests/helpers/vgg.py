"""A weight file in the layout of Keras' published VGG19, of random weights."""

import pathlib

import h5py
import numpy as np

_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))  # convolutions and maps of each


def write_vgg19(path: pathlib.Path) -> pathlib.Path:
    """A group per layer, its tensors named in an attribute."""
    draw, maps = np.random.default_rng(0), 3
    with h5py.File(path, "w") as file:
        for block, (convs, width) in enumerate(_BLOCKS, 1):
            for conv in range(1, convs + 1):
                name = f"block{block}_conv{conv}"
                group = file.create_group(name)
                kernel = draw.standard_normal((3, 3, maps, width), np.float32)
                group[f"{name}_W_1:0"] = kernel * np.float32(np.sqrt(2 / 9 / maps))
                group[f"{name}_b_1:0"] = draw.standard_normal(width, np.float32) * 5
                group.attrs["weight_names"] = [f"{name}_W_1:0".encode(), f"{name}_b_1:0".encode()]  # for Keras
                maps = width
        file.attrs["layer_names"] = [name.encode() for name in file]
    return path
