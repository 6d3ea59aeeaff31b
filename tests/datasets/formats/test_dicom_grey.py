"""The grey scale of a DICOM film is that of its pixels, whatever its header claims.

One film of values 0 to 4080 (median .64 of white, .28 to .95 nearly all) is written in every way that headers are
wrong or odd in, and must come out as itself.
"""

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid

from datasets.common.errors import UserError
from datasets.formats.read import read_film, read_mask
from tests.helpers import pictures

_Y, _X = np.mgrid[:60, :80] / np.array([60, 80]).reshape(2, 1, 1)
RIGHT = 0.64 + np.sin(5 * _X + 1) * np.cos(4 * _Y) * np.where(np.sin(5 * _X + 1) * np.cos(4 * _Y) > 0, 0.31, 0.36)
RIGHT[20:22, 30], RIGHT[40, 50:52] = 0, 1
FILM = np.rint(RIGHT * 4080).astype(np.uint16)
BORDER = np.ones(FILM.shape, bool)
BORDER[5:-5, 5:-5] = False
PADDED = np.where(BORDER, 0, RIGHT)  # padding is black
WIDE = np.where(np.arange(80) % 2, 0xA000, 0).astype(np.uint16)  # overlays in the high bits


def _lut(entries, first=0, bits=16, packed=False):
    table = pydicom.Dataset()
    table.LUTDescriptor = [len(entries) % 65536, first, bits]
    table.LUTData = np.asarray(entries, "u1" if packed else "<u2").tobytes() if packed else list(entries)
    table["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    table["LUTData"].VR = "OW" if packed else "US"
    return {"VOILUTSequence": [table]}


def _read(tmp_path, data):
    (tmp_path / "a.dcm").write_bytes(data)
    return read_film(tmp_path / "a.dcm")


ONE = {"PhotometricInterpretation": "MONOCHROME1"}
CASES = {
    "12 bits": (FILM, {"BitsStored": 12}),
    "14 bits, no window": (FILM, {"BitsStored": 14}),
    "16 bits, no window": (FILM, {}),
    "16 bits, MONOCHROME1": (4080 - FILM, ONE),
    "16 bits, MONOCHROME1, high": (65535 - FILM, ONE),
    "high up": (FILM + np.uint16(30000), {}),
    "signed": (FILM.astype(np.int16), {}),
    "signed about 0": (FILM.astype(np.int16) - 2040, {}),
    "signed, 13 bits": (FILM.astype(np.int16) - 2040, {"BitsStored": 13}),
    "signed, 12 bits": (FILM.astype(np.int16) - 2040, {"BitsStored": 12}),
    "signed, called unsigned": ((FILM.astype(np.int16) - 2040).view(np.uint16), {}),
    "unsigned, called signed": ((FILM + np.uint16(30000)), {"PixelRepresentation": 1}),
    "signed, MONOCHROME1": (2040 - FILM.astype(np.int16), ONE),
    "window": (FILM, {"BitsStored": 14, "WindowCenter": 2040.5, "WindowWidth": 4081}),
    "window, MONOCHROME1": (4080 - FILM, {"WindowCenter": 2040.5, "WindowWidth": 4081, **ONE}),
    "window tags empty": (FILM, {"WindowCenter": None, "WindowWidth": None}),
    "one window tag empty": (FILM, {"WindowCenter": 100, "WindowWidth": None}),
    "one window tag missing": (FILM, {"WindowCenter": 100}),
    "window of width 0": (FILM, {"WindowCenter": 2040, "WindowWidth": 0}),
    "window of width 0.5": (FILM, {"WindowCenter": 2040, "WindowWidth": 0.5}),
    "window of negative width": (FILM, {"WindowCenter": 2040, "WindowWidth": -4000}),
    "window elsewhere": (FILM, {"WindowCenter": 40000, "WindowWidth": 4000}),
    "window below": (FILM, {"WindowCenter": -1000, "WindowWidth": 400}),
    "window that clips nearly all": (FILM, {"WindowCenter": 40, "WindowWidth": 400}),
    "window of all 16 bits": (FILM, {"WindowCenter": 32768, "WindowWidth": 65536}),
    "second window fits": (FILM, {"WindowCenter": [32768, 2040.5], "WindowWidth": [65536, 4081]}),
    "more centres than widths": (FILM, {"WindowCenter": [32768, 1, 2], "WindowWidth": [65536]}),
    "sigmoid of width 0": (FILM, {"WindowCenter": 2040, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"}),
    "unknown function": (FILM, {"WindowCenter": 2040.5, "WindowWidth": 4081, "VOILUTFunction": "ODD"}),
    "VOI LUT of 12 bits, said 16": (FILM, _lut(range(4096))),
    "VOI LUT of 16 bits, said 12": (FILM, _lut([16 * value for value in range(4096)], bits=12)),
    "VOI LUT of 8 bits": (FILM, _lut([value // 16 for value in range(4096)], bits=8)),
    "VOI LUT of 8 bits, packed": (FILM, _lut([value // 16 for value in range(4096)], bits=8, packed=True)),
    "VOI LUT of 8 bits, packed, said 16": (FILM, _lut([value // 16 for value in range(4096)], packed=True)),
    "VOI LUT of 8 bits, packed, said 12": (FILM, _lut([value // 16 for value in range(4096)], 0, 12, packed=True)),
    "VOI LUT that begins later": (FILM + np.uint16(5000), _lut(range(4096), first=5000)),
    "VOI LUT that begins below 0": (FILM.astype(np.int16) - 2040, _lut(range(4096), first=-2040)),
    "VOI LUT elsewhere": (FILM, _lut(range(4096), first=50000)),
    "VOI LUT of one entry": (FILM, _lut([7])),
    "VOI LUT behind a rescale": (FILM, {**_lut(range(4096), first=-1000), "RescaleSlope": 1,
                                        "RescaleIntercept": -1000}),
    "VOI LUT, no sequence item": (FILM, {"VOILUTSequence": []}),
    "modality LUT without elements": (FILM, {"ModalityLUTSequence": [pydicom.Dataset()]}),
    "modality LUT of one value": (FILM, {"ModalityLUTSequence": _lut([7] * 4096)["VOILUTSequence"]}),
    "rescaled": (FILM, {"RescaleSlope": 2, "RescaleIntercept": -1024}),
    "rescaled by 0": (FILM, {"RescaleSlope": 0, "RescaleIntercept": 0}),
    "rescale tags empty": (FILM, {"RescaleSlope": None, "RescaleIntercept": None}),
    "rescaled and turned": (4080 - FILM, {"RescaleSlope": -1, "RescaleIntercept": 4080}),
    "window of stored values, rescaled": (FILM, {"RescaleSlope": 1, "RescaleIntercept": -9000,
                                                 "WindowCenter": 2040, "WindowWidth": 4080}),
    "BitsStored too few": (FILM, {"BitsStored": 10}),
    "BitsStored far too few": (FILM, {"BitsStored": 8}),
    "BitsStored empty": (FILM, {"BitsStored": None, "HighBit": None}),
    "BitsStored above BitsAllocated": (FILM, {"BitsStored": 20, "HighBit": 19}),
    "HighBit 15, values low": (FILM, {"BitsStored": 12, "HighBit": 15}),
    "HighBit 15, values high": (FILM << 4, {"BitsStored": 12, "HighBit": 15}),
    "HighBit too low": (FILM, {"BitsStored": 12, "HighBit": 7}),
    "overlay in the high bits": (FILM | WIDE, {"BitsStored": 12}),
    "PixelRepresentation empty": (FILM, {"PixelRepresentation": None}),
    "a dead pixel": (np.where(np.arange(4800).reshape(60, 80) == 2345, 65535, FILM).astype(np.uint16), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_film_comes_out_as_it_is(tmp_path, case):
    stored, elements = CASES[case]
    film = _read(tmp_path, pictures.dicom(stored, **elements))
    shown = film.pixels / film.max_value
    if case == "a dead pixel":
        shown = np.where(stored == 65535, RIGHT, shown)
    assert np.abs(shown - RIGHT).max() < 0.02, (shown.min(), np.median(shown), shown.max())
    assert film.exact


@pytest.mark.parametrize(("scale", "hot", "elements"), [
    (1, 16383, {"BitsStored": 14}), (1, 40000, {}), (40, 255, {}), (1, 16383, {"BitsStored": 14, **ONE})])
def test_hot_pixels_darken_no_film(tmp_path, scale, hot, elements):
    stored = (FILM // scale).astype(np.uint8 if hot == 255 else np.uint16)
    stored[[3, 30, 55], [4, 44, 70]] = hot
    film = _read(tmp_path, pictures.dicom(stored, **elements))
    shown = film.pixels / film.max_value
    low, middle, high = np.percentile(shown, (1.5, 50, 98.5))
    assert low < 0.1 and 0.3 < middle < 0.7 and high > 0.9


def test_the_examples_numbers(tmp_path):
    film = _read(tmp_path, pictures.dicom(FILM, BitsStored=14))
    assert np.median(film.pixels) / film.max_value == pytest.approx(0.64, abs=0.03)
    low, high = np.percentile(film.pixels, (0.5, 99.5)) / film.max_value
    assert low == pytest.approx(0.28, abs=0.02) and high == pytest.approx(0.95, abs=0.02)


PADDINGS = {
    "65535": (65535, FILM, {"PixelPaddingValue": 65535}),
    "65535, 12 bits": (65535, FILM, {"PixelPaddingValue": 65535, "BitsStored": 12}),
    "65535, MONOCHROME1": (65535, 4080 - FILM, {"PixelPaddingValue": 65535, **ONE}),
    "0 below a film that begins at 1000": (0, FILM + np.uint16(1000), {"PixelPaddingValue": 0}),
    "0, MONOCHROME1": (0, 5080 - FILM, {"PixelPaddingValue": 0, **ONE}),
    "signed": (-2000, FILM.astype(np.int16) - 1024, {"PixelPaddingValue": -2000}),
    "signed, least": (-32768, FILM.astype(np.int16), {"PixelPaddingValue": -32768}),
    "with a window": (65535, FILM, {"PixelPaddingValue": 65535, "WindowCenter": 2040.5, "WindowWidth": 4081}),
    "a value of the film": (2000, FILM, {"PixelPaddingValue": 2000, "BitsStored": 12}),
    "none named": (65535, FILM, {}),
    "none named, signed": (-32768, FILM.astype(np.int16), {}),
    "an empty name": (65535, FILM, {"PixelPaddingValue": None}),
}


@pytest.mark.parametrize("case", PADDINGS)
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_padding_is_left_out_and_black(tmp_path, case, syntax):
    value, stored, elements = PADDINGS[case]
    stored = np.where(BORDER, value, stored).astype(stored.dtype)
    film = _read(tmp_path, pictures.dicom(stored, syntax, **elements))
    assert np.abs(film.pixels / film.max_value - PADDED).max() < 0.02


@pytest.mark.parametrize(("kind", "ends"), [(np.uint16, (60000, 65535)), (np.uint16, (65535, 60000)),
                                            (np.int16, (-32768, -20000))])
def test_padding_may_be_a_range(tmp_path, kind, ends):
    noise = np.random.default_rng(0).integers(min(ends), max(ends) + 1, FILM.shape)
    stored = np.where(BORDER, noise, FILM).astype(kind)
    film = _read(tmp_path, pictures.dicom(stored, PixelPaddingValue=ends[0], PixelPaddingRangeLimit=ends[1]))
    assert np.abs(film.pixels / film.max_value - PADDED).max() < 0.02


def test_a_real_value_named_as_padding_stays_inside(tmp_path):
    """Pixels of the padding's value that do not reach the edge are the film's own."""
    film = _read(tmp_path, pictures.dicom(FILM, BitsStored=12, PixelPaddingValue=int(FILM[30, 40])))
    assert np.abs(film.pixels[30, 40] / film.max_value - RIGHT[30, 40]) < 0.02
    everywhere = _read(tmp_path, pictures.dicom(np.full((8, 8), 7, np.uint16), PixelPaddingValue=7))
    assert everywhere.pixels.shape == (8, 8)


def test_bright_films_of_two_values_are_no_padding(tmp_path):
    stored = np.where(BORDER, 65535, 0).astype(np.uint16)
    film = _read(tmp_path, pictures.dicom(stored))
    np.testing.assert_array_equal(film.pixels, stored)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_films_without_preamble_or_meta_information_are_read(tmp_path, syntax):
    data = pictures.dicom(FILM, syntax, BitsStored=12, SOPClassUID="1.2.840.10008.5.1.4.1.1.1", Modality="CR")
    group = 132 + 12 + int.from_bytes(data[140:144], "little")  # behind the group's length
    for start in (132, group):
        film = _read(tmp_path, data[start:])
        np.testing.assert_array_equal(film.pixels, FILM)
        np.testing.assert_array_equal(_read(tmp_path, data[:132] + data[start:]).pixels, FILM)


def test_compressed_films_have_the_same_rule(tmp_path):
    frame = imagecodecs.jpegls_encode(FILM)
    film = _read(tmp_path, pictures.dicom(FILM, uid.JPEGLSLossless, frame, BitsStored=16))
    assert np.abs(film.pixels / film.max_value - RIGHT).max() < 0.02


def test_frames_are_counted(tmp_path):
    with pytest.raises(UserError, match="12 frames"):
        _read(tmp_path, pictures.dicom(FILM, NumberOfFrames=12))


def test_label_maps_keep_their_codes(tmp_path):
    codes = (FILM // 1400).astype(np.uint16)
    for stored, elements in ((codes, {}), (codes.astype(np.int16), {}), (codes, {"BitsStored": 8}),
                             (codes, {"PixelPaddingValue": 0, "WindowWidth": 2, "WindowCenter": 1, **ONE})):
        (tmp_path / "m.dcm").write_bytes(pictures.dicom(stored, **elements))
        np.testing.assert_array_equal(read_mask(tmp_path / "m.dcm"), codes)
    (tmp_path / "m.dcm").write_bytes(pictures.dicom(codes.astype(np.int16) - 1))
    with pytest.raises(UserError, match="down to -1"):
        read_mask(tmp_path / "m.dcm")
