"""`make` takes the Python there is, or says in one line that there is none."""

import os
import shutil
import subprocess

import pytest

from tests.helpers.binaries import ROOT

MAKE = shutil.which("make")


def _make(folder, versions, *options):
    """`make -n .venv/installed` where these programs are all that PATH holds, each of the version said."""
    (folder / "bin").mkdir()
    for name in ("sh", "echo", "test", "touch"):
        (folder / "bin" / name).symlink_to(shutil.which(name))
    for name, version in versions.items():
        program = folder / "bin" / name
        # As python would: whether the version lies between the two that the command line asks for.
        program.write_text(f"#!/bin/sh\n[ {version} -ge 311 ] && [ {version} -le 313 ]\n")
        program.chmod(0o755)
    for name in ("Makefile", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    environment = {**os.environ, "PATH": str(folder / "bin")}
    environment.pop("PYTHON", None)
    return subprocess.run([MAKE, *options, ".venv/installed"], cwd=folder, env=environment, capture_output=True,
                          text=True)


@pytest.mark.skipif(MAKE is None, reason="needs make")
@pytest.mark.parametrize(("versions", "taken"), [
    ({"python3.13": 313, "python3.11": 311}, "python3.13"), ({"python3.12": 312}, "python3.12"),
    ({"python3.13": 999, "python3.11": 311}, "python3.11"),  # a name behind which there is nothing
    ({"python3": 312, "python": 27}, "python3"), ({"python3": 310, "python": 313}, "python")])
def test_the_python_that_is_there(tmp_path, versions, taken):
    done = _make(tmp_path, versions, "-n")
    assert f" {taken} -m venv .venv" in done.stdout, done


@pytest.mark.skipif(MAKE is None, reason="needs make")
def test_without_any_one_line_says_so(tmp_path):
    done = _make(tmp_path, {"python3": 314, "python": 27})
    lines = [line for line in done.stderr.splitlines() if "***" not in line]  # make adds that a target failed
    assert done.returncode and len(lines) == 1 and "3.11" in lines[0] and "PYTHON=" in lines[0], done
    assert not (tmp_path / ".venv").exists()
