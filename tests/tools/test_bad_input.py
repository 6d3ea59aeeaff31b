"""A user's mistakes at the command line: one clear line on stderr, a non-zero exit, nothing half-written."""

import json
import os
import re
import shutil

import numpy as np
import pytest

from datasets.class_table import CHEST
from datasets.pair_store import write_png
from datasets.sources.phantom import write_phantoms
from tests.helpers import pictures
from tests.helpers.binaries import run, told
from tests.helpers.killed_writer import contents

SIZE = 64  # the demo preset's


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Fourteen train and two test films without masks, so that the label maps count."""
    store = write_phantoms(tmp_path_factory.mktemp("phantoms") / "films", 16, 2, SIZE, 0)
    shutil.rmtree(store.path / "masks")
    return store.path


@pytest.fixture
def films(phantoms, tmp_path):
    """Those films, to be damaged."""
    return shutil.copytree(phantoms, tmp_path / "films")


def _experiment(data, workdir, *options):
    return run("tools.run_experiment", f"--data={data}", "--config=full", "--preset=demo",
               f"--workdir={workdir}", *options)


def test_an_empty_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        said = (f"{folder}: ", "description.json", "tools.import_dataset")
        told(run("tools.verify_dataset", f"--data={folder}"), *said)
        told(_experiment(folder, tmp_path / "run"), *said)
    assert os.listdir(tmp_path) == []


def test_an_empty_download(tmp_path):
    done = run("tools.prepare_jsrt", f"--jsrt_dir={tmp_path}", f"--scr_dir={tmp_path}", f"--out={tmp_path}/out",
               "--size=64")
    told(done, f"{tmp_path}: ", "JPCLN001.IMG or .png", "--jsrt_dir")
    assert os.listdir(tmp_path) == []


def test_an_unknown_preset(films, tmp_path):
    done = run("tools.run_experiment", f"--data={films}", "--preset=huge", f"--workdir={tmp_path}/run")
    told(done, "--preset=huge: ", "paper, cpu, demo")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("flag", "said"), [
    ("--methods=two,four", ("'four'", "single, two, three")), ("--extras=mix,shapes", ("'shapes'", "mix, shape")),
    ("--extras=pseudo", ("without films", "--unlabelled=DIR"))])
def test_unknown_methods_and_extras(films, tmp_path, flag, said):
    done = run("tools.run_experiment", f"--data={films}", flag, "--preset=demo", f"--workdir={tmp_path}/run")
    told(done, f"{flag}: ", *said)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("names", "methods", "said"), [
    ("liver", "three", ("'liver'", "left clavicle")), (",".join(CHEST.organs), "two,three", ("--methods=two",)),
    ("heart", "single,two", ("--methods=three",))])
def test_classes_without_dots_that_cannot_be(films, tmp_path, names, methods, said):
    done = run("tools.run_experiment", f"--data={films}", f"--undotted={names}", f"--methods={methods}",
               "--preset=demo", f"--workdir={tmp_path}/run")
    told(done, f"--undotted={names}: ", *said)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("size", [24, 128])
def test_a_size_that_dot_maps_cannot_have(films, tmp_path, size):
    done = run("tools.run_experiment", f"--data={films}", f"--dot_size={size}", "--preset=demo",
               f"--workdir={tmp_path}/run")
    told(done, f"--dot_size={size}: ", "power of 2", "64")
    assert not (tmp_path / "run").exists()


def test_a_batch_that_gives_no_whole_groups(films, tmp_path):
    done = run("training.train_pggan", "--target=dots", f"--data={films}", f"--workdir={tmp_path}/run",
               "--max_batch=6")
    told(done, "--max_batch=6: ", "multiple of 4", "choose 4")
    assert not (tmp_path / "run").exists()


def test_what_xla_cannot_repeat(films, tmp_path):
    done = run("training.train_smanet", f"--data={films}", f"--workdir={tmp_path}/run", "--deterministic",
               "--xla=on")
    told(done, "--deterministic --xla=on: ", "--xla=auto")
    assert not (tmp_path / "run").exists()


def test_three_films_for_tiny(tmp_path):
    store = write_phantoms(tmp_path / "films", 5, 2, SIZE, 0)
    options = (f"--data={store.path}", "--config=tiny", "--preset=demo", f"--workdir={tmp_path}/run")
    said = "found 3 train films", "at least 11", "--config=tiny"
    told(run("tools.run_experiment", *options), f"{store.path}: ", *said)
    told(run("tools.run_experiment", "--phantoms=4", *options[1:]), "--phantoms=4: ", *said[:1])
    assert not (tmp_path / "run").exists()


def test_another_number_of_films(films, tmp_path):
    options = (f"--data={films}", "--preset=demo", "--methods=two", f"--workdir={tmp_path}/run", "--dry_run")
    done = run("tools.run_experiment", "--films=5", *options)
    assert done.code == 0 and "choose 5 train films (TINY)" in done.out, done.err
    told(run("tools.run_experiment", "--films=15", *options), "found 14 train films", "at least 15")
    told(run("tools.run_experiment", "--films=5", "--config=full", *options), "--films=5", "--config=full")
    told(run("tools.run_experiment", "--phantoms=6", "--films=5", *options[1:]), "--phantoms=6", "found 4", "5")


def test_a_folder_of_another_recipe(films, tmp_path):
    workdir = tmp_path / "run"
    (workdir / "tasks").mkdir(parents=True)
    (workdir / "experiment.json").write_text('{"preset": "demo", "recipe": "best", "changes": {}}')
    options = (f"--data={films}", "--preset=demo", "--methods=two", f"--workdir={workdir}", "--dry_run")
    asked = "--recipe=paper"
    told(run("tools.run_experiment", asked, *options), f"{workdir}: ", "--recipe=best", asked)
    assert run("tools.run_experiment", "--recipe=best", *options).code == 0
    (workdir / "experiment.json").write_text('{"preset": "demo", "recipe": "better", "changes": {}}')
    told(run("tools.run_experiment", *options), f"{workdir}: ", "--recipe=better", "paper or best")


@pytest.mark.parametrize(("preset", "kept", "augmented"), [
    ("demo", None, True), ("paper", None, False), ("demo", "paper", False), ("paper", "best", True)])
def test_a_new_folder_takes_the_preset_s_recipe_and_an_old_one_its_own(films, tmp_path, preset, kept, augmented):
    workdir = tmp_path / "run"
    if kept:
        (workdir / "tasks").mkdir(parents=True)
        (workdir / "experiment.json").write_text(json.dumps({"preset": preset, "recipe": kept, "changes": {}}))
    done = run("tools.run_experiment", f"--data={films}", f"--preset={preset}", "--methods=two",
               f"--workdir={workdir}", "--dry_run")
    assert done.code == 0, done.err
    assert ("mix-2+augment" in done.out) == ('"keep_largest": "auto"' in done.out) == augmented


def test_a_workdir_that_cannot_be_written(films, tmp_path):
    (tmp_path / "file").write_text("")
    before = contents(tmp_path)
    folder = tmp_path / "file" / "run"
    said = f"{folder}: ", "Not a directory"
    told(_experiment(films, folder), *said)
    told(run("tools.make_phantoms", "--count=2", f"--out={folder}"), *said)
    told(run("training.train_smanet", f"--data={films}", f"--workdir={folder}", "--preset=demo"), *said)
    assert contents(tmp_path) == before


def test_code_255(films, tmp_path):
    path = films / "labels" / "phantom-000003.png"
    write_png(path, np.full((SIZE, SIZE), 255, np.uint8))
    done = run("training.train_pggan", "--target=labels", f"--data={films}", f"--workdir={tmp_path}/run",
               "--preset=demo")
    told(done, f"{path}: ", "found codes 255", "0 to 5", "--remap")
    assert not (tmp_path / "run" / "config.json").exists()  # the mended data may use the same folder
    checked = run("tools.verify_dataset", f"--data={films}")
    assert checked.code == 1 and f"problem: {path}: found codes 255" in checked.out


def test_an_image_of_another_size_than_its_label(films, tmp_path):
    path = films / "images" / "phantom-000003.png"
    write_png(path, np.zeros((SIZE, SIZE - 1), np.uint8))
    told(_experiment(films, tmp_path / "run"), f"{path}: ", "63 x 64 pixels", "expected 64 x 64")
    assert not list((tmp_path / "run").rglob("*.png"))
    for folder, side in (("a", 20), ("b", 21)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(pictures.png(np.zeros((20, side), np.uint8)))
    done = run("tools.import_dataset", f"--images={tmp_path}/a", f"--labels={tmp_path}/b", "--size=32",
               "--classes=none,organ", "--test_fraction=0", f"--out={tmp_path}/out")
    told(done, f"{tmp_path}/b/x.png: ", "21 x 20 pixels", "expected 20 x 20", f"{tmp_path}/a/x.png")
    assert not (tmp_path / "out").exists()


def test_a_truncated_png(films, tmp_path):
    path = films / "images" / "phantom-000015.png"  # the last film, a test film
    path.write_bytes(path.read_bytes()[:-50])
    told(_experiment(films, tmp_path / "run"), f"{path}: truncated PNG", "byte 33 of ")
    assert not list((tmp_path / "run").rglob("*.png"))


def test_no_model_to_evaluate(films, tmp_path):
    (tmp_path / "model").mkdir()
    done = run("evaluation.evaluate_segmentation", f"--model={tmp_path}/model", f"--data={films}",
               f"--out={tmp_path}/out")
    told(done, f"{tmp_path}/model: ", "product.json")
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(tmp_path):
    done = run("tools.run_experiment", "--phantoms=17", "--preset=demo", f"--workdir={tmp_path}/run",
               "--methods=two", "--dry_run")
    assert done.code == 0 and done.err == "", done.err
    assert "11 train films (TINY)" in done.out and "finetune-2" in done.out
    assert "shape" not in done.out and "mix-2:" not in done.out
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("asked, expected", [((), "false"), (("--check_samples", "--standardize"), "true")])
def test_what_is_ours_is_added_to_the_paper_when_asked(phantoms, tmp_path, asked, expected):
    done = run("tools.run_experiment", f"--data={phantoms}", "--preset=paper", f"--workdir={tmp_path}/run",
               "--methods=three", "--dry_run", *asked)
    assert done.code == 0, done.err
    for option in ("check", "standardize"):
        assert set(re.findall(rf'"{option}": (\w+)', done.out)) == {expected}


def test_options_of_dots_reach_both_networks_and_the_command(tmp_path):
    store = write_phantoms(tmp_path / "films", 17, 5, 64, 0, "cells")
    workdir = f"{tmp_path}/run"
    experiment = ("--methods=three", "--preset=demo", f"--workdir={workdir}", f"--data={store.path}")
    done = run("tools.run_experiment", *experiment, "--dot_size=32", "--dry_run")
    assert done.code == 0, done.err
    assert '"resolution": 32' in done.out and '"dot_size": 32' in done.out
    done = run("tools.run_experiment", "--methods=three", "--preset=demo", "--phantoms=17", "--dry_run",
               "--undotted=heart,left lung", f"--workdir={workdir}")
    assert done.out.count('"undotted": "heart,left lung"') == 2, done.err


def test_phantoms_by_command(tmp_path):
    options = (f"--out={tmp_path}/films", "--size=32")
    done = run("tools.make_phantoms", "--count=6", *options)
    assert done.code == 0 and "6 pairs (4 train, 0 validation, 2 test)" in done.out, done.err
    six = contents(tmp_path / "films")
    told(run("tools.make_phantoms", "--count=4", *options), f"{tmp_path}/films: ", "phantom-000004, ")
    told(run("tools.make_phantoms", "--count=6", "--seed=1", *options), f"{tmp_path}/films", "another data set")
    told(run("tools.make_phantoms", "--count=6", "--test_count=7", *options), "--test_count=7", "--count=6")
    assert contents(tmp_path / "films") == six
    assert run("tools.make_phantoms", "--count=8", "--test_fraction=0.5", *options).code == 0
    more = contents(tmp_path / "films")
    assert {name: digest for name, digest in six.items() if name.endswith(".png")}.items() <= more.items()


def test_phantoms_of_another_kind_by_command(films, tmp_path):
    done = run("tools.make_phantoms", "--kind=abdomen", "--count=3", "--size=32", f"--out={tmp_path}/slices")
    assert done.code == 0 and "5 classes (background, liver, spleen, kidneys, gallbladder)" in done.out, done.err
    told(run("tools.make_phantoms", "--kind=cells", "--count=3", "--size=32", f"--out={tmp_path}/slices"),
         f"{tmp_path}/slices", "another data set")
    told(_experiment(films, tmp_path / "run", "--kind=cells"), "--kind=cells", "--phantoms")
    done = run("tools.run_experiment", "--phantoms=17", "--kind=vessels", "--preset=demo", "--dry_run",
               f"--workdir={tmp_path}/run")
    assert done.code == 0 and done.err == "", done.err
    assert not (tmp_path / "run").exists()


def test_an_argument_without_dashes(tmp_path):
    told(run("tools.verify_dataset", f"--data={tmp_path}", "more"), "'more'", "--name=value")


def test_what_the_end_will_lack_is_said_before_the_first_step(tmp_path):
    store = write_phantoms(tmp_path / "films", 4, 1, 32, 0)
    done = run("tools.run_experiment", f"--data={store.path}", "--config=full", "--preset=paper", "--dry_run",
               f"--workdir={tmp_path}/run")
    notes = [line for line in done.out.splitlines() if line.startswith("note: ")]
    assert done.code == 0 and len(notes) == 4, done
    assert any("32 x 32" in note and "1024 x 1024" in note for note in notes)
    assert any("32 x 32" in note and "512 x 512" in note for note in notes)
    assert any("2 test films (there is 1)" in note for note in notes)
    assert any("4 training films (there are 3)" in note for note in notes)
    ample = write_phantoms(tmp_path / "ample", 14, 2, 64, 0)
    assert "note: " not in _experiment(ample.path, tmp_path / "run", "--dry_run").out


def test_a_shape_model_of_what_outlines_cannot_draw_is_refused_at_once(tmp_path):
    store = write_phantoms(tmp_path / "films", 14, 2, SIZE, 0)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for id_ in store.ids():
        net = np.where((rows % 8 < 2) | (columns % 8 < 2), 3, store.label(id_))
        write_png(store.path / "labels" / f"{id_}.png", net.astype(np.uint8))
    done = _experiment(store.path, tmp_path / "run", "--extras=shape")
    told(done, "0.85", "--extras")
    assert not list((tmp_path / "run").rglob("*.json"))
