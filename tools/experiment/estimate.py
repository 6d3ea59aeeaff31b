"""How long an experiment's training will take here, and how much memory, from a few steps of each network.

Each network is measured in a process of its own, so that its peak memory is its own; pictures are random. A PGGAN
is measured at every resolution it grows through, and the times are weighted by its schedule.
"""

import concurrent.futures
import dataclasses
import logging
import math
import multiprocessing
import resource
import time
from collections.abc import Iterator, Mapping

import numpy as np

from datasets.common.errors import UserError
from datasets.common.tensorflow_startup import quiet_tensorflow
from training.config import EngineConfig, PGGANConfig, SMANetConfig, total_kimg

_TURNS = 2  # measured after the one that traces


@dataclasses.dataclass(frozen=True)
class Stage:
    """A network's training: name, settings, side of its pictures, pairs it sees, classes of their label maps."""

    name: str
    config: EngineConfig
    size: int
    pairs: int
    classes: int


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What one stage takes on one device.

    Attributes:
      steps: updates in all.
      first_seconds: tracing, over all resolutions.
      seconds: all steps.
      peak_gib: largest memory of the measuring process.
      batch: images of a step at the end; no more devices than these can share one.
    """

    steps: int
    first_seconds: float
    seconds: float
    peak_gib: float
    batch: int

    def hours(self, devices: int = 1) -> float:
        """Hours on `devices` like this one if they shared each batch without loss: a lower bound."""
        return (self.first_seconds + self.seconds / min(devices, self.batch)) / 3600


def table(estimates: Mapping[Stage, Estimate], runs: Mapping[Stage, int], devices: int) -> str:
    """The estimates as Markdown, with their sums."""
    lines = [f"| network | runs | steps | s/step | hours | hours on {devices} | peak GiB |",
             "|---" + "|---:" * 6 + "|"]
    for stage, found in estimates.items():
        lines.append(f"| {stage.name} | {runs[stage]} | {found.steps:,} | {found.seconds / found.steps:.3g} | "
                     f"{runs[stage] * found.hours():.3g} | {runs[stage] * found.hours(devices):.3g} | "
                     f"{found.peak_gib:.1f} |")
    sums = [sum(runs[stage] * found.hours(count) for stage, found in estimates.items()) for count in (1, devices)]
    lines.append(f"| all | {sum(runs[stage] for stage in estimates)} | | | {sums[0]:.3g} | {sums[1]:.3g} | |")
    return "\n".join(lines)


def estimate(stage: Stage) -> Estimate:
    """Measures `stage`. Raises UserError if its process dies, as for want of memory."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, _quieten) as process:
        try:
            return process.submit(_measure, stage).result()
        except concurrent.futures.process.BrokenProcessPool:
            raise UserError(f"{stage.name}: the measuring process was killed, as for want of memory") from None


def _quieten() -> None:
    quiet_tensorflow()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of a trace for each resolution


def stretches(config: PGGANConfig) -> Iterator[tuple[int, int, int]]:
    """(position, images, batch) of each stretch of a PGGAN's schedule in which resolution and batch stay."""
    from training.schedules import GrowthSchedule

    schedule = GrowthSchedule(config.resolution, config.start_resolution, config.train_kimg, config.fade_kimg,
                              config.max_batch)
    total = round(1000 * total_kimg(config, schedule.grown_kimg))
    doublings = round(math.log2(config.resolution / config.start_resolution))
    period = 1000 * (config.train_kimg + config.fade_kimg)
    begins = [0.0, *(1000 * config.train_kimg + index * period for index in range(doublings))]
    begins = [round(begin) for begin in begins if begin < total]
    for begin, end in zip(begins, [*begins[1:], total], strict=True):
        if end > begin:
            yield begin, end - begin, schedule.at(begin).batch


def _measure(stage: Stage) -> Estimate:
    task = _task(stage)
    if isinstance(stage.config, PGGANConfig):
        parts = list(stretches(stage.config))
    else:
        parts = [(0, task.total, 1)]  # positions count steps
    steps = first_seconds = seconds = 0.0
    for position, count, batch in parts:
        first, each = _time_steps(task, position)
        steps += count / batch
        first_seconds += first
        seconds += each * count / batch
    batch = parts[-1][2] if isinstance(stage.config, PGGANConfig) else stage.config.batch
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Estimate(round(steps), first_seconds, seconds, peak, batch)


def _time_steps(task, position: int) -> tuple[float, float]:
    """Seconds of the first step from `position`, which traces, and of one after it."""
    times = []
    for _ in range(1 + _TURNS):
        start = time.perf_counter()
        _, metrics = task.step(position)
        for value in metrics.values():
            float(value)
        times.append(time.perf_counter() - start)
    return times[0], min(times[1:])


def _task(stage: Stage):
    from models.label_coding import LabelCoding
    from training.devices import prepare
    from training.pggan import PGGANTask
    from training.pix2pixhd import Pix2PixHDTask
    from training.smanet import SMANetTask

    config, strategy = stage.config, prepare(stage.config)
    draw = np.random.default_rng(0)
    side = config.resolution if isinstance(config, PGGANConfig) else stage.size
    shape = (min(stage.pairs, 32), side, side)
    codes, films = draw.integers(0, stage.classes, shape, np.uint8), draw.integers(0, 256, shape, np.uint8)
    if isinstance(config, PGGANConfig):
        coding = LabelCoding(config.label_coding, tuple(range(stage.classes)))
        return PGGANTask(config, codes, films if config.target == "pairs" else None, coding, strategy)
    if isinstance(config, SMANetConfig):
        return SMANetTask(config, films, codes, stage.classes, None, strategy)
    coding = LabelCoding(config.label_coding, tuple(range(stage.classes))) if config.source == "dots" else None
    task = Pix2PixHDTask(config, codes, codes if coding else films, stage.classes, coding, strategy)
    task.total = max(1, round(stage.pairs / config.batch)) * (config.epochs + config.epochs_decay)
    return task
