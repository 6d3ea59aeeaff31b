"""Number formats: what "auto" takes, that each trains as well as float32, and that float16 scales its loss."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.common.errors import UserError
from datasets.pair_cache import load_pairs
from datasets.sources.phantom import write_phantoms
from models.precision import dtype_policy, gradient_norm
from tests.helpers.rewind import rewinder
from tests.reliability import two_devices
from tests.reliability.conftest import FULL
from training.checkpoints import Progress
from training.config import EngineConfig
from training.devices import cpu_has_bfloat16, prepare, resolve_precision
from training.optimizers import make_optimizer
from training.run_folder import RunFolder

_FLAGS = ("processor\t: 0\nvendor_id\t: {}\nmodel name\t: X\nflags\t\t: fpu sse2 avx2 avx512f {}\n"
          "bugs\t\t: amx_bf16\n")


@pytest.mark.parametrize(("vendor", "flags", "has"), [
    ("GenuineIntel", "amx_bf16 sse", True), ("AuthenticAMD", "avx512_bf16", True),
    ("GenuineIntel", "avx512_bf16", False), ("AuthenticAMD", "amx_tile", False)])
def test_bfloat16_is_read_off_the_processor(vendor, flags, has):
    assert cpu_has_bfloat16(_FLAGS.format(vendor, flags)) == has


def test_auto_is_what_a_run_folder_remembers(tmp_path):
    assert resolve_precision("mixed_float16") == "mixed_float16"
    assert resolve_precision("auto") in ("float32", "mixed_bfloat16")
    folder = RunFolder(tmp_path, "task", EngineConfig(), {})
    folder.restore({}, Progress())
    folder.close()
    other = ({"float32", "mixed_bfloat16"} - {resolve_precision("auto")}).pop()
    RunFolder(tmp_path, "task", EngineConfig(precision=resolve_precision("auto")), {}).close()
    with pytest.raises(UserError, match=f"precision: was .*, now '{other}'"):
        RunFolder(tmp_path, "task", EngineConfig(precision=other), {})


def test_a_gradient_that_is_not_finite_is_told():
    adam = make_optimizer(1e-3, 0.9, 0.999, 1e-7)
    assert gradient_norm(adam, [tf.constant([3.0, 0.0]), None, tf.constant([4.0])]) == 5.0
    for bad in (np.inf, np.nan):
        assert not np.isfinite(gradient_norm(adam, [tf.constant([1.0, bad])]))


def test_float16_leaves_out_a_step_that_overflows_and_halves_the_scale():
    weights = keras.Variable(np.ones(3, np.float32))
    with dtype_policy("mixed_float16"):
        optimizer = make_optimizer(0.1, 0.9, 0.999, 1e-7)
    optimizer.build([weights])
    before = float(optimizer.dynamic_scale)
    bad = tf.constant([1.0, np.inf, 0.0])
    optimizer.apply_gradients([(bad, weights)])
    np.testing.assert_array_equal(weights.numpy(), np.ones(3))
    assert float(optimizer.dynamic_scale) == before / 2 and gradient_norm(optimizer, [bad]) == 0
    optimizer.apply_gradients([(tf.constant([1.0, 1.0, 1.0]) * optimizer.dynamic_scale, weights)])
    assert weights.numpy().max() < 1


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    store = write_phantoms(str(tmp_path_factory.mktemp("data")), 12, 0, 32, 0)
    return load_pairs(store, store.ids())[::-1]  # labels, films


def _built(name, precision, pairs):
    """A trainer that computes in `precision`, its networks and its optimizers."""
    build, config = {"pggan": (two_devices.pggan, dataclasses.replace(two_devices.PGGAN, learning_rate=5e-3)),
                     "pix2pixhd": (two_devices.pix2pixhd, two_devices.PIX2PIXHD),
                     "smanet": (two_devices.smanet, dataclasses.replace(two_devices.SMANET, learning_rate=3e-3))
                     }[name]
    config = dataclasses.replace(config, precision=precision)
    made = build(config, prepare(config), *pairs)
    assert made[1][0].variables[0].dtype == "float32"
    assert made[1][0].compute_dtype == ("float32" if precision == "float32" else precision.removeprefix("mixed_"))
    return made


def _losses(name, precision, pairs, steps) -> list[float]:
    """The loss that tells whether it learns, after each of some steps, through a fade where there is one."""
    trainer, rows, position = _built(name, precision, pairs)[0], [], 0
    for _ in range(steps):
        position, metrics = trainer.step(position)
        rows.append({key: float(value[0]) for key, value in metrics.items()})
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    return [row[{"pggan": "d_loss", "pix2pixhd": "g_features", "smanet": "loss"}[name]] for row in rows]


def test_bfloat16_computes_through_a_fade(pairs, eager):
    assert len(set(_losses("pggan", "mixed_bfloat16", pairs, 3))) == 3


@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"])
def test_float16_trains_and_its_norms_are_unscaled(name, pairs, eager):
    """The same step twice, at the end of the second of which the scale grows: that must not show in its norms."""
    trainer, networks, optimizers = _built(name, "mixed_float16", pairs)
    for optimizer in optimizers:
        optimizer.dynamic_scale.assign(16.0)  # nothing overflows
        optimizer.dynamic_growth_steps = 2
    before, found = networks[0].get_weights(), []
    rewind = rewinder(trainer)
    for step in range(2):
        rewind()
        for optimizer in optimizers:
            optimizer.step_counter.assign(step)
        metrics = {name: float(value[0]) for name, value in trainer.step(0)[1].items()}
        assert np.isfinite(list(metrics.values())).all()
        assert [float(optimizer.dynamic_scale) for optimizer in optimizers] == [16 << step] * len(optimizers)
        found.append([value for name, value in metrics.items() if name.endswith("gradient")])
    assert min(found[0]) > 0 and found[1] == pytest.approx(found[0], rel=1e-3)
    assert any((new != old).any() for new, old in zip(networks[0].get_weights(), before, strict=True))


@pytest.mark.skipif(not FULL, reason="full form only")
@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"])
def test_every_format_trains_as_well_as_float32(name, pairs, record):
    gains = {}
    for precision in ("float32", "mixed_bfloat16", "mixed_float16"):
        losses = _losses(name, precision, pairs, 40)
        gains[precision] = np.mean(losses[:3]) - np.mean(losses[-10:])
    assert gains["float32"] > 0
    for precision in ("mixed_bfloat16", "mixed_float16"):
        assert 0.7 < gains[precision] / gains["float32"] < 1.3, gains
        record(f"{precision} trains as float32", 1, 1)
