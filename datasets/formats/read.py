"""Reads films and label maps of the formats in which users have them, told by content, bounded before decoding.

PNG (grey of 1 to 16 bits, palette, RGB), JPEG, TIFF, BMP, GIF, WebP, DICOM, NIfTI, NRRD, and JSRT's raw .IMG.
Files come from strangers: dimensions are checked in the header, damage and odd kinds raise a UserError of one
line, and nothing is unpickled.
"""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from datasets.common.errors import UserError
from datasets.formats import png
from datasets.formats.channels import luminance
from datasets.formats.dicom_start import is_dicom
from datasets.formats.find import KINDS
from datasets.formats.parts import Part, read_start, volume_kind
from datasets.formats.photo import photo_kind, read_photo
from datasets.formats.raster import Film, Raster, read_bytes

IMG_SIDE, IMG_MAX, IMG_SPACING_MM = 2048, 4095, 0.175  # JSRT: 12 bits in big-endian 16, low values bright
_CODEC_NOISE = 8  # grey levels by which a lossy codec may let equal channels differ


def read_film(path: str | os.PathLike, part: Part | None = None) -> Film:
    """A film: [H, W], bright bone on dark ground, or RGB [H, W, 3] where a file's channels differ.

    A colour file with three equal channels is a grey film. 1 bit becomes 0 and 255; transparency is dropped, which
    the film says. `formats.channels.with_channel` makes the luminance, or one channel, of any film.

    Args:
      part: the slice of a volume, one of `pictures_in`.

    Raises UserError for a file that is missing, damaged, too large, of several pages, or of another kind.
    """
    path = pathlib.Path(path)
    kind = volume_kind(read_start(path))
    if kind:
        from datasets.formats.volumes import volume_film
        return volume_film(path, kind, part)
    data = read_bytes(path)
    if is_dicom(data):
        from datasets.formats.dicom import read_dicom_film
        return read_dicom_film(data, path)
    if path.suffix.lower() == ".img":
        return Film(IMG_MAX - _read_img(data, path), IMG_MAX, IMG_SPACING_MM)
    raster = _read_raster(data, path).upright()
    pixels = _shown(raster)
    if raster.lossy and pixels.ndim == 3 and np.ptp(pixels, axis=-1).max() <= _CODEC_NOISE:
        pixels = luminance(pixels)
    white = 255 if raster.palette is not None else raster.max_value
    if white < 255:
        pixels, white = (pixels * np.float32(255 / white)).round().astype(np.uint8), 255
    return Film(white - pixels if raster.inverted else pixels, white, None, white != 65535, raster.alpha,
                raster.orientation != 1)


def read_mask(path: str | os.PathLike, part: Part | None = None,
              beside: str | os.PathLike | None = None) -> np.ndarray:
    """A label map or mask as uint8 [H, W]: the numbers that are stored, whatever they look like.

    A palette's colours are only looks, and so is an inverted grey scale, whether TIFF's (MinIsWhite) or a palette
    that runs from 255 down to 0, as ImageJ writes masks. Any other palette of greys is a way to write grey values
    (GIF has no other), so those are taken. One-bit files give 0 and 1. What is transparent is 0. Colour is refused
    unless its channels are equal, and what a codec has changed (JPEG, lossy WebP). Raises UserError like
    `read_film`.

    Args:
      part: the slice of a volume.
      beside: the image that the label map belongs to; a volume that does not say how the patient lies is taken to
        lie like that one.
    """
    path = pathlib.Path(path)
    values = read_label_samples(path, part, beside)
    if values.ndim == 3:
        raise UserError(f"{path}: found a colour picture, expected one channel of class codes; --colours=FILE of "
                        "tools.import_dataset says what its colours mean")
    if values.dtype != np.uint8 and values.max() > 255:
        raise UserError(f"{path}: found values up to {values.max()}, expected class codes of 0 to 255; save such "
                        "codes, or name masks for --masks and numbers of pieces for --instances")
    return values.astype(np.uint8)


def read_label_samples(path: str | os.PathLike, part: Part | None = None, beside: str | os.PathLike | None = None,
                       colours: bool = False) -> np.ndarray:
    """The samples of a label map of any kind: uint8, uint16 or int32 [H, W], or [H, W, 3] if its channels differ.

    Palettes are as in `read_mask`. With `colours` the result is what the picture looks like, uint8 RGB [H, W, 3].
    Raises UserError like `read_film`, and for what a codec has changed.
    """
    path = pathlib.Path(path)
    kind = volume_kind(read_start(path))
    if kind:
        from datasets.formats.volumes import picture_codes, volume_codes
        if beside and part is None and not volume_kind(read_start(beside)):
            values = picture_codes(path, kind, read_film(beside).pixels.shape[:2])
        else:
            values = volume_codes(path, kind, part, beside and pathlib.Path(beside))
    elif is_dicom(data := read_bytes(path)):
        from datasets.formats.dicom import read_dicom_values
        values = read_dicom_values(data, path)
    else:
        raster = _read_raster(data, path, numbers=True).upright().without_hidden()
        values = _codes(raster, path, renumbered=data[:3] == b"GIF")
        if colours and raster.palette is not None:
            values = _with_palette(raster)
        elif colours and raster.max_value < 255:  # of few bits: black and white stay that
            values = values * np.uint8(255 // raster.max_value)
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if not colours:
        return values
    if values.dtype != np.uint8:
        raise UserError(f"{path}: found 16 bits, expected colours of 8 bits")
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, -1)


def pictures_in(path: str | os.PathLike, axis: str = "z",
                beside: str | os.PathLike | None = None) -> Sequence[Part | None]:
    """`[None]` for a file that is one picture, a volume of one slice included; else the slices along `axis`.

    Raises UserError for a volume that cannot be read.
    """
    path = pathlib.Path(path)
    kind = volume_kind(read_start(path))
    if not kind and path.suffix.lower() == ".img" and path.with_suffix(".hdr").is_file():
        raise UserError(f"{path}: found a volume in two files, .img and .hdr; save it as NIfTI in one file, .nii")
    if not kind:
        return [None]
    from datasets.formats.volumes import volume_beside
    volume = volume_beside(path, kind, beside and pathlib.Path(beside))
    count = volume.counts()[axis]
    return [None] if volume.only_axis() else [Part(axis, index, count) for index in range(count)]


def pair_parts(image: str | os.PathLike, label: str | os.PathLike, axis: str = "z") -> Sequence[Part | None]:
    """The pictures that an image file and its label map have in common, as `pictures_in`.

    Raises UserError where the two do not have the same slices.
    """
    parts, others = pictures_in(image, axis), pictures_in(label, axis, image)
    if len(parts) != len(others):
        raise UserError(f"{label}: found {len(others)} slices along {axis}, expected {len(parts)} as in {image}")
    return parts


def _codes(raster: Raster, path: pathlib.Path, renumbered: bool) -> np.ndarray:
    """The numbers of a raster; `renumbered` where colours are in whatever order the writer met them."""
    if raster.lossy:
        raise UserError(f"{path}: found a lossy picture (JPEG or WebP), which changes class codes at borders; "
                        "export the label map anew, as PNG, from the program that made it")
    palette = raster.palette
    if palette is None or (palette != palette[:, :1]).any():
        return raster.values
    greys = palette[:, 0]
    steps = 256 if renumbered else np.count_nonzero(greys) + 1  # black ends the scale, and may fill up the palette
    inverted = 1 < steps <= len(greys) and (greys[:steps] == np.rint(np.linspace(255, 0, steps))).all()
    return raster.values if inverted and raster.values.max() < steps else _shown(raster)


def _read_raster(data: bytes, path: pathlib.Path, numbers: bool = False) -> Raster:
    if data[:8] == png.SIGNATURE:
        return png.PngFile(data, path).decode()
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        from datasets.formats.tiff import read_tiff
        return read_tiff(data, path, numbers)
    kind = photo_kind(data)
    if kind:
        return read_photo(data, path, kind)
    found = f"starts with {data[:8]!r}" if data else "is empty"
    raise UserError(f"{path}: {found}; expected a {KINDS} file")


def _read_img(data: bytes, path: pathlib.Path) -> np.ndarray:
    """JSRT's format as it is stored, uint16 [2048, 2048], low values bright."""
    expected = 2 * IMG_SIDE**2
    if len(data) != expected:
        remedy = "save it as NIfTI in one file" if path.with_suffix(".hdr").is_file() else "copy it again"
        raise UserError(f"{path}: found {len(data):,} bytes, expected {expected:,} ({IMG_SIDE} x {IMG_SIDE} "
                        f"pixels of 16 bits, no header); {remedy}")
    values = np.frombuffer(data, ">u2").reshape(IMG_SIDE, IMG_SIDE).astype(np.uint16)
    if values.max() > IMG_MAX:
        raise UserError(f"{path}: found values up to {values.max()}, expected 12 bits (0 to {IMG_MAX}) in "
                        "big-endian order; copy it again")
    return values


def _shown(raster: Raster) -> np.ndarray:
    """Samples with the palette applied: [H, W], or [H, W, 3] where the channels differ."""
    values = raster.values if raster.palette is None else _with_palette(raster)
    if values.ndim == 2:
        return values
    return values[..., 0] if (values == values[..., :1]).all() else values


def _with_palette(raster: Raster) -> np.ndarray:
    """The colours that palette indices stand for, uint8 [H, W, 3]; black where the palette ends."""
    table = np.zeros((256, 3), np.uint8)
    table[:len(raster.palette)] = raster.palette[:256]
    return table[raster.values]
