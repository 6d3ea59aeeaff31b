"""Films and masks of every format come in as they were made; damage and odd kinds are refused in one line."""

import io
import os
import pathlib
import struct
import tempfile
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom import uid

from datasets.common.errors import UserError
from datasets.formats.channels import with_channel
from datasets.formats.read import read_film, read_label_samples, read_mask
from tests.helpers import pictures

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (19, 27)).astype(np.uint8)
GREY12 = RNG.integers(0, 4096, (19, 27)).astype(np.uint16)
GREY16 = RNG.integers(0, 65536, (19, 27)).astype(np.uint16)
GREY12[0, :2] = 0, 4095


def _write(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def _refused(read, path):
    with pytest.raises(UserError) as caught:
        read(path)
    text = str(caught.value)
    assert "\n" not in text and path.name in text
    return text


@pytest.mark.parametrize(("name", "data", "pixels", "max_value"), [
    ("8.png", pictures.png(GREY8), GREY8, 255),
    ("16.png", pictures.png(GREY16), GREY16, 65535),
    ("interlaced.png", pictures.pillow(GREY8, "PNG", optimize=True), GREY8, 255),
    ("rgb.png", pictures.png(np.stack([GREY8] * 3, -1)), GREY8, 255),
    ("rgba.png", pictures.pillow(GREY8, "PNG", "RGBA"), GREY8, 255),
    ("1.png", pictures.pillow(GREY8 > 99, "PNG"), (GREY8 > 99) * np.uint8(255), 255),
    ("2.png", pictures.raw_png(4, 1, 2, 0, b"\0\x1b"), np.uint8([[0, 85, 170, 255]]), 255),
    ("rgb16.png", pictures.png(np.stack([GREY16] * 3, -1)), GREY16, 65535),
    ("rgba16.png", imagecodecs.png_encode(np.stack([GREY16] * 4, -1)), GREY16, 65535),
    ("la16.png", imagecodecs.png_encode(np.stack([GREY16, GREY16[::-1]], -1)), GREY16, 65535),
    ("a.gif", pictures.pillow(GREY8, "GIF"), GREY8, 255),
    ("8.tif", pictures.tiff(GREY8), GREY8, 255),
    ("16.tiff", pictures.tiff(GREY16, compression="zlib", predictor=True), GREY16, 65535),
    ("lzw.tif", pictures.tiff(GREY16, compression="lzw"), GREY16, 65535),
    ("packbits.tif", pictures.tiff(GREY8, compression="packbits"), GREY8, 255),
    ("big.tif", pictures.tiff(GREY16.astype(">u2"), bigtiff=True, byteorder=">"), GREY16, 65535),
    ("tiled.tif", pictures.tiff(GREY8, tile=(16, 16)), GREY8, 255),
    ("white0.tif", pictures.tiff(255 - GREY8, photometric="miniswhite"), GREY8, 255),
    ("rgb.tif", pictures.tiff(np.stack([GREY16] * 3, -1), photometric="rgb"), GREY16, 65535),
    ("bool.tif", pictures.tiff(GREY8 > 99, photometric="minisblack"), (GREY8 > 99) * np.uint8(255), 255),
    ("8.dcm", pictures.dicom(GREY8), GREY8, 255),
    ("12.dcm", pictures.dicom(GREY12, BitsStored=12), GREY12, 4095),
    ("white0.dcm", pictures.dicom(4095 - GREY12, BitsStored=12, PhotometricInterpretation="MONOCHROME1"), GREY12,
     4095),
    ("implicit", pictures.dicom(GREY12, uid.ImplicitVRLittleEndian, BitsStored=12), GREY12, 4095),
    ("sv1.dcm", pictures.dicom(GREY12, uid.JPEGLosslessSV1, imagecodecs.jpeg_encode(
        GREY12, lossless=True, bitspersample=12), BitsStored=12), GREY12, 4095),
    ("ls.dcm", pictures.dicom(GREY12, uid.JPEGLSLossless, imagecodecs.jpegls_encode(GREY12), BitsStored=12),
     GREY12, 4095),
    ("2k.dcm", pictures.dicom(GREY12, uid.JPEG2000Lossless, imagecodecs.jpeg2k_encode(
        GREY12, level=0, codecformat="j2k"), BitsStored=12), GREY12, 4095),
])
def test_films_come_in_as_they_were(tmp_path, name, data, pixels, max_value):
    film = read_film(_write(tmp_path, name, data))
    assert film.pixels.dtype == pixels.dtype and film.max_value == max_value
    np.testing.assert_array_equal(film.pixels, pixels)


def test_colour_stays_and_becomes_one_channel_on_request(tmp_path):
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, 0], picture[0, 1], picture[0, 2] = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # BGR: red, green, blue
    film = read_film(_write(tmp_path, "a.png", pictures.png(picture)))
    assert film.coloured and not film.alpha
    np.testing.assert_array_equal(film.pixels[0], 255 * np.eye(3, dtype=np.uint8))
    assert with_channel(film, "grey").pixels[0].tolist() == [76, 150, 29]
    assert with_channel(film, "green").pixels[0].tolist() == [0, 255, 0]
    np.testing.assert_array_equal(with_channel(film, "colour").pixels, film.pixels)
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(tmp_path / "p.png")
    assert with_channel(read_film(tmp_path / "p.png"), "grey").pixels.tolist() == [[76, 150, 29]]
    assert read_mask(tmp_path / "p.png").tolist() == [[0, 1, 2]]


def test_a_grey_film_is_each_of_its_channels(tmp_path):
    film = read_film(_write(tmp_path, "a.png", pictures.png(np.stack([GREY8] * 3, -1))))
    for channel in ("grey", "red", "green", "blue"):
        np.testing.assert_array_equal(with_channel(film, channel).pixels, GREY8)
    np.testing.assert_array_equal(with_channel(film, "colour").pixels, np.stack([GREY8] * 3, -1))


@pytest.mark.parametrize(("name", "data"), [
    ("rgba.png", pictures.pillow(GREY8, "PNG", "RGBA")), ("la.png", pictures.pillow(GREY8, "PNG", "LA")),
    ("rgba16.png", imagecodecs.png_encode(np.stack([GREY16] * 4, -1))),
    ("index.png", pictures.pillow(GREY8, "PNG", "P", transparency=0)),
    ("a.gif", pictures.pillow(GREY8, "GIF", transparency=0)),
    ("rgba.tif", pictures.tiff(np.stack([GREY8] * 4, -1), photometric="rgb")),
])
def test_transparency_is_told(tmp_path, name, data):
    film = read_film(_write(tmp_path, name, data))
    assert film.alpha and film.pixels.shape[:2] == GREY8.shape
    assert not read_film(_write(tmp_path, f"opaque-{name}", pictures.png(GREY8))).alpha


def test_a_grey_palette_gives_grey_values(tmp_path):
    """Pillow numbers a GIF's greys anew; codes 0, 3 and 5 must not become 0, 1 and 2."""
    codes = np.array([[0, 3, 5], [5, 3, 0]], np.uint8)
    path = _write(tmp_path, "a.gif", pictures.pillow(codes, "GIF"))
    assert np.asarray(Image.open(path)).max() == 2
    np.testing.assert_array_equal(read_mask(path), codes)


@pytest.mark.parametrize(("name", "data"), [
    ("a.png", pictures.png(GREY8)), ("a.gif", pictures.pillow(GREY8, "GIF")), ("a.tif", pictures.tiff(GREY8)),
    ("w.tif", pictures.tiff(GREY8, photometric="miniswhite")), ("a.dcm", pictures.dicom(GREY8)),
    ("inverse.dcm", pictures.dicom(GREY8, PhotometricInterpretation="MONOCHROME1", WindowWidth=9, WindowCenter=9)),
    ("16.png", pictures.png(GREY8.astype(np.uint16))), ("equal.png", pictures.png(np.stack([GREY8] * 3, -1))),
])
def test_masks_hold_the_values_as_stored(tmp_path, name, data):
    mask = read_mask(_write(tmp_path, name, data))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, GREY8)


@pytest.mark.parametrize(("depth", "data"), [(2, b"\0\x1b"), (4, b"\0\x01\x23")])
def test_masks_of_few_bits_hold_the_codes_as_stored(tmp_path, depth, data):
    path = _write(tmp_path, "a.png", pictures.raw_png(4, 1, depth, 0, data))
    assert read_mask(path).tolist() == [[0, 1, 2, 3]]


def test_16_bit_colour_is_not_coarsened(tmp_path):
    colours = RNG.integers(0, 65536, (7, 5, 3)).astype(np.uint16)
    found = read_film(_write(tmp_path, "c.png", imagecodecs.png_encode(colours)))
    np.testing.assert_array_equal(found.pixels, colours)
    np.testing.assert_allclose(with_channel(found, "grey").pixels, colours @ [0.299, 0.587, 0.114], atol=1)
    assert found.max_value == 65535 and not found.exact


def test_one_bit_masks_are_0_and_1(tmp_path):
    assert np.unique(read_mask(_write(tmp_path, "a.png", pictures.pillow(GREY8 > 99, "PNG")))).tolist() == [0, 1]


def test_masks_refuse_colour_and_large_values(tmp_path):
    colour = RNG.integers(0, 9, (8, 8, 3)).astype(np.uint8)
    assert "colour" in _refused(read_mask, _write(tmp_path, "c.png", pictures.png(colour)))
    assert "values up to" in _refused(read_mask, _write(tmp_path, "d.png", pictures.png(GREY16)))


def test_dicom_window_is_the_standards():
    """PS3.3 C.11.2.1.2.1: a window of 2048 at 2048 maps x to ((x - 2047.5) / 2047 + 0.5) of white."""
    stored = np.array([[0, 1024, 1025, 2047, 2048, 3071, 3072, 4095]], np.uint16)
    film = _film_of(pictures.dicom(stored, BitsStored=12, WindowCenter=2048, WindowWidth=2048))
    exact = np.clip((stored - 2047.5) / 2047 + 0.5, 0, 1) * 4095
    np.testing.assert_array_equal(film.pixels, np.rint(exact))
    several = _film_of(pictures.dicom(stored, BitsStored=12, WindowCenter=[2048, 9], WindowWidth=[2048, 9]))
    np.testing.assert_array_equal(several.pixels, film.pixels)


@pytest.mark.parametrize(("function", "shown"), [
    ("LINEAR", lambda x: (x - 1499.5) / 1699 + 0.5), ("LINEAR_EXACT", lambda x: (x - 1500) / 1700 + 0.5),
    ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 1500) / 1700)))])
@pytest.mark.parametrize("signed", [False, True])
def test_dicom_windows_of_every_function(function, shown, signed):
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, behind a rescale and for either kind of stored value."""
    stored = (GREY12.astype(np.int16) - 2048) if signed else GREY12
    film = _film_of(pictures.dicom(stored, BitsStored=12, WindowCenter=1500, WindowWidth=1700,
                                   VOILUTFunction=function, RescaleSlope=2, RescaleIntercept=-100))
    exact = np.clip(shown(2.0 * stored - 100), 0, 1) * 4095
    assert np.abs(film.pixels - exact).max() <= 0.51


def test_dicom_signed_values_and_tables():
    signed = np.array([[-2048, -1, 0, 2047]], np.int16)
    assert _film_of(pictures.dicom(signed, BitsStored=12)).pixels.tolist() == [[0, 2047, 2048, 4095]]
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 12], [4095 - value for value in range(4096)]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    film = _film_of(pictures.dicom(GREY12, BitsStored=12, VOILUTSequence=[table]))
    np.testing.assert_array_equal(film.pixels, 4095 - GREY12)


def test_bits_above_those_stored_do_not_count():
    film = _film_of(pictures.dicom(GREY12 | np.uint16(0xA000), BitsStored=12))
    np.testing.assert_array_equal(film.pixels, GREY12)


def test_spacing_is_the_patients_else_the_detectors():
    detector = {"ImagerPixelSpacing": [0.3, 0.3]}
    assert _film_of(pictures.dicom(GREY8, PixelSpacing=[0.2, 0.2], **detector)).spacing_mm == 0.2
    assert _film_of(pictures.dicom(GREY8, **detector)).spacing_mm == 0.3
    assert _film_of(pictures.dicom(GREY8, PixelSpacing=[0.2, 0.4])).spacing_mm is None
    assert _film_of(pictures.dicom(GREY8)).spacing_mm is None


def _film_of(data):
    with tempfile.TemporaryDirectory() as folder:
        return read_film(_write(pathlib.Path(folder), "a.dcm", data))


def test_pydicoms_own_files():
    """All syntaxes of one MR slice give one film; colour, frames, doses and damage are refused."""
    folder = pathlib.Path(pydicom.data.__file__).parent / "test_files"
    slices = [read_film(folder / f"MR_small{kind}.dcm").pixels
              for kind in ("", "_RLE", "_implicit", "_jp2klossless", "_jpeg_ls_lossless")]
    assert all(np.array_equal(slices[0], other) for other in slices[1:])
    film = read_film(folder / "JPGExtended.dcm")  # stored are 0 to 264 of 4095
    assert (film.pixels.max(), film.max_value) == (4095, 4095)
    for name in ("MR_truncated", "SC_rgb_rle_2frame", "SC_ybr_full_422_uncompressed", "rtdose", "liver_1frame",
                 "test-SR", "badVR", "JPEG2000-embedded-sequence-delimiter", "no_meta", "examples_ybr_color",
                 "MR_small_bigendian", "image_dfl"):
        _refused(read_film, folder / f"{name}.dcm")


def _lying_png(side):
    return pictures.raw_png(side, side, 8, 0, bytes(1000))


@pytest.mark.parametrize(("name", "data", "said"), [
    ("empty.png", b"", "expected a PNG"),
    ("text.png", b"hello", "expected a PNG"),
    ("cut.png", pictures.png(GREY8)[:-30], "truncated"),
    ("flipped.png", pictures.png(GREY8)[:60] + b"?" + pictures.png(GREY8)[61:], "damaged"),
    ("short.png", pictures.raw_png(19, 27, 8, 0, bytes(50)), "truncated or damaged"),
    ("wide.png", _lying_png(8193), "8193 x 8193"),
    ("huge.png", _lying_png(2**31 - 1), "2147483647"),
    ("none.png", _lying_png(0), "0 x 0"),
    ("apng.png", pictures.png(GREY8)[:33] + pictures.png_chunk(b"acTL", bytes(8)) + pictures.png(GREY8)[33:],
     "animated"),
    ("cut.gif", pictures.pillow(GREY8, "GIF")[:-60], "damaged GIF"),
    ("wide.gif", b"GIF89a\xff\xff\xff\xff" + pictures.pillow(GREY8, "GIF")[10:], "65535 x 65535"),
    ("cut.tif", pictures.tiff(GREY8)[:-60], "truncated or damaged"),
    ("pages.tif", pictures.tiff(np.stack([GREY8] * 2), photometric="minisblack"), "2 pages"),
    ("float.tif", pictures.tiff(GREY8.astype(np.float32)), "format 3"),
    ("signed.tif", pictures.tiff(GREY8.astype(np.int16)), "format 2"),
    ("jpeg.tif", pictures.tiff(GREY8, compression="jpeg"), "compression 7"),
    ("planes.tif", pictures.tiff(np.stack([GREY8] * 3), photometric="rgb", planarconfig="separate"), "planes"),
    ("cut.dcm", pictures.dicom(GREY8)[:-60], "damaged DICOM"),
    ("frames.dcm", pictures.dicom(GREY8, NumberOfFrames=2), "2 frames"),
    ("rows.dcm", pictures.dicom(GREY8, Rows=60000, Columns=60000), "60000 x 60000"),
    ("hsv.dcm", pictures.dicom(GREY8, SamplesPerPixel=3, PhotometricInterpretation="HSV"), "HSV"),
    ("bits.dcm", pictures.dicom(GREY16, BitsAllocated=32), "32 bits"),
    ("mpeg.dcm", pictures.dicom(GREY8, uid.MPEG4HP41, b"0000"), "transfer syntax"),
    ("lie.dcm", pictures.dicom(GREY8, uid.JPEG2000Lossless, imagecodecs.jpeg2k_encode(
        np.zeros((900, 900), np.uint8), codecformat="j2k")), "compressed frame"),
    ("a.img", bytes(8_388_607), "8,388,608"),
    ("swapped.img", b"\xff\x0f" * 2048**2, "12 bits"),
])
def test_damage_and_odd_kinds_are_refused(tmp_path, capfd, name, data, said):
    assert said in _refused(read_film, _write(tmp_path, name, data))
    assert capfd.readouterr().err == ""


def test_a_tiff_palette_of_16_bits_is_no_film_and_numbers_of_instances(tmp_path):
    path = _write(tmp_path, "a.tif", pictures.tiff(GREY16, photometric="palette",
                                                   colormap=np.zeros((3, 2**16), np.uint16)))
    assert "a palette of 16 bits" in _refused(read_film, path)
    np.testing.assert_array_equal(read_label_samples(path), GREY16)
    with pytest.raises(UserError, match=r"a\.tif: found 16 bits, expected colours of 8"):
        read_label_samples(path, colours=True)


def test_a_tiff_strip_cannot_inflate_beyond_its_pixels(tmp_path):
    data = pictures.tiff(np.zeros((8, 8), np.uint8), compression="zlib")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        counts, offsets = (file.pages.first.tags[name] for name in ("StripByteCounts", "StripOffsets"))
    strip, bomb = zlib.compress(bytes(10**8)), bytearray(data)
    struct.pack_into("<I", bomb, counts.valueoffset, len(strip))
    struct.pack_into("<I", bomb, offsets.valueoffset, len(bomb))
    tracemalloc.start()
    assert "damaged TIFF" in _refused(read_film, _write(tmp_path, "bomb.tif", bytes(bomb) + strip))
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_what_is_no_file_is_refused(tmp_path):
    assert "No such file" in _refused(read_film, tmp_path / "absent.png")
    assert "not a regular file" in _refused(read_film, tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in _refused(read_film, tmp_path / "pipe.png")


def test_img_is_turned_to_bright_bone(tmp_path):
    """JSRT's raw format: 2048 x 2048, big-endian, 12 bits, low values bright."""
    stored = np.arange(2048**2).reshape(2048, 2048) % 4096
    film = read_film(_write(tmp_path, "JPCLN001.IMG", stored.astype(">u2").tobytes()))
    assert (film.max_value, film.spacing_mm, film.pixels.dtype) == (4095, 0.175, np.uint16)
    np.testing.assert_array_equal(film.pixels, 4095 - stored)
