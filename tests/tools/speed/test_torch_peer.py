"""The networks that PyTorch is timed with are the functions of ours, parameter for parameter.

PyTorch computes in a process of its own: one process never holds both libraries.
"""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers import binaries

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")

# name -> what makes it in PyTorch, and the shape of its input, channels last
_NETWORKS = {
    "pggan": ("torch_pggan.Generator(16, 2, 64, 8)", (3, 8)),
    "critic": ("torch_pggan.Discriminator(16, 2, 64, 8)", (4, 16, 16, 2)),
    "global": ("torch_pix2pixhd.GlobalGenerator(3, 2, 4, 2, 2)", (2, 16, 16, 3)),
    "enhancer": ("torch_pix2pixhd.LocalEnhancer(3, 1, 4, 2, 1, 2)", (1, 32, 32, 3)),
    "multiscale": ("torch_pix2pixhd.MultiscaleDiscriminator(4, 4, 2, 2)", (1, 32, 32, 4)),
    "smanet": ("torch_smanet.SMANet(3, 14, 8)", (2, 33, 33, 1)),
    "pspnet": ("torch_smanet.SMANet(3, 14, 8, 'psp')", (2, 33, 33, 1)),
}

# Gives each network the weights of the file, their axes turned round, and keeps what it makes of the inputs.
_THERE = """
import sys, numpy, torch
from tools.speed import torch_pggan, torch_pix2pixhd, torch_smanet
given, made = numpy.load(sys.argv[1]), {}
for name, network in {NETWORKS}.items():
    weights = [given[key] for key in given.files if key.startswith(name + "/w")]
    parameters = list(network.eval().parameters())
    assert len(weights) == len(parameters), (name, len(weights), len(parameters))
    for weight, parameter in zip(weights, parameters):
        weight = torch.from_numpy(weight)
        weight = weight.permute(*reversed(range(weight.ndim)) if weight.ndim != 4 else (3, 2, 0, 1))
        assert weight.shape == parameter.shape, (name, weight.shape, parameter.shape)
        parameter.data = weight.contiguous()
    inputs = torch.from_numpy(given[name + "/x"])
    outputs = network(inputs.permute(0, 3, 1, 2) if inputs.ndim == 4 else inputs)
    flat = [last for scale in outputs for last in scale] if isinstance(outputs, list) else [outputs]
    for place, output in enumerate(flat):
        made[f"{name}/{place}"] = (output.permute(0, 2, 3, 1) if output.ndim == 4 else output).detach().numpy()
assert "tensorflow" not in sys.modules
numpy.savez(sys.argv[2], **made)
"""


def _ours():
    from models.pggan import Discriminator, Generator
    from models.pix2pixhd import GlobalGenerator, LocalEnhancer, MultiscaleDiscriminator
    from models.smanet import SMANet

    return {"pggan": Generator(16, 2, 64, 8), "critic": Discriminator(16, 2, 64, 8),
            "global": GlobalGenerator(2, 4, 2, 2), "enhancer": LocalEnhancer(1, 4, 2, 1, 2),
            "multiscale": MultiscaleDiscriminator(4, 2, 2), "smanet": SMANet(3, 14, 8),
            "pspnet": SMANet(3, 14, 8, "psp")}


def test_networks_give_the_same_numbers_in_both_libraries(tmp_path):
    draw, given, expected = np.random.default_rng(0), {}, {}
    for name, network in _ours().items():
        shape = _NETWORKS[name][1]
        network.build((None,) * (len(shape) - 1) + shape[-1:])
        for place, variable in enumerate(network.trainable_variables):
            fresh = draw.normal(0, 0.3, variable.shape).astype(np.float32)  # biases too
            variable.assign(fresh)
            given[f"{name}/w{place}"] = fresh
        given[f"{name}/x"] = draw.normal(0, 1, shape).astype(np.float32)
        outputs = network(given[f"{name}/x"])
        flat = [last for scale in outputs for last in scale] if isinstance(outputs, list) else [outputs]
        expected |= {f"{name}/{place}": output.numpy() for place, output in enumerate(flat)}
    np.savez(tmp_path / "given.npz", **given)
    networks = "{" + ", ".join(f"{name!r}: {make}" for name, (make, _) in _NETWORKS.items()) + "}"
    subprocess.run([sys.executable, "-c", _THERE.replace("{NETWORKS}", networks), tmp_path / "given.npz",
                    tmp_path / "made.npz"], check=True, cwd=binaries.ROOT)
    made = np.load(tmp_path / "made.npz")
    assert set(made.files) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(made[name], value, rtol=2e-3, atol=2e-3 * np.abs(value).max(), err_msg=name)
