"""A Dask scheduler and workers on loopback, each a process that can be killed."""

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

from tests.helpers.processes import ROOT


class Loopback:
    """A scheduler and `workers` worker processes, each for one task at a time; ended by `close`.

    Attributes:
      file: in which the scheduler wrote its address.
    """

    def __init__(self, folder: pathlib.Path, workers: int):
        self.file, self._log = folder / "scheduler.json", folder / "cluster.txt"
        self._processes: list[subprocess.Popen] = []
        self.scheduler = self._start("scheduler", "--host=127.0.0.1", "--port=0", "--scheduler-file",
                                     str(self.file))
        self._wait_for(lambda: self.file.is_file() and self.file.read_text())
        self.workers = [self.add() for _ in range(workers)]
        self._wait_for(lambda: self._log.read_text().count("Registered to:") >= workers)

    def _wait_for(self, there: Callable) -> None:
        deadline = time.monotonic() + 120
        while not there():
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    @property
    def address(self) -> str:
        return json.loads(self.file.read_text())["address"].removeprefix("tcp://")

    def add(self, *options: str, cwd: pathlib.Path = ROOT) -> subprocess.Popen:
        """One worker more, started in `cwd`."""
        return self._start("worker", "--scheduler-file", str(self.file), "--host=127.0.0.1", "--nthreads=1",
                           "--no-nanny", "--local-directory", str(self.file.parent / "scratch"), *options, cwd=cwd)

    def _start(self, what: str, *options: str, cwd: pathlib.Path = ROOT) -> subprocess.Popen:
        with open(self._log, "a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", what, *options, "--no-dashboard"], stdout=log, stderr=log, cwd=cwd,
                env=dict(os.environ, CUDA_VISIBLE_DEVICES="", PYTHONPATH=""))
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
