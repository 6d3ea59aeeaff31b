"""What this process may use of its machine, and what it has used: cores and memory."""

import math
import os
import pathlib
import resource
import sys

_OWN_GROUPS = pathlib.Path("/proc/self/cgroup")
_GROUPS = pathlib.Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores this process may use, at least 1: those of its affinity (`taskset`), and no more than the CPU quota of
    its control groups (containers), rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min((_quota(folder) for folder in _group_folders()), default=math.inf)
    return cores if quota >= cores else max(1, math.ceil(quota))


def peak_memory() -> int:
    """The largest memory that this process has taken, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts bytes on macOS, KiB elsewhere
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _group_folders() -> list[pathlib.Path]:
    """Folders of the control groups this process is in, and of those around them, whose quotas bind it too."""
    folders = []
    for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines() if _OWN_GROUPS.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):  # version 2 has one hierarchy, without name
            # A container sees its own group as the root, yet may read a path of the host: then the root is left.
            group = (_GROUPS / "cpu" if controllers else _GROUPS) / path.lstrip("/")
            folders += [group, *group.parents]
    return folders


def _quota(folder: pathlib.Path) -> float:
    """Cores that the group of `folder` is granted; infinite without a limit."""
    try:
        limit = (folder / "cpu.max").read_text(encoding="utf-8").split()
    except OSError:
        try:
            limit = [(folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8").strip()
                     for name in ("quota", "period")]
        except OSError:
            return math.inf
    # "max" or -1 is none; whatever else a container's own file system shows, no core is lost to it
    if len(limit) != 2 or not all(text.isdigit() for text in limit) or not int(limit[1]):
        return math.inf
    return int(limit[0]) / int(limit[1])
