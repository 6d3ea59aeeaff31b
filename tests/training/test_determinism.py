"""--deterministic: graphs run as they are written, and hold no operation that TensorFlow refuses on a GPU then."""

import dataclasses

import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from datasets.pair_cache import load_pairs
from datasets.sources.phantom import write_phantoms
from models.device_kernels import kernels_of
from tests.helpers.processes import output_of, start
from tests.reliability import two_devices
from tests.reliability.comparison import differences
from training.batches import distributed_batches
from training.config import EngineConfig
from training.devices import prepare

# The kernels of TensorFlow 2.21 that say so ("deterministic GPU implementation", "Determinism is not yet");
# cross-entropy is not among them, since TensorFlow writes another graph of it once determinism is switched on.
REFUSED = {
    "UnsortedSegmentSum", "UnsortedSegmentMax", "SegmentSum", "SegmentMean",
    "ResizeNearestNeighborGrad", "AdjustContrastv2", "SparseTensorDenseMatMul",
    "Dilation2DBackpropFilter", "Dilation2DBackpropInput", "MaxPoolGradWithArgmax", "Bincount",
    "DenseBincount", "CropAndResizeGradImage", "CropAndResizeGradBoxes", "ScatterAdd", "ScatterUpdate"}


@pytest.mark.slow
@pytest.mark.parametrize("augment", ["none", "both"])
@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"])
def test_a_step_has_none_of_them(name, augment, tmp_path):
    build, config = {"pggan": (two_devices.pggan, two_devices.PGGAN), "smanet": (
        two_devices.smanet, two_devices.SMANET), "pix2pixhd": (two_devices.pix2pixhd, two_devices.PIX2PIXHD)}[name]
    if name == "smanet":
        config = dataclasses.replace(config, attention="multiscale")
    else:
        config = dataclasses.replace(config, diff_augment=augment)
    store = write_phantoms(tmp_path, 8, 0, 32, 0)
    films, labels = load_pairs(store, store.ids())
    strategy = prepare(config)
    trainer = build(config, strategy, labels, films)[0]
    if name == "pggan":
        trainer.model.grow(3, 0.5)
    batch = next(distributed_batches(strategy, trainer._arrays, 4, 0, 0, crop=25 if name == "smanet" else None))
    with kernels_of("gpu"):
        graph = tf.function(trainer._train).get_concrete_function(batch, tf.constant(0.0)).graph.as_graph_def()
    found = {node.op for node in graph.node} | {node.op for function in graph.library.function
                                                for node in function.node_def}
    assert "MatMul" in found or "Conv2D" in found
    assert not found & REFUSED


@pytest.mark.parametrize("deterministic", [False, True])
def test_graphs_run_as_they_are_written(deterministic):
    """TensorFlow rewrites them else, by how much memory is free: sums are then added up in any order."""
    prepare(EngineConfig(deterministic=deterministic))
    run = _operations_run(lambda pictures: tf.reshape(tf.reshape(pictures, [2, 3]), [3, 2]), tf.ones([6]))
    assert run.count("Reshape") == (2 if deterministic else 1)


def _operations_run(work, *arguments) -> list[str]:
    traced = tf.function(work).get_concrete_function(*arguments)  # before: making it computes, too
    context.context().enable_run_metadata()
    try:
        traced(*arguments)
        graphs = context.context().export_run_metadata().function_graphs
    finally:
        context.context().disable_run_metadata()
    return [node.op for one in graphs for node in one.post_optimization_graph.node]


@pytest.mark.slow
def test_two_runs_of_64_pixels_are_alike(tmp_path):
    """At that size sums were rewritten with gigabytes free, and two runs differed from their second step on."""
    store = write_phantoms(tmp_path / "data", 12, 2, 64, 0)
    command = ["training.train_pggan", "--preset=paper", "--target=dots", f"--data={store.path}",
               "--precision=float32", "--deterministic", "--resolution=64", "--start_resolution=64",
               "--train_kimg=0.08", "--fade_kimg=0.08", "--total_kimg=0.08", "--grids=0", "--score_images=0",
               "--snapshots=0", "--log_lines=5"]
    folders = [tmp_path / name for name in ("first", "second")]
    for process in [start([*command, f"--workdir={folder}"]) for folder in folders]:
        output_of(process)
    assert not differences(*folders)
