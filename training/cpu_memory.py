"""Keeps freed memory in the process, where glibc would give large blocks back to the system and fetch them anew.

A training step allocates and frees the same blocks each time; fetched anew, every page of them costs a fault and
is filled with zeros first: 410,000 pages in a step of Pix2PixHD at 256 pixels (docs/performance.md).
"""

import ctypes
import functools

# mallopt(3) and malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD = 256 * 2**20  # bytes that the heap grows by


def keep_freed_memory() -> bool:
    """From now on freed blocks stay in the heap; what is free in it now is given back. False without glibc."""
    libc = _glibc()
    if libc is None:
        return False
    libc.malloc_trim(0)  # of an earlier training
    # No block by mmap, never trimmed, and grown in large pieces; the threshold is a C int.
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, _PAD))
    return all(libc.mallopt(name, value) == 1 for name, value in settings)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)  # what this process has loaded
        library.gnu_get_libc_version, library.mallopt, library.malloc_trim  # noqa: B018
    except (AttributeError, OSError):  # musl, macOS
        return None
    return library
