"""Exports run where this project is not, and give the bits of the Python path."""

import json
import pathlib
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from datasets.common.errors import UserError
from datasets.formats.read import read_film
from datasets.pair_store import PairStore, write_png
from evaluation.segmenter.film_segmenter import FilmSegmenter, SegmenterFacts
from evaluation.segmenter.load import load_any_segmenter
from evaluation.segmenter.sliding_window import probabilities_of, sliding_window
from models.precision import to_float32
from tests.helpers.binaries import run
from tests.helpers.tiny_networks import SIZE, method_runs, phantom_store, segmenter
from tools.export import saved_model
from tools.export.saved_model import export_method, export_segmenter, method_graph
from tools.generation.method_from_runs import Assembly
from tools.generation.stages import STAGES

NAMES = ("background", "left lung", "right lung", "heart")
ELSEWHERE = """
import sys
import numpy as np
import tensorflow as tf

films = np.load("films.npz")
segmenter = tf.saved_model.load(sys.argv[1])
made = {}
for name in films.files:
    film = films[name]
    found = segmenter.signatures[film.dtype.name](film=tf.constant(film), white=tf.constant(0.0))
    made[name + "_codes"], made[name + "_probabilities"] = found["codes"], found["probabilities"]
method = tf.saved_model.load(sys.argv[2]).signatures["generate"]
made.update(method(count=tf.constant(7), seed=tf.constant(3, tf.int64), first=tf.constant(2, tf.int64)))
made["names"] = segmenter.signatures["class_names"]()["class_names"].numpy().astype(str)
assert not any(name.split(".")[0] in ("models", "training", "evaluation", "datasets") for name in sys.modules)
np.savez("made.npz", **made)
"""


def _films():
    rng = np.random.default_rng(0)
    return {"deep": rng.integers(0, 4096, (60, 45)).astype(np.uint16),
            "shallow": rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8),
            "real": rng.random((20, 90)).astype(np.float32)}


def _segment(functions, film, white=0.0):
    made = functions[film.dtype.name](film=tf.constant(film), white=tf.constant(white))
    return made["codes"].numpy(), made["probabilities"].numpy()


@pytest.fixture(scope="module")
def runs(finished_segmenter, tmp_path_factory):
    return {**method_runs(tmp_path_factory.mktemp("runs")), "segmenter": finished_segmenter}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return phantom_store(tmp_path_factory.mktemp("data") / "phantoms")


def test_exports_run_alone_and_give_the_same_bits(runs, store, loaded_segmenter, exported_segmenter, tmp_path):
    films = _films()
    assembly = Assembly("three", runs, store)
    export_method(assembly, str(tmp_path / "method"), batch=3)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.savez(elsewhere / "films.npz", **films)
    (elsewhere / "run.py").write_text(ELSEWHERE)
    subprocess.run([sys.executable, "-I", "run.py", str(exported_segmenter), str(tmp_path / "method")],
                   cwd=elsewhere, check=True)
    made = np.load(elsewhere / "made.npz")
    for name, film in films.items():
        codes, probabilities = _segment(loaded_segmenter.functions, film)
        np.testing.assert_array_equal(made[f"{name}_codes"], codes)
        np.testing.assert_array_equal(made[f"{name}_probabilities"], probabilities)
        assert codes.shape == film.shape
    assert tuple(made["names"]) == NAMES
    _check_pairs(made, assembly.method(checked=False), 2, 7, 3, 3)


@pytest.mark.parametrize(("method", "mended"), [("single", True), ("two", True), ("two", False)])
def test_the_other_methods_in_one_graph(method, mended, runs, store):
    assembly = Assembly(method, {stage: runs[stage] for stage in STAGES[method]}, store)
    generate = method_graph(assembly, 4, mended).functions["generate"]
    made = generate(count=tf.constant(5), seed=tf.constant(2**40, tf.int64), first=tf.constant(0, tf.int64))
    _check_pairs({name: tensor.numpy() for name, tensor in made.items()}, assembly.method(False, mended),
                 0, 5, 2**40, 4)


def _check_pairs(made, method, first, count, seed, batch):
    parts = [method(np.arange(start, min(start + batch, first + count)), seed)
             for start in range(first, first + count, batch)]
    values = np.concatenate([part.films for part in parts])
    assert values.dtype == np.float32 and len(values) == count
    np.testing.assert_array_equal(made["values"], values)
    np.testing.assert_array_equal(made["labels"], np.concatenate([part.labels for part in parts]))
    np.testing.assert_array_equal(made["films"], np.clip(np.rint((values[..., 0] + 1) * 127.5), 0, 255))
    if "dots" in made:
        np.testing.assert_array_equal(made["dots"], np.concatenate([part.dots for part in parts]))


def test_nothing_is_made_of_no_count(runs, store):
    generate = method_graph(Assembly("single", runs, store)).functions["generate"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="count must be at least 1"):
        generate(count=tf.constant(0), seed=tf.constant(0, tf.int64), first=tf.constant(0, tf.int64))


@pytest.mark.parametrize(("window", "batch"), [(377, 4), (14, 4)])
def test_windows_inside_the_graph(window, batch):
    network = segmenter(attention="none")
    film = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
    expected = sliding_window(probabilities_of(network), film.astype(np.float32)[..., None] / 127.5 - 1.0, window,
                              batch=batch).numpy()
    made = _segment(FilmSegmenter(network, SegmenterFacts(NAMES, SIZE, window, batch=batch)).functions, film)
    np.testing.assert_array_equal(made[1], expected)
    np.testing.assert_array_equal(made[0], expected.argmax(-1))


@pytest.fixture
def functions(loaded_segmenter):
    return loaded_segmenter.functions


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (40, 3000), (33, 8), (2, 3)])
def test_films_of_any_shape(functions, shape):
    film = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    codes, probabilities = _segment(functions, film)
    assert codes.shape == shape and probabilities.shape == (*shape, 4) and codes.max() < 4
    np.testing.assert_allclose(probabilities.sum(-1), 1.0, atol=1e-5)


def test_grey_values_count_by_their_share_of_white(functions):
    film = np.random.default_rng(3).integers(0, 256, (50, 40)).astype(np.uint8)
    film[0, 0] = 255
    expected = _segment(functions, film)[1]
    deep = film.astype(np.uint16)
    for one, white in ((deep * 257, 0.0), (deep * 16, 4080.0), (film / np.float32(255), 0.0),
                       (film.astype(np.float32), 255.0)):
        np.testing.assert_allclose(_segment(functions, one, white)[1], expected, atol=2e-3)
    twelve_bits = _segment(functions, np.where(deep == 255, 4095, deep * 16).astype(np.uint16))[1]
    np.testing.assert_allclose(twelve_bits, _segment(functions, deep * 16, 4095.0)[1], atol=2e-3)
    broken = np.where(film > 250, np.nan, film / np.float32(255)).astype(np.float32)
    assert np.isfinite(_segment(functions, broken)[1]).all()


def test_a_black_border_changes_nothing_inside(functions):
    film = np.random.default_rng(4).integers(6, 256, (30, 42)).astype(np.uint8)
    bordered = np.random.default_rng(5).integers(0, 6, (90, 77)).astype(np.uint8)
    bordered[13:43, 20:62] = film
    codes, probabilities = _segment(functions, bordered)
    np.testing.assert_array_equal(probabilities[13:43, 20:62], _segment(functions, film)[1])
    assert not codes[:13].any() and not codes[:, 62:].any() and (probabilities[:13, ..., 0] == 1).all()
    assert _segment(functions, np.zeros((20, 30), np.uint8))[0].shape == (20, 30)


@pytest.mark.parametrize("shape", [(90, 151), (25, 11)])
def test_films_are_fitted_as_imported_pairs_are(functions, shape, tmp_path):
    film = np.clip(np.random.default_rng(6).normal(120, 40, shape), 20, 255).astype(np.uint8)
    for kind, picture in (("images", film), ("labels", np.zeros(shape, np.uint8))):
        (tmp_path / kind).mkdir()
        write_png(tmp_path / kind / "a.png", picture)
    done = run("tools.import_dataset", f"--images={tmp_path}/images", f"--labels={tmp_path}/labels",
               "--classes=ground,a", "--train_count=1", f"--size={SIZE}", f"--out={tmp_path}/pairs")
    assert done.code == 0, done.err
    stored = PairStore(tmp_path / "pairs").image("a")
    inner = stored[np.ix_(stored.any(1), stored.any(0))]
    fitted = _segment(functions, inner)[1]  # as large as the working size: fitted by the import alone
    expected = tf.image.resize(fitted, shape).numpy()
    np.testing.assert_allclose(_segment(functions, film)[1], expected, atol=0.01)


def test_networks_trained_in_bfloat16_are_exported_in_float32(tmp_path):
    mixed, plain = segmenter(0, "mixed_bfloat16"), segmenter(0)
    mixed.set_weights(plain.get_weights())
    film = np.random.default_rng(7).random((1, SIZE, SIZE, 1)).astype(np.float32)
    assert np.abs(mixed(film) - plain(film)).max() > 0
    np.testing.assert_array_equal(to_float32(mixed)(film), plain(film))
    assert to_float32(plain) is plain


def test_the_facts_of_an_export(loaded_segmenter, exported_segmenter, tmp_path):
    shutil.copytree(exported_segmenter, tmp_path / "export")
    facts = json.loads((tmp_path / "export" / "assets" / "model.json").read_text())
    assert facts["class_names"] == list(NAMES) and facts["size"] == SIZE and facts["window"] == 20
    assert set(facts["signatures"]) == {"uint8", "uint16", "float32", "serving_default", "class_names"}
    assert load_any_segmenter(str(tmp_path / "export")).class_names == NAMES
    export_segmenter(loaded_segmenter, str(tmp_path / "export"))  # an export may be renewed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"thesis\.txt"):
        export_segmenter(loaded_segmenter, str(tmp_path / "other"))
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"
    (tmp_path / "export" / "saved_model.pb").write_bytes(b"\x08\x01junk")
    with pytest.raises(UserError, match="damaged export"):
        load_any_segmenter(str(tmp_path / "export"))


def test_models_that_are_no_segmenter_are_refused(runs, store, tmp_path):
    with pytest.raises(UserError, match="expected a segmenter"):
        load_any_segmenter(runs["labels_to_film"])
    keras_file = str(pathlib.Path(runs["segmenter"]) / "last.keras")
    with pytest.raises(UserError, match="give --data"):
        load_any_segmenter(keras_file)
    assert load_any_segmenter(keras_file, str(store.path)).class_names == NAMES
    export_method(Assembly("single", runs, store), str(tmp_path / "method"))
    with pytest.raises(UserError, match="not the export of a segmenter"):
        load_any_segmenter(str(tmp_path / "method"))


def test_onnx_gives_the_same_probabilities(loaded_segmenter, tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    export_segmenter(loaded_segmenter, str(tmp_path / "export"), onnx=True)
    file = str(tmp_path / "export" / "network.onnx")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    films = np.random.default_rng(8).uniform(-1, 1, (3, 20, 20, 1)).astype(np.float32)
    made, = session.run(["probabilities"], {"films": films})
    np.testing.assert_allclose(made, loaded_segmenter.of_windows(tf.constant(films)), atol=1e-3)


def test_an_export_whose_conversion_fails_leaves_the_former_one(loaded_segmenter, exported_segmenter, tmp_path,
                                                                monkeypatch):
    shutil.copytree(exported_segmenter, tmp_path / "export")
    (tmp_path / "export" / "network.onnx").write_text("former")
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))

    def fail(*_, **__):
        raise ValueError("no such operation")

    monkeypatch.setattr(saved_model, "_find_tf2onnx", lambda: types.SimpleNamespace(
        convert=types.SimpleNamespace(from_function=fail)))
    with pytest.raises(ValueError, match="no such operation"):
        export_segmenter(loaded_segmenter, str(tmp_path / "export"), onnx=True)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_real_films_as_png_and_img_agree(functions, shared_dir, tmp_path):
    path = shared_dir / "jsrt" / "All247images" / "JPCLN001.png"
    film = read_film(path)
    raw = (4095 - np.rint(film.pixels.repeat(2, 0).repeat(2, 1) * (4095 / 255))).astype(">u2")
    (tmp_path / "JPCLN001.IMG").write_bytes(raw.tobytes())
    large = read_film(tmp_path / "JPCLN001.IMG")
    small_codes = _segment(functions, film.pixels)[0]
    large_codes = _segment(functions, large.pixels, 4095.0)[0]
    assert large_codes.shape == (2048, 2048)
    assert (large_codes[::2, ::2] == small_codes).mean() > 0.99
