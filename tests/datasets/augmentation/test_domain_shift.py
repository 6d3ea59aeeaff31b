"""Films as another hospital may make them: label maps move with their films, and nothing depends on the order."""

import dataclasses

import numpy as np
import pytest

from datasets.augmentation.domain_shift import DomainShift, shift_store
from datasets.augmentation.exposure import Exposure
from datasets.common.errors import UserError
from datasets.manifest import MAX_NAME, SPLITS, Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.sources.phantom import KINDS, phantom, write_phantoms
from tests.helpers.binaries import run, told
from tests.helpers.killed_writer import contents

NOTHING = DomainShift(squeeze=(1.0, 1.0), degrees=0.0, shift=0.0, frame=0.0, exposure=Exposure(1.0, 1.0, 0.0),
                      blurred=0.0, sharpened=0.0, local=0.0, noise=0.0)
MOVED = dataclasses.replace(NOTHING, squeeze=(0.75, 1.2), degrees=4.0, shift=0.06)


@pytest.fixture(scope="module")
def patient():
    film, masks = phantom(0, 3, 96)
    return film.astype(np.float32) / 255.0, masks.astype(np.uint8)


def test_no_change_is_none(patient):
    film, masks = patient
    made, layers = NOTHING(film, [masks], np.random.default_rng(0))
    np.testing.assert_allclose(made, film, atol=1e-6)
    np.testing.assert_array_equal(layers[0], masks)


@pytest.mark.parametrize("seed", range(4))
def test_what_stands_in_the_label_map_stands_in_the_film(patient, seed):
    lungs = patient[1][..., 0]
    painted = np.float32(0.2) + lungs * np.float32(0.6)  # a film that shows one organ and nothing else
    made, (moved,) = MOVED(painted, [lungs], np.random.default_rng(seed))
    shown = made > 0.5
    assert moved.sum() > 100 and set(np.unique(moved)) <= {0, 1}
    assert (shown & (moved > 0)).sum() / (shown | (moved > 0)).sum() > 0.93  # but for half a pixel at the border
    assert not np.array_equal(moved, lungs)


def test_frames_are_black_or_dark_and_films_stay_between_black_and_white(patient):
    film = np.ones_like(patient[0])
    framed = dataclasses.replace(MOVED, squeeze=(0.75, 0.75), frame=0.25)
    corners = [framed(film, [], np.random.default_rng(seed))[0][0, 0] for seed in range(40)]
    assert 8 <= np.count_nonzero(corners) <= 32 and max(corners) <= 0.25
    for seed in range(10):
        made, _ = DomainShift()(patient[0], [], np.random.default_rng(seed))
        assert made.dtype == np.float32 and made.min() >= 0.0 and made.max() <= 1.0
        assert np.abs(made - patient[0]).mean() > 0.02


@pytest.mark.parametrize("kind", ["chest", "disc_cup"])  # masks beside the label map, and colour
def test_a_folder_is_a_function_of_seed_and_id(tmp_path, kind):
    films = write_phantoms(tmp_path / "films", 5, 2, 64, 0, kind)
    made = shift_store(films, films.ids(), tmp_path / "made", 7)
    assert {split: made.ids(split) for split in SPLITS} == {split: films.ids(split) for split in SPLITS}
    assert made.description.spacing_mm is None and made.classes == films.classes
    alone = shift_store(films, films.ids("test"), tmp_path / "alone", 7)
    other = shift_store(films, films.ids("test"), tmp_path / "other", 8)
    for id_ in films.ids("test"):
        np.testing.assert_array_equal(alone.image(id_), made.image(id_))
        np.testing.assert_array_equal(alone.label(id_), made.label(id_))
        if KINDS[kind].overlaps:
            np.testing.assert_array_equal(alone.masks(id_), made.masks(id_))
        assert not np.array_equal(other.image(id_), made.image(id_))


def test_a_complete_folder_stays_and_another_is_refused(tmp_path):
    films = write_phantoms(tmp_path / "films", 4, 1, 48, 0)
    shift_store(films, films.ids(), tmp_path / "made", 0)
    before = contents(tmp_path / "made")
    (tmp_path / "made" / "images" / "phantom-000001.png").touch()
    shift_store(films, films.ids(), tmp_path / "made", 0)
    assert contents(tmp_path / "made") == before
    with pytest.raises(UserError, match="other pairs"):
        shift_store(films, films.ids("test"), tmp_path / "made", 0)
    with pytest.raises(UserError, match="another data set"):
        shift_store(films, films.ids(), tmp_path / "made", 1)
    assert contents(tmp_path / "made") == before


def test_a_name_as_long_as_they_may_be(tmp_path):
    description = Description("n" * MAX_NAME, (32, 32), KINDS["cells"].classes)
    with PairWriter(tmp_path / "films", description) as writer:
        writer.add(Entry("a", "test"), np.eye(32, dtype=np.uint8), np.ones((32, 32), np.uint8))
    made = shift_store(PairStore(tmp_path / "films"), ["a"], tmp_path / "made", 12)
    assert made.description.name.startswith("nnn") and made.description.name.endswith("changed, seed 12")


def test_by_command(tmp_path):
    write_phantoms(tmp_path / "films", 6, 2, 48, 0)
    done = run("tools.shift_dataset", f"--data={tmp_path}/films", "--split=test", f"--out={tmp_path}/made")
    assert done.code == 0 and "2 pairs" in done.out, done.err
    made = PairStore(tmp_path / "made")
    assert made.ids() == made.ids("test") and len(made.ids()) == 2
    assert run("tools.verify_dataset", f"--data={tmp_path}/made").code == 0
    told(run("tools.shift_dataset", f"--data={tmp_path}/films", "--split=validation", f"--out={tmp_path}/none"),
         f"{tmp_path}/films", "validation")
    assert not (tmp_path / "none").exists()


def test_films_of_16_bits(tmp_path):
    description = Description("deep", (32, 32), KINDS["cells"].classes, max_value=1023)
    with PairWriter(tmp_path / "films", description) as writer:
        writer.add(Entry("a", "test"), np.full((32, 32), 1023, np.uint16), np.ones((32, 32), np.uint8))
    films = PairStore(tmp_path / "films")
    made = shift_store(films, ["a"], tmp_path / "made", 0, MOVED)
    assert made.image("a").max() == 255 and set(np.unique(made.label("a"))) <= {0, 1}


def test_local_contrast_is_alike_for_films_of_256_levels_and_finer_ones(patient):
    local = dataclasses.replace(NOTHING, local=1.0)
    coarse = patient[0]
    fine = np.clip(coarse + np.random.default_rng(0).normal(0.0, 1e-3, coarse.shape), 0, 1).astype(np.float32)
    made, other = (local(film, [], np.random.default_rng(1))[0] for film in (coarse, fine))
    assert 0.01 < np.abs(made - coarse).mean() < 0.2 and np.abs(made - other).mean() < 0.02
