"""How the workers that train one network together find one another, through events that the scheduler keeps.

Each of them, a rank from 0 on, joins with an address of its own. Once all have, the chief, rank 0, tells that they
begin, and each has its process begun as a worker of tf.distribute's MultiWorkerMirroredStrategy. Where one is
lost, the others' processes end, they join again, and so does the worker that takes its place.
"""

import socket
import time
import uuid
from collections.abc import Callable
from typing import Any

_LOOK_SECONDS = 0.2  # between looks for events
_LOST_SECONDS = 30.0  # in which the scheduler notices that a worker's connection is gone


class Meeting:
    """A task's meeting, as one rank sees it; to be used in a task of a Dask worker.

    Args:
      topic: of the events, this task's alone.
      rank, ranks: which of how many.
      wanted: whether this rank's work still is; asked now and then.
    """

    def __init__(self, topic: str, rank: int, ranks: int, wanted: Callable[[], bool]):
        from distributed import get_client, get_worker

        self._topic, self._rank, self._ranks, self._wanted = topic, rank, ranks, wanted
        self._worker, self._client = get_worker(), get_client()
        self._members: list[dict[str, Any]] = []
        self._begun: set[str] = set()  # joins of ranks that this one, the chief, had begin

    def join(self) -> list[str] | None:
        """Addresses HOST:PORT of all ranks, once all are there; None where the task was done before, or is no
        longer wanted."""
        host = self._worker.address.rpartition("://")[2].rpartition(":")[0]
        host = host if self._worker.address.startswith(("tcp", "tls")) else "127.0.0.1"  # of this process
        mine = uuid.uuid4().hex
        self._tell({"join": mine, "rank": self._rank, "address": f"{host}:{_free_port()}",
                    "worker": self._worker.address})
        while self._wanted():
            events = self._events()
            if _tell_done(events):
                return None
            starts = [event["begin"] for event in events if "begin" in event]
            own = (members for members in starts if any(one["join"] == mine for one in members))
            self._members = next(own, [])
            if self._members:
                return [one["address"] for one in self._members]
            if self._rank == 0:
                self._begun |= {one["join"] for members in starts for one in members}
                self._call(events)
            time.sleep(_LOOK_SECONDS)
        return None

    def _call(self, events: list[dict[str, Any]]) -> None:
        """Tells that all begin, if all have joined since they last did."""
        joined = {event["rank"]: event for event in events  # the last of each
                  if "join" in event and event["join"] not in self._begun}
        if len(joined) == self._ranks:
            self._begun |= {event["join"] for event in joined.values()}
            self._tell({"begin": [joined[rank] for rank in range(self._ranks)]})

    def finish(self) -> None:
        """Tells that the task is done: by the chief."""
        self._tell({"done": True})

    def finished(self) -> bool:
        """Waits until the chief tells that the task is done; not so where it is lost, or this is not wanted."""
        while self._wanted() and self._all_there():
            if _tell_done(self._events()):
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def again(self) -> bool:
        """Whether to join once more after a failure: a worker of those that began is gone, which takes a while to
        know; or the task was done, by a chief that was lost before it told, so that the next did not train."""
        late = time.monotonic() + _LOST_SECONDS
        while self._wanted() and time.monotonic() < late:
            if _tell_done(self._events()) or not self._all_there():
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def _all_there(self) -> bool:
        there = self._client.scheduler_info(n_workers=-1)["workers"]
        return all(one["worker"] in there for one in self._members)

    def _tell(self, event: dict[str, Any]) -> None:
        self._worker.log_event(self._topic, event)

    def _events(self) -> list[dict[str, Any]]:
        return [event for _, event in self._client.get_events(self._topic)]


def _tell_done(events: list[dict[str, Any]]) -> bool:
    return any("done" in event for event in events)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        return free.getsockname()[1]
