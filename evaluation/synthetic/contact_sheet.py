"""Sheet of the synthetic samples nearest to a training pair, each beside it, for the eye to judge."""

import pathlib

import numpy as np
from matplotlib.figure import Figure

from datasets.common import atomic_files
from evaluation.pictures import colour_labels
from evaluation.synthetic.copies import KINDS, Memorization
from evaluation.synthetic.image_sets import ImageSet


def write_sheet(path: pathlib.Path, found: Memorization, synthetic: ImageSet, training: ImageSet, kind: str,
                count: int = 12, columns: int = 3) -> None:
    """The `count` samples nearest by `kind` ("film", "feature" or "label"), nearest first, as PNG.

    Each pair is the sample on the left and its training picture on the right, mirrored where its mirror image
    was the nearer. Captions give the distance as a multiple of the threshold (below 1: nearer than the
    chosen percentile of real ones) and what flags the sample.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}; received {kind!r}")
    closest = found.samples.nsmallest(count, f"{kind}_distance")
    rows = -(-len(closest) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.5 * rows + 0.5), dpi=110, layout="constrained")
    figure.suptitle(f"Samples nearest to training pairs by {kind}: sample left, training right", fontsize=10)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    place = {id_: index for index, id_ in enumerate(training.ids)}
    for axis, (index, sample) in zip(axes, closest.iterrows(), strict=False):
        original = _picture(training, place[sample[f"{kind}_nearest"]], kind)
        if sample[f"{kind}_mirrored"]:
            original = original[:, ::-1]
        axis.imshow(_beside(_picture(synthetic, index, kind), original), cmap="gray", vmin=0, vmax=255)
        axis.set_title(_caption(sample, kind, found.summary[kind]["threshold"]), fontsize=7)
    with atomic_files.replacing(path) as temporary:
        figure.savefig(temporary)


def _picture(images: ImageSet, index: int, kind: str) -> np.ndarray:
    if kind == "label":
        return colour_labels(images.labels[index], int(images.labels.max()) + 1)
    return images.films[index]


def _beside(sample: np.ndarray, original: np.ndarray) -> np.ndarray:
    gap = np.full((sample.shape[0], max(1, sample.shape[1] // 32), *sample.shape[2:]), 255, np.uint8)
    return np.concatenate([sample, gap, original], axis=1)


def _caption(sample, kind: str, threshold: float) -> str:
    ratio = sample[f"{kind}_distance"] / threshold if threshold > 0 else float("inf")
    copied = sample["label_copy" if kind == "label" else "film_copy"]
    marks = [word for word, flag in (("mirrored", sample[f"{kind}_mirrored"]), ("COPY", copied),
                                     ("burnt-in box", sample["box_source"])) if flag]
    return f"{sample['id']} | {sample[f'{kind}_nearest']}\n" + ", ".join([f"{ratio:.2f} x threshold", *marks])
