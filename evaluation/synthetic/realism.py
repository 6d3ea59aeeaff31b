"""How real a synthetic set looks, and how varied it is: all measures of a set against a real one.

Sliced Wasserstein distances and multi-scale similarity as the PGGAN authors define them, and
distances between features of a given model (`feature_distances`). Label maps enter with one channel per organ.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from datasets.class_table import ClassTable
from evaluation.metrics.feature_distances import features, frechet_distance, kernel_distance
from evaluation.metrics.ms_ssim import ms_ssim_pairs, neighbour_pairs
from evaluation.metrics.sliced_wasserstein import sliced_wasserstein
from evaluation.synthetic.image_sets import ImageSet, organ_view

MAX_PAIRS = 500  # pairs of images whose similarity is averaged


def compare_sets(real: ImageSet, other: ImageSet, classes: ClassTable, seed: int = 0, model=None,
                 known_features: dict[str, np.ndarray] | None = None,
                 within: ImageSet | None = None) -> dict[str, Any]:
    """Measures of `other` against `real`, both of one image size.

    Args:
      model: Keras model whose features of the films are compared, or None.
      known_features: features by set name, filled and used again from call to call.
      within: the set whose inner similarity is measured, if not `other`.

    Returns {"images": used of each set, "films": {...}, "labels": {...}}: "swd" is {level: value, "mean": value},
    "ms_ssim" the mean over pairs within `within` (None with a single image or under 11 pixels), and with a model
    the films' "frechet" and "kernel".
    """
    view = organ_view(classes)
    within = within or other
    result = {"images": min(len(real), len(other)),
              "films": {"swd": sliced_wasserstein(real.films, other.films, seed),
                        "ms_ssim": _inner_similarity(within.films)},
              "labels": {"swd": sliced_wasserstein(real.labels, other.labels, seed, view=view),
                         "ms_ssim": _inner_similarity(within.labels, view)}}
    if model is not None:
        known = {} if known_features is None else known_features
        for images in (real, other):
            if images.name not in known:
                known[images.name] = features(model, images.films)
        pair = known[real.name], known[other.name]
        result["films"] |= {"frechet": frechet_distance(*pair), "kernel": kernel_distance(*pair)}
    return result


def _inner_similarity(images: np.ndarray, view=None) -> float | None:
    if len(images) < 2 or min(images.shape[1:3]) < 11:
        return None
    return ms_ssim_pairs(images, neighbour_pairs(min(len(images), 2 * MAX_PAIRS)), view)


def realism_table(results: Mapping[str, Mapping[str, Any]], model_name: str | None = None) -> pd.DataFrame:
    """Results of `compare_sets` by set name -> one row per set, columns (films or labels, measure)."""
    rows = {}
    for name, result in results.items():
        row = {("", "images"): result["images"]}
        for kind in ("films", "labels"):
            row |= {(kind, f"SWD {level}"): value for level, value in result[kind]["swd"].items()}
            row[kind, "MS-SSIM"] = result[kind]["ms_ssim"]
            for key in ("frechet", "kernel"):
                if key in result[kind]:
                    row[kind, f"{key.capitalize()} ({model_name})"] = result[kind][key]
        rows[name] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    return table
