"""Folders of changed pairs: the same is not made twice, and what is asked otherwise is never taken for it."""

import json

import numpy as np
import pytest

from datasets.augmentation.augment import augment_store
from datasets.augmentation.domain_shift import shift_store
from datasets.common.errors import UserError
from datasets.pair_store import write_png
from datasets.sources.phantom import write_phantoms
from tests.helpers.killed_writer import contents


@pytest.fixture
def films(tmp_path):
    return write_phantoms(tmp_path / "films", 4, 1, 32, 0)


def _mark(made):
    """Changes a pixel of the first film, to see whether it is written again; returns what shows it."""
    write_png(made.path / "images" / f"{made.ids()[0]}.png", np.zeros_like(made.image(made.ids()[0])))
    return contents(made.path)


@pytest.mark.parametrize("write", [augment_store, shift_store])
def test_the_same_is_left_as_it_is(films, tmp_path, write):
    marked = _mark(write(films, films.ids("train"), tmp_path / "made", 5))
    write(films, films.ids("train"), tmp_path / "made", 5)
    assert contents(tmp_path / "made") == marked


@pytest.mark.parametrize("write", [augment_store, shift_store])
def test_films_that_changed_are_changed_anew(films, tmp_path, write):
    id_ = films.ids("train")[0]
    marked = _mark(write(films, films.ids("train"), tmp_path / "made", 5))
    write_png(films.path / "images" / f"{id_}.png", films.image(id_)[::-1])
    write(films, films.ids("train"), tmp_path / "made", 5)
    write(films, films.ids("train"), tmp_path / "other", 5)
    assert marked != contents(tmp_path / "made") == contents(tmp_path / "other")


@pytest.mark.parametrize("write", [augment_store, shift_store])
def test_other_pairs_are_refused(films, tmp_path, write):
    write(films, films.ids("train"), tmp_path / "made", 5)
    before = contents(tmp_path / "made")
    with pytest.raises(UserError, match="other pairs"):
        write(films, films.ids("train")[1:], tmp_path / "made", 5)
    assert contents(tmp_path / "made") == before


def test_another_seed_augments_anew(films, tmp_path):
    augment_store(films, films.ids("train"), tmp_path / "made", 5)
    augment_store(films, films.ids("train"), tmp_path / "made", 6)
    augment_store(films, films.ids("train"), tmp_path / "other", 6)
    assert contents(tmp_path / "made") == contents(tmp_path / "other")


def test_an_augmented_folder_without_a_fingerprint_is_kept_where_the_rest_agrees(films, tmp_path):
    made = augment_store(films, films.ids("train"), tmp_path / "made", 5)
    kept = json.loads((made.path / "complete.json").read_text())
    older = {key: kept[key] for key in ("pairs", "seed", "ranges")}
    (made.path / "complete.json").write_text(json.dumps(older))
    marked = _mark(made)
    augment_store(films, films.ids("train"), made.path, 5)
    assert contents(made.path) == marked
    (made.path / "complete.json").write_text(json.dumps({**older, "ranges": {**older["ranges"], "degrees": 3.0}}))
    augment_store(films, films.ids("train"), made.path, 5)
    assert json.loads((made.path / "complete.json").read_text()) == kept and contents(made.path) != marked
