"""JPEG, WebP, BMP and GIF files of one picture, through Pillow, bounded by their headers before decoding."""

import contextlib
import io
import pathlib

import numpy as np
from PIL import Image

from datasets.common.errors import UserError
from datasets.formats.raster import Raster, check_sides, decoding

ORIENTATION = 0x0112  # tag of EXIF and TIFF: 1 is upright
_STARTS = {b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"GIF87a": "GIF", b"GIF89a": "GIF"}


def photo_kind(data: bytes) -> str | None:
    """JPEG, BMP, GIF or WEBP by the first bytes, None for others."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)


def read_photo(data: bytes, path: pathlib.Path, kind: str) -> Raster:
    """The samples as stored; which codec wrote them tells whether they are the ones that were saved.

    Raises UserError for damage, several pictures in a file, and colours that no film has (CMYK).
    """
    with decoding(path, kind):
        if kind == "GIF":  # its frame may be larger than its screen
            check_sides(path, *(int.from_bytes(data[at:at + 2], "little") for at in (8, 6)))
        image = Image.open(io.BytesIO(data), formats=[kind])
        check_sides(path, image.height, image.width)
        if getattr(image, "is_animated", False) and kind != "JPEG":  # a JPEG's others are previews
            raise UserError(f"{path}: found an animated {kind}, expected a single picture; save the "
                            "one to use as a file of its own")
        image.load()
        if image.mode not in ("1", "L", "P", "LA", "RGB", "RGBA"):
            raise UserError(f"{path}: found {kind} in colour space {image.mode}, expected grey or RGB; save it as "
                            "PNG")
        palette = image.getpalette("RGB") if image.mode == "P" else None
        values, alpha = np.asarray(image), image.mode in ("LA", "RGBA") or "transparency" in image.info
        orientation = exif_orientation(image.getexif)
    opacity = None
    if image.mode in ("LA", "RGBA"):
        opacity = values[..., -1]
        values = values[..., 0] if image.mode == "LA" else values[..., :3]
    return Raster(values.astype(np.uint8), 1 if image.mode == "1" else 255,
                  palette and np.array(palette, np.uint8).reshape(-1, 3), alpha=alpha, orientation=orientation,
                  lossy=kind == "JPEG" or (kind == "WEBP" and b"VP8 " in _chunk_names(data)), opacity=opacity)


def exif_orientation(read) -> int:
    """The orientation (1 to 8) in the EXIF data that `read()` gives; 1 where they do not say or are damaged."""
    with contextlib.suppress(Exception):  # whatever damage leads to: the picture itself is whole
        orientation = read().get(ORIENTATION, 1)
        return orientation if orientation in range(1, 9) else 1
    return 1


def _chunk_names(data: bytes) -> set[bytes]:
    """Of a RIFF file."""
    names, position = set(), 12
    while position + 8 <= len(data):
        names.add(data[position:position + 4])
        position += 8 + (int.from_bytes(data[position + 4:position + 8], "little") + 1) // 2 * 2
    return names
