"""The copy question for a synthetic store: numbers, a row per sample, and sheets for the eye to judge."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from datasets.common import atomic_files, text_files
from datasets.common.errors import UserError
from datasets.formats.find import picture_stem
from datasets.pair_store import PairStore, describe_ids
from evaluation.pictures import colour_labels
from evaluation.synthetic.copies import KINDS, PERCENTILE, Memorization
from evaluation.synthetic.image_sets import ImageSet, check_same_classes, draw_ids
from evaluation.synthetic.marked_copies import comparison_size, load_check

SHOWN, COLUMNS = 12, 3  # pairs in a sheet, and side by side


def report_memorization(real: PairStore, synthetic: PairStore, out: str | os.PathLike, *,
                        training: Sequence[str] | None = None, count: int = 10000, percentile: float = PERCENTILE,
                        seed: int = 0, held_out: PairStore | None = None) -> Memorization:
    """Compares `synthetic` with the training films of `real`, and writes the files to `out`.

    Files: memorization.json, memorization.csv (one row per sample), closest_film.png and closest_label.png.

    Args:
      training: ids of the films the networks saw; None is the un-augmented train split.
      count: samples looked at, at most, drawn by `seed`.
      held_out: as in `evaluation.synthetic.marked_copies.load_check`.

    Raises UserError for stores of other classes or channels, and with too few training films.
    """
    check_same_classes(real, synthetic)
    if not synthetic.entries:
        raise UserError(f"{synthetic.path}: found 0 samples, expected at least 1")
    check = load_check(real, training, percentile, held_out)
    out = atomic_files.make_folder(out)
    ids = draw_ids(synthetic.ids(), count, seed)
    samples = ImageSet.load("synthetic", synthetic, ids, comparison_size(real))
    found = check.examine(samples)
    atomic_files.write_json(out / "memorization.json", found.summary)
    atomic_files.write_text(out / "memorization.csv", found.samples.to_csv(index=False))
    for kind in ("film", "label"):
        write_sheet(out / f"closest_{kind}.png", found, samples, check.training, kind)
    return found


def training_ids(store: PairStore, path: str | None) -> list[str]:
    """The un-augmented training films, or those listed in the text file `path`."""
    ids = store.films("train")
    if path is None:
        return ids
    words = [word for line in text_files.read_lines(path) for word in line.split()]
    listed = [word if word in ids else picture_stem(word) for word in words]  # case00.png is case00
    unknown = sorted(set(listed) - set(ids))
    if unknown:
        raise UserError(f"{path}: {describe_ids(unknown)} not among the un-augmented training films of "
                        f"{store.path}; list ids of its manifest")
    return [id_ for id_ in ids if id_ in set(listed)]


def describe(found: Memorization) -> str:
    """The answer in a few lines."""
    summary = found.summary
    lines = [f"{summary['synthetic']} samples against {summary['training']} training films; calibrated on "
             f"{summary['calibration']}"]
    lines += [f"  nearer by {kind} than the {summary['percentile']:g} % nearest of real ones: "
              f"{summary[kind]['share_below']:.2%} (if nothing is copied, about {summary['expected_share']:.2%})"
              for kind in KINDS]
    boxes = summary["burnt_in"]
    lines += [f"  copied films {summary['film_copies']:.2%} (mirrored {summary['film_copies_mirrored']:.2%}), "
              f"copied label maps {summary['label_copies']:.2%}",
              f"  burnt-in box in {boxes['share_with_box']:.2%} of the samples (training films "
              f"{boxes['training_share_with_box']:.2%}), at a training film's place in "
              f"{boxes['share_at_training_place']:.2%}"]
    return "\n".join(lines)


def write_sheet(path: pathlib.Path, found: Memorization, synthetic: ImageSet, training: ImageSet,
                kind: str) -> None:
    """The samples nearest by `kind` ("film", "feature" or "label"), nearest first, as PNG.

    Each pair is the sample on the left and its training picture on the right, mirrored where its mirror image
    was the nearer. Captions give the distance as a multiple of the threshold (below 1: nearer than the
    chosen percentile of real ones) and what flags the sample.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}; received {kind!r}")
    closest = found.samples.nsmallest(SHOWN, f"{kind}_distance")
    rows = -(-len(closest) // COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 2.5 * rows + 0.5), dpi=110, layout="constrained")
    figure.suptitle(f"Samples nearest to training pairs by {kind}: sample left, training right", fontsize=10)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    place = {id_: index for index, id_ in enumerate(training.ids)}
    for axis, (index, sample) in zip(axes, closest.iterrows(), strict=False):
        picture = _picture(synthetic, index, kind)
        original = _picture(training, place[sample[f"{kind}_nearest"]], kind)
        original = original[:, ::-1] if sample[f"{kind}_mirrored"] else original
        gap = np.full((picture.shape[0], max(1, picture.shape[1] // 32), *picture.shape[2:]), 255, np.uint8)
        axis.imshow(np.concatenate([picture, gap, original], 1), cmap="gray", vmin=0, vmax=255)
        axis.set_title(_caption(sample, kind, found.summary[kind]["threshold"]), fontsize=7)
    with atomic_files.replacing(path) as temporary:
        figure.savefig(temporary)


def _picture(images: ImageSet, index: int, kind: str) -> np.ndarray:
    if kind == "label":
        return colour_labels(images.labels[index], int(images.labels.max()) + 1)
    return images.films[index]


def _caption(sample, kind: str, threshold: float) -> str:
    ratio = sample[f"{kind}_distance"] / threshold if threshold > 0 else float("inf")
    copied = sample["label_copy" if kind == "label" else "film_copy"]
    marks = [word for word, flag in (("mirrored", sample[f"{kind}_mirrored"]), ("COPY", copied),
                                     ("burnt-in box", sample["box_source"])) if flag]
    return f"{sample['id']} | {sample[f'{kind}_nearest']}\n" + ", ".join([f"{ratio:.2f} x threshold", *marks])
