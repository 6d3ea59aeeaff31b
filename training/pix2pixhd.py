"""Trains a Pix2PixHD: label maps to films, or dots to label maps (Wang et al. 2018, section 3).

The step itself is `models.gan_models.Pix2PixHD.train_step`.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from datasets import grey
from datasets.augmentation.moved_pairs import MovedPairs
from datasets.common.errors import UserError
from datasets.dots import Dot
from datasets.pair_cache import load_pairs
from datasets.pair_store import PairStore, film_names, split_ids
from datasets.resize import refuse_oblong
from datasets.rules.dot_rules import learn_dots, undotted_codes
from datasets.rules.label_rules import LabelRules
from datasets.subsets import different_films
from evaluation.pictures import colour_labels, grid, pictures_to_rgb
from evaluation.segmenter.network_file import network_options, refuse_others
from evaluation.segmenter.saved_network import load_network
from models import label_coding
from models.gan_models import Pix2PixHD
from models.label_coding import LabelCoding, neighbour_order
from models.losses import VGG_MINIMUM_SIDE, PerceptualLoss
from models.pix2pixhd import (
    GlobalGenerator,
    LocalEnhancer,
    MultiscaleDiscriminator,
    least_judged_side,
    least_side,
)
from models.pix2pixhd_layers import mean_pool
from models.precision import dtype_policy
from training.batches import check_shares, distributed_batches
from training.config import Pix2PixHDConfig
from training.devices import is_chief, prepare, resolve_precision
from training.discriminator_inputs import ImagePool, diff_augment, diff_augment_ranges
from training.keras_weights import load_vgg19
from training.loop import run
from training.optimizers import make_optimizer
from training.run_folder import RunFolder
from training.schedules import linear_decay
from training.steps import Steps, steps_at_once, uses_xla

_GRID_ROWS = 6


class Pix2PixHDTrainer:
    """A Pix2PixHD with its data and schedule, for `training.loop`.

    Args:
      config: the options.
      sources: codes that are translated, uint8 [N, h, w]: label maps, or dots of any size.
      targets: films uint8 [N, H, W] or [N, H, W, 3] (coding None), or label maps (with the coding of the output
        channels).
      num_classes: classes of the codes.
      coding: of label maps as targets.
      strategy: from `training.devices`.
      shown: rows of the pairs in the grid; None for the first ones.
      dot: what dots as sources look like.
      moved: deforms pairs as they are shown; None leaves them as they are.
    """

    unit = "steps"
    score_every = 0

    def __init__(self, config: Pix2PixHDConfig, sources: np.ndarray, targets: np.ndarray, num_classes: int,
                 coding: LabelCoding | None, strategy: tf.distribute.Strategy, shown: Sequence[int] | None = None,
                 dot: Dot | None = None, moved: MovedPairs | None = None):
        self.config, self.coding, self.strategy, self._dot = config, coding, strategy, dot
        self.num_classes = num_classes
        self._arrays, self._moved = (sources, targets), moved
        self._shown = np.arange(min(_GRID_ROWS, len(targets))) if shown is None else np.asarray(shown)
        self.images_per_position = float(config.batch)
        self.steps_per_epoch = max(1, round(len(targets) / config.batch))
        self.total = self.steps_per_epoch * (config.epochs + config.epochs_decay)  # in steps
        self._batches, self._next = None, -1
        with strategy.scope(), dtype_policy(resolve_precision(config.precision)):
            self.model = self._make_model()
        self._steps = Steps(self._train, strategy, uses_xla(config, strategy))
        self._at_once = steps_at_once(config, strategy)

    def _make_model(self) -> Pix2PixHD:
        config = self.config
        channels = self.coding.channels if self.coding else grey.film_channels(self._arrays[1])
        generator = make_generator(config, channels)
        generator.build((None, None, None, self.num_classes))
        if config.init_from:
            _start_from(generator, config.init_from)
        # A pool keeps the discriminators' whole input: condition and picture, at the size they see.
        pool = perceptual = None
        if config.pool_size:
            sides = self._arrays[1].shape[1:3]
            sides = [-(-side // 2) for side in sides] if config.phase == "global_half" else sides  # as `mean_pool`
            pool = ImagePool(config.pool_size, (*sides, self.num_classes + channels), config.seed)
        if config.vgg_weights and not self.coding:  # label maps look like nothing VGG19 knows
            perceptual = PerceptualLoss(load_vgg19(config.vgg_weights), config.perceptual_weight)
        augment = None if config.diff_augment == "none" else partial(diff_augment, policy=config.diff_augment)
        model = Pix2PixHD(
            generator, MultiscaleDiscriminator(config.ndf, config.n_layers, config.num_D), config.feature_weight,
            perceptual, augment, pool, config.phase == "enhancer", config.seed, config.average_decay)
        # Wang et al. 2018, section 4
        model.compile(*(make_optimizer(config.learning_rate, 0.5, 0.999, 1e-8) for _ in range(2)))
        model.build((None, None, None, self.num_classes))  # optimizers too: before the first step
        return model

    def trackables(self) -> dict:
        model = self.model
        parts = {"generator": model.generator, "discriminator": model.discriminator,
                 "g_optimizer": model.optimizer, "d_optimizer": model.discriminator_optimizer}
        parts |= {"average": model.average} if model.average else {}
        return {**parts, "pool": model.pool} if model.pool else parts

    def step(self, position: int, until: int | None = None) -> tuple[int, dict[str, tf.Tensor]]:
        epoch, into = divmod(position, self.steps_per_epoch)  # counted from 0
        if position != self._next:  # first, or continued
            self.model.position.assign(position)
            self._batches = self._batches_from(position)
        if position != self._next or not into:
            rate = linear_decay(self.config.learning_rate, epoch, self.config.epochs, self.config.epochs_decay)
            for optimizer in (self.model.optimizer, self.model.discriminator_optimizer):
                optimizer.learning_rate = rate  # a variable: no new trace
        # One epoch's: they have one rate.
        count = min(self._at_once, (until or position + 1) - position, self.steps_per_epoch - into)
        self._next = position + count
        return self._next, self._steps.run(self._batches, [0.0] * count)

    def _batches_from(self, position: int) -> Iterator:
        """Of sources and targets; deformed ones on the way."""
        start = (self.config.batch, self.config.seed, position * self.config.batch)
        if self._moved is None:
            return distributed_batches(self.strategy, self._arrays, *start)
        sources, targets = self._arrays
        maps = targets if self.coding else sources  # dots are drawn anew, of the maps that are deformed
        return distributed_batches(self.strategy, (maps, targets), *start, crop=max(maps.shape[1:3]),
                                   cut=self._moved)

    def _train(self, batch: tuple[tf.Tensor, ...], unused: tf.Tensor) -> dict[str, tf.Tensor]:
        self.model.reset_metrics()  # Keras keeps running means; emptied, this step's
        return self.model.train_step(self._encode(*batch))

    def _encode(self, sources: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Codes -> one-hot condition and target in [-1, 1]; halved while the coarse network trains alone."""
        if self.config.translate_from == "dots":
            sources = label_coding.enlarge(sources, targets.shape[1])  # [N, H, W]
        condition = label_coding.one_hot(sources, self.num_classes)  # [N, H, W, K]
        if self.coding:
            target = self.coding.encode(targets)  # [N, H, W, channels]
        else:
            target = grey.to_network(targets)  # [N, H, W, 1 or 3]
        if self.config.phase == "global_half":
            return mean_pool(condition), mean_pool(target)
        return condition, target

    def grid(self, position: int) -> np.ndarray:
        """Rows of source, translation and real target; as many translated at a time as in training."""
        rows = []
        for start in range(0, len(self._shown), self.config.batch):
            sources, targets = (array[self._shown[start:start + self.config.batch]] for array in self._arrays)
            condition, real = self._encode(tf.constant(sources), tf.constant(targets))
            shown = colour_labels(tf.argmax(condition, -1).numpy(), self.num_classes)
            made = self.model.translator(condition).numpy()
            # [n, 3, H, W, 3]
            rows.append(np.stack([shown, self._pictures(made), self._pictures(real.numpy())], 1))
        cells = np.concatenate(rows)  # [rows, 3, H, W, 3]
        return grid(cells.reshape(-1, *cells.shape[2:]), 6, cells.shape[2])  # six columns: two triples a row

    def score(self, position: int, folder: RunFolder) -> dict[str, float]:
        return {}

    def finish(self, folder: RunFolder) -> dict:
        folder.save_network(self.model.translator, "last")
        return {"task": "train_pix2pixhd", "translate_from": self.config.translate_from, "network": "last.keras",
                "phase": self.config.phase, "dot": self._dot.to_json() if self._dot else None,
                "coding": self.coding.to_json() if self.coding else None,
                "num_classes": self.num_classes, "size": int(self._arrays[1].shape[1])}

    def _pictures(self, channels: np.ndarray) -> np.ndarray:
        if self.coding:
            return colour_labels(self.coding.decode(channels).numpy(), self.num_classes)
        return pictures_to_rgb(channels)


def train(config: Pix2PixHDConfig, data: str, workdir: str) -> None:
    """Trains on the train pairs of store `data` in run folder `workdir`; continues a run that stands there.

    Raises UserError, before anything is made, for a phase without its network or weights or with those of another
    network, for pictures that the networks do not take, a store without train pairs, a batch that devices cannot
    share and classes without dots that are none; and as `RunFolder` and `training.loop.run` do.
    """
    _check(config)
    store = PairStore(data)
    ids = split_ids(store, "train")
    undotted = undotted_codes(config.undotted, store.classes, config.dot is None)
    _check_sides(config, store)
    if config.init_from:
        _check_start(config, store)
    strategy = prepare(config)
    check_shares(strategy, [config.batch])
    moved = MovedPairs(config.deform, config.expose) if config.deform or config.expose else None
    folder = RunFolder(workdir, "train_pix2pixhd", config, {"data": store.fingerprint()}, is_chief(strategy),
                       {**(moved.ranges() if moved else {}), **diff_augment_ranges(config.diff_augment)})
    try:
        films, labels = load_pairs(store, ids, filled=True)
        classes = store.classes.num_classes
        sources, targets, coding, dot, draw = labels, films, None, None, None
        if config.dot:
            rules = LabelRules.learn(labels, store.classes, len(set(film_names(store, ids))))
            learnt = learn_dots(config.dot, labels, rules, undotted, folder.say)
            sources, dot = learnt.drawn, learnt.dot
            draw = partial(dot.draw, num_classes=classes, pieces=rules.find_pieces)
            # Grey: by what touches.
            order = neighbour_order(labels, classes) if config.label_coding == "grey" else tuple(range(classes))
            targets, coding = labels, LabelCoding(config.label_coding, order)
        shown = different_films(store, ids, _GRID_ROWS)
        moved = dataclasses.replace(moved, dots=draw) if moved else None
        trainer = Pix2PixHDTrainer(config, sources, targets, classes, coding, strategy, shown, dot, moved)
        run(trainer, folder, config)
    finally:
        folder.close()


def make_generator(config: Pix2PixHDConfig, channels: int) -> keras.Model:
    """The generator that `config` describes; the coarse phase trains the enhancer's inner network."""
    if config.network == "local" and config.phase != "global_half":
        return LocalEnhancer(channels, config.ngf, config.n_downsampling, config.n_blocks, config.n_local_blocks,
                             config.upsampling)
    ngf = 2 * config.ngf if config.network == "local" else config.ngf  # as wide as inside the enhancer
    return GlobalGenerator(channels, ngf, config.n_downsampling, config.n_blocks, config.upsampling)


def _start_from(generator: keras.Model, path: str) -> None:
    """Copies the weights of an earlier phase: the same network, or the inner one of an enhancer."""
    earlier = load_network(path)
    try:
        if isinstance(generator, LocalEnhancer) and isinstance(earlier, GlobalGenerator):
            generator.load_global(earlier)
        elif getattr(earlier, "upsampling", None) != generator.upsampling:  # of the same shapes
            raise ValueError(f"upsampling {getattr(earlier, 'upsampling', None)}, not {generator.upsampling}")
        else:
            generator.set_weights(earlier.get_weights())
    except ValueError as error:
        raise UserError(f"{path}: does not fit the network asked for ({error})") from None


def _check(config: Pix2PixHDConfig) -> None:
    if config.expose and config.translate_from == "dots":
        raise UserError(f"--expose={config.expose}: changes films, found --translate_from=dots, which makes label "
                        "maps; leave it out")
    if config.phase != "both" and config.network != "local":
        raise UserError(f"--phase={config.phase} trains parts of the local enhancer; add --network=local")
    if config.phase == "enhancer" and not config.init_from:
        raise UserError("--phase=enhancer needs --init_from, the run folder of --phase=global_half")


def _check_sides(config: Pix2PixHDConfig, store: PairStore) -> None:
    """Raises UserError for pictures that come out of the networks at another size, or are too small for them."""
    if config.translate_from == "dots":
        refuse_oblong(store)  # dot maps are square
    inner = 2 if config.network == "local" else 1  # its inner network halves first
    seen = 2 if config.phase == "global_half" else 1  # so does its coarse phase
    step = inner * 2**config.n_downsampling
    least = max(inner * least_side(config.n_downsampling), seen * least_judged_side(config.num_D),
                seen * VGG_MINIMUM_SIDE * bool(config.vgg_weights and config.translate_from == "labels"))
    height, width = store.description.size
    if min(height, width) < least or height % step or width % step:
        raise UserError(f"{store.path}: found pictures of {width} x {height} pixels, expected sides of at least "
                        f"{least} that are multiples of {step} for --network={config.network}, --n_downsampling="
                        f"{config.n_downsampling} and --num_D={config.num_D}; prepare the data at such a size, or "
                        "lower these")


def _check_start(config: Pix2PixHDConfig, store: PairStore) -> None:
    """Raises UserError where --init_from is another network than `_start_from` takes, as far as its file tells."""
    found, classes = network_options(config.init_from), store.classes.num_classes
    local, enhancer = config.network == "local", config.network == "local" and config.phase != "global_half"
    asked = {"input channels": classes, "n_downsampling": config.n_downsampling, "n_blocks": config.n_blocks,
             "upsampling": config.upsampling}
    if enhancer and found["network"] == "GlobalGenerator":  # for its inner network
        asked["ngf"] = 2 * config.ngf
    else:
        made = classes if config.label_coding == "one_hot" else 1
        asked |= {"network": "LocalEnhancer" if enhancer else "GlobalGenerator",
                  "output_channels": made if config.dot else store.description.channels,
                  "ngf": 2 * config.ngf if local and not enhancer else config.ngf,
                  "n_local_blocks": config.n_local_blocks}
    refuse_others(config.init_from, found, asked)
