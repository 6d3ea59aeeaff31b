"""Image files for tests, made in memory."""

import io
import struct
import zlib

import cv2
import numpy as np
import pydicom
import tifffile
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian


def png(array: np.ndarray) -> bytes:
    """Grey or BGR array as PNG."""
    return cv2.imencode(".png", array)[1].tobytes()


def read(path) -> np.ndarray:
    """A picture as it is stored, by OpenCV: grey, or RGB."""
    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return array if array.ndim == 2 else array[..., ::-1]


def raw_png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    """A PNG with any header; `data` is the inflated content of IDAT."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pillow(array: np.ndarray, kind: str, mode: str | None = None, **options) -> bytes:
    """Array as a file of Pillow's format `kind`."""
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def dicom(array: np.ndarray, syntax: UID = ExplicitVRLittleEndian, frame: bytes | None = None,
          **elements) -> bytes:
    """Stored values uint8/uint16/int16 [H, W], or an encoded `frame` of them, as a DICOM file."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = array.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * array.dtype.itemsize
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    for name, value in elements.items():
        setattr(dataset, name, value)
    if "HighBit" not in elements:
        dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = encapsulate([frame]) if frame is not None else array.tobytes()
    dataset["PixelData"].VR = "OB" if frame is not None or array.dtype.itemsize == 1 else "OW"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
