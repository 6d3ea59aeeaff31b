"""Folders of colour images: their colours come in, or one channel of them, and the import says which."""

import numpy as np
import pytest
from PIL import Image

from datasets.pair_store import PairStore
from datasets.verify import verify_store
from tests.helpers import binaries
from tests.helpers.colour import GREEN, RED, lesion_pair

SIDE = 16
RNG = np.random.default_rng(0)


def _write(folder, name, film, mode=None):
    film, label = film if isinstance(film, tuple) else (film, np.zeros(film.shape[:2], np.uint8))
    for kind, picture in (("films", Image.fromarray(film, mode)), ("maps", Image.fromarray(label))):
        (folder / kind).mkdir(exist_ok=True)
        picture.save(folder / kind / f"{name}.png")


def _import(folder, *options):
    done = binaries.run("tools.import_dataset", f"--images={folder}/films", f"--labels={folder}/maps",
                        f"--out={folder}/out", f"--size={SIDE}", "--classes=skin,lesion", "--test_fraction=0",
                        *options)
    assert done.code == 0, done.err
    assert not [finding for finding in verify_store(folder / "out") if not finding.warning]
    return done.out, PairStore(folder / "out")


def test_a_red_lesion_on_green_stays_red_on_green(tmp_path):
    film, label = lesion_pair(0, SIDE)
    _write(tmp_path, "a", (film, label))
    said, store = _import(tmp_path)
    assert store.description.channel == "colour" and "1 of 1 images are in colour" in said
    np.testing.assert_array_equal(store.image("a"), film)
    np.testing.assert_array_equal(store.label("a"), label)


@pytest.mark.parametrize(("channel", "place"), [("red", 0), ("green", 1), ("blue", 2)])
def test_one_channel_is_that_channel_at_any_size(tmp_path, channel, place):
    film = RNG.integers(0, 256, (23, 37, 3)).astype(np.uint8)
    label = RNG.integers(0, 2, (23, 37)).astype(np.uint8)
    for name, pixels in (("colour", film), ("alone", film[..., place])):
        (tmp_path / name).mkdir()
        _write(tmp_path / name, "a", (pixels, label))
    said, store = _import(tmp_path / "colour", f"--channel={channel}")
    _, alone = _import(tmp_path / "alone")
    assert store.description.channel == channel and channel in said and alone.description.channel == "grey"
    taken = store.image("a")
    np.testing.assert_array_equal(taken, alone.image("a"))
    _, whole = _import_again(tmp_path / "colour")
    np.testing.assert_array_equal(whole.image("a")[..., place], taken)


def _import_again(folder):
    (folder / "out").rename(folder / "before")
    return _import(folder)


def test_grey_is_the_luminance_as_it_was(tmp_path):
    film, label = lesion_pair(0, SIDE)
    film[0, 0] = 0, 0, 255
    _write(tmp_path, "a", (film, label))
    said, store = _import(tmp_path, "--channel=grey")
    assert "luminance" in said and store.description.channel == "grey"
    assert store.image("a")[0, 0] == 29 and set(np.unique(store.image("a"))) == {29, 76}


def test_equal_channels_are_grey_and_a_mixture_is_colour(tmp_path):
    grey = RNG.integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    label = np.eye(SIDE, dtype=np.uint8)
    _write(tmp_path, "equal", (np.stack([grey] * 3, -1), label))
    said, store = _import(tmp_path)
    assert store.description.channel == "grey" and "colour" not in said
    np.testing.assert_array_equal(store.image("equal"), grey)
    _write(tmp_path, "lesion", lesion_pair(1, SIDE))
    said, mixed = _import_again(tmp_path)
    assert mixed.description.channel == "colour" and "1 of 2 images" in said
    np.testing.assert_array_equal(mixed.image("equal"), np.stack([grey] * 3, -1))


def test_transparency_is_dropped_and_counted(tmp_path):
    film, label = lesion_pair(0, SIDE)
    alpha = RNG.integers(0, 256, (SIDE, SIDE, 1)).astype(np.uint8)
    _write(tmp_path, "a", (np.concatenate([film, alpha], -1), label))
    _write(tmp_path, "b", (film[..., ::-1].copy(), label))
    said, store = _import(tmp_path)
    assert "2 of 2 images" in said and "transparency dropped in 1 images" in said
    np.testing.assert_array_equal(store.image("a"), film)


def test_oblong_colour_is_padded_with_black_and_stretched_in_one(tmp_path):
    film = np.full((8, SIDE, 3), GREEN, np.uint8)
    film[:, SIDE // 2:] = RED
    label = (film[..., 0] > 0).astype(np.uint8)
    _write(tmp_path, "a", (film, label))
    _, store = _import(tmp_path, "--contrast=stretch")
    image = store.image("a")
    assert not image[:4].any() and not image[12:].any()
    assert image[8, 0].tolist() == list(GREEN) and image[8, -1].tolist() == list(RED)
