"""PNG files: every chunk is checked before a pixel is decoded."""

import dataclasses
import io
import pathlib
import struct
import zlib

import imagecodecs
import numpy as np
from PIL import Image

from datasets.common.errors import UserError
from datasets.formats.photo import exif_orientation
from datasets.formats.raster import Raster, check_sides, decoding

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}


class PngFile:
    """A PNG whose chunks are whole; nothing is decoded yet.

    Attributes:
      width, height: in pixels, at most MAX_SIDE.
      depth: bits per sample.
      colour: PNG's colour type, e.g. GREY.
      alpha: whether it holds transparency, as a channel or for single colours.
      stream: the file without the chunks that cannot change its samples.
    """

    def __init__(self, data: bytes, path: pathlib.Path):
        if data[:8] != SIGNATURE:
            raise UserError(f"{path}: {'not a PNG file' if data else 'is empty; copy it again'}")
        self._path = path
        kept = {kind: bytearray() for kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND")}
        transparent, self._exif = False, b""
        for kind, chunk in _chunks(data, path):
            if kind == b"acTL":
                raise UserError(f"{path}: found an animated PNG, expected a single picture; save the "
                                "one to use as a file of its own")
            transparent |= kind == b"tRNS"
            self._exif = chunk[8:-4] if kind == b"eXIf" else self._exif
            if kind in kept:  # the rest cannot change the samples
                kept[kind] += chunk
        self.stream = SIGNATURE + b"".join(kept.values())
        header = struct.unpack(">IIBBBBB", kept[b"IHDR"][8:21])  # behind length and type, before the checksum
        self.width, self.height, self.depth, self.colour = header[:4]
        self.alpha = transparent or self.colour in (GREY_ALPHA, RGB_ALPHA)
        check_sides(path, self.height, self.width)
        # one header of 25 bytes, not several
        if self.depth not in _DEPTHS.get(self.colour, ()) or len(kept[b"IHDR"]) != 25 or not kept[b"IDAT"]:
            raise UserError(f"{path}: truncated or damaged PNG (header {header}); copy it again")

    def decode(self) -> Raster:
        """The samples as stored; transparency is dropped."""
        return dataclasses.replace(self._decode(), alpha=self.alpha, orientation=exif_orientation(self._read_exif))

    def _read_exif(self) -> Image.Exif:
        exif = Image.Exif()
        exif.load(self._exif)
        return exif

    def _decode(self) -> Raster:
        with decoding(self._path, "PNG"):
            if self.depth == 16 and self.colour != GREY:
                pixels = imagecodecs.png_decode(self.stream)  # Pillow would leave eight bits
                return Raster(pixels[..., 0] if self.colour == GREY_ALPHA else pixels[..., :3], 65535, None,
                              opacity=None if self.colour == RGB else pixels[..., -1])
            image = Image.open(io.BytesIO(self.stream), formats=["PNG"])
            image.load()
        opacity = None
        if image.mode in ("LA", "RGBA"):
            opacity = np.array(image.getchannel("A"))
            image = image.convert(image.mode[:-1])  # L or RGB
        palette = None
        if image.mode == "P":
            palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        values = np.array(image)
        if self.colour == GREY and self.depth < 8:
            white = 2**self.depth - 1
            scale = 1 if self.depth == 1 else 255 // white  # Pillow spreads two and four bits over eight
            return Raster((values // scale).astype(np.uint8), white, None)
        return Raster(values, 65535 if values.dtype == np.uint16 else 255, palette, opacity=opacity)


def _chunks(data: bytes, path: pathlib.Path):
    """Yields (type, the chunk with its length and checksum) from IHDR to IEND; refuses damage in any of them."""
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        length, kind = int.from_bytes(data[position:position + 4], "big"), data[position + 4:position + 8]
        end = position + 12 + length
        first = position == len(SIGNATURE)
        if end > len(data) or first != (kind == b"IHDR") or (first and length != 13):
            raise UserError(f"{path}: truncated PNG (chunk at byte {position:,} of {len(data):,}); copy it again")
        if zlib.crc32(data[position + 4:end - 4]) != int.from_bytes(data[end - 4:end], "big"):
            raise UserError(f"{path}: damaged PNG (checksum at byte {position:,} of {len(data):,}); copy it again")
        yield kind, data[position:end]
        position = end
