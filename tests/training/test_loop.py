"""The loop: what it writes, how it stops, and that stopping changes nothing."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from datasets.common import atomic_files
from datasets.common.errors import UserError
from evaluation.results.run_log import read_rows
from training.config import SMANetConfig
from training.loop import run
from training.run_folder import RunFolder

CONFIG = SMANetConfig(log_lines=5, grids=2)


class Line(tf.Module):
    """Fits a straight line by gradient descent: a task small enough to run hundreds of steps at once.

    Args:
      at: step -> what happens before it.
      at_once: steps in a call.
    """

    unit, images_per_position, score_every = "steps", 1.0, 10

    def __init__(self, total=40, at=None, at_once=1):
        super().__init__()
        self.total, self.at, self.at_once = total, at or {}, at_once
        self.strategy = tf.distribute.OneDeviceStrategy("/CPU:0")
        self.slope = tf.Variable([0.0, 0.0])

    def trackables(self):
        return {"line": self}

    def step(self, position, until):
        after = min(position + self.at_once, until)
        return after, {"loss": tf.stack([self._one(place) for place in range(position, after)])}

    def _one(self, position):
        self.at.get(position, lambda: None)()
        x = np.random.default_rng([0, position]).normal(size=8).astype(np.float32)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.slope[0] * x + self.slope[1] - (3 * x - 1)))
        self.slope.assign_sub(0.05 * tape.gradient(loss, self.slope))
        return loss

    def grid(self, position):
        return np.full((4, 4), int(40 * self.slope[0]) % 256, np.uint8)

    def score(self, position, folder):
        return {"slope": float(self.slope[0])}

    def finish(self, folder):
        return {"task": "line"}


def _run(path, task, config=CONFIG):
    folder = RunFolder(path, "line", config, {"data": "none"})
    try:
        run(task, folder, config)
    finally:
        folder.close()
    return task


def _content(path):
    pictures = {file.name: file.read_bytes() for file in (path / "grids").iterdir()}
    return (path / "metrics.jsonl").read_text(), pictures


def test_lines_pictures_scores_and_product(tmp_path):
    _run(tmp_path, Line())
    rows = read_rows(tmp_path / "metrics.jsonl")
    assert [row["position"] for row in rows if "loss" in row] == [8, 16, 24, 32, 40]
    assert [row["position"] for row in rows if "slope" in row] == [10, 20, 30, 40]
    assert sorted(file.stem for file in (tmp_path / "grids").iterdir()) == ["000000000", "000000020", "000000040"]
    assert atomic_files.read_json(tmp_path / "product.json") == {"task": "line", "position": 40}
    page = (tmp_path / "index.html").read_text()
    assert 'src="grids/000000020.png"' in page and "Losses" in page


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_continues_exactly(tmp_path, number):
    whole = _run(tmp_path / "whole", Line())
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "cut", Line(at={17: lambda: os.kill(os.getpid(), number)}))
    assert "stopped at 18 of 40 steps, saved" in (tmp_path / "cut" / "log.txt").read_text()
    continued = _run(tmp_path / "cut", Line())
    assert "continuing at 18" in (tmp_path / "cut" / "log.txt").read_text()
    np.testing.assert_array_equal(continued.slope, whole.slope)
    assert _content(tmp_path / "cut") == _content(tmp_path / "whole")


def test_several_steps_in_a_call_change_nothing_that_is_written(tmp_path):
    one, many = _run(tmp_path / "one", Line()), _run(tmp_path / "many", Line(at_once=7))
    np.testing.assert_array_equal(many.slope, one.slope)
    assert _content(tmp_path / "many") == _content(tmp_path / "one")


def test_the_host_waits_for_the_device_at_lines_alone(tmp_path):
    class Behind(Line):
        """A device that runs behind: who reads a metric waits for it."""

        def __init__(self, **options):
            super().__init__(**options)
            self.begun, self.waits = 0, []

        def step(self, position, until):
            after, metrics = super().step(position, until)
            self.begun = after
            return after, {"loss": Late(metrics["loss"].numpy(), self)}

    class Late:
        def __init__(self, value, device):
            self.value, self.device = value, device

        def __array__(self, dtype=None, copy=None):
            self.device.waits.append(self.device.begun)
            return self.value

    task = _run(tmp_path, Behind(total=40))
    # After so many steps were begun: five lines, four scores and two pictures.
    assert sorted(set(task.waits)) == [8, 10, 16, 20, 24, 30, 32, 40] and len(task.waits) == 40


def test_a_finished_run_is_left_alone_and_a_larger_total_continues_it(tmp_path):
    _run(tmp_path, Line())
    _run(tmp_path, Line(at={0: lambda: pytest.fail("trained again")}))
    extended = _run(tmp_path, Line(total=60, at={0: lambda: pytest.fail("trained again")}))
    np.testing.assert_array_equal(extended.slope, _run(tmp_path / "direct", Line(total=60)).slope)
    assert atomic_files.read_json(tmp_path / "product.json")["position"] == 60


def test_an_extension_cut_short_before_its_product_is_not_taken_for_finished(tmp_path):
    class Cut(Line):
        def finish(self, folder):
            raise KeyboardInterrupt

    _run(tmp_path, Line())
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, Cut(total=60))
    assert atomic_files.read_json(tmp_path / "product.json")["position"] == 40
    _run(tmp_path, Line(total=60))
    assert atomic_files.read_json(tmp_path / "product.json")["position"] == 60


@pytest.mark.parametrize("at_once", [1, 8])
def test_a_loss_that_is_not_finite_stops_at_its_step_and_keeps_the_last_good_state(tmp_path, at_once):
    task = Line(at_once=at_once)
    task.at = {25: lambda: task.slope.assign([np.nan, 0.0])}
    with pytest.raises(UserError, match=r"loss became nan at 26 .*20"):
        _run(tmp_path, task)
    continued = _run(tmp_path, Line())
    assert "continuing at 20" in (tmp_path / "log.txt").read_text()
    np.testing.assert_array_equal(continued.slope, _run(tmp_path / "whole", Line()).slope)


def test_too_little_memory_names_what_was_measured_and_the_flags(tmp_path):
    def allocate():
        raise tf.errors.ResourceExhaustedError(
            None, None, "OOM when allocating tensor with shape[17,64,377,377] and type float on CPU")

    with pytest.raises(UserError, match=r"shape\[17,64,377,377\].* \d+\.\d GiB .*--batch .*17.*--crop .*377"):
        _run(tmp_path, Line(at={3: allocate}))


def test_no_lines_no_pictures_and_the_same_weights(tmp_path):
    config = dataclasses.replace(CONFIG, log_lines=0, grids=0)
    unwatched = _run(tmp_path / "unwatched", Line(), config)
    assert not list((tmp_path / "unwatched" / "grids").iterdir())
    np.testing.assert_array_equal(unwatched.slope, _run(tmp_path / "watched", Line()).slope)
