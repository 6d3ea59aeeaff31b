"""The one loop of all trainers: restore, step, log, draw, score, save, finish.

Positions count images (PGGAN) or steps (the others). What happens at a position depends on nothing else, so
a run that was killed and continued writes the same lines and pictures as one that was not.
"""

import contextlib
import dataclasses
import math
import re
import signal
import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import psutil
import tensorflow as tf

from datasets.common.errors import UserError
from datasets.common.machine import peak_memory
from datasets.common.progress import Passing, clock
from training.checkpoints import Progress
from training.config import EngineConfig
from training.devices import any_worker, device_line
from training.run_folder import RunFolder

_MOST_PENDING = 100  # calls whose metrics are not fetched yet: a run that went wrong is not noticed later


class Trainer(Protocol):
    """What a trainer gives to the loop.

    Attributes:
      unit: what positions count, "images" or "steps".
      total: the position at which the run is done.
      score_every: positions between calls of `score`; 0 for never.
      images_per_position: for the images/s of the status line.
      strategy: the distribution it was built under.
    """

    unit: str
    total: int
    score_every: int
    images_per_position: float
    strategy: tf.distribute.Strategy

    def trackables(self) -> dict[str, Any]:
        """Everything with `variables` that a continued run needs: networks, optimizers, modules."""

    def step(self, position: int, until: int | None = None) -> tuple[int, dict[str, tf.Tensor]]:
        """Trains a step from `position`, or several in one call, none of which begins at `until` or behind.

        Returns the next position and metrics [steps], for which it need not wait. A metric that is not finite
        stops the run, so one of them tells whether the gradients were.
        """

    def grid(self, position: int) -> np.ndarray:
        """Fixed-seed pictures at `position`, uint8 [H, W] or [H, W, 3]."""

    def score(self, position: int, folder: RunFolder) -> dict[str, float]:
        """Scores at `position`; may keep the weights scored in `folder`."""

    def finish(self, folder: RunFolder) -> dict[str, Any]:
        """Keeps the run's network in `folder`; returns its facts, for product.json."""


def run(trainer: Trainer, folder: RunFolder, config: EngineConfig) -> None:
    """Trains `trainer` from where `folder` stands to its end.

    Raises UserError on a non-finite loss or gradient, a full disk or too little memory (the last checkpoint is
    kept) and KeyboardInterrupt after Ctrl-C or SIGTERM (a checkpoint is written first).
    """
    if already_finished(folder, trainer.total, trainer.unit):
        return
    finished = folder.finished_at()
    if device_line(config):
        folder.say(device_line(config))
    progress = Progress()
    folder.restore(trainer.trackables(), progress)
    if progress.position:
        # Under a longer --total_kimg, --epochs or --steps.
        extended = f" (extended; was finished at {finished:,})" if finished == progress.position else ""
        folder.say(f"continuing at {progress.position:,} of {trainer.total:,} {trainer.unit}{extended}")
    with _Interruption() as interruption, failures_explained(folder, config):
        _train(trainer, folder, config, progress, interruption)
        folder.finish({**trainer.finish(folder), "position": progress.position})
        folder.write_page(trainer.total, trainer.unit)


def already_finished(folder: RunFolder, total: int, unit: str) -> bool:
    """Whether the run in `folder` has come to `total` before; says so."""
    finished = folder.finished_at()
    if finished is None or finished < total:
        return False
    folder.say(f"{folder.path}: already finished at {finished:,} {unit}")
    return True


def _train(trainer: Trainer, folder: RunFolder, config: EngineConfig, progress: Progress, interruption) -> None:
    status = _Status(trainer, progress.position)
    log_every = max(1, trainer.total // config.log_lines) if config.log_lines else 0  # evenly over the whole run
    grid_every = max(1, trainer.total // config.grids) if config.grids else 0
    saved = time.monotonic()
    if progress.position == 0 and grid_every:  # untrained: where it began
        _draw(trainer, folder, progress)
    pending = _Pending(progress, folder, trainer.unit)
    while progress.position < trainer.total:
        before, scored = progress.position, False
        until = min(_next(before, every, trainer.total) for every in (log_every, grid_every, trainer.score_every))
        progress.position, metrics = trainer.step(before, until)
        pending.add(before, metrics)
        if progress.position >= until:
            pending.fetch()  # what is logged, drawn, scored or saved is of finite steps
        if _passed(before, progress.position, log_every, trainer.total):
            means = {name: value / progress.count for name, value in progress.sums.items()}
            progress.sums, progress.count = {}, 0  # means are since the line before
            folder.log(progress.position, means)
            folder.say(status.line(progress.position, means))  # renewed in a terminal
        if _passed(before, progress.position, trainer.score_every, trainer.total):
            scored = _score(trainer, folder, progress)
        if _passed(before, progress.position, grid_every, trainer.total):
            _draw(trainer, folder, progress)
        # The clock decides only when to save, never what a run becomes.
        due = time.monotonic() - saved >= 60 * config.checkpoint_minutes
        stop, due = any_worker(trainer.strategy, interruption.asked, due)  # a worker alone cannot save
        if scored or stop or due or progress.position >= trainer.total:
            pending.fetch()
            folder.save()
            saved = time.monotonic()
        if stop and progress.position < trainer.total:
            folder.say(f"stopped at {progress.position:,} of {trainer.total:,} {trainer.unit}, saved")
            raise KeyboardInterrupt


def _draw(trainer: Trainer, folder: RunFolder, progress: Progress) -> None:
    folder.draw(progress.position, trainer.grid(progress.position))
    folder.write_page(trainer.total, trainer.unit)


def _score(trainer: Trainer, folder: RunFolder, progress: Progress) -> bool:
    scores = trainer.score(progress.position, folder)
    if scores:
        folder.log(progress.position, scores)
        folder.say(f"{progress.position:,} {trainer.unit}: " + _values(scores))
    return bool(scores)


class _Pending:
    """Metrics of steps that the device may not have done yet; fetching them waits for it."""

    def __init__(self, progress: Progress, folder: RunFolder, unit: str):
        self._progress, self._folder, self._unit = progress, folder, unit
        self._steps: list[tuple[int, int, dict[str, tf.Tensor]]] = []

    def add(self, before: int, metrics: dict[str, tf.Tensor]) -> None:
        """Notes metrics [steps] of the steps from position `before` to the present one."""
        self._steps.append((before, self._progress.position, metrics))
        if len(self._steps) >= _MOST_PENDING:
            self.fetch()

    def fetch(self) -> None:
        """Adds what was noted to the sums. Raises UserError where it is not finite, with the step's position."""
        progress, steps = self._progress, self._steps
        self._steps = []
        for before, after, metrics in steps:
            rows = np.stack([np.asarray(values) for values in metrics.values()], 1)  # [steps, metrics]
            for place, row in enumerate(rows.tolist(), 1):
                for name, value in zip(metrics, row, strict=True):
                    if not math.isfinite(value):
                        self._refuse(name, value, before + (after - before) * place // len(rows))
                    progress.sums[name] = progress.sums.get(name, 0.0) + value
                progress.count += 1

    def _refuse(self, name: str, value: float, position: int) -> None:
        raise UserError(f"{self._folder.path}: {name} became {value} at {position:,} {self._unit}; the last good "
                        f"state is kept (checkpoint at {self._folder.saved_at():,}); lower --learning_rate or use "
                        "--precision=float32 in a new --workdir")


def _next(before: int, every: int, total: int) -> int:
    """The first multiple of `every` above `before`, at most the end."""
    return min(total, (before // every + 1) * every) if every > 0 else total


def _passed(before: int, after: int, every: int, total: int) -> bool:
    """Whether a multiple of `every`, or the end, lies in (before, after]."""
    # A step of many images may pass several.
    return every > 0 and (before // every != after // every or after >= total)


class _Status:
    """The status line: percent, speed, time left, memory."""

    def __init__(self, trainer: Trainer, position: int):
        self._trainer = trainer
        self._last = (position, time.monotonic())
        self._process = psutil.Process()

    def line(self, position: int, means: dict[str, float]) -> str:
        now, (before, then) = time.monotonic(), self._last
        self._last = (position, now)
        rate = (position - before) / max(now - then, 1e-6)  # no division by 0 on a coarse clock
        left = (self._trainer.total - position) / max(rate, 1e-9)
        memory = self._process.memory_info().rss / 2**30
        text = (f"{100 * position / self._trainer.total:5.1f} %  {position:,} {self._trainer.unit}  "
                f"{rate * self._trainer.images_per_position:.1f} images/s  {clock(left)} left  {memory:.1f} GiB  "
                + _values(means))
        return Passing.at(text, before, position, self._trainer.total)


def _values(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


class _Interruption:
    """Turns Ctrl-C or SIGTERM into a request that the loop meets after its step; a second Ctrl-C does not wait."""

    def __enter__(self) -> "_Interruption":
        self.asked = False
        self._old = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _ask(self, number, frame) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


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
        asked = re.search(r"allocating tensor with shape\[[\d,]*\] and type \w+", str(error))  # TensorFlow's words
        what = f" when {asked.group()}" if asked else ""
        raise UserError(f"{folder.path}: out of memory{what}; {_measured()}; the last checkpoint is kept; lower "
                        f"{', '.join(_lowering(config))} in a new --workdir, or run where more is free") from None


def _measured() -> str:
    """Peak memory of this process and of its accelerators, and what the machine has."""
    machine = psutil.virtual_memory()
    parts = [f"this process took {_size(peak_memory())} at its peak, {_size(machine.available)} of "
             f"{_size(machine.total)} are free"]
    for device in tf.config.list_logical_devices("GPU"):
        # "/device:GPU:0" is "GPU:0" here
        info = tf.config.experimental.get_memory_info(device.name.replace("/device:", ""))
        parts.append(f"{device.name}: {_size(info['peak'])} at its peak")
    return "; ".join(parts)


def _lowering(config: EngineConfig) -> list[str]:
    """Flags with their present values that lower the memory of a step."""
    values = dataclasses.asdict(config)
    flags = [f"--{name} (now {values[name]})" for name in _LOWERING if name in values]
    if values["precision"] == "float32":
        flags.append("--precision (now float32; mixed_bfloat16 halves the feature maps)")
    return flags


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
