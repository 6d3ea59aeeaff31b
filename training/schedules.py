"""Schedules as pure functions of images seen, so that a run can be tabulated before it starts.

PGGAN growth: Karras et al. 2018, section 2 and appendix A. Learning-rate decay: Wang et al. 2018, section 4.
"""

import dataclasses
import math

import keras

from training.config import PGGANConfig, total_kimg
from training.optimizers import reset_optimizer

# Images per step by resolution on one GPU, as the PGGAN authors released it; 4 beyond.
MINIBATCH = {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4, 1024: 4}


@dataclasses.dataclass(frozen=True)
class GrowthState:
    """State of the growing network at one moment.

    Attributes:
      level: log2 of the resolution trained now.
      fade: weight of the newest block, in (0, 1]; 1 when nothing fades.
      phase: counts the stretches between changes; the optimizers are reset when it changes.
      batch: images per step.
    """

    level: int
    fade: float
    phase: int
    batch: int


@dataclasses.dataclass(frozen=True)
class GrowthSchedule:
    """Each resolution is trained for `train_kimg`, then the next one fades in over `fade_kimg`.

    Resolutions are sides in pixels; kimg are thousands of images shown; `max_batch` bounds MINIBATCH. Raises
    ValueError for a side that is no power of two of at least 4, or a start above the end.
    """

    resolution: int
    start_resolution: int
    train_kimg: float
    fade_kimg: float
    max_batch: int

    def __post_init__(self):
        for side in (self.resolution, self.start_resolution):
            if side < 4 or side & (side - 1):  # one bit set: a power of two
                raise ValueError(f"resolutions must be powers of two of at least 4; received {side}")
        if self.start_resolution > self.resolution:
            raise ValueError(f"start_resolution {self.start_resolution} is above resolution {self.resolution}")

    def at(self, images: int) -> GrowthState:
        """The state after `images` images were shown."""
        first, last = int(math.log2(self.start_resolution)), int(math.log2(self.resolution))
        period = (self.train_kimg + self.fade_kimg) * 1000.0  # images from one growth to the next
        # Doublings begun; 0 for both: full-grown at once.
        index = min(int(images / period), last - first) if period > 0 else last - first
        into = images - index * period - self.train_kimg * 1000.0  # images into the fade
        fading = index < last - first and into >= 0 and self.fade_kimg > 0  # the last level does not grow further
        level = first + index + fading  # a bool counts as 0 or 1
        # Above 0 from its first step: a block of weight 0 gets no gradient.
        fade = max(into, 1.0) / (self.fade_kimg * 1000.0) if fading else 1.0
        return GrowthState(level, min(fade, 1.0), 2 * index + fading, self._batch(level))  # even trains, odd fades

    def batches(self, images: int) -> set[int]:
        """Images per step at all levels that `images` images reach."""
        first, last = self.at(0).level, self.at(max(0, images - 1)).level
        return {self._batch(level) for level in range(first, last + 1)}

    def _batch(self, level: int) -> int:
        return max(1, min(self.max_batch, MINIBATCH.get(2**level, 4)))

    @property
    def grown_kimg(self) -> float:
        """Thousands of images until the full resolution trains unfaded."""
        doublings = math.log2(self.resolution / self.start_resolution)
        return doublings * (self.train_kimg + self.fade_kimg)


def growth_of(config: PGGANConfig) -> tuple[GrowthSchedule, int]:
    """The growth that `config` asks for, and how many images are shown in all. Raises ValueError as
    `GrowthSchedule` does."""
    schedule = GrowthSchedule(config.resolution, config.start_resolution, config.train_kimg, config.fade_kimg,
                              config.max_batch)
    return schedule, round(1000 * total_kimg(config, schedule.grown_kimg))


class Growth(keras.callbacks.Callback):
    """Grows a `PGGAN` under `fit` by a schedule, and forgets its optimizers' moments when a fade begins or ends.

    Batches are as large as the data set's at every level.
    """

    def __init__(self, schedule: GrowthSchedule):
        super().__init__()
        self.schedule, self.phase = schedule, None

    def on_train_batch_begin(self, batch, logs=None):
        state = self.schedule.at(int(self.model.position.numpy()))
        self.model.grow(state.level, state.fade)
        if self.phase not in (None, state.phase):  # nothing to forget before the first
            reset_optimizer(self.model.optimizer)
            reset_optimizer(self.model.discriminator_optimizer)
        self.phase = state.phase


class LinearDecay(keras.callbacks.Callback):
    """Sets both rates of a `Pix2PixHD` under `fit` at each epoch's begin: see `linear_decay`.

    Args:
      rate: of the first epochs.
      epochs, epochs_decay: how many keep it, and over how many it then falls.
    """

    def __init__(self, rate: float, epochs: int, epochs_decay: int):
        super().__init__()
        self.schedule = (rate, epochs, epochs_decay)

    def on_epoch_begin(self, epoch, logs=None):
        rate, *epochs = self.schedule
        for optimizer in (self.model.optimizer, self.model.discriminator_optimizer):
            optimizer.learning_rate = linear_decay(rate, epoch, *epochs)


def linear_decay(rate: float, epoch: int, epochs: int, epochs_decay: int) -> float:
    """Learning rate during `epoch` (0-based): constant for `epochs`, then linear towards zero.

    The released schedule lowers the rate at the end of each decay epoch, so the first of them still has the
    full rate and the last has rate / epochs_decay.
    """
    if epoch < epochs or epochs_decay == 0:
        return rate
    return rate * max(0.0, 1.0 - (epoch - epochs) / epochs_decay)
