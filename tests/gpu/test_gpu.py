"""What only a GPU shows: `make test-gpu`. Each test runs in seconds there; without a GPU they are skipped."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from datasets.pair_cache import load_pairs
from datasets.sources.phantom import write_phantoms
from models.device_kernels import cpu_kernels, for_device
from tests.reliability import two_devices
from training.devices import prepare

pytestmark = pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="no GPU that TensorFlow sees")

_BUILT = {"pggan": (two_devices.pggan, two_devices.PGGAN), "smanet": (two_devices.smanet, two_devices.SMANET),
          "pix2pixhd": (two_devices.pix2pixhd, two_devices.PIX2PIXHD)}
_BEFORE_UPDATE = 5  # metrics of a step that precede PGGAN's first update, which is the gradients' signs
_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    store = write_phantoms(str(tmp_path_factory.mktemp("data")), 12, 0, 32, 0)
    return load_pairs(store, store.ids())[::-1]  # labels, films


def _metrics(name, pairs, until, device="GPU", **options) -> np.ndarray:
    """Metrics [steps, metrics] of the steps before position `until`."""
    build, config = _BUILT[name]
    config = dataclasses.replace(config, strategy="one_device", **options)
    strategy = prepare(config)  # seeds, too
    strategy = strategy if device == "GPU" else tf.distribute.OneDeviceStrategy("/CPU:0")
    with tf.device(f"/{device}:0"):
        trainer, position, rows = build(config, strategy, *pairs)[0], 0, []
        while position < until:
            position, metrics = trainer.step(position, until)
            rows.append(np.stack([np.asarray(value) for value in metrics.values()], 1))
    return np.concatenate(rows)


@pytest.mark.parametrize("xla", ["off", "on"])
@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"])
def test_a_step_is_the_cpus(name, xla, pairs, monkeypatch):
    monkeypatch.setattr("models.gan_models.PGGAN._draw", two_devices.plain_draw)  # XLA draws other normal numbers
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        theirs = _metrics(name, pairs, 1, "CPU", xla="off")[:, :_BEFORE_UPDATE]
        ours = _metrics(name, pairs, 1, xla=xla)[:, :_BEFORE_UPDATE]
        np.testing.assert_allclose(ours, theirs, rtol=5e-3, atol=2e-4)  # SMANet: 0.2 % in its gradient
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"])
def test_each_format_trains(name, precision, pairs):
    rows = _metrics(name, pairs, {"pggan": 40}.get(name, 4), precision=precision)
    assert np.isfinite(rows).all() and len({row.tobytes() for row in rows}) == len(rows)


@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"])
def test_deterministic_runs_are_bit_identical(name, pairs):
    until = {"pggan": 24}.get(name, 3)
    one, other = (_alone("metrics", name, until) for _ in range(2))
    assert one == other and one


def test_two_parts_of_one_card_train_as_one():
    found = json.loads(_alone("mirrored", "smanet", 0).splitlines()[-1])
    assert max(found) < 0.02, found


def test_an_export_for_any_device_takes_the_kernels_of_the_one_that_runs_it():
    function = tf.function(lambda x: x + 1.0 if cpu_kernels() else x - 1.0, input_signature=[tf.TensorSpec(())])
    either = for_device(function, "any")
    assert either(tf.constant(0.0)) == -1.0
    with tf.device("/CPU:0"):
        assert tf.function(lambda x: either(x))(tf.constant(0.0)) == 1.0


def test_a_killed_run_continues_and_its_export_predicts(tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    write_phantoms(str(data), 8, 2, 64, 0)
    command = [sys.executable, "-m", "training.train_smanet", f"--data={data}", f"--workdir={run}", "--depth=14",
               "--width=8", "--batch=4", "--checkpoint_minutes=0.02", "--log_lines=400", "--crop=64",
               "--steps=4000"]
    running = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    for line in running.stdout:
        if "%" in line and float(line.split("%")[0].split()[-1]) > 5:
            break
    running.send_signal(signal.SIGKILL)
    running.wait()
    done = subprocess.run([*command[:-1], "--steps=800"], cwd=_ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "continuing at" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    for tool, options in (("export_model", [f"--run={run}", f"--out={tmp_path / 'export'}"]),
                          ("predict", [str(tmp_path / "export"), *map(str, (data / "images").glob("*.png")),
                                       f"--out={tmp_path / 'made'}"])):
        done = subprocess.run([sys.executable, "-m", f"tools.{tool}", *options], cwd=_ROOT, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((tmp_path / "made").rglob("*.png"))) >= 10


def _alone(what: str, name: str, until: int) -> str:
    """What this file prints as a program: determinism and parts of a card are set before anything is computed."""
    done = subprocess.run([sys.executable, "-m", "tests.gpu.test_gpu", what, name, str(until)], cwd=_ROOT,
                          env=dict(os.environ), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _program(what: str, name: str, until: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        if what == "mirrored":
            card = tf.config.list_physical_devices("GPU")[0]
            part = tf.config.LogicalDeviceConfiguration(memory_limit=4096)
            tf.config.set_logical_device_configuration(card, [part, part])
        store = write_phantoms(folder, 12, 0, 32, 0)
        pairs = load_pairs(store, store.ids())[::-1]
        if what == "metrics":
            print(_metrics(name, pairs, int(until), deterministic=True).tobytes().hex())
            return
        build, config = _BUILT[name]
        one, two = (two_devices.trained(build, config, strategy, pairs) for strategy in ("one_device", "mirrored"))
        print([float(np.linalg.norm(a - b) / np.linalg.norm(a)) for a, b in zip(one, two, strict=True)])


if __name__ == "__main__":
    _program(*sys.argv[1:])
