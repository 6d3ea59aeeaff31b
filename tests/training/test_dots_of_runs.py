"""What its dots look like stays with a run: its snapshots are judged by it, and its product says it. So do the
ranges in which it changes what it sees."""

import dataclasses
import functools
import json

import pytest

from datasets.augmentation.deform import Deformation
from datasets.augmentation.exposure import Exposure
from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.dots import ClassDots, Dot
from datasets.sources.phantom import write_phantoms
from evaluation.segmenter.saved_network import read_product
from tests.helpers.tiny_networks import phantom_store
from training import pggan, pix2pixhd, presets
from training.checkpoints import Progress
from training.config import PGGANConfig, Pix2PixHDConfig

PGGAN = PGGANConfig(target="dots", resolution=32, start_resolution=32, fmap_base=64, fmap_max=8, max_batch=4,
                    dot_radius=6.0, score_images=4, precision="float32")
TRANSLATOR = Pix2PixHDConfig(translate_from="dots", dot_size=16, dot_radius=6.0, ngf=4, ndf=4, n_downsampling=1,
                             n_blocks=1, n_layers=1, num_D=1, precision="float32")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(phantom_store(tmp_path_factory.mktemp("data") / "phantoms").path)


def _finish_at_once(trainer, folder, config):
    """In place of `training.loop.run`: not a step is taken."""
    folder.finish(trainer.finish(folder))


@pytest.mark.parametrize(("config", "dot"), [
    (PGGAN, Dot(32, 3.0)), (dataclasses.replace(PGGAN, target="labels"), None)])
def test_a_pggan_keeps_its_dots(config, dot, store, tmp_path, monkeypatch):
    monkeypatch.setattr(pggan, "run", _finish_at_once)
    pggan.train(config, store, str(tmp_path / "run"))
    assert read_product(tmp_path / "run").dot == dot


@pytest.mark.parametrize(("changes", "dot"), [
    ({}, Dot(16, 1.5)), ({"translate_from": "labels"}, None), ({"network": "local", "phase": "global_half"},
                                                              Dot(16, 1.5))])
def test_a_translator_keeps_its_dots_and_its_phase(changes, dot, store, tmp_path, monkeypatch):
    monkeypatch.setattr(pix2pixhd, "run", _finish_at_once)
    pix2pixhd.train(dataclasses.replace(TRANSLATOR, **changes), store, str(tmp_path / "run"))
    product = read_product(tmp_path / "run")
    assert product.dot == dot and product.facts["phase"] == changes.get("phase", "both")


def test_snapshots_are_judged_by_the_dots_of_the_run(store, tmp_path, monkeypatch):
    rough = Dot(32, 3.0).redraw({1: [(4, 4)], 2: [(4, 14)], 3: [(14, 4)], 4: [(14, 14)], 5: [(24, 4)]})
    rough[28:31, 28:30] = 1  # a speck; beside the discs of 2 at 64 pixels it would be a dot
    found = []

    def score(trainer, folder, config):
        channels = trainer.coding.encode(rough[None]).numpy()
        monkeypatch.setattr(trainer, "_samples", lambda count, growth: iter([channels.repeat(count, 0)]))
        found.append(trainer.score(trainer.total, folder))

    monkeypatch.setattr(pggan, "run", score)
    pggan.train(PGGAN, store, str(tmp_path / "run"))
    assert found[0]["valid"] == 1.0


@pytest.mark.parametrize(("kind", "radius", "undotted", "classes"), [
    ("cells", 2.0, "", (ClassDots(1.0, True),)), ("disc_cup", 6.0, "", (ClassDots(4.5), ClassDots(3.0))),
    ("abdomen", 2.0, "spleen", (ClassDots(1.0), ClassDots(0.0), ClassDots(1.0, True), ClassDots(1.0)))])
def test_both_runs_learn_the_same_dots(kind, radius, undotted, classes, tmp_path, monkeypatch):
    data, products, said = str(write_phantoms(tmp_path / "data", 8, 1, 64, 0, kind).path), [], []
    for module, config in ((pggan, dataclasses.replace(PGGAN, dot_radius=radius)),
                           (pix2pixhd, dataclasses.replace(TRANSLATOR, dot_size=32, dot_radius=radius))):
        monkeypatch.setattr(module, "run", _finish_at_once)
        path = tmp_path / module.__name__
        module.train(dataclasses.replace(config, undotted=undotted), data, str(path))
        products.append(read_product(path))
        said.append((path / "log.txt").read_text())
    dots, translator = (product.dot for product in products)
    assert dots == translator and repr(dots.classes) == repr(translator.classes)
    assert dots.classes == classes and said[0] == said[1] != ""


@pytest.mark.parametrize(("module", "config", "undotted"), [
    (pggan, PGGAN, "lung"), (pggan, dataclasses.replace(PGGAN, target="labels"), "heart"),
    (pix2pixhd, TRANSLATOR, ",".join(CHEST.organs)),
    (pix2pixhd, dataclasses.replace(TRANSLATOR, translate_from="labels"), "heart")])
def test_classes_without_dots_that_cannot_be(module, config, undotted, store, tmp_path):
    with pytest.raises(UserError, match="--undotted"):
        module.train(dataclasses.replace(config, undotted=undotted), store, str(tmp_path / "run"))
    assert not list(tmp_path.iterdir())


def test_label_maps_have_no_exposure(store, tmp_path):
    with pytest.raises(UserError, match=r"--expose=0\.5"):
        pix2pixhd.train(dataclasses.replace(TRANSLATOR, expose=0.5), store, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("options", "ranges"), [
    ({}, {}),
    ({"deform": 0.5, "expose": 0.5}, {"deformation": dataclasses.asdict(Deformation()),
                                      "exposure": dataclasses.asdict(Exposure())}),
    ({"expose": 0.5, "diff_augment": "cutout"}, {"exposure": {"gamma": 1.3, "contrast": 1.25, "brightness": 0.1},
                                                 "diff_augmentation": {"hidden": 0.5}})])
def test_a_translator_keeps_the_ranges_it_uses_and_goes_on_with_these_alone(options, ranges, store, tmp_path,
                                                                            monkeypatch):
    def begin(trainer, folder, config):
        folder.restore({}, Progress())

    def train():
        pix2pixhd.train(dataclasses.replace(TRANSLATOR, translate_from="labels", **options), store, str(tmp_path))

    monkeypatch.setattr(pix2pixhd, "run", begin)
    train()
    kept = json.loads((tmp_path / "config.json").read_text())
    assert {name: kept[name] for name in kept.keys() - {"task", "data", "config"}} == ranges
    others = {"deformation": Deformation(degrees=45.0), "exposure": Exposure(gamma=3.0)}
    monkeypatch.setattr(pix2pixhd, "MovedPairs", functools.partial(pix2pixhd.MovedPairs, **others))
    if ranges:
        with pytest.raises(UserError, match=r"exposure gamma: was 1\.3, now 3\.0"):
            train()
    for name in ranges:  # as runs were before there was a record
        del kept[name]
    (tmp_path / "config.json").write_text(json.dumps(kept))
    train()
    assert json.loads((tmp_path / "config.json").read_text()) == kept


@pytest.mark.parametrize("name", presets.NAMES)
def test_the_dots_of_a_preset_fit(name):
    preset = presets.load(name)
    assert preset.dots.dot == preset.dots_to_labels.dot
