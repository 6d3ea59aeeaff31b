"""DICOM images: one frame, decoded in bounds; `dicom_grey` and `dicom_colour` say what its values mean."""

import io
import logging
import pathlib

import imagecodecs
import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.tag import Tag

from datasets.common.errors import UserError
from datasets.formats.dicom_colour import COLOURS, PALETTE, PALETTE_TAGS, jpeg_is_rgb, rgb_pixels
from datasets.formats.dicom_grey import display_table, find_padding, numbers, stored_values, whole
from datasets.formats.dicom_start import has_explicit_vrs
from datasets.formats.raster import Film, check_sides, decoding

_TAGS = [Tag(name) for name in (
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "PixelSpacing",
    "ImagerPixelSpacing", "NominalScannedPixelSpacing", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "PlanarConfiguration", *PALETTE_TAGS,
    "PixelData")]
_NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)  # big endian is retired, deflated has no films
_CODECS = {
    **dict.fromkeys((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1),
                    imagecodecs.jpeg_decode),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), imagecodecs.jpegls_decode),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), imagecodecs.jpeg2k_decode),
}
_J2K_START = b"\xff\x4f\xff\x51"

logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # what it notes becomes a UserError here


def read_dicom_film(data: bytes, path: pathlib.Path) -> Film:
    """The frame with bone bright and padding black, or in colour; white is 255, or that of the bits in use."""
    with decoding(path, "DICOM file"):
        dataset = _read_header(data, path)
        words = _read_words(dataset, path)
        if dataset.kind in (*COLOURS, PALETTE):
            return Film(*rgb_pixels(words, dataset), _spacing(dataset))
        padding = find_padding(words, dataset)
        padding = padding if not padding.all() else ~padding
        stored, bits = stored_values(words, dataset, ~padding)
        shown = display_table(np.bincount(words[~padding], minlength=len(stored)), stored, dataset)
        if dataset.kind == "MONOCHROME1":
            shown = 1.0 - shown
        white = 255 if bits <= 8 else 2**bits - 1
        pixels = np.rint(shown * white).astype(np.uint8 if bits <= 8 else np.uint16)[words]
        pixels[padding] = 0
        return Film(pixels, white, _spacing(dataset))


def read_dicom_values(data: bytes, path: pathlib.Path) -> np.ndarray:
    """The frame's stored values, uint8 or uint16 [H, W] or RGB [H, W, 3], for label maps."""
    with decoding(path, "DICOM file"):
        dataset = _read_header(data, path)
        words = _read_words(dataset, path)
        if words.ndim == 3:
            return rgb_pixels(words, dataset)[0]
        values = stored_values(words, dataset, np.ones(words.shape, bool))[0][words]
        if values.min() < 0:
            raise UserError(f"{path}: found values down to {values.min()}, expected class codes of 0 to 255")
        return values.astype(words.dtype)


def _read_header(data: bytes, path: pathlib.Path) -> pydicom.Dataset:
    """The elements that matter here, checked so that the pixels can be decoded in bounds."""
    syntax, start = _read_meta(data)
    if syntax not in (*_NATIVE, *_CODECS, uid.RLELossless):
        raise UserError(f"{path}: found transfer syntax {syntax.name[:64]!r}, which is not supported; convert it "
                        "first, e.g. with dcmconv or gdcmconv --raw")
    dataset = read_dataset(io.BytesIO(data[start:]), is_implicit_VR=syntax == uid.ImplicitVRLittleEndian,
                           is_little_endian=True, specific_tags=_TAGS)
    dataset.syntax = syntax
    dataset.kind = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").strip().upper()
    _check_header(dataset, path)
    return dataset


def _read_meta(data: bytes) -> tuple[uid.UID, int]:
    """Transfer syntax, and where the file meta information (group 2, explicit little endian) ends.

    Without a syntax, files are little endian, and with or without types as the first element shows.
    """
    position, syntax = 132 if data[128:132] == b"DICM" else 0, None
    while data[position:position + 2] == b"\x02\x00":
        long = data[position + 4:position + 6] in (b"OB", b"UN")  # two reserved bytes and a length of four
        value = position + (12 if long else 8)
        length = int.from_bytes(data[value - (4 if long else 2):value], "little")
        if data[position + 2:position + 4] == b"\x10\x00":  # (0002,0010), Transfer Syntax UID
            syntax = uid.UID(data[value:value + length].rstrip(b"\0 ").decode("ascii"))
        position = value + length
    if not syntax:
        explicit = has_explicit_vrs(data[position:position + 2**17])
        syntax = {True: uid.ExplicitVRLittleEndian, False: uid.ImplicitVRLittleEndian}.get(explicit)
    if syntax is None or position > len(data):
        raise ValueError("no transfer syntax")
    return syntax, position


def _check_header(dataset: pydicom.Dataset, path: pathlib.Path) -> None:
    if "PixelData" not in dataset:
        raise UserError(f"{path}: found a DICOM file without integer pixels, expected a film")
    frames, samples = whole(dataset, "NumberOfFrames", 1) or 1, whole(dataset, "SamplesPerPixel", 1)
    expected = 3 if dataset.kind in COLOURS else 1
    if frames != 1 or samples != expected or dataset.kind not in (*COLOURS, PALETTE, "MONOCHROME1", "MONOCHROME2"):
        raise UserError(f"{path}: found {frames} frames of {samples} samples, {dataset.kind[:16]!r}, expected one "
                        "frame in grey (MONOCHROME1, MONOCHROME2), RGB, YBR or palette colours; save the one to "
                        "use as a file of its own")
    if dataset.kind == "YBR_FULL_422" and dataset.syntax in (*_NATIVE, uid.RLELossless):
        raise UserError(f"{path}: found YBR_FULL_422 without compression, expected RGB; convert it with dcmconv")
    dataset.samples = samples
    check_sides(path, int(dataset.Rows), int(dataset.Columns))
    allocated = int(dataset.BitsAllocated)
    if allocated not in (8, 16):
        raise UserError(f"{path}: found {allocated} bits a pixel, expected 8 or 16")


def _read_words(dataset: pydicom.Dataset, path: pathlib.Path) -> np.ndarray:
    """The bits of each pixel as they are stored, uint8 or uint16 [H, W], or [H, W, 3] of three samples."""
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), dataset.samples
    width, count = int(dataset.BitsAllocated) // 8, rows * columns * samples
    planes = whole(dataset, "PlanarConfiguration", 0) == 1 or dataset.syntax == uid.RLELossless
    if dataset.syntax in _NATIVE:
        words = np.frombuffer(dataset.PixelData, f"<u{width}", count)
    else:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        if dataset.syntax == uid.RLELossless:
            frame = imagecodecs.dicomrle_decode(frame, f"<u{width}", out=count * width)
            words = np.frombuffer(frame, f"<u{width}")
        else:
            words, planes = _decode(frame, (rows, columns, samples), dataset, path), False
    words = words.reshape((samples, rows, columns) if planes else (rows, columns, samples))
    words = np.moveaxis(words, 0, -1) if planes else words
    return words[..., 0] if samples == 1 else words


def _decode(frame: bytes, shape: tuple[int, int, int], dataset: pydicom.Dataset, path: pathlib.Path) -> np.ndarray:
    """Patterns of bits in a compressed frame: JPEG 2000 may decode to signed values."""
    found = _codestream_shape(frame)
    if found != shape:
        raise UserError(f"{path}: found a compressed frame of {found} rows, columns and samples, expected {shape} "
                        "as in its header")
    decoder = _CODECS[dataset.syntax]
    if shape[2] == 3 and decoder is imagecodecs.jpeg_decode and jpeg_is_rgb(frame, dataset):
        values = decoder(frame, colorspace="RGB", outcolorspace="RGB")
    else:
        values = decoder(frame)
    return values.view(f"u{values.itemsize}")


def _codestream_shape(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples per pixel that a JPEG, JPEG-LS or JPEG 2000 codestream says it holds."""
    if frame[:4] == _J2K_START:  # then the SIZ marker: far corner, near corner, ..., components at byte 40
        x1, y1, x0, y0 = (int.from_bytes(frame[at:at + 4], "big") for at in (8, 12, 16, 20))
        return y1 - y0, x1 - x0, int.from_bytes(frame[40:42], "big")
    position = 2
    while frame[:2] == b"\xff\xd8" and frame[position:position + 1] == b"\xff":
        marker = frame[position + 1]
        # start of frame: SOF55 of JPEG-LS, SOF0 ... SOF15 but for DHT, JPG and DAC
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = (int.from_bytes(frame[at:at + 2], "big") for at in (position + 5, position + 7))
            return rows, columns, frame[position + 9]
        position += 2 + max(2, int.from_bytes(frame[position + 2:position + 4], "big"))
    raise ValueError("no JPEG or JPEG 2000 codestream")


def _spacing(dataset: pydicom.Dataset) -> float | None:
    """Millimetres per pixel at the patient, else at the detector or scanner; None if unknown or not square."""
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        value = numbers(dataset, name)
        if len(value) == 2 and min(value) > 0.0:
            rows, columns = value
            return rows if rows < 100.0 and abs(rows - columns) <= 0.01 * rows else None
    return None
