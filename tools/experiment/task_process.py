"""What the process of one task does; `tools.experiment.task_server` begins it.

This module imports no TensorFlow, so that it can be quietened first.
"""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.folder_lock import lock_folder

_PATIENCE_SECONDS = 120.0  # a lost worker's process, or its lock on another machine, may take so long to end


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a task is done.

    Attributes:
      share: a place of the worker that none of its other tasks has, from 0 on.
      threads: of the task.
      guarded: whether a worker that the scheduler has lost may still be at the task.
      folder: working directory.
      members: HOST:PORT of each worker that trains in this task, where several do; `rank` says which is this one.
        The first, the chief, writes.
    """

    share: int
    threads: int
    guarded: bool
    folder: str
    rank: int = 0
    members: Sequence[str] = ()


def run(place: Place, order: int, tell: int) -> None:
    """Does a task in this process, to its end.

    Args:
      order: file descriptor that brings what is to be done, pickled, and stays open as long as the worker lives.
      tell: one of a connection on which the process tells: text for lines that the task prints, a dict for its
        end.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.chdir(place.folder)
    connection = Connection(tell, readable=False)
    try:
        end = _do(order, connection, place)
    except KeyboardInterrupt:  # asked to stop
        end = {"end": "stopped", "text": ""}
    except UserError as error:
        end = {"end": "refused", "text": str(error)}
    except BaseException:
        end = {"end": "failed", "text": traceback.format_exc()}
    connection.send(end)


def _do(order: int, connection: Connection, place: Place) -> dict[str, str]:
    """Does the task that `order` brings; how it ended."""
    with open(order, "rb", closefd=False) as stream:
        make_tasks, workdir, id_, key = pickle.load(stream)
    threading.Thread(target=_end_with_worker, args=(order,), daemon=True).start()  # it may be killed outright
    _take_share(place)
    if place.members:
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": list(place.members)},
                                              "task": {"type": "worker", "index": place.rank}})
    from tools.experiment.tasks import do_task

    root = pathlib.Path(workdir)
    with contextlib.redirect_stdout(Lines(connection)), contextlib.ExitStack() as stack:
        task = next(task for task in make_tasks() if task.id == id_)
        if place.rank:
            task.run(atomic_files.make_folder(root / task.part / task.name))
            return {"end": "done", "text": ""}
        if place.guarded:
            stack.enter_context(lock_folder(root / task.part / "tasks", f"doing {id_}", f".{task.name}.lock",
                                            _PATIENCE_SECONDS))
        return {"end": "done", "text": do_task(task, root, key)}


def _end_with_worker(order: int) -> None:
    os.read(order, 1)  # until the other end is closed; a reader with a lock would hinder our own end
    os._exit(1)  # at once: nobody is left to read


def _take_share(place: Place) -> None:
    """This process's part of the machine: one GPU of several, or its share of the cores."""
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(place.threads)
    tf = sys.modules.get("tensorflow")  # by what the tasks' modules import: the plan of an experiment does
    if tf is None:
        return
    tf.config.threading.set_intra_op_parallelism_threads(place.threads)  # before TensorFlow makes its threads
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        gpu = gpus[place.share % len(gpus)]  # shares go round where GPUs are fewer
        tf.config.set_visible_devices(gpu, "GPU")
        tf.config.experimental.set_memory_growth(gpu, True)  # else the first takes all of its memory


class Lines(io.TextIOBase):
    """A stdout that sends whole lines to the worker."""

    def __init__(self, connection: Connection):
        self._connection, self._rest = connection, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")  # the last part has no end yet
        for line in lines:
            self._connection.send(line)
        return len(text)

    def take_line(self, line: str) -> None:
        """A line as it is: see `datasets.common.progress.say`."""
        self._connection.send(line)
