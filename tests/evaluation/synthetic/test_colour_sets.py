"""Realism, copies, name boxes and pages of colour films: differences of colour alone count."""

import base64
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from datasets.burnt_in import find_boxes
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import PairWriter
from evaluation.figures.film_figures import sample_sheet
from evaluation.pictures import error_overlay, film_to_rgb, pictures_to_rgb
from evaluation.reader_study.page import PageFilm
from evaluation.segmenter.attention import draw_attention
from evaluation.synthetic.copies import compare
from evaluation.synthetic.image_sets import ImageSet, check_same_classes
from evaluation.synthetic.nearest_films import feature_distances, film_distances
from evaluation.synthetic.realism import compare_sets
from evaluation.synthetic.realism_report import report_realism
from tests.helpers.colour import GREEN, TABLE, lesion_pair, lesion_store

SIDE = 48
RNG = np.random.default_rng(0)


def _films(count, seed):
    """Blots of red on green, of one luminance, with a little noise, and their label maps."""
    rng, films, labels = np.random.default_rng(seed), [], []
    for _ in range(count):
        blot = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE)).astype(np.float32), (0, 0), 4)
        share = np.clip(0.5 + 12 * blot, 0, 1)[..., None]
        film = share * (255, 0, 0) + (1 - share) * np.array(GREEN) + rng.normal(0, 1, (SIDE, SIDE, 1))
        films.append(np.clip(np.rint(film), 0, 255).astype(np.uint8))
        labels.append((share[..., 0] > 0.5).astype(np.uint8))
    return ImageSet(f"s{seed}", [f"{seed}-{i}" for i in range(count)], np.stack(films), np.stack(labels))


@pytest.mark.parametrize("distances", [film_distances, feature_distances])
def test_films_that_differ_in_colour_alone_are_told_apart(distances):
    films = _films(6, 1).films
    found = distances(films, films)[0]
    assert found.shape == (6, 6) and (np.diag(found) < 1e-3).all()
    assert found[~np.eye(6, dtype=bool)].min() > 0.1


def test_copies_of_colour_films_are_found():
    training, held_out, made = _films(8, 1), _films(8, 2), _films(6, 3)
    noisy = np.clip(training.films[2] + RNG.normal(0, 3, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    samples = ImageSet("made", [*made.ids, "copy"], np.concatenate([made.films, noisy[None]]),
                       np.concatenate([made.labels, training.labels[2:3]]))
    found = compare(samples, training, held_out, TABLE).samples
    assert found["id"][found["film_copy"]].tolist() == ["copy"]
    assert found["film_nearest"].iloc[-1] == training.ids[2]


def test_realism_sees_colours():
    real, same = _films(8, 1), _films(8, 2)
    swapped = ImageSet("swapped", same.ids, same.films[..., ::-1].copy(), same.labels)  # blue on green
    alike, unlike = (compare_sets(real, other, TABLE) for other in (same, swapped))
    assert unlike["films"]["swd"]["mean"] > 2 * alike["films"]["swd"]["mean"]
    assert unlike["labels"] == alike["labels"] and 0 <= alike["films"]["ms_ssim"] < 1


def test_sets_of_other_channels_are_not_compared(tmp_path):
    colour = lesion_store(tmp_path / "colour", 1)
    with PairWriter(tmp_path / "grey", type(colour.description)("grey", (16, 16), TABLE)) as writer:
        writer.add(Entry("a", "train"), np.eye(16, dtype=np.uint8), np.eye(16, dtype=np.uint8))
    with pytest.raises(UserError, match="1 channels"):
        check_same_classes(colour, type(colour)(tmp_path / "grey"))


def test_a_feature_model_of_grey_pictures_is_refused(tmp_path):
    store = lesion_store(tmp_path / "colour", 4)
    with pytest.raises(UserError, match="--feature_model takes 1"):
        report_realism(store, {"same": store}, tmp_path / "out", model=SimpleNamespace(input_shape=(1, 8, 8, 1)))
    assert not (tmp_path / "out").exists()


def test_a_box_burnt_into_a_colour_film_is_found():
    film = np.clip(_films(1, 1).films[0].astype(int) + 60, 0, 255).astype(np.uint8)
    film[2:7, 4:18] = 0
    boxes = find_boxes(film)
    assert [box.bright for box in boxes] == [False] and abs(boxes[0].left - 4 / SIDE) < 0.03


def test_pictures_keep_colours():
    film, label = lesion_pair(0, 16)
    np.testing.assert_array_equal(film_to_rgb(film), film)
    assert film_to_rgb(film[..., 0]).shape == film.shape
    np.testing.assert_array_equal(error_overlay(film, label, label), film)
    np.testing.assert_array_equal(pictures_to_rgb(np.stack([film, film]) / np.float32(127.5) - 1)[1], film)
    sheet = draw_attention(film, {1: np.zeros((2, 2), np.float32)}, strength=0.5)
    np.testing.assert_array_equal(sheet[:, :16], film)


def test_the_readers_page_shows_colours_at_any_size():
    film, _ = lesion_pair(0, 32)
    for side in (32, 16):
        shown = PageFilm("F01", film, (("",), ("",)), side).to_json()
        data = base64.b64decode(shown["picture"].split(",")[1])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
        assert picture.shape == (side, side, 3) and tuple(picture[0, 0]) == GREEN
        assert (shown["width"], shown["height"]) == (32, 32)


def test_a_sheet_of_samples_is_drawn_in_colour(tmp_path):
    figure = sample_sheet(lesion_store(tmp_path, 3), "lesions")
    shown = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert any(tuple(picture[0, 0]) == GREEN for picture in shown)
