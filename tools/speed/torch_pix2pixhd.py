"""Pix2PixHD in PyTorch (Wang et al. 2018), layer for layer the function of `models.pix2pixhd`, to be timed beside
it.

Activations are [N, C, H, W].
"""

import itertools

import torch
import torch.nn.functional as F
from torch import nn


def conv_norm_relu(inputs: int, filters: int, side: int, stride: int = 1, reflect: bool = False) -> nn.Sequential:
    """Convolution padded by half its side, instance norm, ReLU."""
    conv = nn.Conv2d(inputs, filters, side, stride, side // 2, padding_mode="reflect" if reflect else "zeros")
    return nn.Sequential(conv, nn.InstanceNorm2d(filters), nn.ReLU(inplace=True))


def doubled(inputs: int, filters: int) -> nn.Sequential:
    """Transposed convolution that doubles the sides, instance norm, ReLU."""
    conv = nn.ConvTranspose2d(inputs, filters, 3, 2, 1, output_padding=1)
    return nn.Sequential(conv, nn.InstanceNorm2d(filters), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    def __init__(self, filters: int):
        super().__init__()
        first = conv_norm_relu(filters, filters, 3, reflect=True)
        self.layers = nn.Sequential(*first, *conv_norm_relu(filters, filters, 3, reflect=True)[:2])

    def forward(self, x):
        return x + self.layers(x)


class GlobalFeatures(nn.Sequential):
    """[N, C, H, W] -> [N, ngf, H, W]."""

    def __init__(self, inputs: int, ngf: int, n_downsampling: int = 4, n_blocks: int = 9):
        maps = [ngf * 2**i for i in range(n_downsampling + 1)]
        super().__init__(conv_norm_relu(inputs, ngf, 7, reflect=True),
                         *(conv_norm_relu(*pair, 3, 2) for pair in itertools.pairwise(maps)),
                         *(ResidualBlock(maps[-1]) for _ in range(n_blocks)),
                         *(doubled(*pair) for pair in itertools.pairwise(maps[::-1])))


class OutputHead(nn.Module):
    """7x7 convolution with reflected borders, and tanh in float32."""

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 7, padding=3, padding_mode="reflect")

    def forward(self, x):
        return torch.tanh(self.conv(x).float())


class GlobalGenerator(nn.Module):
    """One-hot [N, classes, H, W] -> float32 [N, channels, H, W] in [-1, 1]."""

    def __init__(self, classes: int, channels: int = 1, ngf: int = 64, n_downsampling: int = 4, n_blocks: int = 9):
        super().__init__()
        self.features = GlobalFeatures(classes, ngf, n_downsampling, n_blocks)
        self.head = OutputHead(ngf, channels)

    def forward(self, x):
        return self.head(self.features(x))


class LocalEnhancer(nn.Module):
    """The global generator's features at half the size, added to full-size ones and refined."""

    def __init__(self, classes: int, channels: int = 1, ngf: int = 32, n_downsampling: int = 4, n_blocks: int = 9,
                 n_local_blocks: int = 3):
        super().__init__()
        self.global_generator = GlobalFeatures(classes, 2 * ngf, n_downsampling, n_blocks)
        self.stem = conv_norm_relu(classes, ngf, 7, reflect=True)
        self.down = conv_norm_relu(ngf, 2 * ngf, 3, 2)
        self.blocks = nn.Sequential(*(ResidualBlock(2 * ngf) for _ in range(n_local_blocks)))
        self.up = doubled(2 * ngf, ngf)
        self.head = OutputHead(ngf, channels)

    def forward(self, x):
        joined = self.down(self.stem(x)) + self.global_generator(mean_pool(x))
        return self.head(self.up(self.blocks(joined)))


class PatchDiscriminator(nn.Module):
    """4x4 convolutions padded by 2; gives the features of every layer, score map last."""

    def __init__(self, inputs: int, ndf: int, n_layers: int):
        super().__init__()
        maps = [min(ndf * 2**i, 512) for i in range(n_layers + 1)]
        strides = [2] * n_layers + [1, 1]
        self.convs = nn.ModuleList(nn.Conv2d(*pair, 4, stride, 2) for *pair, stride
                                   in zip([inputs, *maps], [*maps, 1], strides, strict=True))
        self.norms = nn.ModuleList(nn.InstanceNorm2d(count) for count in maps[1:])

    def forward(self, x) -> list:
        features = [F.leaky_relu(self.convs[0](x), 0.2)]
        for conv, norm in zip(self.convs[1:-1], self.norms, strict=True):
            features.append(F.leaky_relu(norm(conv(features[-1])), 0.2))
        return [*features, self.convs[-1](features[-1])]


class MultiscaleDiscriminator(nn.Module):
    """Condition and picture [N, C, H, W] -> features of each scale, full size first."""

    def __init__(self, inputs: int, ndf: int = 64, n_layers: int = 3, num_D: int = 2):  # noqa: N803
        super().__init__()
        self.discriminators = nn.ModuleList(PatchDiscriminator(inputs, ndf, n_layers) for _ in range(num_D))

    def forward(self, x) -> list[list]:
        results = [self.discriminators[0](x)]
        for discriminator in self.discriminators[1:]:
            x = mean_pool(x)
            results.append(discriminator(x))
        return results


def mean_pool(x):
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)


def lsgan_loss(predictions: list[list], target: float):
    return sum((scale[-1].float() - target).square().mean() for scale in predictions)


def feature_matching_loss(real: list[list], fake: list[list], weight: float = 10.0):
    terms = [F.l1_loss(ours.float(), theirs.detach().float())
             for real_scale, fake_scale in zip(real, fake, strict=True)
             for theirs, ours in zip(real_scale[:-1], fake_scale[:-1], strict=True)]
    return weight / len(real) * 4.0 / (len(real[0]) - 1) * sum(terms)
