"""How long an experiment's training will take here, and how much memory, from a few steps of each network.

Each network is measured in a process of its own, so that its peak memory is its own; pictures are random. A PGGAN
is measured at every resolution it grows through, and the times are weighted by its schedule. Grids and scores
count for the memory, not for the time.
"""

import concurrent.futures
import dataclasses
import logging
import math
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Mapping

import numpy as np

from datasets.common.errors import UserError
from datasets.common.machine import peak_memory
from datasets.common.own_settings import settle_process
from training.config import EngineConfig, PGGANConfig, SMANetConfig

MEASURED = 32  # pairs that are held at most: some are as good as all for a step's time
_TURNS = 2  # measured after the one that traces


@dataclasses.dataclass(frozen=True)
class TrainingJob:
    """A network's training: name, settings, side of its pictures, pairs it sees, classes of their label maps, and
    channels of their films."""

    name: str
    config: EngineConfig
    size: int
    pairs: int
    classes: int
    channels: int = 1


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What one job takes on one device.

    Attributes:
      steps: updates in all.
      first_seconds: tracing, over all resolutions.
      seconds: all steps.
      peak_gib: largest memory of the measuring process.
      batch: images of a step at the end; no more devices than these can share one.
      state_gib: weights, averages and optimizers, as a checkpoint holds them.
    """

    steps: int
    first_seconds: float
    seconds: float
    peak_gib: float
    batch: int
    state_gib: float = 0.0

    def hours(self, devices: int = 1) -> float:
        """Hours on `devices` like this one if they shared each batch without loss: a lower bound."""
        # A batch of n keeps n devices busy at most.
        return (self.first_seconds + self.seconds / min(devices, self.batch)) / 3600


def table(estimates: Mapping[TrainingJob, Estimate], runs: Mapping[TrainingJob, int], devices: int) -> str:
    """The estimates as Markdown, with their sums."""
    lines = [f"| network | runs | steps | s/step | hours | hours on {devices} | peak GiB |",
             "|---" + "|---:" * 6 + "|"]
    for job, found in estimates.items():
        lines.append(f"| {job.name} | {runs[job]} | {found.steps:,} | {found.seconds / found.steps:.3g} | "
                     f"{runs[job] * found.hours():.3g} | {runs[job] * found.hours(devices):.3g} | "
                     f"{found.peak_gib:.1f} |")
    sums = [sum(runs[job] * found.hours(count) for job, found in estimates.items()) for count in (1, devices)]
    lines.append(f"| all | {sum(runs[job] for job in estimates)} | | | {sums[0]:.3g} | {sums[1]:.3g} | |")
    return "\n".join(lines)


def disk_gib(estimates: Mapping[TrainingJob, Estimate], runs: Mapping[TrainingJob, int],
             picture_bytes: int) -> float:
    """About what an experiment takes on disk: two checkpoints and the networks of each run, and its pictures."""
    return sum(runs[job] * 2.5 * found.state_gib for job, found in estimates.items()) + picture_bytes / 2**30


def estimate(job: TrainingJob) -> Estimate:
    """Measures `job`. Raises UserError if its process dies, as for want of memory."""
    context = multiprocessing.get_context("spawn")  # no TensorFlow from this process in it
    with concurrent.futures.ProcessPoolExecutor(1, context, _quieten) as process:
        try:
            return process.submit(_measure, job).result()
        except concurrent.futures.process.BrokenProcessPool:
            raise UserError(f"{job.name}: the measuring process was killed, as for want of memory") from None


def _quieten() -> None:
    settle_process()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of a trace for each resolution


def stretches(config: PGGANConfig) -> Iterator[tuple[int, int, int]]:
    """(position, images, batch) of each stretch of a PGGAN's schedule in which resolution and batch stay."""
    from training.schedules import growth_of

    schedule, total = growth_of(config)
    # The first stretch trains the lowest level; each further one fades a level in and trains it.
    doublings = round(math.log2(config.resolution / config.start_resolution))
    period = 1000 * (config.train_kimg + config.fade_kimg)
    begins = [0.0, *(1000 * config.train_kimg + index * period for index in range(doublings))]
    begins = [round(begin) for begin in begins if begin < total]
    for begin, end in zip(begins, [*begins[1:], total], strict=True):
        if end > begin:
            yield begin, end - begin, schedule.at(begin).batch


def shared_by(config: EngineConfig, workers: int) -> bool:
    """Whether `workers` can share every batch of a training evenly."""
    batches = {batch for _, _, batch in stretches(config)} if isinstance(config, PGGANConfig) else {config.batch}
    return all(batch % workers == 0 for batch in batches)


def _measure(job: TrainingJob) -> Estimate:
    trainer = _trainer(job)
    if isinstance(job.config, PGGANConfig):
        parts = list(stretches(job.config))
    else:
        # One stretch.
        parts = [(0, trainer.total, 1)]  # positions count steps
    steps = first_seconds = seconds = 0.0
    for position, count, batch in parts:
        first, each = _time_steps(trainer, position)
        steps += count / batch
        first_seconds += first
        seconds += each * count / batch
    _draw_and_score(trainer, job)  # last: peak memory covers it
    batch = parts[-1][2] if isinstance(job.config, PGGANConfig) else job.config.batch
    # 4 bytes each: variables are float32 in every precision.
    state = sum(4 * math.prod(one.shape) for part in trainer.trackables().values() for one in part.variables)
    return Estimate(round(steps), first_seconds, seconds, peak_memory() / 2**30, batch, state / 2**30)


def _time_steps(trainer, position: int) -> tuple[float, float]:
    """Seconds of the first step from `position`, which traces, and of one after it."""
    times = []
    for _ in range(1 + _TURNS):
        start = time.perf_counter()
        _, metrics = trainer.step(position)
        for value in metrics.values():
            np.asarray(value)  # waits for the device
        times.append(time.perf_counter() - start)
    return times[0], min(times[1:])  # the quickest: the machine may be busy now and then


def _draw_and_score(trainer, job: TrainingJob) -> None:
    """One grid and one score of the full-grown network, where the run has them: they take memory too."""
    from training.run_folder import RunFolder

    if job.config.grids:
        trainer.grid(trainer.total)
    if trainer.score_every:
        with tempfile.TemporaryDirectory() as scratch:
            folder = RunFolder(scratch, "estimate", job.config, {})
            trainer.score(trainer.total, folder)
            folder.close()


def _trainer(job: TrainingJob):
    from models.label_coding import LabelCoding
    from training.devices import prepare
    from training.pggan import PGGANTrainer
    from training.pix2pixhd import Pix2PixHDTrainer
    from training.smanet import SMANetTrainer

    config, strategy = job.config, prepare(job.config)
    draw = np.random.default_rng(0)
    side = config.resolution if isinstance(config, PGGANConfig) else job.size
    shape = (min(job.pairs, MEASURED), side, side)  # the number of steps is set below
    codes = draw.integers(0, job.classes, shape, np.uint8)
    films = draw.integers(0, 256, shape if job.channels == 1 else (*shape, job.channels), np.uint8)
    if isinstance(config, PGGANConfig):
        coding = LabelCoding(config.label_coding, tuple(range(job.classes)))
        return PGGANTrainer(config, codes, films if config.target == "pairs" else None, coding, strategy)
    if isinstance(config, SMANetConfig):
        return SMANetTrainer(config, films, codes, job.classes, None, strategy)
    to_labels = config.translate_from == "dots"
    coding = LabelCoding(config.label_coding, tuple(range(job.classes))) if to_labels else None
    trainer = Pix2PixHDTrainer(config, codes, codes if coding else films, job.classes, coding, strategy)
    # From all pairs: the arrays hold MEASURED at most.
    trainer.total = max(1, round(job.pairs / config.batch)) * (config.epochs + config.epochs_decay)
    return trainer
