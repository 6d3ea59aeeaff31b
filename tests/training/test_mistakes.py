"""A mistake in what a trainer is given is one line, and leaves no run folder behind and another as it was."""

import dataclasses
import types

import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import Description, PairWriter
from tests.helpers import binaries, process_state
from tests.helpers.tiny_experiment import PRESET
from tests.helpers.tiny_networks import method_runs, segmenter_run
from training import pggan, pix2pixhd, smanet
from training.segmenter_inputs import SegmenterInputs

SEGMENTER, FILMS, MAPS = PRESET.segmenter, PRESET.labels_to_film, PRESET.dots_to_labels
STORES = {"good": {}, "test": {"split": "test"}, "copies": {"operation": "noise"},
          "validation": {"split": "validation"}, "small": {"size": (8, 8)}, "odd": {"size": (36, 36)},
          "oblong": {"size": (32, 48)}, "classes": {"classes": ClassTable(("none", "organ"))},
          "colour": {"channel": "colour"}, "damaged": {},
          "other classes": {"split": "validation", "classes": ClassTable(("none", "organ"))},
          "in colour": {"split": "validation", "channel": "colour"}}


def _store(path, size=(32, 32), split="train", classes=CHEST, channel="grey", operation=""):
    with PairWriter(path, Description("films", size, classes, channel=channel)) as writer:
        for id_ in "ab":
            film = np.full(writer.description.image_shape, 90, np.uint8)
            writer.add(Entry(id_, split, "film", operation), film, np.eye(*size, dtype=np.uint8))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of pair folders, finished runs and what is no network."""
    root = tmp_path_factory.mktemp("files")
    for name, facts in STORES.items():
        _store(root / name, **facts)
    (root / "damaged" / "images" / "b.png").write_bytes(b"no picture")
    segmenter_run(root / "segmenter")
    method_runs(root / "runs")
    for name in ("foreign.keras", "foreign.h5"):
        (root / name).write_bytes(b"no network")
    return root


def _segmenter(data, told, options=(), **read):
    return pytest.param(smanet, SEGMENTER, dict(options), data, read, told, id=f"segmenter {told}")


def _translator(config, data, told, **options):
    return pytest.param(pix2pixhd, config, options, data, {}, told, id=f"translator {told}")


def _pggan(config, data, told, **options):
    return pytest.param(pggan, config, options, data, {}, told, id=f"pggan {told}")


MISTAKES = [
    _segmenter("test", "test/manifest.csv: .* split train"),
    _segmenter("copies", "copies/manifest.csv: .* --augment", {"augment": "strong"}),
    _segmenter("damaged", "damaged/images/b.png"),
    _segmenter("good", "--elastic=0.5", {"elastic": 0.5}),
    _segmenter("good", "--augment_factor=2.5", {"augment_factor": 2.5}),
    _segmenter("good", "found class spleen, .* left lung, right lung, heart", {"keep_largest": "heart,spleen"}),
    _segmenter("good", "good/manifest.csv: .* split validation", validation="good"),
    _segmenter("good", "other classes: found classes .*organ.* expected .*heart", validation="other classes"),
    _segmenter("good", "in colour: found channel colour, expected grey", validation="in colour"),
    _segmenter("good", "test/manifest.csv: .* split train", mixed_with="test"),
    _segmenter("good", "classes: found classes .* expected ", mixed_with="classes"),
    _segmenter("good", r"odd: found size .*36.* expected .*32", mixed_with="odd"),
    _segmenter("colour", "good: found channel grey, expected colour", mixed_with="good"),
    _segmenter("good", "nothing: no such file", finetune_from="nothing"),
    _segmenter("good", "foreign.keras: not a readable", finetune_from="foreign.keras"),
    _segmenter("good", "good: no finished run", finetune_from="good"),
    _segmenter("good", "segmenter: .*found attention multiscale, expected attention none",
               finetune_from="segmenter"),
    _segmenter("good", "segmenter: .*found num_classes 4.*expected num_classes 6", {"classes": "all"},
               finetune_from="segmenter"),
    _segmenter("good", "segmenter: .*found network SMANet, expected network UNet", {"network": "unet"},
               finetune_from="segmenter"),
    _segmenter("colour", "segmenter: .*found input channels 1, .*expected input channels 3",
               finetune_from="segmenter"),
    _segmenter("good", "nothing: no such file.*--encoder_weights", {"encoder_weights": "nothing"}),
    _segmenter("good", "foreign.h5: not a readable", {"encoder_weights": "foreign.h5"}),
    _translator(FILMS, "test", "test/manifest.csv: .* split train"),
    _translator(FILMS, "damaged", "damaged/images/b.png"),
    _translator(FILMS, "good", "--phase=enhancer", phase="enhancer"),
    _translator(FILMS, "small", "small: found .*8 x 8 .* at least 9 .*--n_downsampling=3", n_downsampling=3),
    _translator(FILMS, "small", "small: found .*8 x 8 .* at least 16", vgg_weights="foreign.h5"),
    _translator(FILMS, "small", "small: found .*8 x 8 .* at least 9 .*--num_D=4", num_D=4),
    _translator(MAPS, "odd", "odd: found .*36 x 36 .*multiples of 8", n_downsampling=3),
    _translator(FILMS, "odd", "odd: found .*36 x 36 .*multiples of 8", network="local", n_downsampling=2),
    _translator(MAPS, "oblong", "oblong: found .*48 x 32"),
    _translator(FILMS, "good", "nothing: no such file", init_from="nothing"),
    _translator(FILMS, "good", "foreign.keras: not a readable", init_from="foreign.keras"),
    _translator(FILMS, "good", "labels_to_film: .*found n_downsampling 2, expected n_downsampling 1",
                init_from="runs/labels_to_film"),
    _translator(FILMS, "good", "labels_to_film: .*found ngf 4, expected ngf 8", init_from="runs/labels_to_film",
                network="local", phase="enhancer", n_downsampling=2),
    _translator(FILMS, "good", "dots_to_labels: .*found .*output_channels 6, expected .*output_channels 1",
                init_from="runs/dots_to_labels"),
    _translator(FILMS, "good", "nothing: no such file.*--vgg_weights", vgg_weights="nothing"),
    _translator(FILMS, "good", "foreign.h5: not a readable", vgg_weights="foreign.h5"),
    _pggan(PRESET.dots, "test", "test/manifest.csv: .* split train"),
    _pggan(PRESET.dots, "damaged", "damaged/images/b.png"),
    _pggan(PRESET.labels, "odd", "odd: found .*36 x 36, expected 32 x 32"),
    _pggan(PRESET.pairs, "good", "--start_resolution=64", start_resolution=64),
    _pggan(PRESET.pairs, "good", "--max_batch=7", max_batch=7),
]


@pytest.mark.parametrize(("module", "config", "options", "data", "read", "told"), MISTAKES)
def test_a_mistake_makes_no_run_folder_and_alters_none(module, config, options, data, read, told, files, tmp_path):
    paths = {name: str(files / options[name]) for name in ("init_from", "vgg_weights", "encoder_weights")
             if name in options}
    asked = dataclasses.replace(config, **{**options, **paths})
    read = {name: str(files / path) for name, path in read.items()}
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").mkdir()
    for name in ("config.json", "product.json", "log.txt"):
        (tmp_path / "run" / name).write_text('{"config": {}, "position": 1, "network": "last.keras"}')
    (tmp_path / "run" / ".lock").touch()
    before = _contents(tmp_path)
    with process_state.computing_kept():
        for folder in ("new", "empty", "run"):
            with pytest.raises(UserError, match=told if folder != "run" else None) as caught:
                module.train(asked, str(files / data), str(tmp_path / folder), **read)
            assert len(str(caught.value).splitlines()) == 1
    assert _contents(tmp_path) == before


def _contents(folder):
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(("module", "config"), [
    (smanet, SEGMENTER), (pix2pixhd, FILMS),
    # 16 images at 16 pixels, 8 at 256
    (pggan, dataclasses.replace(PRESET.labels, resolution=256, max_batch=16, total_kimg=0.0))])
def test_a_batch_that_devices_cannot_share_is_told_first(module, config, tmp_path, monkeypatch):
    size = getattr(config, "resolution", 32)
    _store(tmp_path / "store", (size, size))
    devices = types.SimpleNamespace(num_replicas_in_sync=16 if module is pggan else 3)
    monkeypatch.setattr(module, "prepare", lambda config: devices)
    with pytest.raises(UserError, match=f"batch of {8 if module is pggan else config.batch} images"):
        module.train(config, str(tmp_path / "store"), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_what_fits_is_taken(files):
    config = dataclasses.replace(SEGMENTER, attention="multiscale", dropout=0.5, bn_momentum=0.9)
    SegmenterInputs(config, str(files / "good"), str(files / "validation"), str(files / "segmenter"),
                    str(files / "good"))


def test_a_training_without_updates_is_refused(files, tmp_path):
    done = binaries.run("training.train_smanet", "--preset=demo", f"--data={files}/good", "--steps=0",
                        f"--workdir={tmp_path}/run")
    assert done.code == 1 and "steps" in done.err and not (tmp_path / "run").exists()
