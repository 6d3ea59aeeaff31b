"""The cluster on which tasks run: Dask's scheduler with workers in this process, or one that is there.

Workers of a cluster that is there must have this version of the project and see the experiment's folder and data
under the same names; both are looked at before anything starts, and by each worker before each task.
"""

import contextlib
import dataclasses
import logging
import os
import pathlib
import re
import socket
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from datasets.common import atomic_files
from datasets.common.errors import UserError
from tools.version import project_version

_CONNECT_SECONDS = 10
_ADDRESS = re.compile(r"(?:(?:tcp|tls)://)?(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where tasks run.

    Attributes:
      jobs: tasks at once, each in a process on this machine, unless there is a scheduler.
      scheduler: its address, HOST:PORT.
      scheduler_file: in which it wrote its address.
      threads: of each task; by default this machine's cores are shared among `jobs`, or those of the cluster's
        machines among the places of their workers, the least of them being each task's.

    Raises UserError for what can be no address, and for both of them.
    """

    jobs: int = 1
    scheduler: str | None = None
    scheduler_file: str | None = None
    threads: int | None = None

    def __post_init__(self):
        if self.scheduler is not None and self.scheduler_file is not None:
            raise UserError(f"found --scheduler={self.scheduler} and --scheduler_file={self.scheduler_file}; "
                            "leave one out")
        if self.scheduler is not None and not _ADDRESS.fullmatch(self.scheduler):
            raise UserError(f"--scheduler={self.scheduler}: expected HOST:PORT, as the scheduler prints it")

    @property
    def elsewhere(self) -> bool:
        """Whether the scheduler is one that is there."""
        return self.scheduler is not None or self.scheduler_file is not None

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """A `distributed.Client` of it, in a context. Raises UserError where the scheduler is not there."""
        import dask
        from distributed import Client, LocalCluster

        _quieten()
        with contextlib.ExitStack() as stack:
            if not self.elsewhere:
                # A machine that slept for minutes has not lost its own worker.
                stack.enter_context(dask.config.set({"distributed.scheduler.worker-ttl": None}))
                place = stack.enter_context(LocalCluster(
                    n_workers=1, threads_per_worker=self.jobs, processes=False, dashboard_address="127.0.0.1:0",
                    worker_dashboard_address="127.0.0.1:0", memory_limit=0, silence_logs=logging.CRITICAL))
            else:
                place = self.scheduler or self._written()
            try:
                if self.elsewhere:  # is refused at once, which Dask would try again and again
                    host, port = place.rpartition("://")[2].rsplit(":", 1)
                    socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
                client = Client(place, timeout=_CONNECT_SECONDS, set_as_default=False)
            except (OSError, OverflowError, ValueError, RuntimeError) as error:
                raise UserError(f"{self._named()}: no Dask scheduler answers at {place} ({type(error).__name__}); "
                                "start one, or look at host, port and fire walls") from None
            yield stack.enter_context(client)

    def _named(self) -> str:
        return f"--scheduler={self.scheduler}" if self.scheduler else f"--scheduler_file={self.scheduler_file}"

    def _written(self) -> str:
        """The address in the scheduler's file."""
        if not os.path.isfile(self.scheduler_file):
            raise UserError(f"--scheduler_file={self.scheduler_file}: no such file; it is there once "
                            f"`python -m dask scheduler --scheduler-file {self.scheduler_file}` runs")
        value = atomic_files.read_json(self.scheduler_file)
        address = value.get("address") if isinstance(value, dict) else None
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            raise UserError(f"--scheduler_file={self.scheduler_file}: found no address of a scheduler; expected "
                            "the file that `python -m dask scheduler --scheduler-file` writes")
        return address


def check_cluster(cluster: Cluster) -> None:
    """Raises UserError where `cluster` has no scheduler or no workers, or they have another version of the
    project."""
    if cluster.elsewhere:
        with cluster.client() as client:
            _check(client, {"project": project_version()})


def check_workers(client, workdir: str, inputs: Sequence[str]) -> tuple[dict[str, Any], list[int]]:
    """What every worker must find, after each that is there has found it; and the cores that a task has on each
    machine.

    Raises UserError where no worker is there, where one has another version of the project, and where it does not
    see `workdir`, this folder or one of `inputs`.
    """
    token = pathlib.Path(workdir).absolute() / "tasks" / f".shared-{uuid.uuid4().hex}"
    atomic_files.write_text(token, token.name)
    try:
        folders = [os.getcwd(), *(os.path.abspath(path) for path in inputs)]
        expected = {"project": project_version(), "folders": folders}
        places = _check(client, {**expected, "token": str(token)})
    finally:
        token.unlink(missing_ok=True)
    return {**expected, "folders": [*folders, str(token.parent)]}, places


def _check(client, expected: dict[str, Any]) -> list[int]:
    """Has every worker look for what is expected; the cores that a task has on each machine."""
    workers = _workers(client)

    # A local function travels by value: a worker without the project can say so.
    def look(wanted):
        try:
            from datasets.common.machine import usable_cores
            from tools.experiment.cluster import misfit
        except ImportError:
            import os

            return (f"finds no project of this version (it was started in {os.getcwd()}); start it in the "
                    "project's folder, as docs/cluster.md has it")
        return misfit(wanted) or usable_cores()

    found = client.run(look, expected, on_error="return")
    for address, reason in found.items():
        if not isinstance(reason, int):
            said = f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else reason
            raise UserError(f"worker {address}: {said}")
    places: dict[str, int] = {}
    for worker in workers.values():
        places[worker["host"]] = places.get(worker["host"], 0) + worker["nthreads"]
    return [max(1, found[address] // places[worker["host"]]) for address, worker in workers.items()
            if address in found]


def _workers(client) -> dict[str, Any]:
    from distributed import TimeoutError

    try:
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
    except (TimeoutError, OSError):
        raise UserError(f"{client.scheduler.address}: this scheduler has no workers; start some, as "
                        "docs/cluster.md has it") from None
    return client.scheduler_info(n_workers=-1)["workers"]


def misfit(expected: dict[str, Any]) -> str | None:
    """What this machine lacks of what is expected of a worker; None where it lacks nothing."""
    found = project_version()
    for part, wanted in expected["project"].items():
        if found.get(part) != wanted:
            return (f"has {part} {found.get(part)}, expected {wanted} as here; give all machines the same version "
                    "of the project, and start the workers again")
    for folder in expected.get("folders", ()):
        if not os.path.exists(folder):
            return f"does not see {folder}; expected a file system that all machines share"
    token = pathlib.Path(expected["token"]) if "token" in expected else None
    if token and not (token.is_file() and token.read_text(encoding="utf-8") == token.name):
        return (f"sees another {token.parents[1]} than this machine; expected a file system that all machines "
                "share")
    return None


def _quieten() -> None:
    """Leaves it to us to tell what becomes of a cluster."""
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.scheduler",
                 "distributed.worker", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
