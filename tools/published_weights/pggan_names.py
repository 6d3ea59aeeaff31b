"""Names and layouts of the weights of the released PGGAN networks.

Names hold the block ("16x16/Conv0_up/weight") or the level of detail ("ToRGB_lod0/bias", 0 the full resolution).
The released networks are channels-first: the dense layers next to 4x4 maps count [maps, 4, 4] where ours count
[4, 4, maps]. Kernels are [kh, kw, in, out], the fused up-convolution's [kh, kw, out, in], as ours are. A plain
up-convolution (trained unfused) is "Conv0", [kh, kw, in, out] and mirrored against the fused one.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import keras
import numpy as np

from models.pggan import Discriminator, Generator

_LARGEST = 2**14  # resolutions and maps beyond this are not believed


class ReleasedWeight(NamedTuple):
    """Where a released tensor of `shape` goes: `variable.assign(weight.convert(tensor))`."""

    variable: keras.Variable
    shape: tuple[int, ...]
    convert: Callable[[np.ndarray], np.ndarray]


def released_weights(network: Generator | Discriminator, fused: bool = True) -> dict[str, ReleasedWeight]:
    """Every weight of a built network by its released name; `fused` as the released network was trained."""
    if isinstance(network, Generator):
        layers = _generator_layers(network, fused)
    elif isinstance(network, Discriminator):
        layers = _discriminator_layers(network, fused)
    else:
        raise ValueError(f"expected a PGGAN Generator or Discriminator; received {type(network).__name__}")
    weights = {}
    for name, layer in layers.items():
        weights[f"{name}/weight"] = _kernel(name, layer, fused)
        weights[f"{name}/bias"] = ReleasedWeight(layer.bias, tuple(layer.bias.shape), _same)
    return weights


def network_for(shapes: Mapping[str, tuple[int, ...]]) -> Generator | Discriminator:
    """A built network of the architecture that released names and shapes tell.

    Raises ValueError if they tell none. Odd tensors among them show when compared with `released_weights`.
    """
    try:
        sides = [int(name.split("x")[0]) for name in shapes if name[0].isdigit()]  # "16x16/Conv0_up/weight": 16
        resolution, lowest = max(sides), shapes["4x4/Conv/weight"]
        is_generator = any(name.startswith("ToRGB") for name in shapes)
        # The latent size, or the first dense layer's inputs.
        first = shapes["4x4/Dense/weight"][0] if is_generator else shapes["4x4/Dense0/weight"][1]
        # The lowest level has the most maps: fmap_max, unless fmap_base is small.
        fmap_max = max(lowest[3], first)
        # Maps at the full resolution.
        newest = shapes["ToRGB_lod0/weight"][2] if is_generator else shapes["FromRGB_lod0/weight"][3]
        channels = shapes["ToRGB_lod0/bias"][0] if is_generator else shapes["FromRGB_lod0/weight"][2]
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(f"the names are not those of a PGGAN network ({error!r})") from None
    if max(resolution, fmap_max, channels) > _LARGEST:
        raise ValueError(f"resolution {resolution}, {fmap_max} maps and {channels} channels are not believable")
    fmap_base = newest * 2 ** (int(math.log2(resolution)) - 1)  # feature_maps() turned round
    if is_generator:
        network = Generator(resolution, channels, fmap_base, fmap_max, latent_size=first)
        network.build((None, first))
    else:
        network = Discriminator(resolution, channels, fmap_base, fmap_max)
        network.build((None, resolution, resolution, channels))
    return network


def was_fused(names: Iterable[str]) -> bool:
    """Whether the released network scaled and convolved in one operation at its first growth."""
    return any(name.startswith(("8x8/Conv0_up", "8x8/Conv1_down")) for name in names)


def _generator_layers(network: Generator, fused: bool) -> dict[str, keras.layers.Layer]:
    layers = {"4x4/Dense": network.latent_to_maps, "4x4/Conv": network.first_conv}
    for block, level in zip(network.blocks, network.levels[1:], strict=True):
        side = f"{2**level}x{2**level}"
        layers[f"{side}/{'Conv0_up' if fused else 'Conv0'}"] = block.up
        layers[f"{side}/Conv1"] = block.conv
    for to_image, level in zip(network.to_image, network.levels, strict=True):
        layers[f"ToRGB_lod{network.last_level - level}"] = to_image  # level of detail counts from the top
    return layers


def _discriminator_layers(network: Discriminator, fused: bool) -> dict[str, keras.layers.Layer]:
    layers = {f"FromRGB_lod{network.last_level - level}": from_image
              for from_image, level in zip(network.from_image, network.levels, strict=True)}
    for block, level in zip(network.blocks, network.levels[1:], strict=True):
        side = f"{2**level}x{2**level}"
        layers[f"{side}/Conv0"] = block.conv
        layers[f"{side}/{'Conv1_down' if fused else 'Conv1'}"] = block.down
    return {**layers, "4x4/Conv": network.last_conv, "4x4/Dense0": network.dense, "4x4/Dense1": network.to_score}


def _kernel(name: str, layer: keras.layers.Layer, fused: bool) -> ReleasedWeight:
    shape = tuple(layer.kernel.shape)
    if name == "4x4/Dense":
        return ReleasedWeight(layer.kernel, shape, lambda tensor: _channels_last(tensor, axis=1))
    if name == "4x4/Dense0":
        return ReleasedWeight(layer.kernel, shape, lambda tensor: _channels_last(tensor, axis=0))
    if name.endswith("/Conv0") and hasattr(layer, "fused") and not fused:  # a plain up-convolution
        released = (*shape[:2], shape[3], shape[2])  # [kh, kw, in, out]
        # Turned by 180 degrees, in and out changed.
        return ReleasedWeight(layer.kernel, released, lambda tensor: tensor[::-1, ::-1].transpose(0, 1, 3, 2))
    return ReleasedWeight(layer.kernel, shape, _same)


def _channels_last(tensor: np.ndarray, axis: int) -> np.ndarray:
    """Counts one axis of a matrix as [4, 4, maps] instead of [maps, 4, 4]."""
    maps = tensor.shape[axis] // 16
    order = np.arange(16 * maps).reshape(maps, 4, 4).transpose(1, 2, 0).ravel()  # place in ours -> place in theirs
    return np.take(tensor, order, axis)


def _same(tensor: np.ndarray) -> np.ndarray:
    return tensor
