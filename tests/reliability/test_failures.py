"""What goes wrong around a real run ends in one line and a folder that continues."""

import resource
import signal

import pytest

from datasets.pair_store import PairStore
from tests.helpers import binaries
from tests.helpers.processes import (
    Process,
    kill_at,
    newest_checkpoint,
    output_of,
    run,
    run_as_main,
    saved,
    start,
    wait_for,
)
from tests.reliability.comparison import differences
from tests.reliability.conftest import FULL


def _one_line(printed: str) -> str:
    """The error line; there must be no stack trace."""
    assert "Traceback" not in printed, printed
    lines = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, printed
    return lines[0]


def test_a_second_process_is_refused_and_ctrl_c_saves(jobs, tmp_path, record):
    folder = tmp_path / "run"
    command = jobs["pix2pixhd"].into(folder, "--epochs=100000")
    first = start(command)
    try:
        wait_for(first, folder, saved(2))
        binaries.told(binaries.run(*command), folder, "another process")
        assert first.alive()
        first.send(signal.SIGINT)
    finally:
        printed = output_of(first, 130)
    assert "Traceback" not in printed and "interrupted" in printed
    assert f"stopped at {newest_checkpoint(folder):,} of 400,008 steps" in printed
    record("second process on one folder refused", 1, 1)
    record("Ctrl-C saves, exit status 130", 1, 1)


@pytest.mark.skipif(not FULL, reason="full form only")
def test_a_film_that_vanishes_in_mid_run_is_named(jobs, store, tmp_path, record):
    film = store / "images" / f"{PairStore(store).ids('validation')[0]}.png"
    content = film.read_bytes()
    try:
        process = start(jobs["smanet"].into(tmp_path, "--steps=100000", "--validate_every=40"))
        wait_for(process, tmp_path, saved(2))
        film.unlink()
        assert str(film) in _one_line(output_of(process, 1))
    finally:
        film.write_bytes(content)
    assert newest_checkpoint(tmp_path) >= 2
    record("vanished film named", 1, 1)


def _limited(command, limit: int, kind: int) -> str:
    """What the command prints with a resource limited, and status 1."""
    return output_of(Process(_run_limited, command, limit, kind), 1)


def _run_limited(command, limit: int, kind: int) -> None:
    resource.setrlimit(kind, (limit, limit))
    run_as_main(command)


@pytest.mark.skipif(not FULL, reason="full form only")
def test_a_full_disk_leaves_the_last_checkpoint_whole(jobs, tmp_path, record):
    job, folder = jobs["smanet"], tmp_path / "cut"
    kill_at(job.into(folder), folder, saved(3))
    before = newest_checkpoint(folder)
    line = _one_line(_limited(job.into(folder), 100_000, resource.RLIMIT_FSIZE))
    assert "could not be written" in line and f"{before}, is whole" in line
    assert newest_checkpoint(folder) == before
    run(job.into(folder))
    run(job.into(tmp_path / "whole"))
    found = differences(tmp_path / "whole", folder)
    record("full disk (file size limit), then room", 1, 1, int(not found))
    assert not found


@pytest.mark.skipif(not FULL, reason="full form only")
def test_too_little_memory_is_explained(jobs, tmp_path, record):
    command = jobs["smanet"].into(tmp_path, "--batch=4000", "--width=64", "--crop=32")
    line = _one_line(_limited(command, 12 * 2**30, resource.RLIMIT_AS))
    assert "out of memory" in line and "GiB at its peak" in line and "--batch (now 4000)" in line
    record("out of memory explained", 1, 1)


@pytest.mark.skipif(not FULL, reason="full form only")
@pytest.mark.parametrize("name", ["pggan", "pix2pixhd", "smanet"])
def test_a_run_that_blows_up_names_its_step(name, jobs, tmp_path, record):
    printed = _one_line(run(jobs[name].into(tmp_path, "--learning_rate=1e30"), 1))
    assert "became" in printed and "the last good state is kept" in printed
    record("non-finite loss or gradient stops the run", 1, 1)
