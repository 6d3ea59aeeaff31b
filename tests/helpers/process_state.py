"""What one test or one command changes for the whole process, and how it is put back."""

import contextlib
import logging
import os
import random
import sys
from collections.abc import Iterator

import absl.logging
import numpy as np


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Folder, environment, command line, logging, import hooks and what `computing_kept` keeps are as before."""
    folder, environment, command = os.getcwd(), dict(os.environ), list(sys.argv)
    finders, handlers, level = list(sys.meta_path), list(logging.root.handlers), logging.root.level
    verbosity = absl.logging.get_verbosity()
    try:
        with computing_kept():
            yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[:], sys.meta_path[:], logging.root.handlers[:] = command, finders, handlers
        absl.logging.set_verbosity(verbosity)
        logging.root.setLevel(level)


@contextlib.contextmanager
def computing_kept() -> Iterator[None]:
    """Begins in float32 without determinism, and ends so; the global draws go on where they stood.

    Training sets Keras' number format and TensorFlow's determinism for the process; neither is imported for this.
    """
    drawn, drawn_by_numpy = random.getstate(), np.random.get_state()
    _plain_computing()
    try:
        yield
    finally:
        _plain_computing()
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """No graph is traced: for a few steps of a tiny network that takes ten times as long as they do."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def _plain_computing() -> None:
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()
        config.set_optimizer_experimental_options({"disable_meta_optimizer": False})
    if "keras" in sys.modules:
        import keras

        keras.config.set_dtype_policy("float32")
