"""Strong augmentation and mixing on the fly: where pixels come from, what they may become, what decides it."""

import dataclasses
import json

import numpy as np
import pytest

from datasets.augmentation import strong_augment
from datasets.augmentation.augment import augment_store
from datasets.augmentation.augmented_crops import AugmentedCrops
from datasets.augmentation.strong_augment import GreyChange, StrongAugmentation
from datasets.class_table import IGNORED
from datasets.manifest import manifest_text
from datasets.pair_cache import crop_rows
from datasets.pair_store import PairStore, film_names
from datasets.sources.phantom import write_phantoms

STILL = StrongAugmentation(probability=0.0)
MOVING = StrongAugmentation(probability=1.0, elastic=0.5)


@pytest.fixture
def greys_kept(monkeypatch):
    monkeypatch.setattr(StrongAugmentation, "change_greys", lambda self, film, rng: film)


def _slopes(size=64, films=3, channels=0):
    """Films whose grey level, 2 x + y + 20, tells where a pixel is; codes 1 and 2 on its left and right half."""
    rows, columns = np.mgrid[:size, :size]
    film = np.uint8(2 * columns + rows + 20)
    film = np.stack([film] * channels, -1) if channels else film
    return np.stack([film] * films), np.stack([np.uint8(1 + (columns >= size // 2))] * films)


def _crops(strong, count=60, side=48, arrays=None, **options):
    arrays = arrays or _slopes()
    return AugmentedCrops(strong, **options)(arrays, np.arange(count) % 3, side, np.arange(count), 5)


@pytest.mark.parametrize("channels", [0, 3])
def test_a_crop_is_a_function_of_seed_and_place(channels):
    arrays, cut = _slopes(channels=channels), AugmentedCrops(MOVING, cutmix=0.5)
    films, labels = cut(arrays, np.arange(40) % 3, 48, range(7, 47), 5)
    assert films.shape == (40, 48, 48, *[3] * bool(channels)) and films.dtype == labels.dtype == np.uint8
    for part in (slice(30, 40), slice(1, 40, 2)):  # continued; the second of two replicas
        again = cut(arrays, (np.arange(40) % 3)[part], 48, range(7, 47)[part], 5)
        np.testing.assert_array_equal(again[0], films[part])
        np.testing.assert_array_equal(again[1], labels[part])
    other = cut(arrays, np.arange(40) % 3, 48, range(7, 47), 6)
    assert (other[0] != films).mean() > 0.5
    assert len({film.tobytes() for film in films}) == 40


def test_film_and_codes_move_together_and_nothing_is_mirrored(greys_kept):
    films, labels = (crops.astype(float) for crops in _crops(MOVING, 200))
    inside = labels > 0
    assert set(np.unique(labels)) == {0, 1, 2} and 0.7 < inside.mean() < 0.99
    assert (films[~inside] < 20).mean() > 0.85  # black, but where it is blended with the edge
    rises = [np.median(np.diff(films, axis=axis)[inside[(slice(None), *[slice(None)] * (axis - 1), slice(1, None))]
                                                 & inside[(slice(None), *[slice(None)] * (axis - 1), slice(-1))]])
             for axis in (1, 2)]
    assert rises[0] > 0.5 and rises[1] > 1.5
    for film, codes in zip(films, labels, strict=True):
        left, right = ((codes == code).nonzero()[1] for code in (1, 2))
        if len(left) and len(right):
            assert left.mean() < right.mean()
            assert np.median(film[codes == 1]) < np.median(film[codes == 2])


def test_ranges_of_what_moves(greys_kept):
    rng, shape, sides, corner = np.random.default_rng(0), (64, 64), (48, 48), (6, 10)
    strong = StrongAugmentation()
    matrices = [strong._matrix(shape, corner, sides, rng) for _ in range(3000)]
    assert 0.46 < np.mean([matrix is None for matrix in matrices]) < 0.56  # 0.8 cubed is 0.512
    moved = np.array([matrix for matrix in matrices if matrix is not None])
    zoom = np.sqrt(np.linalg.det(moved[:, :, :2]))
    angle = np.degrees(np.arctan2(moved[:, 1, 0], moved[:, 0, 0]))
    middle = moved @ [23.5, 23.5, 1.0]
    for values, low, high in ((zoom, 0.7, 1.4), (angle, -15, 15), (middle[:, 0], 33.5 - 3.84, 33.5 + 3.84)):
        assert low - 1e-6 <= values.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < values.max() <= high + 1e-6


def test_without_its_turn_a_crop_is_cut_as_it_is(greys_kept):
    (whole,), (halves,) = _slopes(films=1)
    for film, codes in zip(*_crops(STILL), strict=True):
        places = [(top, left) for top, left in zip(*(whole[:17, :17] == film[0, 0]).nonzero(), strict=True)
                  if (whole[top:top + 48, left:left + 48] == film).all()]
        assert any((halves[top:top + 48, left:left + 48] == codes).all() for top, left in places)


def test_beyond_the_edges_is_background_or_ignored(greys_kept):
    wide = dataclasses.replace(MOVING, zoom=(1.4, 1.4), elastic=0.0)
    for outside in (0, IGNORED):
        labels = _crops(wide, side=64, outside=outside)[1]
        assert set(np.unique(labels)) == {outside, 1, 2}
        assert 0.25 < (labels == outside).mean() < 0.6  # a square of 1 / 1.4 is 51 %


def test_grey_levels_stay_levels_and_each_change_does_what_its_name_says():
    rng = np.random.default_rng(1)
    plane = np.float32(rng.integers(60, 200, (40, 40)))
    mean, deviation = plane.mean(), plane.std()
    ranges = {name: (getattr(MOVING, name).low, getattr(MOVING, name).high) for name in strong_augment._GREYS}
    seen = {name: [step(plane, *ranges[name], rng) for _ in range(40)]
            for name, step in strong_augment._GREYS.items()}
    assert len(seen) == 7
    for name, changed in seen.items():
        assert all(one.shape == plane.shape and one.dtype == np.float32 for one in changed), name
        assert all(abs(one.mean() - mean) < 0.1 * deviation for one in changed), name
    assert all(one.std() == pytest.approx(deviation, rel=1e-3)
               for name in ("gamma", "inverted_gamma") for one in seen[name])
    assert all(one.std() < deviation for one in seen["blur"])
    ratios = [one.std() / deviation for one in seen["brightness"]]
    assert 0.75 <= min(ratios) < 0.85 and 1.15 < max(ratios) <= 1.2501
    assert all(plane.min() <= one.min() and one.max() <= plane.max() for one in seen["contrast"])
    noise = [(one - plane).std() / deviation for one in seen["noise"]]
    assert min(noise) < 0.02 and 0.07 < max(noise) < 0.105
    constant = np.full((8, 8), 255.0, np.float32)
    assert all(np.isfinite(step(constant, *ranges[name], rng)).all()
               for name, step in strong_augment._GREYS.items())


@pytest.mark.parametrize(("channels", "elastic", "cutmix", "means"), [
    (0, 0.0, 0.0, (114.1004, 1.49269)), (3, 0.5, 0.5, (102.9274, 1.49134))])
def test_draws_stay_those_of_runs_that_were_made(channels, elastic, cutmix, means):
    films, labels = _slopes(channels=channels)
    if channels:
        films[..., 1], films[..., 2] = 255 - films[..., 1], films[..., 2] // 2
    made = _crops(StrongAugmentation(elastic=elastic), 400, arrays=(films, labels), cutmix=cutmix)
    assert [array.mean() for array in made] == pytest.approx(means, abs=1e-4)


def test_the_record_tells_every_value():
    record = StrongAugmentation(elastic=0.3).to_json()
    assert record == json.loads(json.dumps(record)) and "nnU-Net" in record.pop("source")
    assert record.keys() == {field.name for field in dataclasses.fields(StrongAugmentation)}
    assert (record["elastic"], record["zoom"]) == (0.3, [0.7, 1.4])
    assert record["blur"] == {"film": 0.2, "channel": 0.5, "low": 0.5, "high": 1.0}


def test_a_factor_changes_more_films_and_none_above_a_half(greys_kept):
    assert StrongAugmentation().more_often(1.0) == StrongAugmentation()
    often = StrongAugmentation(elastic=0.1, noise=GreyChange(0.8, 1.0, 0.0, 0.1)).more_often(2.5)
    films = [getattr(often, name).film for name in ("noise", "blur", "contrast", "gamma")]
    assert [often.probability, *films] == pytest.approx([0.5, 0.8, 0.5, 0.375, 0.5])
    assert (often.elastic, often.blur.channel, often.zoom) == (0.1, 0.5, (0.7, 1.4))
    (film,), _ = _slopes(films=1)
    as_cut = {film[top:top + 48, left:left + 48].tobytes() for top in range(17) for left in range(17)}
    moved = []
    for factor in (1.0, 2.5):
        crops, _ = _crops(StrongAugmentation().more_often(factor), 400)
        moved.append(np.mean([crop.tobytes() not in as_cut for crop in crops]))
    assert 0.35 < moved[0] < 0.55 and 0.7 < moved[1] < 0.9  # 1 - 0.8^3, 1 - 0.5^3, but for shifts along the slope


def test_a_rectangle_of_another_film_comes_with_its_codes():
    films = np.stack([np.full((40, 40), level, np.uint8) for level in (50, 100, 150)])
    labels = np.stack([np.full((40, 40), code, np.uint8) for code in (1, 2, 3)])
    mixed, codes = _crops(None, 300, 32, (films, labels), cutmix=1.0)
    np.testing.assert_array_equal(mixed, codes * 50)
    own = np.arange(300) % 3 + 1
    shares = np.array([(one != code).mean() for one, code in zip(codes, own, strict=True)])
    assert 0.2 < (shares == 0).mean() < 0.5  # itself drawn, in a third
    assert shares.max() > 0.5 and 0.1 < shares[shares > 0].mean() < 0.5
    for one, code in zip(codes, own, strict=True):
        rows, columns = (np.flatnonzero((one != code).any(axis)) for axis in (1, 0))
        assert len(rows) * len(columns) == (one != code).sum()  # one rectangle
    unmixed = _crops(None, 60, 32, (films, labels))
    assert [array.shape for array in unmixed] == [array.shape for array in crop_rows(
        (films, labels), np.arange(60) % 3, 32, np.arange(60), 5)]
    assert (unmixed[1] == own[:60, None, None]).all()


def test_copies_that_an_experiment_made_are_told_from_films(tmp_path):
    store = write_phantoms(tmp_path / "films", 3, 0, 32, 0)
    copies = augment_store(store, store.ids(), tmp_path / "copies", 0)
    assert copies.films("train") == [f"{id_}-original" for id_ in store.ids()] and len(copies.ids()) == 18
    assert store.films("train") == store.ids() == sorted(set(film_names(copies, copies.ids())))
    manifest = copies.path / "manifest.csv"
    written = manifest.read_text()
    manifest.write_text("".join(f"{line.rpartition(',')[0]}\n" for line in written.splitlines()))  # as made before
    older = PairStore(copies.path)
    assert older.entries == copies.entries
    assert manifest_text(older.entries) == written
    header = (store.path / "manifest.csv").read_text().splitlines()[0]
    assert header == "id,split,source" and written.startswith(f"{header},operation\n")  # old prints of films stand
