"""PGGAN from its definition, in float64 numpy, unfused: slow, and as plain as the paper (Karras et al. 2018).

Weights by released names, as raw draws before the equalised-rate factor; pictures [N, H, W, C].
"""

import math

import numpy as np

GAIN = math.sqrt(2.0)


def generate(weights, latents, level, fade):
    """Pictures at `level`, the newest block weighing `fade`."""
    last = max(int(math.log2(int(name.split("x")[0]))) for name in weights if name[0].isdigit())
    x = _pixel_norm(latents.astype(np.float64))
    kernel = weights["4x4/Dense/weight"] * (GAIN / 4 / math.sqrt(latents.shape[1]))
    x = (x @ kernel).reshape(len(x), -1, 4, 4).transpose(0, 2, 3, 1) + weights["4x4/Dense/bias"]
    x = _pixel_norm(_lrelu(x))
    x = _pixel_norm(_lrelu(_conv(x, weights, "4x4/Conv")))
    older = x
    for step in range(3, level + 1):
        older, side = x, f"{2**step}x{2**step}"
        mirrored = weights[f"{side}/Conv0_up/weight"][::-1, ::-1].transpose(0, 1, 3, 2)
        x = _lrelu(_convolve(_up(x), mirrored, GAIN) + weights[f"{side}/Conv0_up/bias"])
        x = _pixel_norm(_lrelu(_conv(_pixel_norm(x), weights, f"{side}/Conv1")))
    new = _conv(x, weights, f"ToRGB_lod{last - level}", gain=1.0)
    if level == 2:
        return new
    old = _up(_conv(older, weights, f"ToRGB_lod{last - level + 1}", gain=1.0))
    return old + (new - old) * fade


def discriminate(weights, images, level, fade, last_level):
    """Scores [N, 1] of pictures at `level`."""
    images = images.astype(np.float64)
    x = _lrelu(_conv(images, weights, f"FromRGB_lod{last_level - level}"))
    for step in range(level, 2, -1):
        side = f"{2**step}x{2**step}"
        x = _lrelu(_conv(x, weights, f"{side}/Conv0"))
        x = _down(_convolve(x, weights[f"{side}/Conv1_down/weight"], GAIN))
        x = _lrelu(x + weights[f"{side}/Conv1_down/bias"])
        if step == level:
            old = _lrelu(_conv(_down(images), weights, f"FromRGB_lod{last_level - level + 1}"))
            x = old + (x - old) * fade
    x = _lrelu(_conv(_with_stddev(x), weights, "4x4/Conv"))
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    x = _lrelu(_dense(x, weights, "4x4/Dense0", GAIN))
    return _dense(x, weights, "4x4/Dense1", 1.0)


def _with_stddev(x):
    groups = len(x) // 4
    extra = np.zeros((*x.shape[:3], 1))
    for first in range(groups):
        members = [first + groups * k for k in range(4)]
        extra[members] = np.sqrt(np.var(x[members], 0) + 1e-8).mean()
    return np.concatenate([x, extra], -1)


def _dense(x, weights, name, gain):
    return x @ (weights[f"{name}/weight"] * (gain / math.sqrt(x.shape[1]))) + weights[f"{name}/bias"]


def _conv(x, weights, name, gain=GAIN):
    return _convolve(x, weights[f"{name}/weight"], gain) + weights[f"{name}/bias"]


def _convolve(x, kernel, gain):
    """Same-size correlation with zero borders, kernel [k, k, in, out] times gain / sqrt(fan-in)."""
    side = kernel.shape[0]
    kernel = kernel.astype(np.float64) * (gain / math.sqrt(side * side * kernel.shape[2]))
    padded = np.pad(x, ((0, 0), (side // 2,) * 2, (side // 2,) * 2, (0, 0)))
    height, width = x.shape[1:3]
    return sum(padded[:, i:i + height, j:j + width] @ kernel[i, j] for i in range(side) for j in range(side))


def _pixel_norm(x):
    return x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-8)


def _lrelu(x):
    return np.where(x > 0, x, 0.2 * x)


def _up(x):
    return x.repeat(2, 1).repeat(2, 2)


def _down(x):
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
