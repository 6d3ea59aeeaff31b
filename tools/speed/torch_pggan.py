"""PGGAN in PyTorch (Karras et al. 2018), layer for layer the function of `models.pggan`, to be timed beside it.

Full-grown: the blocks of every level, and no fading. Activations are [N, C, H, W]; kernels [filters, inputs, h, w]
are those of `models.pggan_layers` with their axes turned round.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

_GAIN = math.sqrt(2.0)


def feature_maps(level: int, fmap_base: int, fmap_max: int) -> int:
    return min(fmap_base // 2 ** (level - 1), fmap_max)


class Equalized(nn.Module):
    """A kernel drawn from N(0, 1) with its run-time factor, and a bias."""

    def __init__(self, shape: tuple[int, ...], fan_in: int, bias: int, gain: float = _GAIN):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(shape)), nn.Parameter(torch.zeros(bias))
        self.factor = gain / math.sqrt(fan_in)

    def scaled(self) -> torch.Tensor:
        return self.weight * self.factor


class Dense(Equalized):
    def __init__(self, inputs: int, units: int, gain: float = _GAIN):
        super().__init__((units, inputs), inputs, units, gain)

    def forward(self, x):
        return F.linear(x, self.scaled(), self.bias)


class LatentToMaps(Equalized):
    """[N, latent] -> [N, maps, 4, 4]."""

    def __init__(self, latent: int, maps: int):
        super().__init__((16 * maps, latent), latent, maps, _GAIN / 4)

    def forward(self, x):
        x = F.linear(x, self.scaled()).view(len(x), 4, 4, -1).permute(0, 3, 1, 2)
        return x + self.bias[:, None, None]


class Conv(Equalized):
    def __init__(self, inputs: int, filters: int, side: int, gain: float = _GAIN):
        super().__init__((filters, inputs, side, side), side * side * inputs, filters, gain)
        self.pad = side // 2

    def forward(self, x):
        return F.conv2d(x, self.scaled(), self.bias, padding=self.pad)


class UpConv(Equalized):
    """Upscaling and 3x3 convolution as one transposed convolution of stride 2; its kernel has its inputs first."""

    def __init__(self, inputs: int, filters: int):
        super().__init__((inputs, filters, 3, 3), 9 * inputs, filters)

    def forward(self, x):
        return F.conv_transpose2d(x, _sum_of_shifts(self.scaled()), self.bias, stride=2, padding=1)


class ConvDown(Equalized):
    """3x3 convolution and 2x2 mean pooling as one convolution of stride 2."""

    def __init__(self, inputs: int, filters: int):
        super().__init__((filters, inputs, 3, 3), 9 * inputs, filters)

    def forward(self, x):
        return F.conv2d(x, _sum_of_shifts(self.scaled()) * 0.25, self.bias, stride=2, padding=1)


class GeneratorBlock(nn.Module):
    def __init__(self, inputs: int, filters: int):
        super().__init__()
        self.up, self.conv = UpConv(inputs, filters), Conv(filters, filters, 3)

    def forward(self, x):
        x = pixel_norm(_leaky(self.up(x)))
        return pixel_norm(_leaky(self.conv(x)))


class DiscriminatorBlock(nn.Module):
    def __init__(self, inputs: int, filters: int):
        super().__init__()
        self.conv, self.down = Conv(inputs, inputs, 3), ConvDown(inputs, filters)

    def forward(self, x):
        return _leaky(self.down(_leaky(self.conv(x))))


class Generator(nn.Module):
    """Latents [N, fmap_max] -> float32 [N, channels, resolution, resolution]."""

    def __init__(self, resolution: int, channels: int = 1, fmap_base: int = 8192, fmap_max: int = 64):
        super().__init__()
        self.latent_size = fmap_max
        maps = [feature_maps(level, fmap_base, fmap_max) for level in range(2, int(math.log2(resolution)) + 1)]
        self.latent_to_maps = LatentToMaps(fmap_max, maps[0])
        self.first_conv = Conv(maps[0], maps[0], 3)
        self.blocks = nn.ModuleList(GeneratorBlock(*pair) for pair in itertools.pairwise(maps))
        self.to_image = nn.ModuleList(Conv(count, channels, 1, gain=1.0) for count in maps)

    def forward(self, latents):
        x = _leaky(self.latent_to_maps(pixel_norm(latents)))
        x = pixel_norm(_leaky(self.first_conv(pixel_norm(x))))
        for block in self.blocks:
            x = block(x)
        return self.to_image[-1](x).float()


class Discriminator(nn.Module):
    """Pictures [N, channels, resolution, resolution] -> scores float32 [N, 1]."""

    def __init__(self, resolution: int, channels: int = 1, fmap_base: int = 8192, fmap_max: int = 64):
        super().__init__()
        maps = [feature_maps(level, fmap_base, fmap_max) for level in range(1, int(math.log2(resolution)) + 1)]
        self.from_image = nn.ModuleList(Conv(channels, count, 1) for count in maps[1:])
        self.blocks = nn.ModuleList(DiscriminatorBlock(inputs, filters)
                                    for filters, inputs in itertools.pairwise(maps[1:]))
        self.last_conv = Conv(maps[1] + 1, maps[1], 3)
        self.dense = Dense(16 * maps[1], maps[0])
        self.to_score = Dense(maps[0], 1, gain=1.0)

    def forward(self, images):
        x = _leaky(self.from_image[-1](images))
        for block in reversed(self.blocks):
            x = block(x)
        x = _leaky(self.last_conv(minibatch_stddev(x)))
        x = _leaky(self.dense(x.permute(0, 2, 3, 1).flatten(1)))
        return self.to_score(x).float()


def pixel_norm(x):
    full = x.float()
    return (full * torch.rsqrt(full.square().mean(1, keepdim=True) + 1e-8)).to(x.dtype)


def minibatch_stddev(x, group_size: int = 4):
    """Appends the standard deviation over a strided group of pictures as one more map."""
    count, _, height, width = x.shape
    group = min(group_size, count)
    grouped = x.float().reshape(group, count // group, *x.shape[1:])
    deviation = ((grouped - grouped.mean(0, keepdim=True)).square().mean(0) + 1e-8).sqrt()
    extra = deviation.mean((1, 2, 3)).repeat(group).view(count, 1, 1, 1).expand(count, 1, height, width)
    return torch.cat([x, extra.to(x.dtype)], 1)


def _sum_of_shifts(kernel):
    """[..., 3, 3] -> [..., 4, 4]: the sum of the kernel at its four places."""
    padded = F.pad(kernel, (1, 1, 1, 1))
    return padded[..., 1:, 1:] + padded[..., :-1, 1:] + padded[..., 1:, :-1] + padded[..., :-1, :-1]


def _leaky(x):
    return F.leaky_relu(x, 0.2)
