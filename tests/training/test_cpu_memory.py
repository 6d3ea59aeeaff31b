"""Freed blocks stay with the process, and are given back before the next training."""

import subprocess
import sys
import textwrap

import pytest

from training.cpu_memory import keep_freed_memory

# In a process of its own: the setting cannot be taken back.
_PROGRAM = textwrap.dedent("""
    import resource
    from training.cpu_memory import keep_freed_memory

    def faults(turns=5):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(turns):
            b"x" * 2**26  # 16,384 pages, freed at once
        return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / turns

    faults()
    before = faults()
    assert keep_freed_memory()
    faults(1)
    kept = faults()
    assert keep_freed_memory()
    print(before, kept, faults(1))
""")


def test_freed_memory_is_kept_until_the_next_training():
    if not keep_freed_memory():
        pytest.skip("needs glibc")
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    before, kept, given_back = (float(value) for value in done.stdout.split())
    if before < 15_000:
        pytest.skip("needs pages of 4 KiB: this system gives large blocks huge ones, and faults are few anyway")
    assert kept < 100
    assert given_back > 15_000
