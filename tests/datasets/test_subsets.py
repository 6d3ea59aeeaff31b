"""FULL and TINY: all train films, or eleven drawn by seed; never a test film."""

import pytest

from datasets.common.errors import UserError
from datasets.sources.phantom import write_phantoms
from datasets.subsets import choose_subset


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


def test_too_few_films_are_one_clear_line(tmp_path):
    store = write_phantoms(tmp_path, 5, 2, 32, 0)
    with pytest.raises(UserError, match=r"found 3 .*at least 11 .*--config=tiny"):
        choose_subset(store, "tiny", 0)
    with pytest.raises(UserError, match="found no test films"):
        choose_subset(write_phantoms(tmp_path / "b", 3, 0, 32, 0), "full", 0)
