"""Trains a segmenter on pairs, or fine-tunes it: random crops, cross-entropy, Adam at a constant rate.

The step itself is `models.segmenter.Segmenter.train_step`; the network is SMANet, or a U-Net beside it.
Source: Ciano et al. 2021, section 3.4; what it does not say is in models/smanet.py and training/config.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from datasets import grey, pair_cache
from datasets.augmentation.augmented_crops import AugmentedCrops
from datasets.augmentation.strong_augment import StrongAugmentation
from datasets.class_table import IGNORED, ClassTable
from datasets.common import progress
from datasets.common.errors import UserError
from datasets.rules.label_cleaning import asked_organs, named_organs
from datasets.rules.label_filters import fill_from_neighbours
from datasets.rules.label_rules import LabelRules
from datasets.subsets import different_films
from evaluation.pictures import colour_labels, grid, pictures_to_rgb
from evaluation.segmenter.evaluate import FilmsInMemory
from evaluation.segmenter.network_file import read_facts
from evaluation.segmenter.saved_network import load_network
from evaluation.segmenter.sliding_window import probabilities_of
from models.averaging import copy_of, early_decay, update_average
from models.losses import cross_entropy
from models.precision import dtype_policy
from models.segmenter import Segmenter
from models.smanet import SMANet
from models.unet import UNet
from training.batches import check_shares, distributed_batches
from training.config import SMANetConfig
from training.devices import is_chief, prepare, resolve_precision
from training.keras_weights import load_encoder_weights
from training.loop import already_finished, run
from training.optimizers import make_optimizer
from training.run_folder import RunFolder
from training.segmenter_inputs import SegmenterInputs, shape_options
from training.steps import Steps, steps_at_once, uses_xla

_GRID_ROWS = 6


class SMANetTrainer:
    """A segmenter with its data and validation, for `training.loop`.

    Args:
      config: the options.
      films, labels: uint8 [N, H, W], films in colour [N, H, W, 3]; labels hold the codes the segmenter learns.
      num_classes: background included.
      validation: films that choose the weights; None keeps the last.
      strategy: from `training.devices`.
      class_names: by code, for whoever uses the finished run.
      rows: which pairs an epoch holds, some perhaps several times; None is each once.
      shown: rows of the pairs in the grid; None for the first ones.
      ignored: whether labels may hold IGNORED, whose pixels then count in no loss and no accuracy.
      channel: what the films show, as in the store's description, for whoever uses the finished run.
      pieces: what the product says of classes whose largest piece alone is kept: "largest", "keep_largest".
    """

    unit = "steps"

    def __init__(self, config: SMANetConfig, films: np.ndarray, labels: np.ndarray, num_classes: int,
                 validation: FilmsInMemory | None, strategy: tf.distribute.Strategy,
                 class_names: Sequence[str] = (), rows: np.ndarray | None = None,
                 shown: Sequence[int] | None = None, ignored: bool = False, channel: str = "grey",
                 pieces: Mapping[str, Any] | None = None):
        self.class_names, self.channel, self.pieces = tuple(class_names), channel, pieces or {}
        self.config, self.num_classes, self.strategy = config, num_classes, strategy
        self._ignored = IGNORED if ignored else None
        self._arrays, self._rows, self._validation = (films, labels), rows, validation
        self.total = config.steps  # in steps
        self.images_per_position = float(config.batch)
        self.score_every = config.validate_every if validation else 0
        self._shown = np.arange(min(_GRID_ROWS, len(films))) if shown is None else np.asarray(shown)
        self._batches, self._next = None, -1
        self._cut = _augmented(config, IGNORED if ignored else 0) or pair_cache.crop_rows
        with strategy.scope(), dtype_policy(resolve_precision(config.precision)):
            self.model = _network(config, num_classes, min(config.crop, *films.shape[1:3]),
                                  # One device's share may be too few.
                                  synchronized_bn=strategy.num_replicas_in_sync > 1)
            self.model.build((None, None, None, grey.film_channels(films)))
            if config.encoder_weights:
                load_encoder_weights(self.model, config.encoder_weights)
            # Keras' defaults but for the rate: the paper names only Adam and 1e-4.
            optimizer = make_optimizer(config.learning_rate, 0.9, 0.999, 1e-7)
            optimizer.build(self.model.trainable_variables)
            self._accuracy = (_KnownAccuracy if ignored else keras.metrics.SparseCategoricalAccuracy)("accuracy")
            # `make_optimizer` has wrapped Adam for float16 already.
            self.model.compile(optimizer, self._loss, metrics=[self._accuracy], auto_scale_loss=False)
            self._average = copy_of(self.model) if config.average_decay else None
            if self._average is not None:
                self._average.build((None, None, None, grey.film_channels(films)))
                self._average.set_weights(self.model.get_weights())
        self._predict = probabilities_of(self.segmenter)  # compiled once; takes float32 films
        self._steps = Steps(self._train, strategy, uses_xla(config, strategy))
        self._at_once = steps_at_once(config, strategy)

    @property
    def segmenter(self) -> Segmenter:
        """What stands for the run: the averaged network where there is one."""
        return self.model if self._average is None else self._average

    def start_from(self, path: str) -> None:
        """Takes the weights of a finished segmenter. Raises UserError where they do not fit."""
        try:
            self.model.set_weights(load_network(path).get_weights())
        except ValueError as error:
            raise UserError(f"{path}: does not fit the segmenter asked for ({error})") from None
        self.segmenter.set_weights(self.model.get_weights())

    def trackables(self) -> dict:
        parts = {"network": self.model, "optimizer": self.model.optimizer}
        return parts if self._average is None else {**parts, "average": self._average}

    def step(self, position: int, until: int | None = None) -> tuple[int, dict[str, tf.Tensor]]:
        if position != self._next:  # first, or continued
            self._batches = distributed_batches(
                self.strategy, self._arrays, self.config.batch, self.config.seed, position * self.config.batch,
                crop=self.config.crop, rows=self._rows, cut=self._cut)
        count = min(self._at_once, (until or position + 1) - position)
        self._next = position + count
        return self._next, self._steps.run(self._batches, [0.0] * count)

    def _train(self, batch: tuple[tf.Tensor, ...], unused: tf.Tensor) -> dict[str, tf.Tensor]:
        films, labels = batch
        self.model.reset_metrics()  # Keras keeps running means; emptied, this step's
        self._accuracy.reset_state()  # Keras leaves it out of the first step, in which it builds its metrics
        steps = tf.convert_to_tensor(self.model.optimizer.iterations)  # before this one
        logs = self.model.train_step((grey.to_network(films), labels))
        if self._average is not None:
            update_average(self._average, self.model, early_decay(self.config.average_decay, steps))
        return logs

    def _loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean; Keras shares out only losses that it averages itself."""
        return cross_entropy(labels, logits, self._ignored) / self.strategy.num_replicas_in_sync

    def predict(self, films: np.ndarray) -> np.ndarray:
        """Films [N, H, W, C] in [-1, 1] -> probabilities [N, H, W, K]."""
        return self._predict(films).numpy()

    def grid(self, position: int) -> np.ndarray:
        """Rows of film, prediction and true labels; as many predicted at a time as in training."""
        rows = []
        for start in range(0, len(self._shown), self.config.batch):
            films, labels = (array[self._shown[start:start + self.config.batch]] for array in self._arrays)
            inputs = grey.to_network(films)
            predicted = np.argmax(self.predict(inputs), -1)  # [n, H, W]
            rows.append(np.stack([pictures_to_rgb(inputs), colour_labels(predicted, self.num_classes),
                                  colour_labels(labels, self.num_classes)], 1))
        cells = np.concatenate(rows)  # [rows, 3, H, W, 3]
        return grid(cells.reshape(-1, *cells.shape[2:]), 6, cells.shape[2])

    def score(self, position: int, folder: RunFolder) -> dict[str, float]:
        """Pooled mean J on the validation pairs; the best weights so far are kept."""
        best, mean_j = folder.best("val_j"), self._validation.evaluate(self._predict).mean_j
        if folder.chief:
            folder.prune_snapshots(folder.records("val_j")[-2:])  # two, as checkpoints: one may prove damaged
            if best is None or mean_j > best[0]:
                folder.save_network(self.segmenter, f"snapshots/{position:09d}")
        return {"val_j": mean_j}

    def finish(self, folder: RunFolder) -> dict:
        best = folder.best("val_j")
        name = f"snapshots/{best[1]:09d}" if best else "last"  # the best; without validation, the last
        if best is None:
            folder.save_network(self.segmenter, "last")
        return {"task": "train_smanet", "network": f"{name}.keras", "coding": None,
                "classes": self.config.classes, "num_classes": self.num_classes,
                "class_names": list(self.class_names), "size": max(self._arrays[0].shape[1:3]),
                "crop": self.config.crop, "overlap": self.config.overlap,
                **({} if self.channel == "grey" else {"channel": self.channel}), **self.pieces}


class _KnownAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of pixels with the right code, IGNORED ones left out."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(y_true, y_pred, tf.cast(y_true != IGNORED, tf.float32))


def train(config: SMANetConfig, data: str, workdir: str, validation: str | None = None,
          finetune_from: str | None = None, mixed_with: str | None = None,
          largest: Sequence[Sequence[str]] | None = None) -> None:
    """Trains on the train pairs of store `data` in run folder `workdir`; continues a run that stands there.

    Args:
      validation: store whose validation pairs choose the weights.
      finetune_from: run folder or .keras file whose weights the training starts from.
      mixed_with: store whose train pairs give half of all crops, those of `data` the other half: drawn from one
        shuffled stream, so half of every batch on average.
      largest: classes whose largest piece alone is kept, each with those painted over it, in place of what
        --keep_largest says.

    Raises UserError, before anything is made, as `SegmenterInputs` does, for options that do not go together, a
    class in --keep_largest that there is not and a batch that devices cannot share; and as `RunFolder` and
    `training.loop.run` do.
    """
    _check(config)
    inputs = SegmenterInputs(config, data, validation, finetune_from, mixed_with)
    classes, channel = inputs.classes, inputs.store.description.channel
    if largest is None and config.keep_largest != "auto":
        largest = asked_organs(config.keep_largest, classes, tuple)
    strategy = prepare(config)
    check_shares(strategy, [config.batch])
    augmented = _augmented(config)
    folder = RunFolder(workdir, "train_smanet", config, inputs.digests(), is_chief(strategy),
                       augmented.ranges() if augmented else {})
    try:
        pieces = _learnt_before(folder) if largest is None else _pieces(largest)
        if pieces is not None and already_finished(folder, config.steps, SMANetTrainer.unit):
            _keep_pieces(folder, pieces)
            return
        # Not to the folder's log: until it is restored, it may not be this run's.
        films, labels, rows = inputs.load_pairs(progress.say if folder.chief else (lambda line: None))
        pieces = _pieces(_in_one_piece(labels, classes), learnt=True) if pieces is None else pieces
        shown = different_films(inputs.store, inputs.ids, _GRID_ROWS)
        trainer = SMANetTrainer(config, films, labels, classes.num_classes, inputs.validation_films(), strategy,
                                classes.names, rows, shown, classes.ignored, channel, pieces)
        if finetune_from:  # a continued run restores its own over them
            trainer.start_from(finetune_from)
        finished = folder.finished_at() is not None
        run(trainer, folder, config)
        if finished:
            _keep_pieces(folder, pieces)
    finally:
        folder.close()


def _check(config: SMANetConfig) -> None:
    for name, off in (("elastic", 0.0), ("augment_factor", 1.0)):
        if config.augment == "none" and getattr(config, name) != off:
            raise UserError(f"--{name}={getattr(config, name)}: is a part of --augment=strong; set that too")
    if config.encoder_weights and config.network != "smanet":
        raise UserError(f"--encoder_weights={config.encoder_weights}: are for SMANet's encoder, found "
                        f"--network={config.network}; leave one out")


def _network(config: SMANetConfig, num_classes: int, side: int, synchronized_bn: bool) -> Segmenter:
    """The segmenter that `config` asks for, for crops of `side` pixels."""
    options = {**shape_options(config, num_classes, side), "dropout": config.dropout,
               "bn_momentum": config.bn_momentum, "synchronized_bn": synchronized_bn,
               "standardize": config.standardize}
    if config.network == "unet":
        return UNet(**options)
    return SMANet(pretrained_input=bool(config.encoder_weights), **options)


def _augmented(config: SMANetConfig, outside: int = 0) -> AugmentedCrops | None:
    """What cuts the crops (see `training.batches`), and knows its ranges; None where they are cut as they are."""
    strong = None
    if config.augment == "strong":
        strong = StrongAugmentation(elastic=config.elastic).more_often(config.augment_factor)
    return AugmentedCrops(strong, config.cutmix, outside) if strong or config.cutmix else None


def _in_one_piece(labels: np.ndarray, classes: ClassTable) -> list[tuple[str, ...]]:
    """The classes in one piece in all `labels`, each with those painted over it."""
    known = [fill_from_neighbours(codes, codes != IGNORED) for codes in labels]
    return named_organs(LabelRules.learn(known, classes).whole(), classes)


def _pieces(largest: Sequence[Sequence[str]], learnt: bool = False) -> dict[str, Any]:
    """What a product says of the classes `largest`; `learnt` from all label maps, for --keep_largest=auto."""
    told = {"largest": [list(names) for names in largest]} if largest else {}
    return told | ({"keep_largest": "auto"} if learnt else {})


def _learnt_before(folder: RunFolder) -> dict[str, Any] | None:
    """The `_pieces` of a finished run that were learnt; None where they are to be learnt."""
    facts = read_facts(folder.path) if folder.finished_at() is not None else {}
    return _pieces(facts.get("largest", []), learnt=True) if facts.get("keep_largest") == "auto" else None


def _keep_pieces(folder: RunFolder, pieces: Mapping[str, Any]) -> None:
    """Says `pieces` in the product of a run that was finished before with others."""
    facts = read_facts(folder.path)
    told = {name: fact for name, fact in facts.items() if name not in ("largest", "keep_largest")} | pieces
    if told != facts:
        folder.finish(told)
    if told.get("largest") != facts.get("largest"):
        kept = ", ".join(names[0] for names in told.get("largest", [])) or "no class"
        folder.say(f"{folder.path}: from now on the largest piece alone is kept of {kept}")
