"""Colour DICOM files of every kind, against pydicom's own decoders."""

import pathlib

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, pixel_array

from datasets.common.errors import UserError
from datasets.formats.read import read_film, read_label_samples, read_mask
from tests.helpers import pictures

FILES = pathlib.Path(pydicom.data.__file__).parent / "test_files"


@pytest.mark.parametrize("name", [
    "SC_rgb_dcmtk_+eb+cr", "SC_rgb_dcmtk_+eb+cy+n1", "SC_rgb_dcmtk_+eb+cy+np", "SC_rgb_gdcm_KY", "SC_rgb_rle",
    "SC_rgb_jls_lossy_line", "SC_rgb_jpeg", "SC_rgb_jpeg_dcmtk", "SC_jpeg_no_color_transform", "SC_rgb_rle_16bit",
    "SC_rgb_small_odd", "examples_jpeg2k", "examples_rgb_color"])
def test_colours_are_pydicoms(name):
    film = read_film(FILES / f"{name}.dcm")
    np.testing.assert_array_equal(film.pixels, pixel_array(pydicom.dcmread(FILES / f"{name}.dcm")))
    assert film.max_value == (65535 if name.endswith("16bit") else 255)


def test_palettes_are_looks():
    """A film shows them; a label map holds their indices."""
    path = FILES / "examples_palette.dcm"
    dataset = pydicom.dcmread(path)
    np.testing.assert_array_equal(read_film(path).pixels, apply_color_lut(dataset.pixel_array, dataset))
    np.testing.assert_array_equal(read_mask(path), dataset.pixel_array)


def test_equal_channels_are_grey_and_coloured_label_maps_are_told(tmp_path):
    colours = np.random.default_rng(0).integers(0, 9, (8, 9, 3)).astype(np.uint8)
    elements = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "Columns": 9}
    for name, array in (("c", colours), ("g", np.repeat(colours[..., :1], 3, -1))):
        (tmp_path / name).write_bytes(pictures.dicom(array.reshape(8, 27), **elements))
    np.testing.assert_array_equal(read_film(tmp_path / "g").pixels, colours[..., 0])
    np.testing.assert_array_equal(read_mask(tmp_path / "g"), colours[..., 0])
    np.testing.assert_array_equal(read_label_samples(tmp_path / "c", colours=True), colours)
    with pytest.raises(UserError, match="colour"):
        read_mask(tmp_path / "c")
