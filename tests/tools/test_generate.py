"""tools.generate and tools.export_model as a user runs them on finished runs."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from datasets.common.errors import UserError
from datasets.pair_store import PairStore
from tests.helpers.tiny_networks import SIZE, method_runs, phantom_store
from tools.generation.method_from_runs import Assembly
from tools.generation.stages import STAGES

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return method_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return phantom_store(tmp_path_factory.mktemp("data") / "phantoms", count=6)


def _tool(name, method, runs, store, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"tools.{name}", f"--method={method}", f"--data={store.path}", *arguments,
         *(f"--{stage}={runs[stage]}" for stage in STAGES[method])], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("method", ["single", "two", "three", "shape"])
def test_generate_writes_what_the_method_makes(method, runs, store, tmp_path):
    arguments = "--count=5", "--validation=2", "--seed=3", f"--out={tmp_path / 'made'}"
    done = _tool("generate", method, runs, store, *arguments)
    assert done.returncode == 0, done.stderr
    assert "5 of 5 pairs" in done.stdout
    made = PairStore(tmp_path / "made")
    assert len(made.ids("train")) == 3 and len(made.ids("validation")) == 2
    indices = json.loads((tmp_path / "made" / "generation.json").read_text())["accepted"]
    expected = Assembly(method, runs, store).method(checked=False)(np.array(indices), 3)
    for id_, label in zip(made.ids("train") + made.ids("validation"), expected.labels, strict=True):
        np.testing.assert_array_equal(made.label(id_), label)
    again = _tool("generate", method, runs, store, *arguments)
    assert again.returncode == 0 and "candidates" not in again.stdout


def test_another_count_is_refused_in_one_line(runs, store, tmp_path):
    out = f"--out={tmp_path / 'made'}"
    assert _tool("generate", "single", runs, store, "--count=2", "--validation=1", out).returncode == 0
    refused = _tool("generate", "single", runs, store, "--count=2", "--validation=1", "--seed=1", out)
    assert refused.returncode == 1 and "other settings (seed 0, now 1)" in refused.stderr
    assert "Traceback" not in refused.stderr
    more = _tool("generate", "single", runs, store, "--count=1", "--validation=2", out)
    assert more.returncode == 1 and "--validation=2 is more than --count=1" in more.stderr


@pytest.mark.parametrize(("method", "stage", "given", "said"), [
    ("two", "labels_to_film", "dots_to_labels", "found a run of train_pix2pixhd --translate_from=dots, "
     "expected one of train_pix2pixhd --translate_from=labels for --labels_to_film"),
    ("two", "labels", "dots_to_labels", "expected one of train_pggan --target=labels for --labels"),
    ("three", "dots", "labels", "expected one of train_pggan --target=dots for --dots")])
def test_the_run_of_another_stage_is_refused(method, stage, given, said, runs, store, tmp_path):
    with pytest.raises(UserError, match=said):
        Assembly(method, {**runs, stage: runs[given]}, store)


def test_a_folder_without_train_pairs_is_refused(runs, tmp_path):
    empty = phantom_store(tmp_path / "none", count=0)
    done = _tool("generate", "single", runs, empty, "--count=2", "--validation=1", f"--out={tmp_path / 'made'}")
    assert done.returncode == 1 and "found no train pairs" in done.stderr and "Traceback" not in done.stderr


def test_export_refuses_onnx_of_a_method_and_generate_a_nameless_folder(runs, store, tmp_path):
    done = _tool("export_model", "single", runs, store, "--onnx", f"--out={tmp_path / 'method'}")
    assert done.returncode == 1 and "--onnx is for a segmenter" in done.stderr
    done = _tool("generate", "single", runs, store, "--count=2", "--validation=1", "--out=")
    assert done.returncode == 1 and "empty name of a folder" in done.stderr


def test_an_exported_method_makes_pairs(runs, store, tmp_path):
    done = _tool("export_model", "two", runs, store, f"--out={tmp_path / 'method'}")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "method" / "assets" / "model.json").read_text())["batch"] == 4
    generate = tf.saved_model.load(str(tmp_path / "method")).signatures["generate"]
    made = generate(count=tf.constant(2), seed=tf.constant(0, tf.int64), first=tf.constant(0, tf.int64))
    assert made["films"].shape == (2, SIZE, SIZE) and made["labels"].dtype == tf.uint8
