"""Reads films and label maps of the formats in which users have them, told by content, bounded before decoding.

PNG (grey of 1 to 16 bits, palette, RGB), GIF, TIFF, DICOM, and JSRT's raw .IMG. Files come from strangers:
dimensions are checked in the header, damage and odd kinds raise a UserError of one line, and nothing is unpickled.
"""

import io
import os
import pathlib

import numpy as np
from PIL import Image

from datasets.common.errors import UserError
from datasets.formats import png
from datasets.formats.dicom_start import is_dicom
from datasets.formats.parts import Part
from datasets.formats.raster import Film, Raster, check_sides, decoding, read_bytes

IMG_SIDE, IMG_MAX, IMG_SPACING_MM = 2048, 4095, 0.175  # JSRT: 12 bits in big-endian 16, low values bright


def read_film(path: str | os.PathLike, part: Part | None = None) -> Film:
    """A film: [H, W], bright bone on dark ground, or RGB [H, W, 3] where a file's channels differ.

    A colour file with three equal channels is a grey film. 1 bit becomes 0 and 255; transparency is dropped, which
    the film says. `formats.channels.with_channel` makes the luminance, or one channel, of any film.

    Raises UserError for a file that is missing, damaged, too large, of several pages, or of another kind.
    """
    path = pathlib.Path(path)
    data = read_bytes(path)
    if is_dicom(data):
        from datasets.formats.dicom import read_dicom_film
        return read_dicom_film(data, path)
    if path.suffix.lower() == ".img":
        return Film(IMG_MAX - _read_img(data, path), IMG_MAX, IMG_SPACING_MM)
    raster = _read_raster(data, path)
    pixels = _shown(raster)
    white = 255 if raster.palette is not None else raster.max_value
    if white < 255:
        pixels, white = (pixels * np.float32(255 / white)).round().astype(np.uint8), 255
    return Film(white - pixels if raster.inverted else pixels, white, None, white != 65535, raster.alpha)


def read_mask(path: str | os.PathLike, part: Part | None = None,
              beside: str | os.PathLike | None = None) -> np.ndarray:
    """A label map or mask as uint8 [H, W]: the samples as stored, and indices where a palette has colours.

    A palette of greys is only a way to write grey values (GIF has no other), so those are taken. One-bit files
    give 0 and 1. Colour is refused unless its channels are equal. Raises UserError like `read_film`.
    """
    path = pathlib.Path(path)
    data = read_bytes(path)
    if is_dicom(data):
        from datasets.formats.dicom import read_dicom_values
        values = read_dicom_values(data, path)
    else:
        raster = _read_raster(data, path)
        grey = raster.palette is not None and (raster.palette == raster.palette[:, :1]).all()
        values = _shown(raster) if grey else raster.values
    if values.ndim == 3:
        if not (values == values[..., :1]).all():
            raise UserError(f"{path}: found a colour picture, expected one channel of class codes")
        values = values[..., 0]
    if values.dtype != np.uint8 and values.max() > 255:
        raise UserError(f"{path}: found values up to {values.max()}, expected class codes of 0 to 255")
    return values.astype(np.uint8)


def _read_raster(data: bytes, path: pathlib.Path) -> Raster:
    if data[:8] == png.SIGNATURE:
        return png.PngFile(data, path).decode()
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _read_gif(data, path)
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        from datasets.formats.tiff import read_tiff
        return read_tiff(data, path)
    found = f"starts with {data[:8]!r}" if data else "is empty"
    raise UserError(f"{path}: {found}; expected a PNG, GIF, TIFF or DICOM file")


def _read_gif(data: bytes, path: pathlib.Path) -> Raster:
    with decoding(path, "GIF"):
        check_sides(path, *(int.from_bytes(data[at:at + 2], "little") for at in (8, 6)))
        image = Image.open(io.BytesIO(data), formats=["GIF"])
        check_sides(path, image.height, image.width)  # its frame may be larger than its screen
        if image.is_animated:
            raise UserError(f"{path}: found an animated GIF, expected a single picture")
        image.load()
        palette = image.getpalette("RGB") if image.mode == "P" else None
        return Raster(np.asarray(image), 255, palette and np.array(palette, np.uint8).reshape(-1, 3),
                      alpha="transparency" in image.info)


def _read_img(data: bytes, path: pathlib.Path) -> np.ndarray:
    """JSRT's format as it is stored, uint16 [2048, 2048], low values bright."""
    expected = 2 * IMG_SIDE**2
    if len(data) != expected:
        raise UserError(f"{path}: found {len(data):,} bytes, expected {expected:,} ({IMG_SIDE} x {IMG_SIDE} "
                        "pixels of 16 bits, no header); copy it again")
    values = np.frombuffer(data, ">u2").reshape(IMG_SIDE, IMG_SIDE).astype(np.uint16)
    if values.max() > IMG_MAX:
        raise UserError(f"{path}: found values up to {values.max()}, expected 12 bits (0 to {IMG_MAX}) in "
                        "big-endian order; copy it again")
    return values


def _shown(raster: Raster) -> np.ndarray:
    """Samples with the palette applied: [H, W], or [H, W, 3] where the channels differ."""
    values = raster.values
    if raster.palette is not None:
        table = np.zeros((256, 3), np.uint8)
        table[:len(raster.palette)] = raster.palette[:256]
        values = table[values]
    if values.ndim == 2:
        return values
    return values[..., 0] if (values == values[..., :1]).all() else values
