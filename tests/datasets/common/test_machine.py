"""Cores by affinity and control groups of both versions; peak memory in one unit on every system."""

import os
import resource
import subprocess
import sys

import pytest

from datasets.common import machine


@pytest.mark.parametrize(("own", "files", "cores"), [
    ("0::/\n", {}, 8),
    ("0::/\n", {"": ("cpu.max", "max 100000\n")}, 8),
    ("0::/\n", {"": ("cpu.max", "300000 100000\n")}, 3),
    ("0::/\n", {"": ("cpu.max", "50000 100000\n")}, 1),
    ("0::/\n", {"": ("cpu.max", "200000 0\n")}, 8),  # not what a kernel writes
    ("5:cpu:/a\n", {"cpu/a": ("cpu.cfs_quota_us", "")}, 8),
    ("0::/\n", {"": ("cpu.max", "150000 100000\n")}, 2),
    ("0::/a/b\n", {"a/b": ("cpu.max", "max 100000\n"), "a": ("cpu.max", "200000 100000\n")}, 2),  # the outer binds
    ("5:cpu,cpuacct:/a\n3:cpuset:/\n0::/\n", {"cpu/a": ("cpu.cfs_quota_us", "400000\n")}, 4),
    ("5:cpu,cpuacct:/a\n", {"cpu/a": ("cpu.cfs_quota_us", "-1\n")}, 8),
    ("5:cpu:/docker/1f\n", {"cpu": ("cpu.cfs_quota_us", "200000\n")}, 2),  # a container's root
    ("4:memory:/a\n", {"memory/a": ("cpu.max", "100000 100000\n")}, 8),
])
def test_the_quota_of_control_groups_counts(own, files, cores, tmp_path, monkeypatch):
    (tmp_path / "own").write_text(own)
    for folder, (name, text) in files.items():
        path = tmp_path / "groups" / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
        if name == "cpu.cfs_quota_us":
            (path / "cpu.cfs_period_us").write_text("100000\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "groups")
    assert machine.usable_cores() == cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_the_affinity_of_a_real_process_counts():
    program = ("import os; from datasets.common.machine import usable_cores\n"
               "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(usable_cores())")
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "1\n"


@pytest.mark.parametrize(("platform", "unit"), [("darwin", 1), ("linux", 1024)])
def test_peak_memory_is_in_bytes_everywhere(platform, unit, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    counted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert counted * unit <= machine.peak_memory() <= 1.1 * counted * unit
