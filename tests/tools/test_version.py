"""Which code made something: the commit of a checkout, and a digest of the code where there is none."""

import subprocess
import sys

from tests.helpers import binaries
from tools import version


def _git(folder, *words):
    subprocess.run(["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True,
                   capture_output=True)


def test_a_checkout_is_told_by_its_commit_and_whether_files_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(version, "ROOT", tmp_path)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "a.py").write_text("a = 1\n")
    assert version.code_version() == version.project_version()  # no checkout
    _git(tmp_path, "init")
    _git(tmp_path, "add", "tools")
    _git(tmp_path, "commit", "-m", "first")
    before = version.code_version()
    assert len(before["commit"]) == 12
    (tmp_path / "tools" / "a.py").write_text("a = 2\n")
    after = version.code_version()
    assert after["commit"] == before["commit"] + "+" and after["project"] != before["project"]


def test_the_digest_is_of_this_project():
    paths = [path for part in version._PARTS for path in (version.ROOT / part).rglob("*.py")]
    assert version.ROOT == binaries.ROOT and binaries.ROOT / "tools" / "version.py" in paths


def test_no_cluster_is_needed_to_tell_the_version():
    code = ("import sys, tools.version; print(*sorted(name for name in sys.modules if name.startswith("
            "('distributed', 'dask', 'tools.'))))")
    done = subprocess.run([sys.executable, "-c", code], cwd=binaries.ROOT, text=True, capture_output=True,
                          check=True)
    assert done.stdout.split() == ["tools.version"]
