"""DICOM images: one grey frame, shown as the standard says (PS3.3 C.11.1 and C.11.2), bone bright."""

import io
import logging
import pathlib

import imagecodecs
import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing
from pydicom.tag import Tag

from datasets.common.errors import UserError
from datasets.formats.raster import Film, check_sides, decoding

_TAGS = [Tag(name) for name in (
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing", "ImagerPixelSpacing", "RescaleSlope",
    "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence",
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
    """The frame through its modality LUT and first VOI LUT or window; MONOCHROME1 is inverted."""
    with decoding(path, "DICOM file"):
        dataset = _read_header(data, path)
        patterns = _read_patterns(dataset, path)
        table = _display_table(dataset)
        white = 255 if table.dtype == np.uint8 else 2 ** int(dataset.BitsStored) - 1
        windowed = "VOILUTSequence" in dataset or "WindowWidth" in dataset
        return Film(table[patterns], white, _spacing(dataset), white != 65535 or windowed)


def read_dicom_values(data: bytes, path: pathlib.Path) -> np.ndarray:
    """The frame's stored values, uint8 or uint16 [H, W], for label maps."""
    with decoding(path, "DICOM file"):
        dataset = _read_header(data, path)
        if dataset.get("PixelRepresentation", 0):
            raise UserError(f"{path}: found signed values, expected unsigned class codes")
        return _read_patterns(dataset, path)


def _read_header(data: bytes, path: pathlib.Path) -> pydicom.Dataset:
    """The elements that matter here, checked so that the pixels can be decoded in bounds."""
    syntax, start = _read_meta(data)
    if syntax not in (*_NATIVE, *_CODECS, uid.RLELossless):
        raise UserError(f"{path}: found transfer syntax {syntax.name[:64]!r}, which is not supported; convert it "
                        "first, e.g. with dcmconv or gdcmconv --raw")
    dataset = read_dataset(io.BytesIO(data[start:]), is_implicit_VR=syntax == uid.ImplicitVRLittleEndian,
                           is_little_endian=True, specific_tags=_TAGS)
    dataset.syntax = syntax
    _check_header(dataset, path)
    return dataset


def _read_meta(data: bytes) -> tuple[uid.UID, int]:
    """Transfer syntax, and where the file meta information (group 2, explicit little endian) ends."""
    position, syntax = 132, None
    while data[position:position + 2] == b"\x02\x00":
        long = data[position + 4:position + 6] in (b"OB", b"UN")  # two reserved bytes and a length of four
        value = position + (12 if long else 8)
        length = int.from_bytes(data[value - (4 if long else 2):value], "little")
        if data[position + 2:position + 4] == b"\x10\x00":  # (0002,0010), Transfer Syntax UID
            syntax = uid.UID(data[value:value + length].rstrip(b"\0 ").decode("ascii"))
        position = value + length
    if syntax is None or position > len(data):
        raise ValueError("no transfer syntax")
    return syntax, position


def _check_header(dataset: pydicom.Dataset, path: pathlib.Path) -> None:
    if "PixelData" not in dataset:
        raise UserError(f"{path}: found a DICOM file without integer pixels, expected a film")
    frames, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.SamplesPerPixel)
    kind = str(dataset.PhotometricInterpretation)
    if frames != 1 or samples != 1 or kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise UserError(f"{path}: found {frames} frames of {samples} samples, {kind[:16]!r}, expected one "
                        "MONOCHROME1 or MONOCHROME2 frame")
    check_sides(path, int(dataset.Rows), int(dataset.Columns))
    bits, allocated = int(dataset.BitsStored), int(dataset.BitsAllocated)
    high = dataset.get("HighBit", bits - 1)
    if allocated not in (8, 16) or not 1 <= bits <= allocated or high != bits - 1:
        raise UserError(f"{path}: found {bits} bits up to bit {high} in {allocated}, expected up to 16 low bits "
                        "in 8 or 16")


def _read_patterns(dataset: pydicom.Dataset, path: pathlib.Path) -> np.ndarray:
    """The stored bits of each pixel, without those above BitsStored: uint8 or uint16 [H, W]."""
    shape = (int(dataset.Rows), int(dataset.Columns))
    width = int(dataset.BitsAllocated) // 8
    if dataset.syntax in _NATIVE:
        values = np.frombuffer(dataset.PixelData, f"<u{width}", shape[0] * shape[1]).reshape(shape)
    else:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        if dataset.syntax == uid.RLELossless:
            frame = imagecodecs.dicomrle_decode(frame, f"<u{width}", out=shape[0] * shape[1] * width)
            values = np.frombuffer(frame, f"<u{width}").reshape(shape)
        else:
            found = _codestream_shape(frame)
            if found != (*shape, 1):
                raise UserError(f"{path}: found a compressed frame of {found} rows, columns and samples, expected "
                                f"{(*shape, 1)} as in its header")
            values = _CODECS[dataset.syntax](frame).reshape(shape)
            values = values.view(f"u{values.itemsize}")  # patterns of bits: JPEG 2000 may decode to signed values
    kind = np.uint8 if dataset.BitsStored <= 8 else np.uint16
    return (values & (2 ** int(dataset.BitsStored) - 1)).astype(kind)


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


def _display_table(dataset: pydicom.Dataset) -> np.ndarray:
    """Grey value of each bit pattern, uint8 or uint16 [2^BitsStored], white being 255 or 2^BitsStored - 1."""
    bits = int(dataset.BitsStored)
    stored = np.arange(2**bits, dtype=np.int32)  # a table of all values is smaller than a film
    if dataset.get("PixelRepresentation", 0):  # two's complement
        stored[stored >= 2 ** (bits - 1)] -= 2**bits
    values = apply_modality_lut(stored, dataset)
    if dataset.get("VOILUTSequence"):
        white = 2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
        shown = apply_voi(values.astype(np.int32), dataset) / white
    elif dataset.get("WindowWidth") is not None and dataset.get("WindowCenter") is not None:
        shown = _window(values, dataset)
    else:
        shown = (values - values.min()) / max(float(values.max()) - float(values.min()), 1e-9)
    if not np.isfinite(shown).all():
        raise ValueError("grey values that are not finite")
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 1.0 - shown
    white = 255 if bits <= 8 else 2**bits - 1
    return np.rint(np.clip(shown, 0.0, 1.0) * white).astype(np.uint8 if bits <= 8 else np.uint16)


def _window(values: np.ndarray, dataset: pydicom.Dataset) -> np.ndarray:
    """`values` through the first window: 0 is black, 1 is white."""
    window = pydicom.Dataset()
    window.WindowCenter, window.WindowWidth = dataset.WindowCenter, dataset.WindowWidth
    window.VOILUTFunction = dataset.get("VOILUTFunction") or "LINEAR"
    window.PhotometricInterpretation, window.PixelRepresentation = "MONOCHROME2", 0
    window.BitsStored = 1  # pydicom's white is the largest stored value: 1
    return apply_windowing(values, window)


def _spacing(dataset: pydicom.Dataset) -> float | None:
    """Millimetres per pixel at the patient, else at the detector; None if unknown or not square."""
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        value = dataset.get(name)
        if value is not None and len(value) == 2:
            rows, columns = map(float, value)
            return rows if 0.0 < rows < 100.0 and abs(rows - columns) <= 0.01 * rows else None
    return None
