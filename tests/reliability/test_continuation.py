"""A run killed and continued by the same command, or finished and continued to a larger total, equals one that
was not.

PGGAN's growth and rate do not depend on the total, nor does SMANet's rate. Pix2PixHD's rate follows the schedule
of the epochs asked for now, from where the run stands: asked for before the decay has begun, the result is that of
a run planned so from the start; asked for after it, the rate goes up again. Lines and pictures are spaced by the
total asked for last; the extended run keeps the old ones and adds new ones.
"""

import random
import shutil

import numpy as np
import pytest

from datasets.pair_store import PairStore, read_png, write_png
from tests.helpers import binaries
from tests.helpers.processes import kill_at, run, run_until_saving, saved, writing_after
from tests.reliability.comparison import checkpoint_tensors, differences, network_weights
from tests.reliability.conftest import FULL

_KILLS = 6
NAMES = ["pggan", "pix2pixhd", "smanet"]


@pytest.fixture(scope="session")
def whole(jobs, tmp_path_factory):
    """Trainer -> the folder of its job, done without a break."""
    folders = {}

    def run_folder(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("whole") / name
            train(jobs[name].into(folders[name]))
        return folders[name]

    return run_folder


def train(command) -> None:
    done = binaries.run(*command)
    assert done.code == 0, done.err


@pytest.fixture(scope="session")
def killed(jobs, tmp_path_factory):
    """(trainer, folder) -> its job into the folder, a copy of one killed half-way as it wrote a checkpoint."""
    folders = {}

    def command(name, folder):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("killed") / name
            run_until_saving(jobs[name].into(folders[name]), jobs[name].total // 2)
        shutil.copytree(folders[name], folder)
        return jobs[name].into(folder)

    return command


@pytest.mark.parametrize("name", NAMES)
def test_killed_and_continued_equals_uninterrupted(name, whole, killed, tmp_path, record):
    command = killed(name, tmp_path / "run")
    assert list((tmp_path / "run" / "checkpoints").glob(".*.partial"))
    train(command)
    found = differences(whole(name), tmp_path / "run")
    record(f"{name}: SIGKILL, same command", 1, 1, int(not found))
    assert not found


@pytest.mark.skipif(not FULL, reason="full form only")
@pytest.mark.parametrize("name", NAMES)
def test_killed_many_times_at_any_moment(name, whole, jobs, tmp_path, record):
    """At random positions, a third of them while a checkpoint is written."""
    job, draw = jobs[name], random.Random(f"continuation of {name}")
    places = sorted(draw.randrange(0, job.total - 4) for _ in range(_KILLS))
    moments = [writing_after(place) if number % 3 == 2 else saved(place) for number, place in enumerate(places)]
    kills = sum(kill_at(job.into(tmp_path), tmp_path, moment, draw.uniform(0, 0.3)) for moment in moments)
    run(job.into(tmp_path))
    found = differences(whole(name), tmp_path)
    record(f"{name}: SIGKILL, same command", kills, kills, 0 if found else kills)
    assert kills and not found


@pytest.mark.skipif(not FULL, reason="full form only: the short one is in tests/training/test_loop.py")
def test_other_lines_and_pictures_change_no_weight_and_no_choice(whole, killed, tmp_path):
    """A run that is stopped may be watched in another way from then on."""
    run = tmp_path / "run"
    train([*killed("pggan", run), "--log_lines=5", "--grids=0"])
    found, expected = (checkpoint_tensors(folder) for folder in (run, whole("pggan")))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) for key in expected if "progress" not in key)
    assert (run / "product.json").read_text() == (whole("pggan") / "product.json").read_text()
    kept, wanted = ({file.name: network_weights(file) for file in (folder / "snapshots").glob("*.keras")}
                    for folder in (run, whole("pggan")))
    assert len(wanted) > 1 and kept == wanted


@pytest.mark.parametrize(("name", "shorter", "other"), [
    pytest.param("pggan", ["--total_kimg=0.032"], ("fmap_max", 8, 16), marks=pytest.mark.slow),
    ("pix2pixhd", ["--epochs=1", "--epochs_decay=0"], ("n_blocks", 1, 2)),
    pytest.param("smanet", ["--steps=6"], ("width", 8, 4), marks=pytest.mark.slow)])
def test_an_extended_run_equals_a_longer_one(name, shorter, other, whole, jobs, tmp_path, record):
    train(jobs[name].into(tmp_path, *shorter))
    train(jobs[name].into(tmp_path))
    found, expected = (checkpoint_tensors(folder) for folder in (tmp_path, whole(name)))
    assert found.keys() == expected.keys() and len(expected) > 20
    same = all(np.array_equal(found[key], expected[key]) for key in expected if "progress" not in key)
    record("a larger total continues a finished run", 1, 1, int(same))
    assert same
    option, was, now = other
    refused = binaries.run(*jobs[name].into(tmp_path, f"--{option}={now}"))
    binaries.told(refused, tmp_path, option, was, now)


def test_changed_data_are_refused(store, whole, jobs):
    folder = whole("pix2pixhd")
    file = store / "images" / f"{PairStore(store).ids('train')[0]}.png"
    content = file.read_bytes()
    try:
        write_png(file, 255 - read_png(file, (32, 32)))
        binaries.told(binaries.run(*jobs["pix2pixhd"].into(folder)), folder, "data", "digest")
    finally:
        file.write_bytes(content)
