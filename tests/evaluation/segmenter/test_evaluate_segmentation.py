"""The binary that scores a segmenter: its files, and what it says of models that do not fit."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest

from datasets.common.errors import UserError
from datasets.pair_store import PairStore, read_png
from datasets.rules.label_cleaning import keep_largest
from datasets.sources.phantom import write_phantoms
from evaluation.metrics.overlap import overlap_counts
from evaluation.segmenter.evaluate import score_to_folder
from evaluation.segmenter.saved_network import load_network, read_product
from evaluation.segmenter.sliding_window import probabilities_of, sliding_window
from models.smanet import SMANet
from tests.helpers import binaries


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small segmenter of the scored classes as .keras file and as run, and phantoms."""
    folder = tmp_path_factory.mktemp("segmenter")
    write_phantoms(folder / "films", 4, 3, 48, 0)
    keras.utils.set_random_seed(0)
    network = SMANet(4, depth=14, width=8)
    network(np.zeros((1, 32, 32, 1), np.float32))
    network.save(folder / "s.keras")
    (folder / "run").mkdir()
    network.save(folder / "run" / "last.keras")
    (folder / "run" / "product.json").write_text(json.dumps(
        {"task": "train_smanet", "network": "last.keras", "crop": 32, "overlap": 0.5}))
    return folder


def _run(folder, *options):
    return binaries.run("evaluation.evaluate_segmentation", f"--data={folder}/films", *options)


def test_a_network_trained_in_bfloat16_computes_in_float32_in_every_process(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = SMANet(4, depth=14, width=8)
        network.build((None, None, None, 1))
        network.save(tmp_path / "s.keras")
        here = load_network(tmp_path / "s.keras")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    film = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1)).astype(np.float32)
    np.testing.assert_array_equal(here(film), load_network(tmp_path / "s.keras")(film))
    assert {layer.compute_dtype for layer in here._flatten_layers()} == {"float32"}


def test_its_files_agree_with_the_network(folder):
    done = _run(folder, f"--model={folder}/run", f"--out={folder}/out")  # with the run's own window and overlap
    assert done.code == 0, done.err
    store = write_phantoms(folder / "films", 4, 3, 48, 0)
    predict = probabilities_of(load_network(folder / "s.keras"))
    total = np.zeros((3, 3), np.int64)
    for id_ in store.ids("test"):
        film = store.image(id_)[..., None].astype(np.float32) / 127.5 - 1
        codes = sliding_window(predict, film, 32, 0.5).numpy().argmax(-1)
        np.testing.assert_array_equal(read_png(folder / "out" / "predictions" / f"{id_}.png", (48, 48)), codes)
        total += overlap_counts(codes, store.scored_label(id_), 4)
    pooled = json.loads((folder / "out" / "pooled.json").read_text())
    assert list(pooled["counts"].values()) == total.tolist() and pooled["films"] == 3
    assert pd.read_csv(folder / "out" / "summary.csv")["films"].max() <= 3
    assert len(pd.read_csv(folder / "out" / "hardest.csv")) == 3
    heart = total[store.classes.scored_table().organs.index("heart")]
    assert f"| J | Heart | {100 * heart[0] / heart.sum():.2f} |" in done.out


def test_window_and_overlap_can_be_given(folder):
    done = _run(folder, f"--model={folder}/run", f"--out={folder}/whole", "--window=48", "--overlap=0")
    assert done.code == 0, done.err
    id_ = (store := PairStore(folder / "films")).ids("test")[0]
    film = store.image(id_)[..., None].astype(np.float32) / 127.5 - 1
    codes = sliding_window(probabilities_of(load_network(folder / "s.keras")), film, 48, 0.0).numpy().argmax(-1)
    np.testing.assert_array_equal(read_png(folder / "whole" / "predictions" / f"{id_}.png", (48, 48)), codes)


def test_a_run_s_largest_pieces_are_kept_whatever_the_films_call_its_classes(folder):
    facts = json.loads((folder / "run" / "product.json").read_text())
    kept = shutil.copytree(folder / "run", folder / "kept")
    (kept / "product.json").write_text(json.dumps({**facts, "class_names": ["none", "a", "b", "c"],
                                                   "largest": [["a"], ["c"], ["b"]]}))
    done = _run(folder, f"--model={kept}", f"--out={folder}/pieces", "--window=48", "--overlap=0")
    assert done.code == 0, done.err
    store, predict, mended = PairStore(folder / "films"), probabilities_of(load_network(folder / "s.keras")), 0
    for id_ in store.ids("test"):
        film = store.image(id_)[..., None].astype(np.float32) / 127.5 - 1
        codes = sliding_window(predict, film, 48, 0.0).numpy().argmax(-1).astype(np.uint8)
        expected = keep_largest(codes, [[1], [2], [3]])
        path = folder / "pieces" / "predictions" / f"{id_}.png"
        np.testing.assert_array_equal(read_png(path, (48, 48)), expected)
        mended += np.count_nonzero(expected != codes)
    assert mended


def test_films_of_another_size_are_refused(folder):
    write_phantoms(folder / "large", 2, 2, 64, 0)
    facts = json.loads((folder / "run" / "product.json").read_text())
    sized = shutil.copytree(folder / "run", folder / "sized")
    (sized / "product.json").write_text(json.dumps({**facts, "size": 48}))
    assert _run(folder, f"--model={sized}", f"--out={folder}/same").code == 0
    done = _run(folder, f"--model={sized}", f"--data={folder}/large", f"--out={folder}/never")
    binaries.told(done, f"{sized}", "48 pixels", "64")
    assert not (folder / "never").exists()


def test_a_model_of_other_classes_is_refused_before_anything_is_written(folder):
    done = _run(folder, f"--model={folder}/s.keras", f"--out={folder}/none", "--classes=all")
    binaries.told(done, f"{folder}/s.keras", "4 classes", "needs 6")
    assert not (folder / "none").exists()


@pytest.mark.parametrize(("text", "words"), [("{}", "not a run's product"), ("[]", "not a run's product"),
                                             ('{"network": "../s.keras"}', "lies outside"), ("", "not valid JSON"),
                                             (None, "no finished run")])
def test_foreign_run_folders_are_refused(text, words, tmp_path):
    if text is not None:
        (tmp_path / "product.json").write_text(text)
    with pytest.raises(UserError, match=words):
        read_product(tmp_path)


def test_scores_of_earlier_predictions_end_with_the_first_new_one(tmp_path):
    store, done = write_phantoms(tmp_path / "films", 2, 2, 32, 0), []

    def segment(id_):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(id_)
        return store.scored_label(id_)

    score_to_folder(segment, store, store.ids("test"), tmp_path)
    assert (tmp_path / "pooled.json").is_file()
    with pytest.raises(KeyboardInterrupt):
        score_to_folder(segment, store, store.ids("test"), tmp_path)
    assert not (tmp_path / "pooled.json").exists() and (tmp_path / "per_film.csv").is_file()


def test_classes_in_another_order_are_refused_wherever_a_run_meets_a_folder(folder, tmp_path):
    names = ["background", "left lung", "right lung", "heart"]
    shutil.copytree(folder / "run", tmp_path / "run")
    shutil.copytree(folder / "films", tmp_path / "films")
    product, moved = tmp_path / "run" / "product.json", tmp_path / "films" / "description.json"
    product.write_text(json.dumps({**json.loads(product.read_text()), "class_names": names, "size": 48}))
    assert _run(folder, f"--model={tmp_path}/run", f"--out={tmp_path}/out").code == 0
    facts = json.loads(moved.read_text())
    facts["classes"]["names"][1:4] = ["heart", "right lung", "left lung"]
    moved.write_text(json.dumps(facts))
    film = next((tmp_path / "films" / "images").iterdir())
    for command in (
            ("evaluation.evaluate_segmentation", f"--model={tmp_path}/run", f"--data={tmp_path}/films"),
            ("tools.predict", f"{tmp_path}/run", film, f"--data={tmp_path}/films"),
            ("tools.export_model", f"--run={tmp_path}/run", f"--data={tmp_path}/films")):
        binaries.told(binaries.run(*command, f"--out={tmp_path}/new"), "heart", "class 3", "class 1")
        assert not (tmp_path / "new").exists()
    done = binaries.run("training.train_smanet", "--preset=demo", f"--finetune_from={tmp_path}/run",
                        f"--data={tmp_path}/films", f"--workdir={tmp_path}/new")
    binaries.told(done, "heart", "class 3", "class 1")
    assert not (tmp_path / "new").exists()
