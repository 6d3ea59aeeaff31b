"""Trains each network for a few steps on one device and on two with the same global batch."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from datasets.pair_cache import load_pairs
from datasets.pair_store import PairStore
from models.label_coding import LabelCoding
from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.devices import prepare
from training.pggan import PGGANTrainer
from training.pix2pixhd import Pix2PixHDTrainer
from training.smanet import SMANetTrainer

_COMMON = {"precision": "float32", "seed": 5}
PGGAN = PGGANConfig(target="dots", resolution=8, start_resolution=4, fmap_max=8, fmap_base=64, train_kimg=0.008,
                    fade_kimg=0.1, max_batch=8, score_images=0, **_COMMON)
PIX2PIXHD = Pix2PixHDConfig(ngf=4, ndf=4, n_downsampling=1, n_blocks=1, n_layers=2, num_D=2, batch=4, **_COMMON)
SMANET = SMANetConfig(depth=14, width=8, attention="none", batch=4, crop=25, dropout=0.0, standardize=True,
                      average_decay=0.5, **_COMMON)
_STEPS = 2  # after more, rounding may put a unit on the other side of zero: gradients then differ by more


def plain_draw(model, seed: tf.Tensor, purpose: int, count: int) -> tf.Tensor:
    """In place of a PGGAN's draws of one device: numbers in [0, 1] that need no generator."""
    side = 1 if purpose == 2 else model.generator.latent_size  # mixing factors, or latents
    numbers = tf.abs(tf.sin(tf.range(count * side, dtype=tf.float32) + float(purpose)))
    return tf.reshape(numbers, (count, 1, 1, 1) if purpose == 2 else (count, side))


def pggan(config: PGGANConfig, strategy, labels, films) -> tuple[PGGANTrainer, list, list]:
    dots = np.stack([config.dot.draw(label, 6) for label in labels])
    trainer = PGGANTrainer(config, dots, None, LabelCoding("grey", tuple(range(6))), strategy)
    return trainer, *_parts(trainer.model)


def pix2pixhd(config: Pix2PixHDConfig, strategy, labels, films) -> tuple[Pix2PixHDTrainer, list, list]:
    trainer = Pix2PixHDTrainer(config, labels, films, 6, None, strategy)
    return trainer, *_parts(trainer.model)


def _parts(model) -> tuple[list, list]:
    return [model.generator, model.discriminator], [model.optimizer, model.discriminator_optimizer]


def smanet(config: SMANetConfig, strategy, labels, films) -> tuple[SMANetTrainer, list, list]:
    trainer = SMANetTrainer(config, films, labels, 6, None, strategy)
    return trainer, [trainer.model, trainer.segmenter], [trainer.model.optimizer]


def smanet_plain(config: SMANetConfig, strategy, labels, films) -> tuple[SMANetTrainer, list, list]:
    """With batch statistics of each device's own part."""
    made = smanet(config, strategy, labels, films)
    for layer in made[0].model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = False
    return made


def trained(build: Callable, config, strategy_name: str, data: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Moments, and weights minus the initial ones, after a few steps, each as one vector."""
    strategy = prepare(dataclasses.replace(config, strategy=strategy_name))
    trainer, networks, optimizers = build(config, strategy, *data)
    before = [weight.copy() for network in networks for weight in network.get_weights()]
    position = 0
    for _ in range(_STEPS):
        position, _ = trainer.step(position)
    after = [weight for network in networks for weight in network.get_weights()]
    moments = [moment.numpy() for optimizer in optimizers for moment in optimizer._momentums]
    changes = [new - old for new, old in zip(after, before, strict=True)]
    return tuple(np.concatenate([part.ravel() for part in parts]) for parts in (moments, changes))


def compare(store: pathlib.Path, found: pathlib.Path, names: Sequence[str]) -> None:
    """Writes JSON to `found`: case -> how far two devices are from one, in gradients (Adam's first moments) and in
    weight updates, relative to their norms. Makes two devices of the CPU: for a process of its own."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    pairs = PairStore(store)
    films, labels = load_pairs(pairs, pairs.ids("train"))
    cases = {"pggan": (pggan, PGGAN), "pggan, groups cut": (pggan, dataclasses.replace(PGGAN, max_batch=4)),
             "pix2pixhd": (pix2pixhd, PIX2PIXHD), "smanet": (smanet, SMANET),
             "smanet, own statistics": (smanet_plain, SMANET)}
    distances = {}
    for name in names:
        build, config = cases[name]
        one, two = (trained(build, config, strategy, (labels, films)) for strategy in ("one_device", "mirrored"))
        distances[name] = [float(np.linalg.norm(second - first) / np.linalg.norm(first))
                           for first, second in zip(one, two, strict=True)]
    found.write_text(json.dumps(distances))
