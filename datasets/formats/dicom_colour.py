"""Colour pictures in DICOM files: RGB, YBR and palettes (PS3.3 C.7.6.3.1.2), as RGB."""

import numpy as np
import pydicom
from pydicom import uid
from pydicom.pixels import apply_color_lut, convert_color_space

from datasets.formats.dicom_grey import whole

COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")  # three samples a pixel
PALETTE = "PALETTE COLOR"
PALETTE_TAGS = tuple(f"{colour}PaletteColorLookupTable{part}" for colour in ("Red", "Green", "Blue")
                     for part in ("Descriptor", "Data"))
# whose decoders give RGB, whatever the codestream holds
_TO_RGB = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1,
           uid.JPEG2000Lossless, uid.JPEG2000)


def rgb_pixels(words: np.ndarray, dataset: pydicom.Dataset) -> tuple[np.ndarray, int]:
    """RGB [H, W, 3], or [H, W] where the channels are equal, as uint8 or uint16; and white.

    Args:
      words: samples [H, W, 3] as they were decoded, or indices [H, W] of a palette.
      dataset: with `syntax` and `kind` as `dicom` sets them.
    """
    white = 2 ** min(max(8, whole(dataset, "BitsStored", 8)), 8 * words.itemsize) - 1
    if dataset.kind == PALETTE:
        words = apply_color_lut(words, dataset)[..., :3]
        white = 255 if words.dtype == np.uint8 else 65535
    elif dataset.kind != "RGB" and dataset.syntax not in _TO_RGB:
        words = convert_color_space(words, "YBR_FULL", "RGB")
    return words[..., 0] if (words == words[..., :1]).all() else words, white


def jpeg_is_rgb(frame: bytes, dataset: pydicom.Dataset) -> bool:
    """Whether a JPEG holds RGB and not YCbCr, by Adobe's marker, else by JFIF's and the header."""
    adobe = frame.find(b"\0\x0eAdobe", 0, 2**12)  # then version, two words of flags, and the transform: 0 is none
    if adobe >= 0:
        return frame[adobe + 13:adobe + 14] == b"\0"
    return dataset.kind == "RGB" and b"JFIF\0" not in frame[:64]
