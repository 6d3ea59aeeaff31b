"""Work spread over devices and over processes gives what one device gives; a lost worker costs no run.

Two devices deal the global batch in turn, so PGGAN's strided groups of four stay together and the result is that
of one device wherever each device has a multiple of four images. With fewer its groups are smaller and the result
another. SMANet shares its batch statistics over the devices; with statistics of each device's own part it would
be another network. Dropout's masks and Pix2PixHD's history of pictures (both 0 here) are each device's own.
"""

import json
import signal
import socket

import numpy as np
import pytest

from evaluation.results.run_log import read_rows
from tests.helpers import binaries
from tests.helpers.processes import Process, output_of, saved, start, wait_for
from tests.reliability import two_devices
from tests.reliability.conftest import FULL

_SAME = ("pggan", "pix2pixhd", "smanet") if FULL else ("pggan", "smanet")
_OTHER = ("pggan, groups cut", "smanet, own statistics")


def test_two_devices_equal_one(store, tmp_path, record):
    found = tmp_path / "found.json"
    output_of(Process(two_devices.compare, store, found, [*_SAME, *(_OTHER if FULL else ())]))
    distances = json.loads(found.read_text())
    for name in _SAME:  # updates differ more: Adam enlarges the rounding of gradients that ought to be zero
        gradients, updates = distances.pop(name)
        assert gradients < 1e-4 and updates < 0.05, name
        record("two devices equal one", 1, 1)
    assert set(distances) == (set(_OTHER) if FULL else set())
    assert all(gradients > 0.05 for gradients, _ in distances.values()), distances


def _cluster(job, folder, *more) -> list[Process]:
    """Starts the chief and a worker of a cluster of two processes on loopback."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    workers = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return [start(job.into(folder, "--strategy=multi_worker", *more),
                  TF_CONFIG=json.dumps({"cluster": workers, "task": {"type": "worker", "index": index}}))
            for index in range(2)]


def _losses(folder) -> list[float]:
    return [row["loss"] for row in read_rows(folder / "metrics.jsonl") if "loss" in row]


@pytest.mark.slow
def test_two_workers_agree_with_one_process(jobs, tmp_path, record):
    options = ("--attention=none", "--dropout=0", "--batch=4", "--grids=0", "--steps=14")
    job = jobs["smanet"]
    for worker in _cluster(job, tmp_path / "two", *options):
        output_of(worker)
    done = binaries.run(*job.into(tmp_path / "one", *options))
    assert done.code == 0, done.err
    two, one = (_losses(tmp_path / name) for name in ("two", "one"))
    assert len(one) >= 3 and one[-1] < one[0]
    np.testing.assert_allclose(two[:1], one[:1], rtol=1e-5)  # Adam enlarges rounding from step to step
    np.testing.assert_allclose(two[:3], one[:3], rtol=1e-2)
    np.testing.assert_allclose(two, one, rtol=0.1)
    record("two workers agree with one process", 1, 1)


@pytest.mark.skipif(not FULL, reason="full form only")
def test_a_lost_worker_costs_no_run(jobs, tmp_path, record):
    job, options = jobs["smanet"], ("--dropout=0", "--batch=4")
    workers = _cluster(job, tmp_path, *options)
    wait_for(workers[0], tmp_path, saved(4))
    workers[1].send(signal.SIGKILL)
    code, printed = workers[0].end()
    assert code != 0 and "error: " in printed and "Traceback" not in printed, printed[-4000:]
    for worker in _cluster(job, tmp_path, *options):
        output_of(worker)
    losses = _losses(tmp_path)
    assert len(losses) == job.total and losses[-1] < 0.9 * losses[0]
    record("two workers, one killed, same commands", 1, 1)
