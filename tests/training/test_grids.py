"""Grids show different films, never test ones, and hold no more pictures at once than training does."""

import dataclasses

import numpy as np
import pytest

from datasets.augmentation.augment import augment_store
from datasets.class_table import CHEST
from datasets.pair_cache import load_pairs
from datasets.pair_store import split_ids
from datasets.sources.phantom import write_phantoms
from datasets.subsets import different_films
from models.label_coding import LabelCoding
from tests.helpers.tiny_experiment import PRESET
from training import pggan, pix2pixhd, smanet
from training.devices import make_strategy
from training.pggan import PGGANTrainer
from training.pix2pixhd import Pix2PixHDTrainer
from training.smanet import SMANetTrainer

ONE_HOT = LabelCoding("one_hot", tuple(range(6)))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Four phantoms, of which one tests, augmented x6."""
    folder = tmp_path_factory.mktemp("data")
    films = write_phantoms(folder / "films", 4, 1, 32, 0)
    return augment_store(films, films.ids("train"), folder / "augmented", 0)


def test_one_pair_of_each_film_comes_first(store):
    ids = split_ids(store, "train")
    shown = different_films(store, ids, 6)
    films = [ids[place].rsplit("-", 1)[0] for place in shown]
    assert len(set(films[:3])) == 3 and len(set(shown)) == 6
    assert not {id_.rsplit("-", 1)[0] for id_ in ids} & {"phantom-000003"}  # the one that tests


def test_films_of_one_source_are_spread(tmp_path):
    films = write_phantoms(tmp_path, 9, 0, 32, 0)
    assert different_films(films, films.ids(), 3) == [0, 4, 8]
    assert different_films(films, films.ids()[:2], 3) == [0, 1]


def _trainers(store):
    films, labels = load_pairs(store, split_ids(store, "train"))
    dots = np.stack([PRESET.dots.dot.draw(label, 6) for label in labels])
    one = make_strategy("one_device")
    shown = different_films(store, split_ids(store, "train"), 6)
    translator, segmenter = (dataclasses.replace(config, batch=4)
                             for config in (PRESET.labels_to_film, PRESET.segmenter))
    return {"dots": PGGANTrainer(PRESET.dots, dots, None, ONE_HOT, one, shown=shown),
            "pairs": PGGANTrainer(PRESET.pairs, labels, films, ONE_HOT, one, shown=shown),
            "translator": Pix2PixHDTrainer(translator, labels, films, 6, None, one, shown),
            "segmenter": SMANetTrainer(segmenter, films, CHEST.collapse(labels), 4, None, one, shown=shown)}


def test_no_more_pictures_at_once_than_in_training(store, monkeypatch, eager):
    for name, trainer in _trainers(store).items():
        gan, seen = name in ("dots", "pairs"), []

        def count(network, call, seen=seen):
            def counted(inputs, *args, **options):
                seen.append(len(inputs))
                return call(inputs, *args, **options)

            monkeypatch.setattr(*network, counted)

        if name == "segmenter":
            count((trainer, "_predict"), trainer._predict)
        else:
            network = trainer.model.average if gan else trainer.model.generator
            count((network, "call"), network.call)
        trainer.grid(trainer.total)
        shown = 36 if gan else 6
        assert sum(seen) == shown, name
        if gan:
            trainer.score(trainer.total, _Folder())
            assert sum(seen) == shown + trainer.config.score_images
        batch = trainer.schedule.at(trainer.total).batch if gan else trainer.config.batch
        assert max(seen) == batch < shown, name


class _Folder:
    def save_network(self, network, name):
        """Keeps nothing."""


def test_the_grid_of_a_translator_shows_its_films_apart(store, eager):
    grid = _trainers(store)["translator"].grid(0)  # six pictures a row: source, made and real of two pairs
    reals = [grid[2:34, 2 + 34 * place:34 + 34 * place] for place in (2, 5)]
    assert reals[0].shape == reals[1].shape == (32, 32, 3) and not np.array_equal(*reals)


@pytest.mark.parametrize(("module", "config", "count"), [
    (pggan, PRESET.labels, 36), (pix2pixhd, PRESET.labels_to_film, 6), (smanet, PRESET.segmenter, 6)])
def test_the_grid_of_a_run_shows_every_film_it_can(module, config, count, store, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(module, "run", lambda trainer, folder, config: shown.extend(trainer._shown))
    module.train(config, str(store.path), str(tmp_path / "run"))
    ids = split_ids(store, "train")
    assert len({ids[place].rsplit("-", 1)[0] for place in shown[:3]}) == 3
    assert len(set(shown)) == min(count, len(ids))
