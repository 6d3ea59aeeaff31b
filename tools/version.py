"""Which code made something."""

import contextlib
import hashlib
import importlib.metadata
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]  # of the project
_PARTS = ("datasets", "evaluation", "models", "tools", "training")
_PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "opencv-python-headless", "scikit-image")  # decide results


def project_version() -> dict[str, str]:
    """What decides a result besides data and settings: a digest of the code, and versions of what it runs on."""
    digest = hashlib.sha256()
    for path in sorted(path for part in _PARTS for path in (ROOT / part).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    python = ".".join(platform.python_version_tuple()[:2])
    return {"project": digest.hexdigest()[:16], "Python": python, **versions}


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
