"""Methods and networks of colour films as graphs: the bits of Python, RGB out, and no mixing with grey folders."""

import numpy as np
import pytest
import tensorflow as tf

from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.formats.raster import Film
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.sources.phantom import phantom
from evaluation.segmenter.film_segmenter import FilmSegmenter, SegmenterFacts
from evaluation.segmenter.load import load_any_segmenter
from models.smanet import SMANet
from tests.helpers.tiny_networks import SIZE, method_runs, phantom_store
from tools.export.saved_model import export_segmenter, method_graph
from tools.generation.method_from_runs import Assembly


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return method_runs(tmp_path_factory.mktemp("runs"), 3)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Phantoms, each channel of another exposure."""
    path = tmp_path_factory.mktemp("data") / "store"
    with PairWriter(path, Description("tinted", (SIZE, SIZE), CHEST, channel="colour")) as writer:
        for index in range(3):
            made = phantom(0, index, SIZE)
            image = np.stack([made.image, made.image // 2, 255 - made.image], -1)
            writer.add(Entry(f"p{index}", "train"), image, CHEST.paint(made.masks))
    return PairStore(path)


@pytest.fixture(scope="module")
def segmenter():
    network = SMANet(2, depth=14, width=8, attention="none")
    network.build((None, None, None, 3))
    return FilmSegmenter(network, SegmenterFacts(("skin", "lesion"), SIZE, SIZE, channel="colour"))


def test_a_graph_makes_the_colour_films_of_python(runs, store):
    assembly = Assembly("single", runs, store)
    generate = method_graph(assembly).functions["generate"]
    made = generate(count=tf.constant(3), seed=tf.constant(1, tf.int64), first=tf.constant(0, tf.int64))
    pairs = assembly.method(checked=False)(np.arange(3), 1)
    assert pairs.films.shape == (3, SIZE, SIZE, 3)
    np.testing.assert_array_equal(made["values"], pairs.films)
    np.testing.assert_array_equal(made["films"], np.clip(np.rint((pairs.films + 1) * 127.5), 0, 255))


def test_pairs_of_a_colour_method_are_written_in_colour(runs, store, tmp_path):
    Assembly("single", runs, store).write(str(tmp_path / "made"), 2, 1, 0, checked=False, say=lambda line: None)
    made = PairStore(tmp_path / "made")
    assert made.description.channel == "colour" and made.image(made.ids()[0]).shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("method", ["single", "two"])
def test_colour_networks_do_not_serve_a_grey_folder(method, runs, tmp_path):
    with pytest.raises(UserError, match="makes 3-channel films, expected 1"):
        Assembly(method, runs, phantom_store(tmp_path / "grey"))


def test_a_colour_film_of_any_shape_and_white(segmenter):
    functions = segmenter.functions
    film = np.random.default_rng(0).integers(0, 4096, (20, 45, 3)).astype(np.uint16)
    film[:2], film[-1] = 0, 0  # a border, black in all channels
    film[5, 5, 0] = 4095
    codes = functions["uint16"](film=tf.constant(film), white=tf.constant(0.0))["codes"].numpy()
    assert codes.shape == (20, 45) and not codes[:2].any() and not codes[-1].any()
    shares = functions["float32"](film=tf.constant((film / 4095).astype(np.float32)), white=tf.constant(0.0))
    assert (shares["codes"].numpy() == codes).mean() > 0.99
    red = np.zeros((9, 9, 3), np.uint8)
    red[..., 0] = 200  # not black: one channel is bright
    made = functions["uint8"](film=tf.constant(red), white=tf.constant(0.0))["probabilities"].numpy()
    assert (made[0, 0, 0] < 1.0) and made.shape == (9, 9, 2)


def test_exports_take_three_channels(segmenter, tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    export_segmenter(segmenter, str(tmp_path / "export"), onnx=True)
    exported = load_any_segmenter(str(tmp_path / "export"))
    assert exported.channel == "colour"
    film = Film(np.random.default_rng(3).integers(0, 256, (20, 45, 3)).astype(np.uint8), 255)
    made = segmenter.functions["uint8"](film=tf.constant(film.pixels), white=tf.constant(255.0))
    for found, expected in zip(exported.segment(film), (made["codes"], made["probabilities"]), strict=True):
        np.testing.assert_array_equal(found, expected)
    plane = film.pixels[..., 0]  # a grey film is one of equal channels
    one, other = (exported.segment(Film(pixels, 255))[1] for pixels in (plane, np.stack([plane] * 3, -1)))
    np.testing.assert_array_equal(one, other)
    file = str(tmp_path / "export" / "network.onnx")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    films = np.random.default_rng(8).uniform(-1, 1, (2, SIZE, SIZE, 3)).astype(np.float32)
    made, = session.run(["probabilities"], {"films": films})
    np.testing.assert_allclose(made, segmenter.of_windows(tf.constant(films)), atol=1e-3)
    assert "[height, width, 3]" in (tmp_path / "export" / "assets" / "model.json").read_text()
