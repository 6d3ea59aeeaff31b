"""Trained networks as TensorFlow SavedModels that need nothing of this project.

    OUT/saved_model.pb, variables/   the signatures
    OUT/assets/model.json            the same facts for people and programs: kind, class names, sizes, signatures
    OUT/README.md                    of a segmenter: its model card

A program loads it with `tf.saved_model.load(OUT)` and calls `loaded.signatures[NAME](...)` with named tensors.
Networks are exported in float32, whatever they were trained in, so that results are the same on every device
that computes alike.
"""

import contextlib
import importlib
import pathlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import logging

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.output_folders import EXPORT, refuse_foreign
from evaluation.segmenter.film_segmenter import FilmSegmenter
from evaluation.segmenter.load import ASSET
from models.device_kernels import for_device, kernels_of
from tools.export import postprocess_graph
from tools.export.method_graph import MethodGraph
from tools.generation.method_from_runs import Assembly
from tools.generation.pipeline import cpu_batch

_SEGMENT = {"film": "[height, width], bright bone on dark ground",
            "white": "float32 scalar, grey value shown as white; 0: 255 for uint8, 1.0 for float32, for uint16 "
                     "the least 2^n - 1 that no pixel exceeds",
            "codes": "uint8 [height, width], the most probable class",
            "probabilities": "float32 [height, width, K]"}
_GENERATE = {"count": "int32 scalar", "seed": "int64 scalar", "first": "int64 scalar, the first pair's index",
             "films": "uint8 [count, height, width]", "values": "float32 [count, height, width, 1] in [-1, 1]",
             "labels": "uint8 [count, height, width], class codes",
             "dots": "uint8 [count, height, width], where the method has them"}


def export_segmenter(segmenter: FilmSegmenter, out: str, onnx: bool = False, card: str = "") -> None:
    """Writes it to folder `out`, `card` to its README.md, and its network alone to OUT/network.onnx if asked, with
    plain convolutions.

    Raises UserError where something else than an export is, or where ONNX's exporter is not installed.
    """
    film = {"film": "[height, width, 3], red, green and blue"} if segmenter.facts.channel == "colour" else {}
    facts = {"kind": "segmenter", **segmenter.facts.to_json(), "precision": "float32", "for": segmenter.target,
             "arguments": {**_SEGMENT, **film}}
    if onnx:
        _find_tf2onnx()  # before anything is written

    def add(folder: pathlib.Path) -> None:
        if card:
            atomic_files.write_text(folder / "README.md", card)
        if onnx:
            side = min(segmenter.facts.window, segmenter.facts.size)  # windows shrink to smaller films
            channels = 3 if segmenter.facts.channel == "colour" else 1
            _write_onnx(segmenter.of_windows, side, channels, folder / "network.onnx")

    _save(segmenter, facts, out, add)


def export_method(assembly: Assembly, out: str, batch: int | None = None, mended: bool = True,
                  target: str = "any") -> None:
    """Writes a whole method to folder `out`: `assembly.method(checked=False, mended)`, so none is rejected.

    It makes `batch` pairs at a time (None: at most 4, and fewer where memory is the limit) on devices `target`,
    one of `models.device_kernels.TARGETS`.
    """
    batch = min(4, cpu_batch(assembly.size)) if batch is None else batch  # a caller's machine is not this one
    colours = {"films": "uint8 [count, height, width, 3], red, green and blue",
               "values": "float32 [count, height, width, 3] in [-1, 1]"}
    coloured = assembly.store.description.channels == 3
    facts = {"kind": "method", "method": assembly.method_name, "class_names": list(assembly.classes.names),
             "size": assembly.size, "mended": mended, "batch": batch, "precision": "float32", "for": target,
             "arguments": {**_GENERATE, **(colours if coloured else {})}}
    _save(method_graph(assembly, batch, mended, target), facts, out)


def method_graph(assembly: Assembly, batch: int = 4, mended: bool = True, target: str = "any") -> MethodGraph:
    """`assembly.method(checked=False, mended)` as one graph, in float32, for devices `target`."""
    classes, dot = assembly.classes, assembly.dot

    def mend_dots(dots):
        redrawn = mended or not (dot and dot.classes)  # as in `Assembly.method`
        return (postprocess_graph.mend_dots(dots, dot, classes.num_classes) if redrawn else dots), None

    def mend_labels(labels):
        rules, rims = assembly.rules, assembly.has_rims
        return (postprocess_graph.mend_labels(labels, rules, rims) if mended else labels), None

    # Tensors all the way, none refused.
    method = assembly.compose(lambda stage: for_device(stage, target), mend_dots, mend_labels)
    # Keras variables hold TensorFlow's
    variables = [variable.value for network in assembly.networks.values() for variable in network.variables]
    return MethodGraph(method, variables, classes.names, batch)


def _find_tf2onnx():
    try:
        return importlib.import_module("tf2onnx")
    except ImportError:
        raise UserError("--onnx needs tf2onnx; install it with python -m pip install -r requirements-dev.txt "
                        "-c constraints.txt") from None


def _write_onnx(of_windows: Callable[[tf.Tensor], tf.Tensor], side: int, channels: int,
                path: pathlib.Path) -> None:
    """Input "films" float32 [N, side, side, channels] in [-1, 1], output "probabilities" [N, side, side, K]."""
    spec = [tf.TensorSpec((None, side, side, channels), tf.float32, "films")]
    function = tf.function(lambda films: {"probabilities": of_windows(films)}, input_signature=spec)
    # Whatever runs it has kernels of its own.
    with _quiet(), kernels_of("gpu"):
        _find_tf2onnx().convert.from_function(function, spec, opset=17, output_path=str(path))


def _save(module: tf.Module, facts: dict[str, Any], out: str,
          add: Callable[[pathlib.Path], None] = lambda folder: None) -> None:
    """Writes beside `out`, lets `add` write more there, and renames, so that a stopped export leaves no half."""
    refuse_foreign(out, EXPORT)
    target = pathlib.Path(out)
    facts = {**facts, "signatures": sorted(module.functions), "tensorflow": tf.__version__}
    with atomic_files.replacing_folder(target) as made:
        asset = made.with_name(ASSET)
        atomic_files.write_json(asset, facts)
        module.about = tf.saved_model.Asset(str(asset))  # SavedModel copies it to assets/
        with _quiet():
            tf.saved_model.save(module, str(made), signatures=dict(module.functions))
        add(made)


@contextlib.contextmanager
def _quiet():
    """Without what TensorFlow and tf2onnx tell about their inner names."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)
