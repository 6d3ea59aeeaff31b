"""Films and class codes of the slices of NIfTI and NRRD volumes."""

import dataclasses
import functools
import pathlib

import numpy as np

from datasets.common.errors import UserError
from datasets.formats.parts import Part, read_start, volume_kind
from datasets.formats.raster import Film, range_of
from datasets.formats.volume import Volume
from datasets.formats.volume_files import read_volume_file


def read_volume(path: pathlib.Path, kind: str) -> Volume:
    """The volume of a file; the last two are kept, since slices are read one by one.

    Raises UserError for damage, and for what is no volume of numbers or too large.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return _read_volume(path, kind, status.st_mtime_ns, status.st_size)


def volume_beside(path: pathlib.Path, kind: str, beside: pathlib.Path | None) -> Volume:
    """A volume, lying like the one in file `beside` where only one of the two says how."""
    volume = read_volume(path, kind)
    other = beside and volume_kind(read_start(beside))
    return volume.lying_like(read_volume(beside, other)) if other else volume


def volume_film(path: pathlib.Path, kind: str, part: Part | None) -> Film:
    """A slice as a film.

    8-bit values are grey values; so are whole numbers of 0 to 65535 in a file of one slice, as in a 16-bit PNG.
    Any other volume is shown from its least to its largest value, outliers apart, all slices alike.
    """
    volume = read_volume(path, kind)
    plane, spacing = volume.slice(part, path)
    if plane.dtype == np.uint8:
        return Film(np.ascontiguousarray(plane), 255, spacing)
    if volume.stored.size == plane.size and _is_whole(plane) and plane.min() >= 0 and plane.max() <= 65535:
        return Film(plane.astype(np.uint16), 65535, spacing, exact=False)
    low, high = _grey_range(path, kind, path.stat().st_mtime_ns)
    shown = np.clip((np.nan_to_num(plane.astype(np.float64), nan=low) - low) / max(high - low, 1e-30), 0.0, 1.0)
    return Film(np.rint(shown * 65535).astype(np.uint16), 65535, spacing)


def volume_codes(path: pathlib.Path, kind: str, part: Part | None,
                 beside: pathlib.Path | None = None) -> np.ndarray:
    """A slice of a label volume, lying like the volume `beside` where only one of them says how.

    uint8 [H, W], or uint16 or int32 where numbers of instances need that. Raises UserError for values that are no
    whole numbers of 0 to 2^31 - 1.
    """
    return _as_codes(volume_beside(path, kind, beside).slice(part, path)[0], path)


def picture_codes(path: pathlib.Path, kind: str, size: tuple[int, int]) -> np.ndarray:
    """`volume_codes` of one slice whose image is no volume but a picture of `size` (height, width).

    A matrix that is the identity says nothing then: such files are arrays of rows and columns that a script saved,
    or of columns and rows if they only fit so.
    """
    volume = read_volume(path, kind)
    if volume.to_patient is not None and not volume.identity:
        return volume_codes(path, kind, None)
    plane, _ = dataclasses.replace(volume, to_patient=None).slice(None, path)
    return _as_codes(plane.T if plane.T.shape == size else plane, path)


def _as_codes(plane: np.ndarray, path: pathlib.Path) -> np.ndarray:
    if not _is_whole(plane) or plane.min() < 0 or plane.max() >= 2**31:
        raise UserError(f"{path}: found values from {plane.min()} to {plane.max()}, expected class codes, whole "
                        "numbers of 0 to 255")
    kind = np.uint8 if plane.max() < 255.5 else np.uint16 if plane.max() < 65535.5 else np.int32
    return np.ascontiguousarray(np.rint(plane)).astype(kind)


def _is_whole(values: np.ndarray) -> bool:
    if values.dtype.kind in "iu":
        return True
    return bool(np.isfinite(values).all() and np.abs(values - np.rint(values)).max() < 1e-3)


@functools.lru_cache(maxsize=64)
def _grey_range(path: pathlib.Path, kind: str, changed: int) -> tuple[float, float]:
    return range_of(read_volume(path, kind).stored)


@functools.lru_cache(maxsize=2)
def _read_volume(path: pathlib.Path, kind: str, changed: int, size: int) -> Volume:
    return read_volume_file(path, kind)
