"""JPEG, BMP and WebP come as they were made, turned as they say; label maps only if no codec changed them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from datasets.common.errors import UserError
from datasets.formats.photo import ORIENTATION
from datasets.formats.read import read_film, read_mask
from tests.helpers import pictures

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (19, 27)).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (19, 27, 3)).astype(np.uint8)
CODES = RNG.integers(0, 4, (19, 27)).astype(np.uint8)
MASK = CODES % 2 * np.uint8(255)
INVERTED = [255 - value // 3 for value in range(768)]  # 255 255 255, 254 254 254, ... as ImageJ writes it
LOSSLESS = {"lossless": True, "exact": True}


def _write(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def _palette(values, colours, kind, **options):
    image = Image.frombytes("P", values.shape[::-1], values.tobytes())
    image.putpalette(colours)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("name", "data", "pixels"), [
    ("a.jpg", pictures.pillow(GREY, "JPEG", quality=95), GREY),
    ("a.JPEG", pictures.pillow(np.stack([GREY] * 3, -1), "JPEG", quality=95, subsampling=0), GREY),
    ("p.jpg", pictures.pillow(GREY, "JPEG", quality=95, progressive=True), GREY),
    ("c.jpg", pictures.pillow(COLOUR, "JPEG", quality=98, subsampling=0), COLOUR),
    ("a.bmp", pictures.pillow(GREY, "BMP"), GREY), ("c.bmp", pictures.pillow(COLOUR, "BMP"), COLOUR),
    ("1.bmp", pictures.pillow(GREY > 99, "BMP"), (GREY > 99) * np.uint8(255)),
    ("a.bmp32", pictures.pillow(COLOUR, "BMP", "RGBA"), COLOUR),
    ("a.webp", pictures.pillow(GREY, "WEBP", **LOSSLESS), GREY),
    ("c.webp", pictures.pillow(COLOUR, "WEBP", **LOSSLESS), COLOUR),
    ("l.webp", pictures.pillow(np.repeat(np.repeat(GREY, 8, 0), 8, 1), "WEBP", quality=95),
     np.repeat(np.repeat(GREY, 8, 0), 8, 1)),
])
def test_films_come_in_as_they_were(tmp_path, name, data, pixels):
    film = read_film(_write(tmp_path, name, data))
    lossy = name.lower().endswith(("jpg", "jpeg")) or name[0] == "l"
    assert film.pixels.shape == pixels.shape and film.pixels.dtype == np.uint8 and film.max_value == 255
    difference = np.abs(film.pixels.astype(int) - pixels)
    assert difference.mean() < 6 if lossy else not difference.any()
    assert not film.turned and film.spacing_mm is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_pictures_are_turned_as_the_camera_was_held(tmp_path, kind, orientation):
    """Pillow's own turning is the judge, of the stored samples."""
    blocks = np.repeat(np.repeat(GREY, 8, 0), 8, 1)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"TIFF": {"tiffinfo": {ORIENTATION: orientation}}, "WEBP": LOSSLESS}.get(kind, {})
    data = pictures.pillow(blocks, kind, **options, **({} if kind == "TIFF" else {"exif": exif}))
    film = read_film(_write(tmp_path, "a", data))
    image = Image.open(io.BytesIO(data))
    expected = np.asarray(ImageOps.exif_transpose(image).convert("L"))
    np.testing.assert_array_equal(film.pixels, expected)
    assert film.turned == (orientation != 1)
    if kind != "JPEG":
        np.testing.assert_array_equal(read_mask(tmp_path / "a"), expected)


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b""])
def test_damaged_exif_leaves_the_picture_as_it_is(tmp_path, exif):
    film = read_film(_write(tmp_path, "a.jpg", pictures.pillow(GREY, "JPEG", exif=exif)))
    assert film.pixels.shape == GREY.shape and not film.turned


@pytest.mark.parametrize(("name", "data"), [
    ("a.jpg", pictures.pillow(CODES, "JPEG")), ("a.png", pictures.pillow(MASK, "JPEG")),
    ("a.webp", pictures.pillow(CODES, "WEBP", quality=90)),
    ("alpha.webp", pictures.pillow(np.dstack([CODES] * 3 + [GREY]), "WEBP", quality=90))])
def test_lossy_label_maps_are_refused_with_the_remedy(tmp_path, name, data):
    with pytest.raises(UserError, match=rf"{name}: found a lossy picture[^\n]* PNG"):
        read_mask(_write(tmp_path, name, data))


@pytest.mark.parametrize(("name", "data", "codes"), [
    ("a.webp", pictures.pillow(CODES, "WEBP", **LOSSLESS), CODES), ("a.bmp", pictures.pillow(CODES, "BMP"), CODES),
    ("1.bmp", pictures.pillow(MASK > 0, "BMP"), MASK > 0), ("rgb.bmp", pictures.pillow(MASK, "BMP", "RGB"), MASK),
    ("p.bmp", _palette(CODES, [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255], "BMP"), CODES)])
def test_label_maps_that_no_codec_changed(tmp_path, name, data, codes):
    np.testing.assert_array_equal(read_mask(_write(tmp_path, name, data)), codes)


IMAGEJ = {
    "grey.png": pictures.png(MASK), "inverted.png": _palette(MASK, INVERTED, "PNG"),
    "inverted.bmp": _palette(MASK, INVERTED, "BMP"),
    "inverted.gif": _palette(MASK, INVERTED, "GIF", optimize=False),
    "inverted.tif": _palette(MASK, INVERTED, "TIFF"),
    "white0.tif": pictures.tiff(MASK, photometric="miniswhite"), "black0.tif": pictures.tiff(MASK),
    "zip.tif": pictures.tiff(MASK, photometric="miniswhite", compression="zlib"),
    "16.tif": pictures.tiff(MASK.astype(np.uint16), photometric="miniswhite"),
}


@pytest.mark.parametrize("name", IMAGEJ)
def test_an_imagej_mask_means_the_same_in_every_file(tmp_path, name):
    """ImageJ's masks hold 255 where the object is, and show it black by an inverted scale, or white."""
    np.testing.assert_array_equal(read_mask(_write(tmp_path, name, IMAGEJ[name])), MASK)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_inverted_scales_of_few_bits_are_looks_too(tmp_path, bits, kind):
    greys = np.rint(np.linspace(255, 0, 2**bits)).astype(np.uint8)
    codes = np.where(MASK > 0, 2**bits - 1, 0).astype(np.uint8)
    found = read_mask(_write(tmp_path, f"a.{kind}", _palette(codes, np.repeat(greys, 3).tolist(), kind)))
    np.testing.assert_array_equal(found, codes)


LAYERS = {"white": np.dstack([MASK * 0 + 255] * 3 + [MASK]), "black": np.dstack([MASK * 0] * 3 + [MASK]),
          "white below": np.dstack([np.where(MASK > 0, MASK, 255)] * 3 + [MASK]),
          "soft": np.dstack([MASK * 0 + 255] * 3 + [np.where(MASK > 0, 200, 60)]),
          "opaque": np.dstack([MASK] * 3 + [MASK * 0 + 255]), "hidden whole": np.dstack([MASK] * 3 + [MASK * 0])}


def test_grey_and_transparency_in_tiff(tmp_path):
    data = pictures.pillow(np.dstack([GREY, MASK]), "TIFF")
    film = read_film(_write(tmp_path, "a.tif", data))
    np.testing.assert_array_equal(film.pixels, GREY)
    assert film.alpha
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), np.where(MASK > 0, GREY, 0))
    data = pictures.tiff(np.dstack([GREY, MASK]), photometric="minisblack", planarconfig="contig")
    with pytest.raises(UserError, match="2 samples"):  # the second is not said to be transparency
        read_film(_write(tmp_path, "b.tif", data))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("layers", LAYERS)
def test_what_is_transparent_in_a_mask_is_nothing(tmp_path, layers, kind):
    options = {**LOSSLESS, "exact": True} if kind == "WEBP" else {}
    data = pictures.pillow(LAYERS[layers].astype(np.uint8), kind, **options)
    np.testing.assert_array_equal(read_mask(_write(tmp_path, "a", data)) > 0, MASK > 0)


@pytest.mark.parametrize("name", ["inverted.png", "inverted.bmp", "inverted.tif", "white0.tif"])
def test_an_inverted_film_is_shown_as_it_looks(tmp_path, name):
    data = {"inverted.png": _palette(GREY, INVERTED, "PNG"), "inverted.bmp": _palette(GREY, INVERTED, "BMP"),
            "inverted.tif": _palette(GREY, INVERTED, "TIFF"),
            "white0.tif": pictures.tiff(GREY, photometric="miniswhite")}[name]
    np.testing.assert_array_equal(read_film(_write(tmp_path, name, data)).pixels, 255 - GREY)


@pytest.mark.parametrize(("name", "data", "said"), [
    ("cut.jpg", pictures.pillow(GREY, "JPEG")[:-90], "damaged JPEG"),
    ("cmyk.jpg", pictures.pillow(COLOUR, "JPEG", "CMYK"), "CMYK"),
    ("cut.bmp", pictures.pillow(GREY, "BMP")[:-90], "damaged BMP"),
    ("wide.bmp", pictures.pillow(GREY, "BMP")[:18] + (9000).to_bytes(4, "little")
     + pictures.pillow(GREY, "BMP")[22:], "9000 x 19"),
    ("cut.webp", pictures.pillow(GREY, "WEBP")[:-90], "damaged WEBP"),
    ("moving.webp", pictures.pillow(GREY, "WEBP", save_all=True,
                                    append_images=[Image.fromarray(255 - GREY)]), "animated"),
    ("start.jpg", b"\xff\xd8\xff", "damaged JPEG"), ("start.bmp", b"BM", "damaged BMP"),
    ("start.webp", b"RIFF\0\0\0\0WEBP", "damaged WEBP")])
def test_damage_and_odd_kinds_are_refused(tmp_path, capfd, name, data, said):
    for read in (read_film, read_mask):
        with pytest.raises(UserError, match=rf"{name}: [^\n]*{said}"):
            read(_write(tmp_path, name, data))
    assert capfd.readouterr().err == ""
