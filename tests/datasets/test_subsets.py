"""FULL and TINY: all train films, or eleven drawn by seed; never a test film."""

import itertools

import numpy as np
import pytest

from datasets.augmentation.augment import augment_store
from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.sources.phantom import write_phantoms
from datasets.subsets import choose_subset, evenly


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_phantoms(tmp_path_factory.mktemp("films"), 20, 6, 32, 0)


def test_full_is_every_train_film(store):
    assert choose_subset(store, "full", 0) == store.ids("train")


def test_tiny_depends_on_the_seed_alone(store):
    drawn = choose_subset(store, "tiny", 3)
    assert len(set(drawn)) == 11 and set(drawn) <= set(store.ids("train"))
    assert choose_subset(store, "tiny", 3) == drawn
    assert any(choose_subset(store, "tiny", seed) != drawn for seed in range(4, 8))


def test_few_of_many_are_spread_from_the_first_to_the_last():
    assert evenly(9, 3).tolist() == [0, 4, 8] and evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly(5, 1).tolist() == [0] and evenly(0, 4).tolist() == []
    for count in range(1, 300):
        assert evenly(count, 300).tolist() == list(range(count))
        for most in (2, 9, 50, 100):
            places = np.linspace(0, count - 1, most).astype(int)
            np.testing.assert_array_equal(evenly(count, most), np.unique(places))


def test_the_papers_draw_stays_and_others_are_nested_with_it(tmp_path):
    ids = [f"film-{number:03d}" for number in range(124)]
    with PairWriter(tmp_path, Description("many", (8, 8), CHEST)) as writer:
        writer.entries = {id_: Entry(id_, "train") for id_ in ids} | {"t": Entry("t", "test")}
    many = PairStore(tmp_path)
    for seed in range(3):
        drawn = {count: choose_subset(many, "tiny", seed, count) for count in (1, 5, 11, 12, 20, 124)}
        assert [len(set(films)) for films in drawn.values()] == list(drawn)
        sets = [set(films) for films in drawn.values()]
        assert all(fewer < more for fewer, more in itertools.pairwise(sets))
        assert drawn[11] == sorted(np.random.default_rng(seed).choice(ids, 11, replace=False))
    assert choose_subset(many, "tiny", 0)[:3] == ["film-001", "film-004", "film-009"]
    assert len({tuple(choose_subset(many, "tiny", seed, 5)) for seed in range(5)}) == 5


def test_fewer_films_than_the_papers_number(tmp_path):
    store = write_phantoms(tmp_path, 9, 2, 32, 0)
    assert set(choose_subset(store, "tiny", 0, 3)) < set(choose_subset(store, "tiny", 0, 5))
    assert choose_subset(store, "tiny", 0, 7) == store.ids("train")


def test_too_few_films_are_one_clear_line(tmp_path):
    store = write_phantoms(tmp_path, 5, 2, 32, 0)
    with pytest.raises(UserError, match=r"found 3 .*at least 11 .*--config=tiny"):
        choose_subset(store, "tiny", 0)
    with pytest.raises(UserError, match="found no test films"):
        choose_subset(write_phantoms(tmp_path / "b", 3, 0, 32, 0), "full", 0)


def test_augmented_copies_are_no_films(store, tmp_path):
    augmented = augment_store(store, store.ids("train"), tmp_path / "augmented", 0)
    with PairWriter(augmented.path, augmented.description) as writer:
        writer.add(Entry("test", "test"), store.image(store.ids("test")[0]), store.label(store.ids("test")[0]))
    both = PairStore(augmented.path)
    for config in ("full", "tiny"):
        assert all(id_.endswith("-original") for id_ in choose_subset(both, config, 0))
