"""A user's mistakes at the command line: one clear line on stderr, a non-zero exit, nothing half-written."""

import os
import subprocess
import sys

import numpy as np
import pytest

from datasets.pair_store import write_png
from datasets.sources.phantom import write_phantoms
from tests.helpers import pictures
from tests.helpers.killed_writer import contents

SIZE = 64  # the demo preset's


def _run(module, *options):
    """As a user would: TensorFlow's log level is not set."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run([sys.executable, "-m", module, *map(str, options)], capture_output=True, text=True,
                          check=False, env=environment)


def _told(done, *said):
    """The one line on stderr, which must hold all of `said`."""
    assert done.returncode == 1 and "Traceback" not in done.stdout, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert all(str(text) in done.stderr for text in said), done.stderr


@pytest.fixture
def films(tmp_path):
    """Fourteen train and two test films without masks, so that the label maps count."""
    store = write_phantoms(tmp_path / "films", 16, 2, SIZE, 0)
    for path in (store.path / "masks").iterdir():
        path.unlink()
    (store.path / "masks").rmdir()
    return store.path


def _experiment(data, workdir, *options):
    return _run("tools.run_experiment", f"--data={data}", "--config=full", "--preset=demo",
                f"--workdir={workdir}", *options)


def test_an_empty_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        said = (f"{folder}: not a pair folder (no description.json)", "tools.import_dataset")
        _told(_run("tools.verify_dataset", f"--data={folder}"), *said)
        _told(_experiment(folder, tmp_path / "run"), *said)
    assert os.listdir(tmp_path) == []


def test_an_empty_download(tmp_path):
    done = _run("tools.prepare_jsrt", f"--jsrt_dir={tmp_path}", f"--scr_dir={tmp_path}", f"--out={tmp_path}/out",
                "--size=64")
    _told(done, f"{tmp_path}: found no JSRT film, expected JPCLN001.IMG or .png", "--jsrt_dir")
    assert os.listdir(tmp_path) == []


def test_an_unknown_preset(films, tmp_path):
    done = _run("tools.run_experiment", f"--data={films}", "--preset=huge", f"--workdir={tmp_path}/run")
    _told(done, "--preset=huge: no such preset; there are paper, cpu, demo")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("flag", "said"), [
    ("--methods=two,four", "--methods=two,four: found 'four', expected some of single, two, three"),
    ("--extras=mix,shapes", "--extras=mix,shapes: found 'shapes', expected some of mix, shape")])
def test_unknown_methods_and_extras(films, tmp_path, flag, said):
    done = _run("tools.run_experiment", f"--data={films}", flag, "--preset=demo", f"--workdir={tmp_path}/run")
    _told(done, said)
    assert not (tmp_path / "run").exists()


def test_a_batch_that_gives_no_whole_groups(films, tmp_path):
    done = _run("training.train_pggan", "--target=dots", f"--data={films}", f"--workdir={tmp_path}/run",
                "--max_batch=6")
    _told(done, "--max_batch=6: expected a multiple of 4", "choose 4")
    assert not (tmp_path / "run").exists()


def test_three_films_for_tiny(tmp_path):
    store = write_phantoms(tmp_path / "films", 5, 2, SIZE, 0)
    options = (f"--data={store.path}", "--config=tiny", "--preset=demo", f"--workdir={tmp_path}/run")
    said = "found 3 train films, expected at least 11 for --config=tiny; add films"
    _told(_run("tools.run_experiment", *options), f"{store.path}: {said}")
    _told(_run("tools.run_experiment", "--phantoms=4", *options[1:]), "--phantoms=4: found 3 train films")
    assert not (tmp_path / "run").exists()


def test_a_workdir_that_cannot_be_written(films, tmp_path):
    (tmp_path / "file").write_text("")
    before = contents(tmp_path)
    run = tmp_path / "file" / "run"
    said = f"{run}: cannot write there (Not a directory); choose another folder"
    _told(_experiment(films, run), said)
    _told(_run("tools.make_phantoms", "--count=2", f"--out={run}"), said)
    _told(_run("training.train_smanet", f"--data={films}", f"--workdir={run}", "--preset=demo"), said)
    assert contents(tmp_path) == before


def test_code_255(films, tmp_path):
    path = films / "labels" / "phantom-000003.png"
    write_png(path, np.full((SIZE, SIZE), 255, np.uint8))
    done = _run("training.train_pggan", "--target=labels", f"--data={films}", f"--workdir={tmp_path}/run",
                "--preset=demo")
    _told(done, f"{path}: found codes 255, expected 0 to 5 in 8 bits; write class codes, or import with --remap")
    assert not (tmp_path / "run" / "config.json").exists()  # the mended data may use the same folder
    checked = _run("tools.verify_dataset", f"--data={films}")
    assert checked.returncode == 1 and f"problem: {path}: found codes 255" in checked.stdout


def test_an_image_of_another_size_than_its_label(films, tmp_path):
    path = films / "images" / "phantom-000003.png"
    write_png(path, np.zeros((SIZE, SIZE - 1), np.uint8))
    _told(_experiment(films, tmp_path / "run"), f"{path}: found 63 x 64 pixels, expected 64 x 64 as in")
    assert not list((tmp_path / "run").rglob("*.png"))
    for folder, side in (("a", 20), ("b", 21)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(pictures.png(np.zeros((20, side), np.uint8)))
    done = _run("tools.import_dataset", f"--images={tmp_path}/a", f"--labels={tmp_path}/b", "--size=32",
                "--classes=none,organ", "--test_fraction=0", f"--out={tmp_path}/out")
    _told(done, f"{tmp_path}/b/x.png: found 21 x 20 pixels, expected 20 x 20 as in {tmp_path}/a/x.png")
    assert not (tmp_path / "out").exists()


def test_a_truncated_png(films, tmp_path):
    path = films / "images" / "phantom-000015.png"  # the last film, a test film
    path.write_bytes(path.read_bytes()[:-50])
    _told(_experiment(films, tmp_path / "run"), f"{path}: truncated PNG (chunk at byte 33 of ", "copy it again")
    assert not list((tmp_path / "run").rglob("*.png"))


def test_no_model_to_evaluate(films, tmp_path):
    done = _run("evaluation.evaluate_segmentation", f"--model={tmp_path}", f"--data={films}",
                f"--out={tmp_path}/out")
    _told(done, f"{tmp_path}: no finished run (no product.json)")
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(tmp_path):
    done = _run("tools.run_experiment", "--phantoms=17", "--preset=demo", f"--workdir={tmp_path}/run",
                "--methods=two", "--dry_run")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "choose 11 train films (TINY)" in done.stdout and "finetune-2" in done.stdout
    assert "shape" not in done.stdout and "mix" not in done.stdout
    assert os.listdir(tmp_path) == []


def test_phantoms_by_command(tmp_path):
    options = (f"--out={tmp_path}/films", "--size=32")
    done = _run("tools.make_phantoms", "--count=6", *options)
    assert done.returncode == 0 and "6 pairs (4 train, 0 validation, 2 test)" in done.stdout, done.stderr
    six = contents(tmp_path / "films")
    _told(_run("tools.make_phantoms", "--count=4", *options), "films: holds other pairs (phantom-000004, ")
    _told(_run("tools.make_phantoms", "--count=6", "--seed=1", *options), "describes another data set")
    _told(_run("tools.make_phantoms", "--count=6", "--test_count=7", *options), "--test_count=7 is more than")
    assert contents(tmp_path / "films") == six
    assert _run("tools.make_phantoms", "--count=8", "--test_fraction=0.5", *options).returncode == 0
    more = contents(tmp_path / "films")
    assert {name: digest for name, digest in six.items() if name.endswith(".png")}.items() <= more.items()


def test_an_argument_without_dashes(tmp_path):
    _told(_run("tools.verify_dataset", f"--data={tmp_path}", "more"), "unexpected argument 'more'", "--name=value")
