"""No step of a trainer holds an operation that TensorFlow refuses on a GPU under --deterministic."""

import dataclasses

import pytest
import tensorflow as tf

from datasets.pair_cache import load_pairs
from datasets.sources.phantom import write_phantoms
from models.device_kernels import kernels_of
from tests.reliability import two_devices
from training.batches import distributed_batches
from training.devices import prepare

pytestmark = pytest.mark.slow

# The kernels of TensorFlow 2.21 that say so ("deterministic GPU implementation", "Determinism is not yet");
# cross-entropy is not among them, since TensorFlow writes another graph of it once determinism is switched on.
REFUSED = {
    "UnsortedSegmentSum", "UnsortedSegmentMax", "SegmentSum", "SegmentMean",
    "ResizeNearestNeighborGrad", "AdjustContrastv2", "SparseTensorDenseMatMul",
    "Dilation2DBackpropFilter", "Dilation2DBackpropInput", "MaxPoolGradWithArgmax", "Bincount",
    "DenseBincount", "CropAndResizeGradImage", "CropAndResizeGradBoxes", "ScatterAdd", "ScatterUpdate"}


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
