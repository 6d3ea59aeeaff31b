"""One process at a time in a folder."""

import errno
import fcntl
import os
import pathlib
import time
from typing import TextIO

from datasets.common.errors import UserError

_LOOK_SECONDS = 0.2


def lock_folder(path: str | os.PathLike, doing: str, name: str = ".lock", patience: float = 0.0) -> TextIO:
    """Holds `path` for this process until the returned handle is closed or the process ends.

    Args:
      doing: what the holder does, for the error.
      name: of the lock's file in `path`; each is a lock of its own.
      patience: seconds to wait for another process, e.g. one that is about to end.

    Raises UserError if another process holds it then, and where the file system has no locks.
    """
    # The file stays; the lock is the kernel's, and ends with the process.
    handle = open(pathlib.Path(path) / name, "w")  # noqa: SIM115 (held as long as the run)
    late = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # LOCK_NB: refuses at once
            return handle
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                handle.close()
                raise UserError(f"{path}: its file system cannot keep a second process out ({error.strerror}); "
                                "choose a --workdir on another") from None
            if time.monotonic() < late:
                time.sleep(_LOOK_SECONDS)
                continue
            handle.close()
            raise UserError(f"{path}: another process is {doing}; wait for it or choose another "
                            "--workdir") from None
