"""Trains a Pix2PixHD: label maps to films, or dots to label maps (Wang et al. 2018, section 3)."""

import keras
import numpy as np
import tensorflow as tf

from datasets import grey
from datasets.common.errors import UserError
from datasets.pair_cache import load_pairs
from datasets.pair_store import PairStore, split_ids
from evaluation.pictures import colour_labels, grey_to_rgb, grid
from evaluation.segmenter.saved_network import load_network
from models import label_coding
from models.label_coding import LabelCoding, neighbour_order
from models.losses import PerceptualLoss, feature_matching_loss, lsgan_loss
from models.pix2pixhd import GlobalGenerator, LocalEnhancer, MultiscaleDiscriminator
from models.pix2pixhd_layers import mean_pool
from training.batches import distributed_batches
from training.config import Pix2PixHDConfig
from training.devices import is_chief, prepare
from training.discriminator_inputs import ImagePool, diff_augment
from training.keras_weights import load_vgg19
from training.loop import run
from training.optimizers import gradient_norm, make_optimizer
from training.run_folder import RunFolder
from training.schedules import linear_decay

_GRID_ROWS = 6


class Pix2PixHDTrainer:
    """A Pix2PixHD and its training step, for `training.loop`.

    Args:
      config: the options.
      sources: codes that are translated, uint8 [N, h, w]: label maps, or dots of any size.
      targets: films uint8 [N, H, W] (coding None), or label maps (with the coding of the output channels).
      num_classes: classes of the codes.
      coding: of label maps as targets.
      strategy: from `training.devices`.
    """

    unit = "steps"
    score_every = 0

    def __init__(self, config: Pix2PixHDConfig, sources: np.ndarray, targets: np.ndarray, num_classes: int,
                 coding: LabelCoding | None, strategy: tf.distribute.Strategy):
        self.config, self.coding, self.strategy = config, coding, strategy
        self.num_classes = num_classes
        self._arrays = (sources, targets)
        self.images_per_position = float(config.batch)
        self.steps_per_epoch = max(1, round(len(targets) / config.batch))
        self.total = self.steps_per_epoch * (config.epochs + config.epochs_decay)
        self._batches = None
        channels = coding.channels if coding else 1
        with strategy.scope():
            self.generator = make_generator(config, channels)
            self.generator.build((None, None, None, num_classes))
            if config.init_from:
                _start_from(self.generator, config.init_from)
            self.discriminator = MultiscaleDiscriminator(config.ndf, config.n_layers, config.num_D)
            self.discriminator.build((None, None, None, num_classes + channels))
            self.trained = (self.generator.enhancer_variables if config.phase == "enhancer"
                            else self.generator.trainable_variables)
            self.g_optimizer = make_optimizer(config.learning_rate, 0.5, 0.999, 1e-8)
            self.d_optimizer = make_optimizer(config.learning_rate, 0.5, 0.999, 1e-8)
            self.g_optimizer.build(self.trained)
            self.d_optimizer.build(self.discriminator.trainable_variables)
            self._pool = None
            if config.pool_size:
                side = -(-targets.shape[1] // 2) if config.phase == "global_half" else targets.shape[1]
                self._pool = ImagePool(config.pool_size, (side, side, num_classes + channels), config.seed)
            self._perceptual = None
            if config.vgg_weights and not coding:
                self._perceptual = PerceptualLoss(load_vgg19(config.vgg_weights), config.perceptual_weight)

    def trackables(self) -> dict:
        networks = {"generator": self.generator, "discriminator": self.discriminator,
                    "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer}
        return {**networks, "pool": self._pool} if self._pool else networks

    def step(self, position: int) -> tuple[int, dict[str, tf.Tensor]]:
        if self._batches is None:
            self._batches = distributed_batches(
                self.strategy, self._arrays, self.config.batch, self.config.seed, position * self.config.batch)
        epoch = position // self.steps_per_epoch
        rate = linear_decay(self.config.learning_rate, epoch, self.config.epochs, self.config.epochs_decay)
        for optimizer in (self.g_optimizer, self.d_optimizer):
            optimizer.learning_rate = rate
        return position + 1, self._step(next(self._batches), tf.constant(position, tf.int64))

    @tf.function
    def _step(self, batch, position):
        metrics = self.strategy.run(self._train, (batch, position))
        return {name: self.strategy.reduce("SUM", value, None) for name, value in metrics.items()}

    def _train(self, batch, position: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update of both networks from the same forward pass, as released."""
        condition, real = self._encode(*batch)
        replicas = self.strategy.num_replicas_in_sync
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = self.generator(condition)
            real_seen, fake_seen, shown_seen = self._discriminate(condition, real, fake, position)
            metrics = {"d_real": lsgan_loss(real_seen, True), "d_fake": lsgan_loss(shown_seen, False)}
            d_scaled = self.d_optimizer.scale_loss(sum(metrics.values()) * (0.5 / replicas))
            g_metrics = self._generator_losses(real, fake, real_seen, fake_seen)
            g_scaled = self.g_optimizer.scale_loss(sum(g_metrics.values()) / replicas)
        critic = self.discriminator.trainable_variables
        g_gradients, d_gradients = g_tape.gradient(g_scaled, self.trained), d_tape.gradient(d_scaled, critic)
        norms = {"d_gradient": gradient_norm(self.d_optimizer, d_gradients),
                 "g_gradient": gradient_norm(self.g_optimizer, g_gradients)}
        self.g_optimizer.apply_gradients(zip(g_gradients, self.trained, strict=True))
        self.d_optimizer.apply_gradients(zip(d_gradients, critic, strict=True))
        return {**{name: value / replicas for name, value in {**metrics, **g_metrics}.items()}, **norms}

    def _discriminate(self, condition, real, fake, position):
        """Features of real and fake pictures, and of the fakes that the discriminators learn from.

        One pass serves the last two unless a pool of earlier fakes is kept.
        """
        real_pair, fake_pair = (self._augmented(tf.concat([condition, image], -1), position)
                                for image in (real, fake))
        real_seen, fake_seen = self.discriminator(real_pair), self.discriminator(fake_pair)
        if self._pool is None:
            return real_seen, fake_seen, fake_seen
        return real_seen, fake_seen, self.discriminator(self._pool.query(fake_pair, position))

    def _augmented(self, pair: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Condition and picture as the discriminators see them; a step's pairs are changed alike, so that the
        features of real and fake can be matched."""
        if self.config.diff_augment == "none":
            return pair
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.random.experimental.stateless_fold_in([self.config.seed, tf.cast(position, tf.int32)], replica)
        return diff_augment(pair, self.config.diff_augment, seed)

    def _generator_losses(self, real, fake, real_seen, fake_seen) -> dict[str, tf.Tensor]:
        losses = {"g_gan": lsgan_loss(fake_seen, True)}
        if self.config.feature_weight:
            losses["g_features"] = feature_matching_loss(real_seen, fake_seen, self.config.feature_weight)
        if self._perceptual:
            losses["g_vgg"] = self._perceptual(real, fake)
        return losses

    def _encode(self, sources: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Codes -> one-hot condition and target in [-1, 1]; halved while the coarse network trains alone."""
        if self.config.translate_from == "dots":
            sources = label_coding.enlarge(sources, targets.shape[1])
        condition = label_coding.one_hot(sources, self.num_classes)
        if self.coding:
            target = self.coding.encode(targets)
        else:
            target = grey.from_levels(targets[..., None])
        if self.config.phase == "global_half":
            return mean_pool(condition), mean_pool(target)
        return condition, target

    def grid(self, position: int) -> np.ndarray:
        """Rows of source, translation and real target for the first pairs of the data."""
        sources, targets = (array[:_GRID_ROWS] for array in self._arrays)
        condition, real = self._encode(tf.constant(sources), tf.constant(targets))
        made = self.generator(condition).numpy()
        shown = colour_labels(tf.argmax(condition, -1).numpy(), self.num_classes)
        cells = np.stack([shown, self._pictures(made), self._pictures(real.numpy())], 1)
        return grid(cells.reshape(-1, *cells.shape[2:]), 6, cells.shape[2])

    def score(self, position: int, folder: RunFolder) -> dict[str, float]:
        return {}

    def finish(self, folder: RunFolder) -> dict:
        folder.save_network(self.generator, "last")
        return {"task": "train_pix2pixhd", "translate_from": self.config.translate_from, "network": "last.keras",
                "phase": self.config.phase, "dot": self.config.dot.to_json() if self.config.dot else None,
                "coding": self.coding.to_json() if self.coding else None,
                "num_classes": self.num_classes, "size": int(self._arrays[1].shape[1])}

    def _pictures(self, channels: np.ndarray) -> np.ndarray:
        if self.coding:
            return colour_labels(self.coding.decode(channels).numpy(), self.num_classes)
        return grey_to_rgb(channels)


def train(config: Pix2PixHDConfig, data: str, workdir: str) -> None:
    """Trains on the train pairs of store `data` in run folder `workdir`; continues a run that stands there."""
    _check(config)
    store = PairStore(data)
    strategy = prepare(config)
    folder = RunFolder(workdir, "train_pix2pixhd", config, {"data": store.fingerprint()}, is_chief(strategy))
    try:
        films, labels = load_pairs(store, split_ids(store, "train"))
        classes = store.classes.num_classes
        sources, targets, coding = labels, films, None
        if config.translate_from == "dots":
            sources = np.stack([config.dot.draw(label, classes) for label in labels])
            order = neighbour_order(labels, classes) if config.label_coding == "grey" else tuple(range(classes))
            targets, coding = labels, LabelCoding(config.label_coding, order)
        run(Pix2PixHDTrainer(config, sources, targets, classes, coding, strategy), folder, config)
    finally:
        folder.close()


def make_generator(config: Pix2PixHDConfig, channels: int) -> keras.Model:
    """The generator that `config` describes; the coarse phase trains the enhancer's inner network."""
    if config.network == "local" and config.phase != "global_half":
        return LocalEnhancer(channels, config.ngf, config.n_downsampling, config.n_blocks, config.n_local_blocks)
    ngf = 2 * config.ngf if config.network == "local" else config.ngf
    return GlobalGenerator(channels, ngf, config.n_downsampling, config.n_blocks)


def _start_from(generator: keras.Model, path: str) -> None:
    """Copies the weights of an earlier phase: the same network, or the inner one of an enhancer."""
    earlier = load_network(path)
    try:
        if isinstance(generator, LocalEnhancer) and isinstance(earlier, GlobalGenerator):
            generator.load_global(earlier)
        else:
            generator.set_weights(earlier.get_weights())
    except ValueError as error:
        raise UserError(f"{path}: does not fit the network asked for ({error})") from None


def _check(config: Pix2PixHDConfig) -> None:
    if config.phase != "both" and config.network != "local":
        raise UserError(f"--phase={config.phase} trains parts of the local enhancer; add --network=local")
    if config.phase == "enhancer" and not config.init_from:
        raise UserError("--phase=enhancer needs --init_from, the run folder of --phase=global_half")
