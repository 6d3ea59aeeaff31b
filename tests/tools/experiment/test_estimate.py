"""Estimates: a schedule's stretches are what the loop does; a measured stage has sensible figures."""

import types

import numpy as np
import pytest

from tests.helpers.tiny_experiment import PRESET
from tools.experiment import estimate as estimates
from tools.experiment.estimate import Estimate, TrainingJob, disk_gib, estimate, shared_by, stretches, table
from training.config import PGGANConfig, SMANetConfig
from training.presets import load
from training.schedules import GrowthSchedule


@pytest.mark.parametrize("config", [load("cpu").labels, load("demo").dots, PRESET.labels,
                                    PGGANConfig(resolution=64, train_kimg=7.0, fade_kimg=5.0, total_kimg=61.0)])
def test_stretches_are_the_steps_of_a_run(config):
    schedule = GrowthSchedule(config.resolution, config.start_resolution, config.train_kimg, config.fade_kimg,
                              config.max_batch)
    position = steps = 0
    while position < 1000 * config.total_kimg:
        position += schedule.at(position).batch
        steps += 1
    parts = list(stretches(config))
    assert sum(count for _, count, _ in parts) == 1000 * config.total_kimg
    assert sum(count / batch for _, count, batch in parts) == pytest.approx(steps, abs=len(parts))
    assert parts[-1][2] == schedule.at(position).batch


@pytest.mark.parametrize(("preset", "job", "workers", "shared"), [
    ("paper", "labels", 2, True), ("paper", "labels", 8, False), ("paper", "labels_to_film", 2, False),
    ("paper", "segmenter", 17, True), ("cpu", "labels_to_film", 2, True), ("cpu", "segmenter", 3, False)])
def test_who_can_share_a_trainings_batches(preset, job, workers, shared):
    assert shared_by(getattr(load(preset), job), workers) == shared


@pytest.mark.slow
def test_a_stage_is_measured():
    found = estimate(TrainingJob("dots", PRESET.dots, 32, 66, 6))
    assert found.steps == 4 and found.batch == 8 and found.seconds > 0 and 0.1 < found.peak_gib < 20
    assert found.first_seconds > found.seconds / found.steps


class Trainer:
    """Says what it is asked to do."""

    total, score_every = 40, 10

    def __init__(self):
        self.asked = []

    def step(self, position):
        self.asked.append("step")
        return position + 1, {}

    def trackables(self):
        return {"network": types.SimpleNamespace(variables=[np.zeros((256, 1024), np.float32)] * 512)}

    def grid(self, position):
        self.asked.append(f"grid at {position}")

    def score(self, position, folder):
        assert folder.path.is_dir()
        self.asked.append(f"score at {position}")


@pytest.mark.parametrize(("options", "score_every", "more"), [
    ({}, 10, ["grid at 40", "score at 40"]), ({"grids": 0}, 10, ["score at 40"]), ({}, 0, ["grid at 40"])])
def test_the_memory_of_a_grid_and_of_a_score_is_measured_too(options, score_every, more, monkeypatch):
    trainer = Trainer()
    trainer.score_every = score_every
    monkeypatch.setattr(estimates, "_trainer", lambda job: trainer)
    monkeypatch.setattr(estimates, "peak_memory", lambda: 2**30 * len(trainer.asked))
    found = estimates._measure(TrainingJob("segmenter", SMANetConfig(**options), 32, 66, 4))
    assert trainer.asked == ["step"] * 3 + more and found.peak_gib == 3 + len(more)
    assert found.state_gib == 0.5


def test_devices_share_a_batch_at_best():
    found = Estimate(steps=10, first_seconds=0.0, seconds=7200.0, peak_gib=1.0, batch=4)
    assert [found.hours(devices) for devices in (1, 2, 8)] == [2.0, 1.0, 0.5]


def test_the_disk_that_runs_and_pictures_take():
    once, often = (TrainingJob(name, PRESET.dots, 32, 66, 6) for name in ("dots", "segmenter"))
    small, large = (Estimate(1, 0.0, 1.0, 1.0, 4, state_gib=size) for size in (0.4, 2.0))
    assert disk_gib({once: small, often: large}, {once: 1, often: 3}, 2**31) == pytest.approx(1 + 15 + 2)


def test_the_table_counts_every_run_and_sums():
    once, often = (TrainingJob(name, PRESET.dots, 32, 66, 6) for name in ("dots", "segmenter"))
    figures = Estimate(steps=100, first_seconds=0.0, seconds=3600.0, peak_gib=1.26, batch=4)
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in table({once: figures, often: figures}, {once: 1, often: 3}, 8).splitlines()]
    assert rows[2] == ["dots", "1", "100", "36", "1", "0.25", "1.3"]
    assert rows[3] == ["segmenter", "3", "100", "36", "3", "0.75", "1.3"]
    assert rows[4] == ["all", "4", "", "", "4", "1", ""]
