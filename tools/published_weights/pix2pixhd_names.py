"""Names and layouts of the weights in the state dicts of the released Pix2PixHD networks.

The released networks are flat lists of modules, so a name holds a position: padding, norm and activation
count, but have no weights. Kernels are [out, in, kh, kw], transposed ones [in, out, kh, kw]; both become ours,
[kh, kw, in, out] and [kh, kw, out, in], by the same order of axes.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import keras
import numpy as np

from models.pix2pixhd import GlobalFeatures, GlobalGenerator, LocalEnhancer, MultiscaleDiscriminator

_KERNEL_AXES = (2, 3, 1, 0)  # [out, in, kh, kw] -> [kh, kw, in, out]
_MOST_HALVINGS, _MOST_BLOCKS, _MOST_SCALES = 8, 100, 8  # beyond these the names are not believed
Network = GlobalGenerator | LocalEnhancer | MultiscaleDiscriminator


class ReleasedWeight(NamedTuple):
    """Where a released tensor of `shape` goes: `variable.assign(weight.convert(tensor))`."""

    variable: keras.Variable
    shape: tuple[int, ...]

    def convert(self, tensor: np.ndarray) -> np.ndarray:
        """The released layout in ours: of a weight, or of its gradient."""
        return tensor.transpose(_KERNEL_AXES) if tensor.ndim == 4 else tensor


def released_weights(network: Network, separate_layers: bool = True) -> dict[str, ReleasedWeight]:
    """Every weight of a built network by its released name.

    Args:
      separate_layers: the discriminators keep their layers apart (`scale0_layer2.0.weight`), as those trained
        with feature matching do; else one list for each scale (`layer0.5.weight`).
    """
    if isinstance(network, GlobalGenerator):
        convs = _global_convs(network.features)
        # 4 ahead of the halvings, 3 for each halving and doubling, 1 for each block; then padding before the head.
        start = 4 + 6 * network.n_downsampling + network.n_blocks
        convs[f"model.{start + 1}"] = network.head.conv
    elif isinstance(network, LocalEnhancer):
        convs = _local_convs(network)
    elif isinstance(network, MultiscaleDiscriminator):
        convs = _discriminator_convs(network, separate_layers)
    else:
        raise ValueError(f"expected one of Pix2PixHD's networks; received {type(network).__name__}")
    weights = {}
    for name, conv in convs.items():
        # Argsort: the order turned round.
        kernel_shape = tuple(conv.kernel.shape[axis] for axis in np.argsort(_KERNEL_AXES))
        weights[f"{name}.weight"] = ReleasedWeight(conv.kernel, kernel_shape)
        weights[f"{name}.bias"] = ReleasedWeight(conv.bias, tuple(conv.bias.shape))
    return weights


def network_for(shapes: Mapping[str, tuple[int, ...]]) -> Network:
    """A built network of the architecture that the names and shapes of a state dict tell.

    Odd tensors among them show when they are compared with `released_weights`; ValueError if even the kind
    of network cannot be told.
    """
    try:
        if any(name.startswith(("scale", "layer")) for name in shapes):
            network, channels = _discriminator_for(shapes)
        else:
            network, channels = _generator_for(shapes)
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(f"the names are not those of a Pix2PixHD network ({error!r})") from None
    network.build((None, None, None, channels))
    return network


def has_separate_layers(names: Iterable[str]) -> bool:
    """Whether a discriminator's state dict keeps its layers apart; see `released_weights`."""
    return any(name.startswith("scale") for name in names)


def _global_convs(features: GlobalFeatures) -> dict[str, keras.layers.Layer]:
    """pad, conv, norm, relu; {conv, norm, relu} per halving; blocks; {conv, norm, relu} per doubling."""
    convs = {"model.1": features.stem.conv}
    position = 4  # after pad, conv, norm, relu
    for down in features.downs:
        convs[f"model.{position}"] = down.conv
        position += 3
    for block in features.blocks:
        convs |= _block_convs(f"model.{position}", block)
        position += 1
    for up in features.ups:  # maps halve
        convs[f"model.{position}"] = up.conv
        position += 3
    return convs


def _local_convs(network: LocalEnhancer) -> dict[str, keras.layers.Layer]:
    convs = _global_convs(network.global_generator)
    convs |= {"model1_1.1": network.stem.conv, "model1_1.4": network.down.conv}
    for position, block in enumerate(network.blocks):
        convs |= _block_convs(f"model1_2.{position}", block)
    position = len(network.blocks)
    # The doubling is conv, norm, relu, then padding, conv.
    return convs | {f"model1_2.{position}": network.up.conv, f"model1_2.{position + 4}": network.head.conv}


def _block_convs(prefix: str, block: keras.layers.Layer) -> dict[str, keras.layers.Layer]:
    """pad, conv, norm, relu, pad, conv, norm."""
    return {f"{prefix}.conv_block.{position}": conv for position, conv in zip((1, 5), block.convs, strict=True)}


def _discriminator_convs(network: MultiscaleDiscriminator, separate: bool) -> dict[str, keras.layers.Layer]:
    """Released numbers run from the smallest picture to the full-sized one, ours the other way round."""
    convs = {}
    for number, discriminator in enumerate(reversed(network.discriminators)):
        for layer, conv in enumerate(discriminator.convs):
            if separate:
                convs[f"scale{number}_layer{layer}.0"] = conv
            else:  # conv, relu; {conv, norm, relu} per further layer; conv
                convs[f"layer{number}.{max(3 * layer - 1, 0)}"] = conv
    return convs


def _generator_for(shapes: Mapping[str, tuple[int, ...]]) -> tuple[Network, int]:
    ngf, channels = shapes["model.1.weight"][:2]  # [out, in, 7, 7]
    blocks = _numbers(shapes, r"model\.(\d+)\.conv_block\.")
    first, count = blocks[0], blocks[-1] - blocks[0] + 1  # residual blocks stand in a row
    # 4 ahead, 3 for each halving
    sizes = {"n_downsampling": _up_to(_MOST_HALVINGS, (first - 4) // 3), "n_blocks": _up_to(_MOST_BLOCKS, count)}
    if not any(name.startswith("model1_") for name in shapes):
        head = max(_numbers(shapes, r"model\.(\d+)\.weight"))
        return GlobalGenerator(shapes[f"model.{head}.weight"][0], ngf, **sizes), channels
    local = shapes["model1_1.1.weight"][0]
    head = max(_numbers(shapes, r"model1_2\.(\d+)\.weight"))
    # Conv, norm, relu, padding stand between blocks and head.
    sizes["n_local_blocks"] = _up_to(_MOST_BLOCKS, head - 4)
    return LocalEnhancer(shapes[f"model1_2.{head}.weight"][0], local, **sizes), channels


def _discriminator_for(shapes: Mapping[str, tuple[int, ...]]) -> tuple[Network, int]:
    if has_separate_layers(shapes):
        scales = _numbers(shapes, r"scale(\d+)_layer")
        # The last layer is the score map, and one has stride 1.
        n_layers = max(_numbers(shapes, r"scale\d+_layer(\d+)\.0\.weight")) - 1
        ndf, channels = shapes["scale0_layer0.0.weight"][:2]
    else:
        scales = _numbers(shapes, r"layer(\d+)\.")
        # Positions 0, 2, 5, 8, ...: the score map's is 3 (n_layers + 1) - 1.
        n_layers = (max(_numbers(shapes, r"layer\d+\.(\d+)\.weight")) + 1) // 3 - 1
        ndf, channels = shapes["layer0.0.weight"][:2]
    num_scales = _up_to(_MOST_SCALES, scales[-1] + 1)
    return MultiscaleDiscriminator(ndf, _up_to(_MOST_HALVINGS, n_layers), num_scales), channels


def _numbers(names: Iterable[str], pattern: str) -> list[int]:
    """The different numbers that `pattern` captures at the start of the names, sorted."""
    return sorted({int(match[1]) for name in names if (match := re.match(pattern, name))})


def _up_to(most: int, number: int) -> int:
    if not 0 <= number <= most:
        raise ValueError(f"found a depth of {number}, expected 0 to {most}")
    return number
