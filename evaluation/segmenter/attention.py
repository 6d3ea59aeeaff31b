"""Where a segmenter looks: SMANet's attention maps drawn over the film (Bonechi et al. 2020)."""

from collections.abc import Mapping

import cv2
import numpy as np

from evaluation.pictures import film_to_rgb

_MAP = cv2.COLORMAP_VIRIDIS  # dark blue is 0, yellow is 1


def draw_attention(film: np.ndarray, maps: Mapping[int, np.ndarray], strength: float = 0.6) -> np.ndarray:
    """The film and, beside it, the film under each attention map.

    Args:
      film: uint8 [H, W] or [H, W, 3].
      maps: scale -> attention [h, w] in [0, 1], enlarged to the film here.
      strength: weight of the map's colours.

    Returns uint8 RGB [H, (1 + scales) x W], in order of scales.
    Raises ValueError where there are no maps or they leave [0, 1].
    """
    if not maps:
        raise ValueError("expected at least one attention map; received none")
    film = film_to_rgb(film)
    cells = [film]
    for scale in sorted(maps):
        weights = np.asarray(maps[scale], np.float32)
        if weights.min() < 0.0 or weights.max() > 1.0:
            raise ValueError(f"attention must be in [0, 1]; scale {scale} has {weights.min()} to {weights.max()}")
        large = cv2.resize(weights, film.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        colours = cv2.applyColorMap(np.rint(large * 255).astype(np.uint8), _MAP)[..., ::-1]  # BGR in OpenCV
        cells.append(cv2.addWeighted(film, 1.0 - strength, np.ascontiguousarray(colours), strength, 0.0))
    return np.concatenate(cells, 1)
