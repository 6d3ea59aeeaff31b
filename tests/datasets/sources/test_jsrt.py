"""JSRT and SCR: folds, layouts, the raw format, and what is missing."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.formats.read import read_film, read_mask
from datasets.pair_store import PairStore, read_png
from datasets.sources import jsrt
from tests.helpers import binaries, pictures

SIDE = 64
BOXES = {"left lung": (34, 60, 10, 50), "right lung": (4, 30, 10, 50), "heart": (24, 44, 30, 52),
         "left clavicle": (36, 62, 8, 14), "right clavicle": (2, 28, 8, 14)}  # x, x, y, y of 64


def _masks(side=SIDE):
    masks = {}
    for organ, box in BOXES.items():
        x0, x1, y0, y1 = (edge * side // 64 for edge in box)
        masks[organ] = np.zeros((side, side), np.uint8)
        masks[organ][y0:y1, x0:x1] = 255
    return masks


def _write_masks(folder, id_, masks=None):
    for organ, mask in (masks or _masks()).items():
        (folder / organ).mkdir(parents=True, exist_ok=True)
        (folder / organ / f"{id_}.gif").write_bytes(pictures.pillow(mask, "GIF"))


@pytest.fixture
def download(tmp_path):
    """Films 1-3 as PNG, with the masks of 1 and 2 whole and no heart for 3."""
    films = tmp_path / "All247images"
    films.mkdir()
    for number in (1, 2, 3):
        film = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
        (films / f"JPCLN00{number}.png").write_bytes(pictures.png(film))
        masks = _masks()
        if number == 3:
            del masks["heart"]
        _write_masks(tmp_path / "scratch" / f"fold{2 - number % 2}" / "masks", f"JPCLN00{number}", masks)
    return tmp_path


def _prepare(download, size=32, stretch=False, **options):
    out = download / "out"
    films, masks = download / "All247images", download / "scratch"
    return jsrt.prepare(films, masks, out, size, stretch=stretch, **options), out


def test_official_counts_and_folds():
    splits = [jsrt.split_of(id_) for id_ in jsrt.IDS]
    assert len(jsrt.IDS) == len(set(jsrt.IDS)) == 247
    assert splits.count("train") == 124 and splits.count("test") == 123
    train = [id_ for id_ in jsrt.IDS if jsrt.split_of(id_) == "train"]
    assert sum(id_.startswith("JPCLN") for id_ in train) == 77 and "JPCNN093" in train


def test_pairs_are_reduced_painted_and_split(download):
    result, out = _prepare(download)
    store = PairStore(out)
    assert result.written == ("JPCLN001", "JPCLN002") and result.without_masks == {"JPCLN003": ("heart",)}
    assert len(result.missing) == 244
    assert store.ids("train") == ["JPCLN001"] and store.ids("test") == ["JPCLN002"]
    assert store.classes == CHEST and store.description.max_value == 255
    assert store.description.spacing_mm == pytest.approx(0.175 * 2048 / 32)
    film = read_film(download / "All247images" / "JPCLN001.png").pixels
    np.testing.assert_allclose(store.image("JPCLN001"), film.reshape(32, 2, 32, 2).mean((1, 3)), atol=0.51)
    masks = np.stack([mask[::2, ::2] > 0 for mask in _masks().values()], -1)  # all edges are even
    np.testing.assert_array_equal(store.masks("JPCLN001"), masks)
    np.testing.assert_array_equal(store.label("JPCLN001"), CHEST.paint(masks))


def test_a_mask_pixel_needs_half_its_area(download):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:2, :1], mask[:2, 2:3], mask[3, 2] = 255, 0, 255  # 2 of 4 in the first pixel, 1 of 4 in the next row's
    _write_masks(download / "scratch" / "fold1" / "masks", "JPCLN001", {"left lung": mask})
    _, out = _prepare(download)
    assert PairStore(out).masks("JPCLN001")[:2, :2, 0].tolist() == [[True, False], [False, False]]


def test_the_raw_format_keeps_12_bits(download):
    stored = np.random.default_rng(0).integers(0, 4096, (32, 32))
    raw = np.kron(stored, np.ones((64, 64), int)).astype(">u2")
    (download / "All247images" / "JPCLN001.IMG").write_bytes(raw.tobytes())
    _, out = _prepare(download)
    store = PairStore(out)
    assert store.description.max_value == 4095
    film = read_png(out / "images" / "JPCLN001.png", (32, 32))
    np.testing.assert_array_equal(film, 4095 - stored)
    other = read_film(download / "All247images" / "JPCLN002.png").pixels.reshape(32, 2, 32, 2).mean((1, 3))
    np.testing.assert_allclose(store.image("JPCLN002"), other, atol=1.01)
    shutil.rmtree(out)
    _prepare(download, bits=8)
    assert PairStore(out).description.max_value == 255
    np.testing.assert_allclose(PairStore(out).image("JPCLN001"), (4095 - stored) * 255 / 4095, atol=0.51)


def test_16_bit_png_films_with_12_bits(download):
    film = np.random.default_rng(0).integers(0, 4096, (32, 32)).astype(np.uint16)
    (download / "All247images" / "JPCLN001.png").write_bytes(pictures.png(film))
    _, out = _prepare(download)
    np.testing.assert_allclose(PairStore(out).image("JPCLN001"), film.astype(float) * 255 / 4095, atol=0.51)


def test_a_narrow_range_is_stretched_before_rounding(download):
    film = np.random.default_rng(0).integers(0, 256, (32, 32))
    faint = np.kron(60000 + 16 * film, np.ones((2, 2), int)).astype(np.uint16)
    (download / "All247images" / "JPCLN001.png").write_bytes(pictures.png(faint))
    _, out = _prepare(download, stretch=True)
    stretched = PairStore(out).image("JPCLN001").astype(float)
    low, high = np.percentile(film, (0.5, 99.5))
    np.testing.assert_allclose(stretched, np.clip((film - low) * 255 / (high - low), 0, 255), atol=0.6)


@pytest.mark.parametrize("scr", ["", "scratch"])
@pytest.mark.parametrize("films", ["", "All247images"])
def test_folders_or_their_parents_in_any_case(download, scr, films):
    (download / "scratch" / "fold1").rename(download / "scratch" / "Fold1")
    heart = download / "scratch" / "fold2" / "masks" / "heart"
    heart.rename(heart.with_name("HEART"))
    (download / "All247images" / "JPCLN002.png").rename(download / "All247images" / "jpcln002.PNG")
    result = jsrt.prepare(download / films, download / scr, download / "out", 32)
    assert result.written == ("JPCLN001", "JPCLN002")


def test_running_again_adds_what_has_come(download):
    _, out = _prepare(download)
    before = PairStore(out).fingerprint()
    _prepare(download)
    assert PairStore(out).fingerprint() == before
    _write_masks(download / "scratch" / "fold1" / "masks", "JPCLN003")
    result, _ = _prepare(download)
    assert result.without_masks == {} and PairStore(out).ids("train") == ["JPCLN001", "JPCLN003"]


def test_the_second_observers_maps(download):
    masks = _masks()
    masks["heart"] = np.roll(masks["heart"], 4, 1)
    del masks["left clavicle"]  # not scored, not needed
    _write_masks(download / "scratch" / "fold1" / "masks_observer2", "JPCLN001", masks)
    result, out = _prepare(download, observer2=download / "scratch" / "fold1" / "masks_observer2")
    assert result.observed == ("JPCLN001",)
    codes = read_png(out / "observer2" / "JPCLN001.png", (32, 32))
    expected = np.zeros((32, 32), np.uint8)
    for code, organ in enumerate(("left lung", "right lung", "heart"), 1):
        expected[masks[organ][::2, ::2] > 0] = code
    np.testing.assert_array_equal(codes, expected)
    with pytest.raises(UserError, match="first observer's"):
        _prepare(download, observer2=download / "scratch" / "fold2")


@pytest.mark.parametrize(("organ", "mask", "said"), [
    ("heart", np.zeros((SIDE, SIDE), np.uint8), "found values 0, expected"),
    ("heart", np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE), "found values 0, 1, 2"),
    ("right lung", _masks(32)["right lung"], "found 32 x 32 pixels, expected 64 x 64"),
])
def test_a_mask_that_is_none_is_named(download, organ, mask, said):
    _write_masks(download / "scratch" / "fold2" / "masks", "JPCLN002", {organ: mask})
    with pytest.raises(UserError, match=rf"{organ}/JPCLN002\.gif: {said}"):
        _prepare(download)


def test_a_film_that_is_not_square_is_named(download):
    (download / "All247images" / "JPCLN001.png").write_bytes(pictures.png(np.zeros((64, 60), np.uint8)))
    with pytest.raises(UserError, match=r"JPCLN001\.png: found 60 x 64 pixels, expected a square"):
        _prepare(download)


def test_empty_folders_are_named(download, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: found no JSRT film"):
        jsrt.prepare(tmp_path / "empty", download / "scratch", tmp_path / "out", 32)
    with pytest.raises(UserError, match="empty: found no SCR mask"):
        jsrt.prepare(download / "All247images", tmp_path / "empty", tmp_path / "out", 32)


def test_the_command_says_what_is_missing(download):
    done = _command(download, "--size=32")
    assert done.code == 0 and done.err == ""
    assert "left out: JPCLN003 has no mask of heart" in done.out
    assert "not there: 244 films" in done.out
    assert "train: 1 of 124 films" in done.out and "test: 1 of 123 films" in done.out
    refused = _command(download, "--size=32", f"--out={download}/All247images/JPCLN001.png/out")
    binaries.told(refused, f"{download}/All247images/JPCLN001.png")


def _command(download, *options):
    return binaries.run("tools.prepare_jsrt", f"--jsrt_dir={download}/All247images",
                        f"--scr_dir={download}/scratch", f"--out={download}/out", *options)


def test_the_tools_do_without_tensorflow():
    program = ("import sys, datasets.sources.jsrt, datasets.sources.own_folders, datasets.verify;"
               "import datasets.formats.dicom, datasets.formats.tiff, datasets.pair_cache;"
               "sys.exit(bool({'tensorflow', 'keras', 'scipy'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_real_films(shared_dir, tmp_path):
    """Two films of the download: organs where they belong, and the painted map as good as the exact one."""
    source, films = shared_dir / "jsrt", tmp_path / "films"
    films.mkdir()
    for id_ in ("JPCLN001", "JPCLN002"):
        shutil.copy(source / "All247images" / f"{id_}.png", films)
    result = jsrt.prepare(films, source, tmp_path / "out", 128)
    store = PairStore(tmp_path / "out")
    assert result.written == ("JPCLN001", "JPCLN002") and store.ids("train") == ["JPCLN001"]
    for id_ in store.ids():
        exact, painted = store.scored_label(id_), CHEST.collapse(store.label(id_))
        for code in (1, 2, 3):
            both = np.count_nonzero((exact == code) & (painted == code))
            assert both / np.count_nonzero((exact == code) | (painted == code)) > 0.97
        columns = [np.nonzero(exact == code)[1].mean() for code in (1, 3, 2)]
        assert columns[0] > columns[1] > columns[2]  # the patient's left is on the picture's right
        lung, outside = store.image(id_)[exact == 1].mean(), store.image(id_)[exact == 3].mean()
        assert lung < outside  # air is dark
    mask = read_mask(source / "scratch" / "fold1" / "masks" / "heart" / "JPCLN001.gif") > 0
    small = cv2.resize(mask.astype(np.float32), (128, 128), interpolation=cv2.INTER_AREA) >= 0.5
    np.testing.assert_array_equal(store.masks("JPCLN001")[..., 2], small)
