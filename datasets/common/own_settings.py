"""What a process of ours sets for itself, so that no other project's settings reach it.

Notebooks, other frameworks and containers leave behind a drawing backend, a Keras backend or number format, files
of defaults, warnings as errors, an output that takes ASCII alone or is closed. None of them may cost a result.
"""

import logging
import os
import re
import sys
import types
import warnings
from collections.abc import Callable

from datasets.common.tensorflow_startup import LoadFinder, quiet_tensorflow

_SET = {
    "KERAS_BACKEND": "tensorflow",
    "KERAS_HOME": f"{os.devnull}/keras",  # no keras.json is read there, nor written; nothing is fetched either
    "MPLBACKEND": "agg",  # figures are files
}
_UNSET = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED", "PYTHONWARNINGS",
          "TF_USE_LEGACY_KERAS")
_HOME = re.compile(r"(?:^|(?<=[=,]))~(?=/|$|,)")  # at the beginning of an argument, a value, or one of a list


def settle_process() -> None:
    """Begins a process: to be called before Keras, TensorFlow or matplotlib are imported."""
    os.environ.update(_SET)
    for name in _UNSET:
        os.environ.pop(name, None)
    if sys.warnoptions:  # as where none were asked for: libraries warn, and do not fail of it
        sys.warnoptions.clear()  # which processes of ours would inherit
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of folders in which it cannot keep things
    sys.meta_path.insert(0, LoadFinder("matplotlib", _load_plain))
    quiet_tensorflow()
    for name in ("stdout", "stderr"):
        setattr(sys, name, _steady(getattr(sys, name)))


def expand_home(arguments: list[str]) -> list[str]:
    """Command-line arguments in which `~` stands for the home folder in --x=~/y too, where shells leave it."""
    home = os.path.expanduser("~")
    return [_HOME.sub(lambda _: home, argument) for argument in arguments]


def _load_plain(load: Callable[[types.ModuleType], None], module: types.ModuleType) -> None:
    """Loads matplotlib, and forgets what files called matplotlibrc asked for."""
    load(module)
    module.rcdefaults()


def _steady(stream):
    """`stream` such that printing never fails: characters that it lacks are escaped, and a closed one is left."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    if not hasattr(stream, "reconfigure") or isinstance(stream, _Steady):  # of a test, or settled before
        return stream
    stream.reconfigure(errors="backslashreplace")
    return _Steady(stream)


class _Steady:
    """A text stream that goes on in silence where its other end is closed or full."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._lose()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._lose()

    def _lose(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
