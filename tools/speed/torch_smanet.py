"""SMANet and PSPNet in PyTorch, layer for layer the function of `models.smanet`, to be timed beside it.

Activations are [N, C, H, W].
"""

import torch
import torch.nn.functional as F
from torch import nn

_BLOCKS = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_SCALES = (1, 2, 3, 6)


def conv_norm(inputs: int, filters: int, side: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution of the encoder, with its bias, and batch norm."""
    conv = nn.Conv2d(inputs, filters, side, stride, dilation * (side // 2), dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(filters, 1.001e-5, 0.01))


def conv_block(inputs: int, filters: int, side: int) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, filters, side, padding=side // 2, bias=False),
                         nn.BatchNorm2d(filters, 1e-3, 0.01), nn.ReLU(inplace=True))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with batch norm; the stride on the first 1x1, as keras.applications has it."""

    def __init__(self, inputs: int, filters: int, stride: int, dilation: int, project: bool):
        super().__init__()
        relu = nn.ReLU(inplace=True)
        self.convs = nn.Sequential(*conv_norm(inputs, filters, 1, stride), relu,
                                   *conv_norm(filters, filters, 3, 1, dilation), relu,
                                   *conv_norm(filters, 4 * filters, 1))
        self.projection = conv_norm(inputs, 4 * filters, 1, stride) if project else nn.Identity()

    def forward(self, x):
        return F.relu(self.convs(x) + self.projection(x))


class DilatedResNet(nn.Module):
    """Pictures -> the features that SMANet uses: stem, stage 1, stage 4."""

    def __init__(self, depth: int, width: int, channels: int):
        super().__init__()
        self.stem = nn.Sequential(*conv_norm(channels, width, 7, 2), nn.ReLU(inplace=True))
        stages, inputs = [], width
        for stage, (count, stride, dilation) in enumerate(zip(_BLOCKS[depth], (1, 2, 1, 1), (1, 1, 2, 4),
                                                              strict=True)):
            blocks = []
            for block in range(count):
                blocks.append(Bottleneck(inputs, width * 2**stage, 1 if block else stride, dilation, not block))
                inputs = 4 * width * 2**stage
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x):
        stem = self.stem(x)
        first = self.stages[0](F.max_pool2d(stem, 3, 2, 1))
        x = first
        for stage in self.stages[1:]:
            x = stage(x)
        return stem, first, x


class ScaleAttention(nn.Module):
    """One scale of SMANet: values of X, weighed by a map made from its bins."""

    def __init__(self, scale: int, inputs: int, values: int):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(scale)
        self.pooled, self.to_map = conv_block(inputs, values, 3), nn.Conv2d(values, 1, 1)
        self.values = conv_block(inputs, values, 1)

    def forward(self, x):
        score = enlarge_to(self.to_map(self.pooled(self.pool(x))), x)
        values = self.values(x)
        return values * torch.sigmoid(score.float()).to(values.dtype)


class ScalePooling(nn.Module):
    """One scale of PSPNet's pyramid."""

    def __init__(self, scale: int, inputs: int, values: int):
        super().__init__()
        self.pool, self.values = nn.AdaptiveAvgPool2d(scale), conv_block(inputs, values, 1)

    def forward(self, x):
        return enlarge_to(self.values(self.pool(x)), x)


class SMANet(nn.Module):
    """Films [N, 1, H, W] -> logits float32 [N, classes, H, W]."""

    def __init__(self, classes: int, depth: int = 50, width: int = 64, attention: str = "multiscale"):
        super().__init__()

        def scaled(maps: int) -> int:
            return max(8, maps * width // 64)

        kind = {"multiscale": ScaleAttention, "psp": ScalePooling}[attention]
        wide = scaled(512)
        self.encoder = DilatedResNet(depth, width, 1)
        self.reduce = conv_block(32 * width, wide, 3)
        self.scales = nn.ModuleList(kind(scale, wide, scaled(128)) for scale in _SCALES)
        self.fuse = conv_block(wide + len(_SCALES) * scaled(128), wide, 3)
        self.dropout = nn.Dropout(0.1)
        self.skips = nn.ModuleList([conv_block(4 * width, scaled(48), 1), conv_block(width, scaled(32), 1)])
        self.refine = nn.ModuleList([conv_block(wide + scaled(48), scaled(256), 3),
                                     conv_block(scaled(256) + scaled(32), scaled(128), 3)])
        self.to_logits = nn.Conv2d(scaled(128), classes, 1)

    def forward(self, films):
        stem, first, x = self.encoder(films)
        x = self.reduce(x)
        x = self.dropout(self.fuse(torch.cat([*(scale(x) for scale in self.scales), x], 1)))
        for skip, refine, low in zip(self.skips, self.refine, (first, stem), strict=True):
            low = skip(low)
            x = refine(torch.cat([enlarge_to(x, low), low], 1))
        return enlarge_to(self.to_logits(x), films).float()


def enlarge_to(x, like):
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
