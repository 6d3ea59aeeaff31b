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
from tests.reliability.conftest import FULL
from tests.reliability.processes import output_of, run, saved, start, wait_for

_SAME, _OTHER = ("pggan", "pix2pixhd", "smanet"), ("pggan, groups cut", "smanet, own statistics")


@pytest.mark.skipif(not FULL, reason="full form only")
def test_two_devices_equal_one(store, record):
    printed = run(["tests.reliability.two_devices", str(store), *_SAME, *_OTHER])
    for name, (gradients, updates) in json.loads(printed.splitlines()[-1]).items():
        if name in _SAME:  # updates differ more: Adam enlarges the rounding of gradients that ought to be zero
            assert gradients < 1e-4 and updates < 0.05, name
            record("two devices equal one", 1, 1)
        else:
            assert gradients > 0.05, name


def _cluster(job, folder, *more):
    """Starts a worker and the chief of a cluster of two processes on loopback."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    workers = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return [start(job.into(folder, "--strategy=multi_worker", "--dropout=0", "--batch=4", *more),
                  TF_CONFIG=json.dumps({"cluster": workers, "task": {"type": "worker", "index": index}}))
            for index in range(2)]


@pytest.mark.skipif(not FULL, reason="full form only")
def test_two_workers_agree_with_one_process_and_survive_a_loss(jobs, tmp_path, record):
    job, folder = jobs["smanet"], tmp_path / "two"
    workers = _cluster(job, folder)
    wait_for(workers[0], folder, saved(4))
    workers[1].send_signal(signal.SIGKILL)
    printed = output_of(workers[0], None)
    assert workers[0].returncode not in (0, None), printed
    assert "error: " in printed and "Traceback" not in printed, printed[-4000:]
    for worker in _cluster(job, folder):
        output_of(worker)
    run(job.into(tmp_path / "one", "--dropout=0", "--batch=4"))
    two, one = ([row["loss"] for row in read_rows(path / "metrics.jsonl") if "loss" in row]
                for path in (folder, tmp_path / "one"))
    assert len(one) == job.total and one[-1] < 0.9 * one[0]
    np.testing.assert_allclose(two[:3], one[:3], rtol=1e-3)  # Adam enlarges rounding from step to step
    np.testing.assert_allclose(two, one, rtol=0.1)
    record("two workers, one killed, same commands", 1, 1)
