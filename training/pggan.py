"""Trains a PGGAN: growth schedule in kimg, WGAN-GP, averaged generator (Karras et al. 2018, appendix A)."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from datasets import grey, pair_cache
from datasets.common.errors import UserError
from datasets.label_cleaning import AreaBounds
from datasets.pair_store import PairStore, check_square, split_ids
from datasets.sample_checks import choose_snapshot, dot_check, label_check, valid_share
from evaluation.metrics.sliced_wasserstein import SMALLEST_LEVEL, sliced_wasserstein
from evaluation.pictures import colour_labels, grey_to_rgb, grid
from models import losses, methods
from models.label_coding import LabelCoding, neighbour_order
from models.pggan import STDDEV_GROUP, Discriminator, Generator
from training.batches import distributed_batches
from training.config import PGGANConfig, total_kimg
from training.devices import is_chief, prepare
from training.discriminator_inputs import diff_augment
from training.loop import run
from training.optimizers import gradient_norm, make_optimizer, reset_optimizer
from training.run_folder import RunFolder
from training.schedules import GrowthSchedule

_GRID_SIDE = 6  # pictures per side of the fixed-seed grid
_LATENT_D, _LATENT_G, _MIX, _AUGMENT = range(4)  # purposes of the random draws of a step


class PGGANTrainer:
    """A PGGAN and its training step, for `training.loop`.

    Args:
      config: the options.
      codes: class codes of dots or label maps, uint8 [N, H, W] at the full resolution.
      films: uint8 [N, H, W], for target "pairs"; else None.
      coding: how codes become channels.
      strategy: from `training.devices`.
      check: tells which generated codes are usable; scores then give the share that is.
    """

    unit = "images"
    images_per_position = 1.0

    def __init__(self, config: PGGANConfig, codes: np.ndarray, films: np.ndarray | None, coding: LabelCoding,
                 strategy: tf.distribute.Strategy, check: methods.Check | None = None):
        self.config, self.coding, self.strategy, self._check = config, coding, strategy, check
        self._arrays = (codes,) if films is None else (codes, films)
        self.schedule = GrowthSchedule(config.resolution, config.start_resolution, config.train_kimg,
                                       config.fade_kimg, config.max_batch)
        self.total = round(1000 * total_kimg(config, self.schedule.grown_kimg))
        scored = config.score_images and config.snapshots and config.resolution >= SMALLEST_LEVEL
        self.score_every = max(1, self.total // config.snapshots) if scored else 0
        self._batches = None
        self._steps: dict[int, Callable] = {}
        channels = coding.channels + (films is not None)
        shape = {"channels": channels, "fmap_base": config.fmap_base, "fmap_max": config.fmap_max}
        with strategy.scope():
            self.generator = _built(Generator(config.resolution, **shape))
            self.average = _built(Generator(config.resolution, **shape))
            self.average.set_weights(self.generator.get_weights())
            self.discriminator = Discriminator(config.resolution, **shape)
            self.discriminator.build((None, config.resolution, config.resolution, channels))
            self.g_optimizer = make_optimizer(config.learning_rate, 0.0, 0.99, 1e-8)
            self.d_optimizer = make_optimizer(config.learning_rate, 0.0, 0.99, 1e-8)
            self.g_optimizer.build(self.generator.trainable_variables)
            self.d_optimizer.build(self.discriminator.trainable_variables)
            self._phase = _Phase()

    def trackables(self) -> dict:
        return {"generator": self.generator, "average": self.average, "discriminator": self.discriminator,
                "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer, "phase": self._phase}

    def step(self, position: int) -> tuple[int, dict[str, tf.Tensor]]:
        growth = self.schedule.at(position)
        if self._batches is None or growth.phase != self._phase.trained:
            self._enter_phase(position, growth)
        if growth.level not in self._steps:
            self._steps[growth.level] = self._make_step(growth.level)
        seed = tf.constant([self.config.seed, position], tf.int64)
        fade = tf.constant(growth.fade, tf.float32)
        metrics = self._steps[growth.level](next(self._batches), fade, seed)
        return position + growth.batch, {**metrics, "level": growth.level + growth.fade - 1}

    def _enter_phase(self, position: int, growth) -> None:
        """Opens the batches of this batch size; on a change of phase, forgets Adam's moments."""
        if growth.phase != self._phase.trained:
            reset_optimizer(self.g_optimizer)
            reset_optimizer(self.d_optimizer)
            self._phase.trained = growth.phase
        self._batches = distributed_batches(
            self.strategy, self._arrays, growth.batch, self.config.seed, position)

    def _make_step(self, level: int) -> Callable:
        """The compiled step of one level; one trace serves all its fades."""

        @tf.function
        def step(batch, fade, seed):
            d_metrics = self.strategy.run(self._train_discriminator, (batch, fade, seed, level))
            update_average(self.average, self.generator, self.config.average_decay)
            g_metrics = self.strategy.run(self._train_generator, (batch, fade, seed, level))
            return {name: self.strategy.reduce("SUM", value, None)
                    for name, value in {**d_metrics, **g_metrics}.items()}

        return step

    def _train_discriminator(self, batch, fade, seed, level: int) -> dict[str, tf.Tensor]:
        config, critic = self.config, self.discriminator
        real = self._reals(batch, level, fade)
        count = real.shape[0]
        fake = self.generator(self._draw(seed, _LATENT_D, count), level=level, fade=fade)
        real, fake = self._augmented(real, seed, 0), self._augmented(fake, seed, 1)
        mix = self._draw(seed, _MIX, count)

        def score(images):
            return critic(images, level=level, fade=fade)

        with tf.GradientTape() as tape:
            real_scores, fake_scores = score(real), score(fake)
            penalty = losses.gradient_penalty(score, real, fake, mix, config.penalty_weight)
            each = (losses.critic_loss(real_scores, fake_scores) + penalty
                      + losses.drift(real_scores, config.drift_weight))
            loss = self._mean(each)
            scaled = self.d_optimizer.scale_loss(loss)
        norm = _apply(self.d_optimizer, tape.gradient(scaled, critic.trainable_variables), critic)
        return {"d_loss": loss, "score_real": self._mean(real_scores), "score_fake": self._mean(fake_scores),
                "penalty": self._mean(penalty), "d_gradient": norm}

    def _train_generator(self, batch, fade, seed, level: int) -> dict[str, tf.Tensor]:
        draw = self._draw(seed, _LATENT_G, batch[0].shape[0])
        with tf.GradientTape() as tape:
            fake = self.generator(draw, level=level, fade=fade)
            seen = self._augmented(fake, seed, 2)
            loss = self._mean(losses.generator_loss(self.discriminator(seen, level=level, fade=fade)))
            scaled = self.g_optimizer.scale_loss(loss)
        norm = _apply(self.g_optimizer, tape.gradient(scaled, self.generator.trainable_variables), self.generator)
        return {"g_loss": loss, "g_gradient": norm}

    def _mean(self, values: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean over the whole batch."""
        return tf.reduce_mean(values) / self.strategy.num_replicas_in_sync

    def _draw(self, seed: tf.Tensor, purpose: int, count: int) -> tf.Tensor:
        """This replica's rows of the step's latents [count, L], or mixing factors [count, 1, 1, 1]."""
        replicas = self.strategy.num_replicas_in_sync
        total = count * replicas
        seed = tf.stack([seed[0] * 4 + purpose, seed[1]])
        if purpose == _MIX:
            drawn = tf.random.stateless_uniform((total, 1, 1, 1), seed)
        else:
            drawn = tf.random.stateless_normal((total, self.generator.latent_size), seed)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.gather(drawn, replica + replicas * tf.range(count))  # dealt in turn, as the real pictures are

    def _augmented(self, images: tf.Tensor, seed: tf.Tensor, number: int) -> tf.Tensor:
        """`images` as the discriminator sees them; `number` tells a step's calls apart."""
        if self.config.diff_augment == "none":
            return images
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([seed[0] * 4 + _AUGMENT, seed[1]])
        for part in (number, replica):
            seed = tf.random.experimental.stateless_fold_in(seed, part)
        return diff_augment(images, self.config.diff_augment, seed)

    def _reals(self, batch, level: int, fade: tf.Tensor) -> tf.Tensor:
        """Coded pictures box-averaged to the level, with its newest detail faded in as the generator's is."""
        channels = self.coding.encode(batch[0])
        if len(batch) > 1:
            channels = tf.concat([channels, grey.from_levels(batch[1][..., None])], -1)
        real = _box_average(channels, self.config.resolution // 2**level)
        if level == 2:
            return real
        coarse = tf.repeat(tf.repeat(_box_average(real, 2), 2, 1), 2, 2)
        return coarse + (real - coarse) * fade

    def samples(self, count: int, level: int | None = None, fade: float = 1.0) -> np.ndarray:
        """Channels float32 [count, h, w, C] of the averaged generator for fixed latents."""
        draws = methods.latents(np.arange(count), self.config.seed, self.generator.latent_size)
        parts = [self.average(part, level=level, fade=fade).numpy()
                 for part in np.array_split(draws, max(1, count // 32))]
        return np.concatenate(parts)

    def grid(self, position: int) -> np.ndarray:
        """Pictures of the averaged generator for fixed latents; to their right, real ones of the same level."""
        growth = self.schedule.at(position)
        made = self.samples(_GRID_SIDE**2, growth.level, growth.fade)
        rows = np.arange(_GRID_SIDE**2) % len(self._arrays[0])
        real = self._reals(tuple(array[rows] for array in self._arrays), growth.level, growth.fade).numpy()
        sheets = [grid(self._pictures(pictures), _GRID_SIDE, self.config.resolution) for pictures in (made, real)]
        return np.concatenate(sheets, 1)

    def score(self, position: int, folder: RunFolder) -> dict[str, float]:
        """Of a snapshot, once full-grown: sliced Wasserstein distance x 1e3 of its pictures to real ones, and the
        share of its dots or label maps that are valid."""
        growth = self.schedule.at(position)
        if growth.fade < 1 or 2**growth.level < self.config.resolution:
            return {}
        folder.save_network(self.average, f"snapshots/{position:09d}")
        count = self.config.score_images
        rows = pair_cache.stream_rows(len(self._arrays[0]), 0, count, self.config.seed)
        real = [self._reals(tuple(array[rows[i:i + 32]] for array in self._arrays), growth.level, 1.0).numpy()
                for i in range(0, count, 32)]
        made = self.samples(count)
        pictures = grey.to_levels(np.concatenate(real)), grey.to_levels(made)
        distances = sliced_wasserstein(*pictures, seed=self.config.seed)
        if self._check is None:
            return {"swd": distances["mean"]}
        codes = self.coding.decode(made[..., :self.coding.channels]).numpy()
        return {"swd": distances["mean"], "valid": valid_share(self._check, codes)}

    def finish(self, folder: RunFolder) -> dict:
        """The snapshot of `choose_snapshot` stands for the run; without scores, the last average."""
        position = choose_snapshot(folder.rows())
        name = "last" if position is None else f"snapshots/{position:09d}"
        folder.save_network(self.average, "last")
        return {"task": "train_pggan", "target": self.config.target, "network": f"{name}.keras",
                "coding": self.coding.to_json(), "size": self.config.resolution,
                "dot": self.config.dot.to_json() if self.config.dot else None}

    def _pictures(self, channels: np.ndarray) -> np.ndarray:
        """Channels [N, h, w, C] in [-1, 1] -> uint8 [N, h, w', 3]: coloured label map and, for pairs, film."""
        coded = channels[..., :self.coding.channels]
        labels = colour_labels(self.coding.decode(coded).numpy(), self.coding.num_classes)
        if self.config.target != "pairs":
            return labels
        return np.concatenate([labels, grey_to_rgb(channels[..., -1:])], 2)


def train(config: PGGANConfig, data: str, workdir: str) -> None:
    """Trains on the train pairs of store `data` in run folder `workdir`; continues a run that stands there."""
    if config.max_batch > STDDEV_GROUP and config.max_batch % STDDEV_GROUP:
        fitting = config.max_batch // STDDEV_GROUP * STDDEV_GROUP
        raise UserError(f"--max_batch={config.max_batch}: expected a multiple of {STDDEV_GROUP}, the images whose "
                        f"spread the discriminator sees together; choose {fitting}")
    store = PairStore(data)
    strategy = prepare(config)
    folder = RunFolder(workdir, "train_pggan", config, {"data": store.fingerprint()}, is_chief(strategy))
    try:
        if config.target != "dots":
            check_square(store, config.resolution)
        films, labels = pair_cache.load_pairs(store, split_ids(store, "train"))
        classes = store.classes
        codes, coding = coded_targets(config, labels, classes.num_classes)
        films = films if config.target == "pairs" else None
        check = dot_check(config.dot, classes.num_classes) if config.dot else label_check(
            classes, AreaBounds.from_maps(labels, classes.num_classes), coding.kind == "grey")
        run(PGGANTrainer(config, codes, films, coding, strategy, check), folder, config)
    finally:
        folder.close()


def coded_targets(config: PGGANConfig, labels: np.ndarray, classes: int) -> tuple[np.ndarray, LabelCoding]:
    """What the network learns (dots or label maps, uint8 [N, H, W]) and the coding that suits it."""
    if config.dot:
        labels = np.stack([config.dot.draw(label, classes) for label in labels])
    if config.label_coding == "one_hot":
        return labels, LabelCoding("one_hot", tuple(range(classes)))
    return labels, LabelCoding("grey", neighbour_order(labels, classes))


def update_average(average: Generator, model: Generator, decay: float) -> None:
    """average <- decay x average + (1 - decay) x model, variable by variable."""
    for ours, theirs in zip(average.variables, model.variables, strict=True):
        ours.assign(theirs + (ours - theirs) * decay)


def _built(generator: Generator) -> Generator:
    generator.build((None, generator.latent_size))
    return generator


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


def _apply(optimizer, gradients: list, model) -> tf.Tensor:
    """Updates the variables that took part (levels not grown yet have no gradient); the gradients' norm."""
    pairs = [(g, v) for g, v in zip(gradients, model.trainable_variables, strict=True) if g is not None]
    norm = gradient_norm(optimizer, [gradient for gradient, _ in pairs])
    optimizer.apply_gradients(pairs)
    return norm


def _box_average(images: tf.Tensor, factor: int) -> tf.Tensor:
    return images if factor == 1 else tf.nn.avg_pool2d(images, factor, factor, "VALID")
