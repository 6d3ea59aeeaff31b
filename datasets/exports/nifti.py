"""Pairs as NIfTI slices: OUT/images/ID.nii.gz, OUT/labels/ID.nii.gz, pairs.csv and classes.json.

A slice is [width, height, 1] with x to the picture's right and y down, as SimpleITK and nnU-Net write a picture;
its pixels are as wide as the store says. Images keep their values of 8 or 16 bits where the folders agree in them;
colour is NIfTI's RGB24.
"""

import csv
import io
import pathlib
from collections.abc import Sequence

import numpy as np

from datasets.common import atomic_files
from datasets.exports.joined import JoinedPair, Progress, depths

_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def write_nifti(pairs: Sequence[JoinedPair], folder: pathlib.Path, progress: Progress) -> list[str]:
    """Writes `folder`; returns what to say of it. Raises UserError for a damaged pair."""
    for kind in ("images", "labels"):
        atomic_files.make_folder(folder / kind)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    known = any(pair.entry.patient for pair in pairs)
    rows.writerow(["id", "split", "source", "synthetic", *["patient"] * known])
    colour, kinds = pairs[0].store.description.channels == 3, depths(pairs)
    flat = colour or len(kinds) > 1  # NIfTI has no colour of 16 bits
    overlaps = 0
    for place, pair in enumerate(pairs):
        progress("written", place, len(pairs))
        store, id_ = pair.store, pair.entry.id
        _write_slice(folder / "images" / f"{pair.name}.nii.gz", pair.picture(flat), store.description.spacing_mm)
        _write_slice(folder / "labels" / f"{pair.name}.nii.gz", store.label(id_), store.description.spacing_mm)
        rows.writerow([pair.name, pair.entry.split, pair.entry.source, int(pair.synthetic),
                       *[pair.entry.patient] * known])
        overlaps += store.masks(id_) is not None
    progress("written", len(pairs), len(pairs))
    atomic_files.write_text(folder / "pairs.csv", text.getvalue())
    atomic_files.write_json(folder / "classes.json", pairs[0].store.classes.to_json())
    unknown = sum(pair.store.description.spacing_mm is None for pair in pairs)
    return [*(["images of 16 bits written in 8"] if flat and max(kinds)[0] == 16 else []),
            *([f"{unknown} pairs of unknown spacing: written as 1 without a unit"] if unknown else []),
            *([f"masks/ of {overlaps} pairs left out: label maps hold no overlaps"] if overlaps else [])]


def _write_slice(path: pathlib.Path, picture: np.ndarray, spacing: float | None) -> None:
    """uint8 or uint16 [H, W], or uint8 [H, W, 3], as one slice."""
    import nibabel  # half a second that the other formats do without

    if picture.ndim == 3:
        values = np.ascontiguousarray(picture).view(_RGB)[..., 0]
    else:
        values = picture
    side = spacing or 1.0
    image = nibabel.Nifti1Image(values.T[..., None], np.diag([-side, -side, side, 1.0]), dtype=values.dtype)
    image.header.set_xyzt_units("unknown" if spacing is None else "mm")
    nibabel.save(image, path)
