"""The process of one task: `python -m tools.experiment.task_process HANDLE SHARE THREADS guarded|alone`.

Standard input brings what is to be done, pickled, and stays open as long as the worker that started the process
lives. HANDLE is the file descriptor of a connection on which it tells: text for lines that the task prints, a dict
for its end. This module imports no TensorFlow, so that it can be quietened first.
"""

import contextlib
import io
import os
import pathlib
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection

from datasets.common.errors import UserError
from datasets.common.folder_lock import lock_folder
from datasets.common.own_settings import settle_process

_PATIENCE_SECONDS = 120.0  # a lost worker's process, or its lock on another machine, may take so long to end


def _run(handle: int, share: int, threads: int, guarded: bool) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settle_process()
    os.set_inheritable(handle, False)
    connection = Connection(handle, readable=False)
    try:
        end = _do(connection, share, threads, guarded)
    except KeyboardInterrupt:  # asked to stop
        end = {"end": "stopped", "text": ""}
    except UserError as error:
        end = {"end": "refused", "text": str(error)}
    except BaseException:
        end = {"end": "failed", "text": traceback.format_exc()}
    connection.send(end)
    connection.close()


def _do(connection: Connection, share: int, threads: int, guarded: bool) -> dict[str, str]:
    """Does the task that standard input brings; how it ended."""
    make_tasks, workdir, id_, key = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_worker, daemon=True).start()  # the worker may be killed outright
    _take_share(share, threads)
    from tools.experiment.tasks import do_task

    root = pathlib.Path(workdir)
    with contextlib.redirect_stdout(Lines(connection)), contextlib.ExitStack() as stack:
        task = next(task for task in make_tasks() if task.id == id_)
        if guarded:  # a worker that the scheduler has lost may still be at it
            stack.enter_context(lock_folder(root / task.part / "tasks", f"doing {id_}", f".{task.name}.lock",
                                            _PATIENCE_SECONDS))
        return {"end": "done", "text": do_task(task, root, key)}


def _end_with_worker() -> None:
    os.read(sys.stdin.fileno(), 1)  # until the other end is closed; a reader with a lock would hinder our own end
    os._exit(1)  # at once: nobody is left to read


def _take_share(share: int, threads: int) -> None:
    """This process's part of the machine: one GPU of several, or its share of the cores."""
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
    tf = sys.modules.get("tensorflow")  # by what the tasks' modules import: the plan of an experiment does
    if tf is None:
        return
    tf.config.threading.set_intra_op_parallelism_threads(threads)  # before TensorFlow makes its threads
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.set_visible_devices(gpus[share % len(gpus)], "GPU")  # shares go round where GPUs are fewer
        # Else the first takes all of its memory.
        tf.config.experimental.set_memory_growth(gpus[share % len(gpus)], True)


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


if __name__ == "__main__":
    _run(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "guarded")
