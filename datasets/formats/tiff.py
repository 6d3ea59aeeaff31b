"""TIFF files of one page, grey or RGB, uncompressed or with a compression whose output is bounded."""

import io
import logging
import pathlib

import numpy as np
import tifffile

from datasets.common.errors import UserError
from datasets.formats.photo import ORIENTATION
from datasets.formats.raster import Raster, check_sides, decoding

_COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits"}
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE = 0, 1, 2, 3
_LARGEST_TILE = 2**26  # samples

logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)  # what it notes becomes a UserError here


def read_tiff(data: bytes, path: pathlib.Path, numbers: bool = False) -> Raster:
    """The samples of the only page. Raises UserError for damage and for kinds of TIFF that films do not use.

    Args:
      numbers: takes whole numbers of 0 to 2^31 - 1 in samples of 16, 32 or 64 bits of any kind, too, as uint16 or
        int32: label maps of instances are written so.
    """
    with decoding(path, "TIFF"), tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        _check_page(page, len(data), path, numbers)
        if len(file.pages) != 1:
            raise UserError(f"{path}: found {len(file.pages)} pages, expected a TIFF with one; save each "
                            "as a file of its own")
        values = page.asarray(maxworkers=1)
        shown = page.photometric == _PALETTE and page.bitspersample <= 8  # others are numbers
        # colour tables are [3, colours] in 16 bits
        palette = (np.asarray(page.colormap).T >> 8).astype(np.uint8) if shown else None
    if values.shape != (page.imagelength, page.imagewidth, page.samplesperpixel)[:values.ndim] or values.ndim < 2:
        raise UserError(f"{path}: truncated or damaged TIFF (decodes to {values.shape}); copy it again")
    opacity = values[..., -1] if values.shape[2:] in ((2,), (4,)) else None
    if values.ndim == 3:
        values = values[..., 0] if values.shape[2] == 2 else values[..., :3]
    orientation = page.tags.valueof(ORIENTATION, 1)
    values = values.astype(np.uint8) if values.dtype == bool else values
    if values.dtype.type not in (np.uint8, np.uint16):
        values = _whole_numbers(values, path)
    return Raster(values, 2**page.bitspersample - 1, palette, page.photometric == _MIN_IS_WHITE,
                  opacity is not None, orientation if orientation in range(1, 9) else 1, opacity=opacity)


def _whole_numbers(values: np.ndarray, path: pathlib.Path) -> np.ndarray:
    """Samples of other types as uint16 or int32. Raises UserError where they are no numbers of instances."""
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() < 2**31 and (values % 1 == 0).all()):
        raise UserError(f"{path}: found values from {values.min()} to {values.max()}, expected whole numbers of 0 "
                        f"to {2**31 - 1}")
    return values.astype(np.uint16 if values.max() <= 65535 else np.int32)


def _check_page(page, length: int, path: pathlib.Path, numbers: bool) -> None:
    """Everything that bounds the decoder's work, from the page's tags alone."""
    check_sides(path, page.imagelength, page.imagewidth)
    bits, samples = page.bitspersample, page.samplesperpixel
    wide = numbers and samples == 1 and bits in (8, 16, 32, 64) and page.sampleformat in (1, 2, 3)
    if not wide and (not isinstance(bits, int) or not 1 <= bits <= 16 or page.sampleformat != 1):
        raise UserError(f"{path}: found {bits}-bit samples of format {page.sampleformat}, expected unsigned "
                        "integers of 1 to 16 bits; save it as 8 or 16 bits")
    seen = samples in (1, 3, 4) or (samples == 2 and page.photometric != _RGB and page.extrasamples[:1] > (0,))
    if page.photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE) or not seen:
        raise UserError(f"{path}: found {samples} samples of colour space {int(page.photometric or 0)}, "
                        "expected grey or RGB")
    if page.photometric == _PALETTE and bits > 8 and not numbers:
        raise UserError(f"{path}: found a palette of {bits} bits, expected 8 at most; save it as RGB")
    if int(page.compression) not in _COMPRESSIONS:
        raise UserError(f"{path}: found TIFF compression {int(page.compression)}, expected none, LZW, deflate or "
                        "PackBits; save it as PNG")
    if page.imagedepth != 1 or (samples > 1 and page.planarconfig != 1):
        raise UserError(f"{path}: found a volume or separate colour planes, expected a plain picture; save it as "
                        "PNG")
    if page.is_tiled and page.tilelength * page.tilewidth > _LARGEST_TILE:
        raise UserError(f"{path}: found tiles of {page.tilewidth} x {page.tilelength} pixels, expected fewer")
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(ends) > length or min(page.dataoffsets) <= 0 or min(page.databytecounts) <= 0:
        raise UserError(f"{path}: truncated or damaged TIFF (pixels up to byte {max(ends, default=0):,} of "
                        f"{length:,}); copy it again")
