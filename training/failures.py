"""Says in one line what stopped a run that ran out of memory or lost a worker, and what to do."""

import contextlib
import dataclasses
import re
import resource
import sys
from collections.abc import Iterator

import psutil
import tensorflow as tf

from datasets.common.errors import UserError
from training.config import EngineConfig
from training.run_folder import RunFolder

# Options that decide how much memory a step takes, those that change the result least first.
_LOWERING = ("batch", "max_batch", "crop", "fmap_max", "ngf", "ndf", "width", "resolution")


# What the other workers of a cluster see when one is gone.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
         tf.errors.DeadlineExceededError)


@contextlib.contextmanager
def failures_explained(folder: RunFolder, config: EngineConfig) -> Iterator[None]:
    """Turns into a UserError: a failed allocation (what was measured, which flags lower it), and a lost worker."""
    try:
        yield
    except _LOST as error:
        if config.strategy != "multi_worker":
            raise
        reason = next((line for line in error.message.splitlines() if "aborted" in line), type(error).__name__)
        raise UserError(f"{folder.path}: a worker of the cluster was lost ({reason}); the last checkpoint is "
                        "kept; start the same command on every worker again") from None
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        asked = re.search(r"allocating tensor with shape\[[\d,]*\] and type \w+", str(error))
        what = f" when {asked.group()}" if asked else ""
        raise UserError(f"{folder.path}: out of memory{what}; {measured()}; the last checkpoint is kept; lower "
                        f"{', '.join(lowering(config))} in a new --workdir, or run where more is free") from None


def measured() -> str:
    """Peak memory of this process and of its accelerators, and what the machine has."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    machine = psutil.virtual_memory()
    parts = [f"this process took {_size(peak)} at its peak, {_size(machine.available)} of {_size(machine.total)} "
             "are free"]
    for device in tf.config.list_logical_devices("GPU"):
        info = tf.config.experimental.get_memory_info(device.name.replace("/device:", ""))
        parts.append(f"{device.name}: {_size(info['peak'])} at its peak")
    return "; ".join(parts)


def lowering(config: EngineConfig) -> list[str]:
    """Flags with their present values that lower the memory of a step."""
    values = dataclasses.asdict(config)
    flags = [f"--{name} (now {values[name]})" for name in _LOWERING if name in values]
    if values["precision"] == "float32":
        flags.append("--precision (now float32; mixed_bfloat16 halves the feature maps)")
    return flags


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
