"""Which code made something."""

import contextlib
import subprocess

from tools.experiment.cluster import ROOT, project_version


def code_version() -> dict[str, str]:
    """`project_version`, and the commit of a git checkout, with "+" behind it where files were changed since."""
    found = {}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if (ROOT / ".git").exists():
            changes = _git("status", "--porcelain", "--untracked-files=no")
            found = {"commit": _git("rev-parse", "HEAD")[:12] + "+" * bool(changes)}
    return {**found, **project_version()}


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()
