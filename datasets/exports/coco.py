"""COCO's instance annotations (Lin et al. 2014, "Microsoft COCO"; cocodataset.org/#format-data).

    OUT/
      train/ID.png   validation/ID.png   test/ID.png     8 bits
      annotations/instances_train.json   ...

A category is a class, its id the class's code. Each piece of a class that hangs together, corners included, is an
annotation with the exact mask as uncompressed run lengths. Where organs overlap in the source, whole organs are
annotated. Images also say their source, whether they are synthetic, and whose they are where that is known.
"""

import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from datasets.class_table import IGNORED
from datasets.common import atomic_files
from datasets.exports.joined import JoinedPair, Progress
from datasets.manifest import SPLITS
from datasets.pair_store import write_png


def write_coco(pairs: Sequence[JoinedPair], folder: pathlib.Path, progress: Progress) -> list[str]:
    """Writes `folder`; returns what to say of it. Raises UserError for a damaged pair."""
    ignored = deep = 0
    found: dict[str, dict[str, list]] = {}
    for place, pair in enumerate(pairs):
        progress("written", place, len(pairs))
        part = found.setdefault(pair.entry.split, {"images": [], "annotations": []})
        picture = pair.picture(eight_bits=True)
        target = atomic_files.make_folder(folder / pair.entry.split) / f"{pair.name}.png"
        if pair.bits == 8:
            shutil.copyfile(pair.file, target)
        else:
            write_png(target, picture)
            deep += 1
        part["images"].append({
            "id": place + 1, "file_name": target.name, "height": picture.shape[0], "width": picture.shape[1],
            "source": pair.entry.source, "synthetic": pair.synthetic,
            **({"patient": pair.entry.patient} if pair.entry.patient else {})})
        for code, mask in _organ_masks(pair):
            part["annotations"] += [{"id": 0, "image_id": place + 1, "category_id": code, **piece}
                                    for piece in pieces(mask)]
        ignored += bool((pair.store.label(pair.entry.id) == IGNORED).any())
    progress("written", len(pairs), len(pairs))
    names = pairs[0].store.classes.names
    categories = [{"id": code, "name": name, "supercategory": ""} for code, name in enumerate(names) if code]
    for split in (split for split in SPLITS if split in found):
        for number, annotation in enumerate(found[split]["annotations"], 1):
            annotation["id"] = number
        value = {"info": {"description": pairs[0].store.description.name}, "licenses": [],
                 "categories": categories, **found[split]}
        path = atomic_files.make_folder(folder / "annotations") / f"instances_{split}.json"
        atomic_files.write_json(path, value)
    return [*([f"{deep} images of 16 bits written in 8"] if deep else []),
            *([f"{ignored} images hold pixels of no known class, which COCO has no word for"] if ignored else [])]


def pieces(mask: np.ndarray) -> list[dict[str, Any]]:
    """Every piece of a mask bool [H, W] that hangs together: segmentation, area, bbox and iscrowd of COCO."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        piece = parts == number
        rows, columns = np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))
        box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]  # x, y, width, height
        found.append({"segmentation": {"size": list(mask.shape), "counts": run_lengths(piece)},
                      "area": int(piece.sum()), "bbox": [int(side) for side in box], "iscrowd": 0})
    return found


def run_lengths(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of 0 and 1 in turn, the first of 0, down the columns of bool [H, W]."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def _organ_masks(pair: JoinedPair) -> list[tuple[int, np.ndarray]]:
    """Code and mask of each class: whole organs where the store keeps overlaps."""
    masks, codes = pair.store.masks(pair.entry.id), pair.store.label(pair.entry.id)
    return [(code, codes == code if masks is None else masks[..., code - 1])
            for code in range(1, pair.store.classes.num_classes)]
