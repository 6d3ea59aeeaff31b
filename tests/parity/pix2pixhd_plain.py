"""Pix2PixHD written out plainly in float64 numpy from its definition: released layouts, one picture [C, H, W].

Independent of the implementation under test: loops over kernel positions, borders by `np.pad`, the
transposed convolution by scattering each input pixel.
"""

import re

import numpy as np

Weights = dict[str, np.ndarray]


def global_generator(weights: Weights, x: np.ndarray) -> np.ndarray:
    head = max(numbers(weights, r"model\.(\d+)\.weight"))
    return output(weights, f"model.{head}", global_features(weights, x, head))


def global_features(weights: Weights, x: np.ndarray, end: int = 10**6) -> np.ndarray:
    x = relu(norm(conv(mirror(x, 3), weights, "model.1")))
    blocks = numbers(weights, r"model\.(\d+)\.conv_block")
    for position in sorted(p for p in numbers(weights, r"model\.(\d+)\.") if 1 < p < end):
        if position in blocks:
            x = block(weights, f"model.{position}", x)
        else:
            layer = downsample if position < min(blocks) else upsample
            x = relu(norm(layer(x, weights, f"model.{position}")))
    return x


def local_enhancer(weights: Weights, x: np.ndarray) -> np.ndarray:
    fine = relu(norm(conv(mirror(x, 3), weights, "model1_1.1")))
    x = relu(norm(downsample(fine, weights, "model1_1.4"))) + global_features(weights, mean_pool(x))
    blocks = numbers(weights, r"model1_2\.(\d+)\.conv_block")
    for position in blocks:
        x = block(weights, f"model1_2.{position}", x)
    x = relu(norm(upsample(x, weights, f"model1_2.{len(blocks)}")))
    return output(weights, f"model1_2.{len(blocks) + 4}", x)


def discriminator(weights: Weights, x: np.ndarray) -> list[list[np.ndarray]]:
    """Features by scale, full size first: the networks' numbers run the other way round."""
    results = []
    layers = numbers(weights, r"scale0_layer(\d+)")
    for number in reversed(numbers(weights, r"scale(\d+)")):
        features, y = [], x
        for layer in layers:
            y = conv(zeros(y, 2), weights, f"scale{number}_layer{layer}.0", 2 if layer < layers[-2] else 1)
            if layer < layers[-1]:
                y = norm(y) if layer else y
                y = np.where(y > 0, y, 0.2 * y)
            features.append(y)
        results.append(features)
        x = mean_pool(x)
    return results


def numbers(names, pattern: str) -> list[int]:
    return sorted({int(match[1]) for name in names if (match := re.match(pattern, name))})


def block(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    y = relu(norm(conv(mirror(x, 1), weights, f"{name}.conv_block.1")))
    return x + norm(conv(mirror(y, 1), weights, f"{name}.conv_block.5"))


def output(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return np.tanh(conv(mirror(x, 3), weights, name))


def downsample(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    return conv(zeros(x, 1), weights, name, 2)


def upsample(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """Each pixel adds its kernel at twice its place; padding 1 drops the first row and column."""
    kernel = weights[f"{name}.weight"].astype(np.float64)  # [in, out, 3, 3]
    _, height, width = x.shape
    y = np.zeros((kernel.shape[1], 2 * height + 1, 2 * width + 1))
    for row in range(3):
        for column in range(3):
            y[:, row:row + 2 * height:2, column:column + 2 * width:2] += np.einsum(
                "io,ihw->ohw", kernel[:, :, row, column], x)
    return y[:, 1:, 1:] + weights[f"{name}.bias"][:, None, None]


def conv(x: np.ndarray, weights: Weights, name: str, stride: int = 1) -> np.ndarray:
    kernel = weights[f"{name}.weight"].astype(np.float64)  # [out, in, size, size]
    size = kernel.shape[-1]
    height, width = ((side - size) // stride + 1 for side in x.shape[1:])
    y = np.zeros((len(kernel), height, width))
    for row in range(size):
        for column in range(size):
            part = x[:, row:row + stride * height:stride, column:column + stride * width:stride]
            y += np.einsum("oi,ihw->ohw", kernel[:, :, row, column], part)
    return y + weights[f"{name}.bias"][:, None, None]


def mean_pool(x: np.ndarray) -> np.ndarray:
    _, height, width = x.shape
    y = np.empty((len(x), (height + 1) // 2, (width + 1) // 2))
    for row in range(y.shape[1]):
        for column in range(y.shape[2]):
            window = x[:, max(2 * row - 1, 0):2 * row + 2, max(2 * column - 1, 0):2 * column + 2]
            y[:, row, column] = window.mean((1, 2))
    return y


def norm(x: np.ndarray) -> np.ndarray:
    return (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def mirror(x: np.ndarray, pad: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (pad, pad), (pad, pad)), "reflect")


def zeros(x: np.ndarray, pad: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
