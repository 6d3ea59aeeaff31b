"""Trains a PGGAN: growth schedule in kimg, batches, snapshots and their scores (Karras et al. 2018, appendix A).

The step itself is `models.gan_models.PGGAN.train_step`.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from datasets import grey, pair_cache
from datasets.common.errors import UserError
from datasets.dots import Dot
from datasets.pair_store import PairStore, check_square, film_names, split_ids
from datasets.rules.dot_rules import learn_dots, undotted_codes
from datasets.rules.label_rules import LabelRules
from datasets.rules.sample_checks import choose_snapshot, dot_check, label_check
from datasets.subsets import different_films
from evaluation.metrics.sliced_wasserstein import SMALLEST_LEVEL, distance_of_streams, level_sides
from evaluation.pictures import colour_labels, grid, pictures_to_rgb
from models import methods
from models.gan_models import PGGAN, at_level, averaged
from models.label_coding import LabelCoding, neighbour_order
from models.pggan import STDDEV_GROUP, Discriminator, Generator
from models.precision import dtype_policy
from training.batches import check_shares, distributed_batches
from training.config import PGGANConfig
from training.devices import is_chief, prepare, resolve_precision
from training.discriminator_inputs import diff_augment, diff_augment_ranges
from training.loop import run
from training.optimizers import make_optimizer, reset_optimizer
from training.run_folder import RunFolder
from training.schedules import GrowthState, growth_of
from training.steps import Steps, steps_at_once, uses_xla

_GRID_SIDE = 6  # pictures per side of the fixed-seed grid
_KEPT_BYTES = 2**30  # of real pictures averaged to a level


class PGGANTrainer:
    """A PGGAN with its data and schedule, for `training.loop`.

    Args:
      config: the options.
      codes: class codes of dots or label maps, uint8 [N, H, W] at the full resolution.
      films: uint8 [N, H, W] or [N, H, W, 3], for target "pairs"; else None.
      coding: how codes become channels.
      strategy: from `training.devices`.
      check: tells which generated codes are usable; scores then give the share that is.
      shown: rows of the real pictures in the grid, 36 at most; None for the first ones.
      dot: what dots look like, where they are made.
    """

    unit = "images"
    images_per_position = 1.0

    def __init__(self, config: PGGANConfig, codes: np.ndarray, films: np.ndarray | None, coding: LabelCoding,
                 strategy: tf.distribute.Strategy, check: methods.Check | None = None,
                 shown: Sequence[int] | None = None, dot: Dot | None = None):
        self.config, self.coding, self.strategy, self._check, self._dot = config, coding, strategy, check, dot
        self._arrays = (codes,) if films is None else (codes, films)
        self._shown = np.arange(_GRID_SIDE**2) if shown is None else np.asarray(shown)  # the first 36
        self.schedule, self.total = growth_of(config)
        scored = config.score_images and config.snapshots and config.resolution >= SMALLEST_LEVEL
        self.score_every = max(1, self.total // config.snapshots) if scored else 0  # no distance below that size
        self._batches, self._next = None, -1  # -1: not yet opened
        self._steps: dict[int, Steps] = {}  # level -> its compiled step; one trace serves all fades
        self._at_once, self._entered = steps_at_once(config, strategy), None
        self._kept: np.ndarray | None = None  # of `_pictures_of`
        # Pairs: the film behind the codes.
        channels = coding.channels + (0 if films is None else grey.film_channels(films))
        shape = {"channels": channels, "fmap_base": config.fmap_base, "fmap_max": config.fmap_max}
        augment = None if config.diff_augment == "none" else partial(diff_augment, policy=config.diff_augment)
        with strategy.scope(), dtype_policy(resolve_precision(config.precision)):
            self.model = PGGAN(
                Generator(config.resolution, **shape), Discriminator(config.resolution, **shape),
                config.average_decay, config.penalty_weight, config.drift_weight, augment, config.seed)
            # Adam of appendix A.1: beta1 0, beta2 0.99, epsilon 1e-8.
            self.model.compile(*(make_optimizer(config.learning_rate, 0.0, 0.99, 1e-8) for _ in range(2)))
            self._phase = _Phase()

    def trackables(self) -> dict:
        model = self.model
        return {"generator": model.generator, "average": model.average, "discriminator": model.discriminator,
                "g_optimizer": model.optimizer, "d_optimizer": model.discriminator_optimizer, "phase": self._phase}

    def step(self, position: int, until: int | None = None) -> tuple[int, dict[str, tf.Tensor]]:
        growth = self.schedule.at(position)
        if position != self._next or growth.phase != self._entered:  # first, continued, or another phase's
            self._enter_phase(position, growth)
        fades = self._fades(position, until or position + 1, growth)
        self.model.grow(growth.level, fades[0])  # before the trace: its level is part of it
        if growth.level not in self._steps:
            self._steps[growth.level] = Steps(self._train, self.strategy, uses_xla(self.config, self.strategy))
        metrics = self._steps[growth.level].run(self._batches, fades)
        self._next = position + len(fades) * growth.batch
        level = growth.level - 1 + np.array(fades)  # 5.25: a quarter of level 6
        return self._next, {**metrics, "level": level}

    def _fades(self, position: int, until: int, growth: GrowthState) -> list[float]:
        """Of the steps that are taken in one call: all of one phase."""
        places = range(position, max(until, position + 1), growth.batch)[:self._at_once]
        states = [self.schedule.at(place) for place in places]
        return [state.fade for state in states if state.phase == growth.phase]

    def _enter_phase(self, position: int, growth: GrowthState) -> None:
        """Opens the batches from `position` on; on a change of phase, forgets Adam's moments."""
        if growth.phase != self._phase.trained:
            reset_optimizer(self.model.optimizer)
            reset_optimizer(self.model.discriminator_optimizer)
            self._phase.trained = growth.phase
        self._entered = growth.phase
        self.model.position.assign(position)  # draws follow it
        self._batches = distributed_batches(
            self.strategy, self._pictures_of(growth.level), growth.batch, self.config.seed, position)

    def _pictures_of(self, level: int) -> tuple[np.ndarray, ...]:
        """What batches are drawn from: pictures encoded and averaged to a level once, float32 [N, h, w, C], where
        the level is not the last and all of them fit _KEPT_BYTES; else the codes (and films) themselves."""
        count, side, size = len(self._arrays[0]), 2**level, self.config.resolution
        if side == size or 4 * count * side**2 * self.model.generator.channels > _KEPT_BYTES:
            return self._arrays
        if self._kept is None or self._kept.shape[1] != side:
            parts = [averaged(self._encoded([array[rows] for array in self._arrays]), level).numpy()
                     for rows in _parts(np.arange(count), 8)]
            self._kept = np.concatenate(parts)
        return (self._kept,)

    def _train(self, batch: tuple[tf.Tensor, ...], fade: tf.Tensor) -> dict[str, tf.Tensor]:
        self.model.fade.assign(fade)
        self.model.reset_metrics()  # Keras keeps running means; emptied, this step's
        return self.model.train_step(batch[0] if batch[0].dtype == tf.float32 else self._encoded(batch))

    def _encoded(self, batch: Sequence[tf.Tensor]) -> tf.Tensor:
        """Codes, or codes and films (uint8, as given) -> channels float32 [N, H, W, C] in [-1, 1]."""
        channels = self.coding.encode(batch[0])
        if len(batch) == 1:
            return channels
        return tf.concat([channels, grey.to_network(batch[1])], -1)  # the film behind the codes

    def _reals(self, rows: np.ndarray, growth: GrowthState) -> Iterator[np.ndarray]:
        """Real pictures of `rows` as the discriminator sees them now, as many at a time as in training."""
        for part in _parts(rows, growth.batch):
            encoded = self._encoded([array[part] for array in self._arrays])
            yield at_level(encoded, growth.level, growth.fade).numpy()

    def _samples(self, count: int, growth: GrowthState) -> Iterator[np.ndarray]:
        """Channels [n, h, w, C] of the averaged generator for `count` fixed latents, as many at a time."""
        draws = methods.latents(np.arange(count), self.config.seed, self.model.generator.latent_size)
        for part in _parts(draws, growth.batch):
            yield self.model.average(part, level=growth.level, fade=growth.fade).numpy()

    def grid(self, position: int) -> np.ndarray:
        """Pictures of the averaged generator for fixed latents; to their right, real ones of the same level."""
        growth = self.schedule.at(position)
        rows = np.resize(self._shown, _GRID_SIDE**2) % len(self._arrays[0])  # repeated where there are fewer
        sheets = [np.concatenate([self._pictures(part) for part in parts])
                  for parts in (self._samples(_GRID_SIDE**2, growth), self._reals(rows, growth))]
        # Two squares side by side.
        return np.concatenate([grid(sheet, _GRID_SIDE, self.config.resolution) for sheet in sheets], 1)

    def score(self, position: int, folder: RunFolder) -> dict[str, float]:
        """Of a snapshot, once full-grown: sliced Wasserstein distance x 1e3 of its pictures to real ones, and the
        share of its dots or label maps that are valid."""
        growth = self.schedule.at(position)
        if growth.fade < 1 or 2**growth.level < self.config.resolution:  # still growing
            return {}
        folder.save_network(self.model.average, f"snapshots/{position:09d}")
        count, seed, reasons = self.config.score_images, self.config.seed, []

        def made() -> Iterator[np.ndarray]:
            for channels in self._samples(count, growth):
                if self._check:
                    codes = self.coding.decode(channels[..., :self.coding.channels]).numpy()
                    reasons.extend(self._check(codes)[1])
                yield from grey.to_levels(channels)

        # As many as made, from the shuffled stream.
        rows = pair_cache.stream_rows(len(self._arrays[0]), 0, count, seed)
        real = (picture for part in self._reals(rows, growth) for picture in grey.to_levels(part))
        sides = level_sides(self.config.resolution, self.config.resolution)
        scores = {"swd": distance_of_streams(real, made(), sides, seed)["mean"]}
        return {**scores, "valid": reasons.count(None) / count} if self._check else scores

    def finish(self, folder: RunFolder) -> dict:
        """The snapshot of `choose_snapshot` stands for the run; without scores, the last average."""
        position = choose_snapshot(folder.rows())
        name = "last" if position is None else f"snapshots/{position:09d}"
        folder.save_network(self.model.average, "last")  # kept beside it, if only to look at
        return {"task": "train_pggan", "target": self.config.target, "network": f"{name}.keras",
                "coding": self.coding.to_json(), "size": self.config.resolution,
                "dot": self._dot.to_json() if self._dot else None}

    def _pictures(self, channels: np.ndarray) -> np.ndarray:
        """Channels [N, h, w, C] in [-1, 1] -> uint8 [N, h, w', 3]: coloured label map and, for pairs, film."""
        coded = channels[..., :self.coding.channels]
        labels = colour_labels(self.coding.decode(coded).numpy(), self.coding.num_classes)
        if self.config.target != "pairs":
            return labels
        films = pictures_to_rgb(channels[..., self.coding.channels:])
        return np.concatenate([labels, films], 2)  # side by side


def train(config: PGGANConfig, data: str, workdir: str) -> None:
    """Trains on the train pairs of store `data` in run folder `workdir`; continues a run that stands there.

    Raises UserError, before anything is made, for a batch that groups do not divide or devices cannot share, for
    sides that do not fit, for a store without train pairs and for classes without dots that are none; and as
    `RunFolder` and `training.loop.run` do.
    """
    _check(config)
    store = PairStore(data)
    if config.target != "dots":
        check_square(store, config.resolution)
    ids = split_ids(store, "train")
    undotted = undotted_codes(config.undotted, store.classes, config.dot is None)
    strategy = prepare(config)
    schedule, total = growth_of(config)
    check_shares(strategy, schedule.batches(total))
    folder = RunFolder(workdir, "train_pggan", config, {"data": store.fingerprint()}, is_chief(strategy),
                       diff_augment_ranges(config.diff_augment))
    try:
        classes = store.classes
        films, labels = pair_cache.load_pairs(store, ids, filled=True)
        films = films if config.target == "pairs" else None
        rules = LabelRules.learn(labels, classes, len(set(film_names(store, ids))))
        dot, codes = None, labels
        if config.dot:
            learnt = learn_dots(config.dot, labels, rules, undotted, folder.say)
            dot, codes = learnt.dot, learnt.drawn
        coding = target_coding(config, codes, classes.num_classes)
        check = dot_check(dot, classes.num_classes) if dot else label_check(
            rules, coding.kind == "grey" and rules.rims_between(coding.order))
        shown = different_films(store, ids, _GRID_SIDE**2)
        run(PGGANTrainer(config, codes, films, coding, strategy, check, shown, dot), folder, config)
    finally:
        folder.close()


def _check(config: PGGANConfig) -> None:
    # Up to four images are one group, whatever their number.
    if config.max_batch > STDDEV_GROUP and config.max_batch % STDDEV_GROUP:
        fitting = config.max_batch // STDDEV_GROUP * STDDEV_GROUP
        raise UserError(f"--max_batch={config.max_batch}: expected a multiple of {STDDEV_GROUP}, the images whose "
                        f"spread the discriminator sees together; choose {fitting}")
    if config.start_resolution > config.resolution:
        raise UserError(f"--start_resolution={config.start_resolution}: expected at most the {config.resolution} "
                        "of --resolution, to which it grows; lower it")


def target_coding(config: PGGANConfig, codes: np.ndarray, classes: int) -> LabelCoding:
    """The coding that suits what the network learns: dots or label maps, uint8 [N, H, W]."""
    if config.label_coding == "one_hot":
        return LabelCoding("one_hot", tuple(range(classes)))
    return LabelCoding("grey", neighbour_order(codes, classes))


class _Phase(tf.Module):
    """The phase of growth whose optimizers' moments are kept; -1 before the first step. Part of checkpoints."""

    def __init__(self):
        super().__init__()
        self._number = tf.Variable(-1, trainable=False, dtype=tf.int64)

    @property
    def trained(self) -> int:
        return int(self._number.numpy())

    @trained.setter
    def trained(self, phase: int) -> None:
        self._number.assign(phase)


def _parts(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """`rows` in order, at most `size` at a time."""
    for start in range(0, len(rows), size):
        yield rows[start:start + size]
