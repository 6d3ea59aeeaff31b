"""Keeps TensorFlow's start-up notices off stderr, where a binary's own messages belong."""

import importlib.abc
import importlib.machinery
import os
import sys
import tempfile
import types
from collections.abc import Callable


def quiet_tensorflow() -> None:
    """Makes the coming import of TensorFlow silent, unless TF_CPP_MIN_LOG_LEVEL=0 asks for its notices.

    TensorFlow 2.21 writes some before its log level counts. What it wrote is shown if the import fails.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # as much of a GPU's memory as is needed
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "0":
        sys.meta_path.insert(0, LoadFinder("tensorflow", _load_quietly))


class LoadFinder(importlib.abc.MetaPathFinder):
    """Finds the package `name` as always, and has `load(loader, module)` call what loads it, `loader(module)`."""

    def __init__(self, name: str, load: Callable[[Callable, types.ModuleType], None]):
        self._name, self._load = name, load

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self._name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            loader = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self._load(loader, module)
        return spec


def _load_quietly(load: Callable[[types.ModuleType], None], module: types.ModuleType) -> None:
    """Loads with file descriptor 2, to which native code writes, led to a temporary file."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            load(module)
        except BaseException:
            kept.seek(0)
            os.write(before, kept.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)
