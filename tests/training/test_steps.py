"""Steps given to the device several at once, or compiled by XLA, are the same steps."""

import dataclasses

import numpy as np
import pytest

from datasets.pair_cache import load_pairs
from datasets.sources.phantom import write_phantoms
from models.gan_models import averaged
from tests.reliability import two_devices
from training.devices import prepare

_BUILT = {"pggan": (two_devices.pggan, two_devices.PGGAN), "smanet": (two_devices.smanet, two_devices.SMANET),
          "pix2pixhd": (two_devices.pix2pixhd, two_devices.PIX2PIXHD)}

# Metrics of a step that precede PGGAN's first update, which is the gradients' signs.
_BEFORE_UPDATE = 5


# A device that meets one in a graph waits for Python, or for a line to be printed.
_OF_THE_HOST = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "PrintV2", "Print", "NumericAssert", "XlaHostCompute"}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    store = write_phantoms(str(tmp_path_factory.mktemp("data")), 12, 0, 32, 0)
    return load_pairs(store, store.ids())[::-1]  # labels, films


def _trained(name, pairs, until, **options):
    """Positions where calls ended, metrics [steps, metrics] and weights after the steps before `until`."""
    build, config = _BUILT[name]
    config = dataclasses.replace(config, strategy="one_device", **options)
    trainer, networks, _ = build(config, prepare(config), *pairs)
    position, ends, rows = 0, [], []
    while position < until:
        position, metrics = trainer.step(position, until)
        ends.append(position)
        rows.append(np.stack([np.asarray(value) for value in metrics.values()], 1))
    assert not _operations(trainer) & _OF_THE_HOST
    return ends, np.concatenate(rows), [weight for network in networks for weight in network.get_weights()]


def _operations(trainer) -> set[str]:
    """Of all graphs of its steps, functions that they call included."""
    steps = trainer._steps.values() if isinstance(trainer._steps, dict) else [trainer._steps]
    graphs = [concrete.graph.as_graph_def() for step in steps for function in (step._one, step._several)
              for concrete in function._list_all_concrete_functions()]
    found = {node.op for graph in graphs for nodes in (graph.node, *(f.node_def for f in graph.library.function))
             for node in nodes}
    assert "ReadVariableOp" in found
    return found


@pytest.mark.parametrize(("name", "until", "ends"), [
    pytest.param("pggan", 48, [8, 32, 48], marks=pytest.mark.slow),  # at 8 images the fade begins: another phase
    ("pix2pixhd", 5, [3, 5]),  # 12 pairs by 4: an epoch has 3 steps
    pytest.param("smanet", 5, [3, 5], marks=pytest.mark.slow)])
def test_several_at_once_are_bit_for_bit_the_same(name, pairs, until, ends):
    one, several = (_trained(name, pairs, until, steps_per_call=count, deterministic=True)
                    for count in (1, 3))
    assert several[0] == ends and len(one[0]) == len(one[1])
    np.testing.assert_array_equal(several[1], one[1])
    for ours, theirs in zip(several[2], one[2], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"])
def test_xla_takes_the_same_step(name, pairs, monkeypatch):
    monkeypatch.setattr("models.gan_models.PGGAN._draw", two_devices.plain_draw)  # XLA draws other normal numbers
    plain, compiled = (_trained(name, pairs, 1, xla=xla)[1][:, :_BEFORE_UPDATE] for xla in ("off", "on"))
    np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-4)  # sums in another order


def test_reals_averaged_once_are_those_averaged_in_each_step(pairs):
    trainer, *_ = two_devices.pggan(two_devices.PGGAN, prepare(two_devices.PGGAN), *pairs)
    kept, = trainer._pictures_of(2)
    assert kept.shape == (12, 4, 4, 1) and trainer._pictures_of(3) is trainer._arrays  # the last level
    each = averaged(trainer._encoded([array[5:8] for array in trainer._arrays]), 2)
    np.testing.assert_array_equal(kept[5:8], each.numpy())
