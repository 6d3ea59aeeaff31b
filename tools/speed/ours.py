"""This project's networks as work to be timed: forward passes, training steps, batches, windows, pairs.

Inputs are random, since the time of a network does not depend on its pictures; weights are fresh.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from datasets import grey
from datasets.common.machine import peak_memory
from evaluation.segmenter.sliding_window import probabilities_of, sliding_window
from models import methods
from models.label_coding import LabelCoding
from models.pggan import Generator
from models.pix2pixhd import GlobalGenerator, LocalEnhancer
from models.precision import dtype_policy
from models.smanet import SMANet
from tools.speed.flops import PGGAN_STEP, SEGMENTER_STEP, TRANSLATOR_STEP, forward_flops
from tools.speed.items import CLASSES, CROP, FILM, ORGANS, Item
from tools.speed.timing import Device, Work, measure
from training.batches import distributed_batches
from training.config import EngineConfig, PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.devices import prepare, resolve_precision
from training.pggan import PGGANTrainer
from training.pix2pixhd import Pix2PixHDTrainer
from training.smanet import SMANetTrainer
from training.steps import steps_at_once

_GREY, _ONE_HOT = (LabelCoding(kind, tuple(range(CLASSES))) for kind in ("grey", "one_hot"))
_DOTS = 64  # side of dot maps, as the paper's


def row(item: Item, precision: str, seconds: float, xla: str = "auto") -> dict[str, Any]:
    """Builds `item` in number format `precision`, its training steps with `xla` as in EngineConfig, and times it:
    see `tools.speed.timing.measure`."""
    options = {"xla": xla} if item.kind in _STEPS else {}
    work = (_STEPS | _OTHERS)[item.kind](item, precision, **options)
    return measure(work, _device(resolve_precision(precision)), seconds)


def _device(precision: str) -> Device:
    gpus = tf.config.list_logical_devices("GPU")
    side, dtype = 8192 if gpus else 2048, tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    dtype = tf.float16 if precision == "mixed_float16" else dtype

    def product() -> tuple[Callable[[], Any], float]:
        matrix = tf.cast(tf.random.normal((side, side)), dtype)
        return tf.function(lambda: tf.matmul(matrix, matrix)), 2.0 * side**3

    wait = tf.test.experimental.sync_devices
    if not gpus:
        return Device("CPU", False, wait, lambda: None, peak_memory, product)
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return Device(details.get("device_name", "GPU"), True, wait,
                  lambda: tf.config.experimental.reset_memory_stats("GPU:0"),
                  lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"], product)


def _codes(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, CLASSES, (count, size, size)).astype(np.uint8)


def _films(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size)).astype(np.uint8)


def _forward(make: Callable[..., keras.Model], shape: Sequence[int], precision: str) -> Work:
    """A network for float32 inputs of `shape`, with open sides, as an export has them."""
    open_shape = (*(None for _ in shape[:-1]), shape[-1])
    prepare(EngineConfig(precision=precision))
    with dtype_policy(resolve_precision(precision)):
        network = make()
        network.build(open_shape)
    compiled = tf.function(network, input_signature=[tf.TensorSpec(open_shape)])
    inputs = tf.constant(np.random.default_rng(0).uniform(-1, 1, shape), tf.float32)
    return Work(lambda: compiled(inputs), lambda: forward_flops(network, shape))


def _pggan_forward(item: Item, precision: str) -> Work:
    make = partial(Generator, item.size, **item.options)
    return _forward(make, (item.images, make().latent_size), precision)


def _translator_forward(item: Item, precision: str) -> Work:
    kind = LocalEnhancer if item.options.get("network") == "local" else GlobalGenerator
    make = partial(kind, item.options.get("channels", 1))
    return _forward(make, (item.images, item.size, item.size, CLASSES), precision)


def _segmenter_forward(item: Item, precision: str) -> Work:
    return _forward(partial(SMANet, ORGANS, **item.options), (item.images, item.size, item.size, 1), precision)


def _steps(trainer, images: int, flops: Callable[[], float]) -> Work:
    """Training steps one after another, as many in a call as the loop takes; each moves a position by `images`."""
    position, at_once = 0, steps_at_once(trainer.config, trainer.strategy)

    def step() -> dict[str, tf.Tensor]:
        nonlocal position
        position, metrics = trainer.step(position, position + at_once * images)
        return metrics

    return Work(step, flops, at_once)


def _pggan_step(item: Item, precision: str, xla: str) -> Work:
    # Full-grown from the first step.
    config = PGGANConfig(precision=precision, xla=xla, resolution=item.size, start_resolution=item.size,
                         max_batch=item.images, score_images=0)
    channels = item.options.get("channels", 1)
    trainer = PGGANTrainer(config, _codes(16, item.size), _films(16, item.size) if channels > 1 else None, _GREY,
                           prepare(config))

    def flops() -> float:
        generator, discriminator = trainer.model.generator, trainer.model.discriminator
        parts = (forward_flops(generator, (item.images, generator.latent_size)),
                 forward_flops(discriminator, (item.images, item.size, item.size, channels)))
        return sum(passes * part for passes, part in zip(PGGAN_STEP, parts, strict=True))

    return _steps(trainer, item.images, flops)


def _translator_step(item: Item, precision: str, xla: str) -> Work:
    config = Pix2PixHDConfig(precision=precision, xla=xla, batch=item.images, **item.options)
    count = 20 * item.images  # an epoch of 20 steps: the loop takes up to ten at once, all of one epoch
    if config.translate_from == "dots":
        data = (_codes(count, min(_DOTS, item.size)), _codes(count, item.size), CLASSES, _ONE_HOT)
    else:
        data = (_codes(count, item.size), _films(count, item.size), CLASSES, None)
    trainer = Pix2PixHDTrainer(config, *data, prepare(config))

    def flops() -> float:
        shape = (item.images, item.size, item.size)
        model = trainer.model
        parts = (forward_flops(model.generator, (*shape, CLASSES)),
                 forward_flops(model.discriminator, (*shape, CLASSES + model.generator.output_channels)))
        return sum(passes * part for passes, part in zip(TRANSLATOR_STEP, parts, strict=True))

    return _steps(trainer, 1, flops)


def _segmenter_step(item: Item, precision: str, xla: str) -> Work:
    config = SMANetConfig(precision=precision, xla=xla, batch=item.images, crop=item.size, **item.options)
    side = item.size * FILM // CROP
    trainer = SMANetTrainer(config, _films(8, side), _codes(8, side) % ORGANS, ORGANS, None, prepare(config))
    shape = (item.images, item.size, item.size, 1)
    return _steps(trainer, 1, lambda: SEGMENTER_STEP * forward_flops(trainer.model, shape))


def _segmenter_batch(item: Item, precision: str) -> Work:
    """One batch of random crops, as the segmenter's training reads them."""
    strategy, side = prepare(EngineConfig(precision=precision)), item.size * FILM // CROP
    # 66 pairs, as the paper's TINY has.
    arrays = _films(66, side), _codes(66, side)
    batches = distributed_batches(strategy, arrays, item.images, 0, 0, crop=item.size)
    return Work(lambda: next(batches))


def _sliding_window(item: Item, precision: str) -> Work:
    prepare(EngineConfig(precision=precision))
    with dtype_policy(resolve_precision(precision)):
        network = SMANet(ORGANS)
        network.build((None, None, None, 1))
    predict = probabilities_of(network)
    film = grey.from_levels(_films(1, item.size))[0, ..., None]
    return Work(lambda: sliding_window(predict, film, item.size * CROP // FILM))


def _pair(item: Item, precision: str) -> Work:
    """Pairs of one method, with the networks of preset `paper`, drawn as `tools.generate` draws them."""
    prepare(EngineConfig(precision=precision))

    def sampler(size: int, channels: int = 1) -> keras.Model:
        network = Generator(size, channels)
        network.build((None, network.latent_size))
        return network

    def translator(channels: int) -> keras.Model:
        network = GlobalGenerator(channels)
        network.build((None, None, None, CLASSES))
        return network

    with dtype_policy(resolve_precision(precision)):
        if item.options["method"] == "single":
            networks = (sampler(item.size, 2),)
            method = methods.single_stage(methods.pair_sampler(networks[0], _GREY))
        elif item.options["method"] == "two":
            networks = (sampler(item.size), translator(1))
            method = methods.two_stage(methods.code_sampler(networks[0], _GREY),
                                       methods.film_translator(networks[1], CLASSES))
        else:
            networks = (sampler(min(_DOTS, item.size)), translator(CLASSES), translator(1))
            method = methods.three_stage(methods.code_sampler(networks[0], _GREY),
                                         methods.label_translator(networks[1], item.size, _ONE_HOT),
                                         methods.film_translator(networks[2], CLASSES))
    indices = np.arange(item.images)

    def flops() -> float:
        first, *others = networks
        picture = (item.images, item.size, item.size, CLASSES)
        return forward_flops(first, (item.images, first.latent_size)) + sum(
            forward_flops(network, picture) for network in others)

    return Work(lambda: method(indices, 0).films, flops)


_STEPS = {"pggan_step": _pggan_step, "translator_step": _translator_step, "segmenter_step": _segmenter_step}
_OTHERS = {"pggan_forward": _pggan_forward, "translator_forward": _translator_forward, "pair": _pair,
           "segmenter_forward": _segmenter_forward, "segmenter_batch": _segmenter_batch,
           "sliding_window": _sliding_window}
