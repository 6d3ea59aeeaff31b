"""Frechet and kernel distances between two image sets in the feature space of a Keras model.

Values only compare for the same model, image size and, for the Frechet distance, number of images (it is biased
upwards by about the number of features over the number of images; the kernel distance is unbiased).
"""

import numpy as np

from datasets import grey
from datasets.resize import resize_film


def features(model, images: np.ndarray, batch: int = 32) -> np.ndarray:
    """Features of each image, float64 [N, D]: the model's output, averaged over height and width if it has them.

    Images enter as float32 in [-1, 1], resized to the model's fixed input size, grey repeated to its channels.

    Args:
      model: Keras model with one input [N, H, W, channels] and one output [N, D] or [N, h, w, D].
      images: uint8 [N, H, W] or [N, H, W, C].
    """
    height, width, channels = _input_shape(model, images)
    found = []
    for start in range(0, len(images), batch):
        block = [_fit(image, height, width, channels) for image in images[start:start + batch]]
        output = model(np.stack(block), training=False)
        if not hasattr(output, "shape") or len(output.shape) not in (2, 4):
            raise ValueError("the feature model must have one output [N, D] or [N, h, w, D]; "
                             f"received {getattr(output, 'shape', type(output).__name__)}")
        output = np.asarray(output, np.float64)
        found.append(output if output.ndim == 2 else output.mean((1, 2)))
    return np.concatenate(found)


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Squared 2-Wasserstein distance of the Gaussians with the sets' means and covariances (Heusel et al. 2017).

    |mean_a - mean_b|^2 + trace(cov_a + cov_b - 2 (cov_a cov_b)^(1/2)). The last trace is the sum of the singular
    values of A B^T, where A^T A = cov_a and B^T B = cov_b: no matrix root of a near-singular product is taken.

    Args:
      features_a, features_b: [N, D] and [M, D], N and M at least 2.
    """
    a, b = _check(features_a, features_b)
    shift = a.mean(0) - b.mean(0)
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = shift @ shift + np.square(root_a).sum() + np.square(root_b).sum() - 2 * cross
    return max(float(distance), 0.0)


def kernel_distance(features_a: np.ndarray, features_b: np.ndarray, block: int = 2048) -> float:
    """Squared maximum mean discrepancy for the kernel (x.y / D + 1)^3 (Binkowski et al. 2018), unbiased.

    The U-statistic over all pairs of the sets, so no subsets are drawn; near 0, and as often below as above it,
    for two sets of one distribution.

    Args:
      features_a, features_b: [N, D] and [M, D], N and M at least 2.
      block: rows whose kernel values are held at a time.
    """
    a, b = _check(features_a, features_b)
    within = 0.0
    for x in (a, b):
        # a picture's kernel with itself does not count
        diagonal = _cubed(np.square(x).sum(1) / x.shape[1] + 1)
        within += (_kernel_sum(x, x, block) - diagonal.sum()) / (len(x) * (len(x) - 1))
    return float(within - 2 * _kernel_sum(a, b, block) / (len(a) * len(b)))


def _kernel_sum(a: np.ndarray, b: np.ndarray, block: int) -> float:
    blocks = (a[start:start + block] @ b.T for start in range(0, len(a), block))
    return sum(float(_cubed(products / a.shape[1] + 1).sum()) for products in blocks)


def _cubed(values: np.ndarray) -> np.ndarray:
    return values * values * values  # several times faster than ** 3


def _covariance_root(values: np.ndarray) -> np.ndarray:
    """R [min(N, D), D] with R^T R the unbiased covariance."""
    centred = (values - values.mean(0)) / np.sqrt(len(values) - 1)
    return np.linalg.qr(centred, mode="r")  # centred = Q R, so R^T R = centred^T centred


def _check(features_a: np.ndarray, features_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"features must be [N, D] and [M, D] with N, M >= 2; received {a.shape} and {b.shape}")
    return a, b


def _input_shape(model, images: np.ndarray) -> tuple[int, int, int]:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(f"the feature model must have one input [N, H, W, channels]; received {shape}")
    own = images.shape[3] if images.ndim == 4 else 1
    if shape[3] not in (None, own) and own != 1:
        raise ValueError(f"the feature model takes {shape[3]} channels; the images have {own}")
    return shape[1] or images.shape[1], shape[2] or images.shape[2], shape[3] or own


def _fit(image: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    if image.shape[:2] != (height, width):
        image = resize_film(image, (height, width))
    image = grey.from_levels(image).reshape(height, width, -1)
    return np.broadcast_to(image, (height, width, channels)) if image.shape[2] == 1 else image
