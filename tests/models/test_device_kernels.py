"""An export holds the kernels of the devices it is for, and computes the same function by each of them."""

import collections

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from models import cpu_conv, methods
from models.device_kernels import cpu_kernels, for_device
from models.pix2pixhd import GlobalGenerator

CODES = tf.constant(np.random.default_rng(0).integers(0, 6, (2, 24, 16)).astype(np.uint8))
PRODUCTS = 2 * 3  # of matrices: three for each of the block's two convolutions
PLAIN = {"Conv2D": 5, "Conv2DBackpropInput": 1, "MatMul": 0, "FusedBatchNormV3": 0, "DeviceIndex": 0}


def test_a_saved_model_has_the_operations_of_its_devices(monkeypatch, tmp_path):
    monkeypatch.setattr(cpu_conv, "WIDE", 8)  # as wide as the block here
    network = GlobalGenerator(1, ngf=4, n_downsampling=1, n_blocks=1)
    network.build((None, None, None, 6))
    translator = methods.film_translator(network, 6)
    module, made = tf.Module(), {target: for_device(translator, target) for target in ("cpu", "gpu", "any")}
    module.weights = [variable.value for variable in network.variables]
    tf.saved_model.save(module, str(tmp_path), signatures=made["any"])
    model = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    cpu, plain, both = (_operations(graph) for graph in (
        made["cpu"].graph.as_graph_def(), made["gpu"].graph.as_graph_def(), model.meta_graphs[0].graph_def))
    assert {name: plain[name] for name in PLAIN} == PLAIN
    assert cpu["MatMul"] == PRODUCTS and not cpu["DeviceIndex"]
    assert both["MatMul"] == PRODUCTS and both["DeviceIndex"] == 1
    assert both["Conv2D"] == cpu["Conv2D"] + PLAIN["Conv2D"]
    films, = tf.saved_model.load(str(tmp_path)).signatures["serving_default"](codes=CODES).values()
    np.testing.assert_array_equal(films, made["cpu"](CODES))  # the tests run on CPUs
    np.testing.assert_allclose(films, made["gpu"](CODES), atol=1e-5)


def _operations(graph: tf.compat.v1.GraphDef) -> collections.Counter:
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return collections.Counter(node.op for node in nodes)


def test_what_runs_it_decides():
    function = tf.function(lambda x: x + 1.0 if cpu_kernels() else x - 1.0, input_signature=[tf.TensorSpec(())])
    either = for_device(function, "any")
    assert either(tf.constant(0.0)) == 1.0
    assert tf.function(lambda x: either(x), jit_compile=True)(tf.constant(0.0)) == -1.0  # XLA: as on a GPU
