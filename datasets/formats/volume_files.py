"""NIfTI and NRRD files: headers by nibabel and pynrrd, and voxels unpacked no further than the header says."""

import bz2
import io
import logging
import pathlib
import zlib
from collections.abc import Sequence

import nibabel
import nrrd
import numpy as np
from nibabel import orientations

from datasets.common.errors import UserError
from datasets.formats.raster import MAX_SIDE, decoding, read_bytes
from datasets.formats.volume import Volume

MAX_VOXELS = 2**28  # 645 x 645 x 645
_MAX_FILE = 2**30  # bytes
_MAX_BEFORE = 2**24  # of them unpacked before the voxels: headers of DICOM that converters keep there
_PLACES = ("domain", "space", "time", "none", "???")  # NRRD's kinds of axes that do not count a voxel's numbers
_PATIENT = orientations.axcodes2ornt(("L", "P", "S"))
_MILLIMETRES = {"mm": 1.0, "unknown": 1.0, "meter": 1e3, "m": 1e3, "cm": 10.0, "micron": 1e-3, "um": 1e-3,
                "µm": 1e-3}

logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)  # what it notes becomes a UserError here


def read_volume_file(path: pathlib.Path, kind: str) -> Volume:
    """The volume of a file of `kind` NIfTI or NRRD.

    Raises UserError for damage, more than three axes, more than MAX_VOXELS, and several numbers a voxel.
    """
    data = read_bytes(path, _MAX_FILE)
    with decoding(path, f"{kind} file"):
        return _read_nifti(data, path) if kind == "NIfTI" else _read_nrrd(data, path)


def _read_nifti(data: bytes, path: pathlib.Path) -> Volume:
    packed = data[:2] == b"\x1f\x8b"
    start = _inflate(data, 600) if packed else data[:600]
    if start[344:348] != b"n+1\0" and start[4:8] != b"n+2\0":
        raise UserError(f"{path}: found no NIfTI in one file, expected a .nii or .nii.gz, not a pair of .hdr and "
                        ".img")
    kind = nibabel.Nifti2Header if start[4:8] == b"n+2\0" else nibabel.Nifti1Header
    header = kind(start[:kind.sizeof_hdr])  # checked as it is made
    shape = _checked_shape(header.get_data_shape(), path)
    dtype, offset = header.get_data_dtype(), int(header["vox_offset"])
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UserError(f"{path}: found voxels of type {dtype}, expected one number each; save the channels apart")
    if packed and offset > _MAX_BEFORE:
        raise UserError(f"{path}: found voxels from byte {offset:,} on, expected them within the first "
                        f"{_MAX_BEFORE:,}; save it without header extensions, or as .nii")
    end = offset + int(np.prod(shape)) * dtype.itemsize
    data = _inflate(data, end) if packed else data
    stored = np.frombuffer(data, dtype, int(np.prod(shape)), offset).reshape(shape, order="F")
    slope, shift = header.get_slope_inter()
    if slope is not None and (slope, shift) != (1.0, 0.0):
        stored = stored * np.float64(slope) + np.float64(shift)
    affine, sizes = header.get_best_affine(), np.append(np.asarray(header.get_zooms(), float), [0.0] * 3)[:3]
    known, identity = bool(header["qform_code"] or header["sform_code"]), np.array_equal(affine, np.eye(4))
    unit = _MILLIMETRES.get(header.get_xyzt_units()[0], 0.0)
    # sides of 1 without a place: nobody said how large a voxel is
    sizes = sizes * unit if (known and not identity) or (sizes[:2] != 1.0).any() else np.zeros(3)
    return Volume(stored, _to_patient(affine) if known else None, tuple(sizes), identity)


def _read_nrrd(data: bytes, path: pathlib.Path) -> Volume:
    file = io.BytesIO(data)
    header = nrrd.read_header(file)
    sizes = [int(side) for side in header["sizes"]]
    _refuse_several(header, sizes, path)
    spatial = [axis for axis, side in enumerate(sizes) if side != 1 or len(sizes) <= 3]
    shape = _checked_shape([sizes[axis] for axis in spatial] if len(sizes) > 3 else sizes, path)
    values = nrrd.read_data(*_plain_nrrd(header, file.read(), 8 * int(np.prod(shape)), path))
    if values.dtype.kind not in "iuf":
        raise UserError(f"{path}: found voxels of type {values.dtype}, expected one number each")
    affine, lengths = np.diag([0.0, 0.0, 0.0, 1.0]), np.zeros(3)
    directions = header.get("space directions")
    if directions is not None:
        rows = [np.asarray(directions[axis], float) for axis in spatial]
        lengths[:len(rows)] = [np.linalg.norm(row) for row in rows]
        if all(row.shape == (3,) for row in rows):
            affine[:3, :len(rows)] = np.stack(rows, 1)
    elif "spacings" in header:
        lengths[:len(spatial)] = [header["spacings"][axis] for axis in spatial]
    signs = _nrrd_signs(header.get("space", ""))
    known = signs is not None and directions is not None
    unit = _MILLIMETRES.get(str(header.get("space units", ["mm"])[0]).strip('"'), 0.0)
    sizes_mm = np.where(np.isfinite(lengths), lengths, 0.0) * unit
    turned = _to_patient(np.diag([*(signs or (1, 1, 1)), 1]) @ affine) if known else None
    return Volume(values.reshape(shape, order="F"), turned, tuple(sizes_mm))


def _refuse_several(header: dict, sizes: Sequence[int], path: pathlib.Path) -> None:
    """Raises UserError where an axis, by its kind or without a direction, counts the numbers of a voxel."""
    apart = {axis for axis, kind in enumerate(header.get("kinds", ())) if kind.lower() not in _PLACES}
    apart |= {axis for axis, row in enumerate(header.get("space directions", ())) if np.isnan(row).all()}
    several = [sizes[axis] for axis in sorted(apart) if sizes[axis] > 1]
    if several:
        raise UserError(f"{path}: found {several[0]} numbers a voxel, expected one; save the channels apart")


def _nrrd_signs(space: str) -> tuple[int, int, int] | None:
    """What turns the axes of an NRRD space to right, front and head; None for spaces that are no patient's."""
    words = space.lower().replace("-time", "").split("-")
    names = {"r": 1, "right": 1, "l": -1, "left": -1, "a": 1, "anterior": 1, "p": -1, "posterior": -1, "s": 1,
             "superior": 1, "i": -1, "inferior": -1}
    words = list(words[0]) if len(words) == 1 and len(words[0]) in (3, 4) else words
    signs = tuple(names[word] for word in words[:3] if word in names)
    return signs if len(signs) == 3 else None


def _plain_nrrd(header: dict, data: bytes, most: int, path: pathlib.Path) -> tuple[dict, io.BytesIO]:
    """The header as that of an attached, unpacked file, and its data: at most `most` bytes come out of packing."""
    header = dict(header)
    name = header.pop("data file", header.pop("datafile", None))
    if name is not None:
        if pathlib.PurePath(name).name != name or name.startswith("LIST") or "%" in name:
            raise UserError(f"{path}: found its data in {name[:80]!a}, expected one file beside it; save it as "
                            ".nrrd")
        data = read_bytes(path.parent / name, _MAX_FILE)
    encoding = str(header.get("encoding", "")).lower()
    if encoding in ("gzip", "gz", "bzip2", "bz2"):
        for _ in range(int(header.pop("line skip", header.pop("lineskip", 0)))):
            data = data[data.index(b"\n") + 1:]
        skipped = max(0, int(header.get("byte skip", header.get("byteskip", 0))))
        most += min(skipped, _MAX_BEFORE)
        data = _inflate(data, most) if encoding[0] == "g" else bz2.BZ2Decompressor().decompress(data, most)
        encoding = "raw"
    return {**header, "encoding": encoding}, io.BytesIO(data)


def _inflate(data: bytes, most: int) -> bytes:
    """Up to `most` bytes of what gzip packed, in one or several pieces."""
    parts, length = [], 0
    while data and length < most:
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
        parts.append(decoder.decompress(data, most - length))
        length += len(parts[-1])
        if not decoder.eof:
            break
        data = decoder.unused_data
    return b"".join(parts)


def _checked_shape(sizes: Sequence[int], path: pathlib.Path) -> tuple[int, int, int]:
    """Three sides, those of 1 voxel behind the third left out."""
    sizes = [int(side) for side in sizes]
    shape = (*sizes[:3], 1, 1)[:3]
    found = " x ".join(map(str, sizes[:9])) or "no"
    if not sizes or any(side != 1 for side in sizes[3:]) or not all(1 <= side <= MAX_SIDE for side in shape):
        raise UserError(f"{path}: found {found} voxels, expected two or three sides of 1 to {MAX_SIDE}; save each "
                        "volume as a file of its own")
    if np.prod(shape, dtype=np.int64) > MAX_VOXELS:
        raise UserError(f"{path}: found {found} voxels, expected {MAX_VOXELS:,} at most; cut it into pieces")
    return shape


def _to_patient(affine: np.ndarray) -> np.ndarray | None:
    """What turns stored axes to left, back and head, by the matrix to millimetres right, front and up."""
    affine = affine.astype(float)
    if not affine[:3, 2].any():  # a picture, not a volume
        affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1])
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        return None
    return orientations.ornt_transform(orientations.io_orientation(affine), _PATIENT)
