"""nnU-Net's raw data sets, version 2 (its documentation/dataset_format.md): written, and read as a user's files.

    DatasetNNN_NAME/
      dataset.json        channel_names, labels, numTraining, file_ending
      imagesTr/ID_0000.png, labelsTr/ID.png     pairs that train or validate
      imagesTs/ID_0000.png, labelsTs/ID.png     pairs that test
      splits_final.json   folds [{"train": [ID, ...], "val": [ID, ...]}, ...]

A colour picture is one PNG of three channels, which nnU-Net reads so; with 16 bits it is three grey ones, _0000
to _0002. Pixels of no known class have nnU-Net's label `ignore`, the code after the last class's. Under
"pair_folder", which nnU-Net does not look at, dataset.json keeps what it has no word for, so that a data set comes
back as it was.
"""

import dataclasses
import pathlib
import re
import shutil
from collections.abc import Sequence

import numpy as np

from datasets.class_table import IGNORED, ClassTable
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.exports.joined import JoinedPair, Progress, depths, folds
from datasets.pair_store import write_png

FOLDER = re.compile(r"Dataset\d{3}_[A-Za-z0-9_.-]+")
OURS = "pair_folder"  # key of dataset.json
_COLOURS = ("R", "G", "B")


def dataset_folder(out: pathlib.Path, number: int, name: str) -> pathlib.Path:
    """`out` itself where it is called as nnU-Net wants it, else DatasetNNN_NAME in it."""
    if FOLDER.fullmatch(out.name):
        return out
    plain = re.sub(r"[^A-Za-z0-9]+", " ", name).title().replace(" ", "") or "Films"
    return out / f"Dataset{number:03d}_{plain}"


def check_nnunet(pairs: Sequence[JoinedPair]) -> None:
    """Raises UserError for class names that nnU-Net keeps for itself, and without pairs that train."""
    path = pairs[0].store.path
    for name in pairs[0].store.classes.organs:
        if name in ("background", "ignore"):
            raise UserError(f"{path}/description.json: found a class {name!r}, a word of nnU-Net's own; rename it")
    if all(pair.entry.split == "test" for pair in pairs):
        raise UserError(f"{path}: found test pairs alone, expected some that train; see manifest.csv")


def write_nnunet(pairs: Sequence[JoinedPair], folder: pathlib.Path, progress: Progress) -> list[str]:
    """Writes `folder` with pairs that passed `check_nnunet`; returns what to say of it."""
    description = pairs[0].store.description
    flat = len(depths(pairs)) > 1
    if flat:
        description = dataclasses.replace(description, max_value=255)
    for place, pair in enumerate(pairs):
        progress("written", place, len(pairs))
        part = "Ts" if pair.entry.split == "test" else "Tr"
        _write_image(pair, flat, atomic_files.make_folder(folder / f"images{part}"))
        _write_label(pair, atomic_files.make_folder(folder / f"labels{part}"))
    progress("written", len(pairs), len(pairs))
    made, text = folds(pairs)
    atomic_files.write_json(folder / "splits_final.json", made)
    channels = _COLOURS if description.channels == 3 else (description.channel,)
    atomic_files.write_json(folder / "dataset.json", {
        "name": description.name, "channel_names": dict(zip("012", channels, strict=False)),
        "labels": _label_codes(description.classes),
        "numTraining": sum(pair.entry.split != "test" for pair in pairs),
        "file_ending": ".png", OURS: description.to_json()})
    overlaps = sum((pair.store.path / "masks" / f"{pair.entry.id}.png").is_file() for pair in pairs)
    return [f"splits_final.json: {text}; nnU-Net reads it in its folder of preprocessed data",
            *(["images of 16 bits written in 8, as others are"] if flat else []),
            *([f"masks/ of {overlaps} pairs left out: label maps hold no overlaps"] if overlaps else [])]


def _label_codes(classes: ClassTable) -> dict[str, int]:
    """dataset.json's labels; the background must be called so."""
    labels = {"background": 0, **{name: code for code, name in enumerate(classes.names) if code}}
    return labels | ({"ignore": classes.num_classes} if classes.ignored else {})


def _write_image(pair: JoinedPair, flat: bool, folder: pathlib.Path) -> None:
    picture = pair.picture(flat)
    if picture.ndim == 3 and picture.dtype == np.uint16:
        for channel in range(3):
            write_png(folder / f"{pair.name}_{channel:04d}.png", picture[..., channel])
    elif flat:
        write_png(folder / f"{pair.name}_0000.png", picture)
    else:
        shutil.copyfile(pair.file, folder / f"{pair.name}_0000.png")  # the same bytes


def _write_label(pair: JoinedPair, folder: pathlib.Path) -> None:
    codes = pair.store.label(pair.entry.id)
    if (codes == IGNORED).any() and pair.store.classes.ignored:
        write_png(folder / f"{pair.name}.png",
                  np.where(codes == IGNORED, pair.store.classes.num_classes, codes).astype(np.uint8))
    else:
        shutil.copyfile(pair.store.path / "labels" / f"{pair.entry.id}.png", folder / f"{pair.name}.png")
