"""A run that is killed and continued by the same command ends as one that was not: every bit of it."""

import random

import pytest

from tests.reliability.comparison import differences
from tests.reliability.conftest import FULL
from tests.reliability.processes import kill_at, run, saved, writing_after

_KILLS = 6


def _moments(total: int, draw: random.Random):
    """Moments of random positions, a third of them while a checkpoint is written; the short form has one such."""
    if not FULL:
        return [writing_after(total * 2 // 5)]
    places = sorted(draw.randrange(0, total - 4) for _ in range(_KILLS))
    return [writing_after(place) if number % 3 == 2 else saved(place) for number, place in enumerate(places)]


@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"] if FULL else ["pggan"])
def test_killed_and_continued_equals_uninterrupted(name, jobs, tmp_path, record):
    job, draw = jobs[name], random.Random(f"continuation of {name}")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(job.into(whole))
    kills = sum(kill_at(job.into(killed), killed, moment, draw) for moment in _moments(job.total, draw))
    run(job.into(killed))
    found = differences(whole, killed)
    record(f"{name}: SIGKILL, same command", kills, kills, 0 if found else kills)
    assert kills and not found, found
