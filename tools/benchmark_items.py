"""What `tools.benchmark` measures: one turn of each network forward and of each training step.

Inputs are random; weights are fresh. Items are sized like the released networks, at the sizes of the paper or
smaller; compare figures of one machine only.
"""

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable
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
from training.batches import distributed_batches
from training.config import EngineConfig, PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.devices import prepare, resolve_precision
from training.pggan import PGGANTrainer
from training.pix2pixhd import Pix2PixHDTrainer
from training.smanet import SMANetTrainer

_CLASSES = 6
_GREY = LabelCoding("grey", tuple(range(_CLASSES)))  # as PGGAN's label maps
Turn = Callable[[], Any]  # does the work once and waits for it


@dataclasses.dataclass(frozen=True)
class Item:
    """Something to measure.

    Attributes:
      size: side of its pictures in pixels.
      images: pictures per turn.
      make: builds it in the precision asked for.
      quick: whether it is measured unless others are named.
    """

    size: int
    images: int
    make: Callable[[str], Turn]
    quick: bool = False


def measure(name: str, precision: str, seconds: float) -> dict[str, Any]:
    """Times item `name`: two turns to warm up, then at least 3 and at most 50, until `seconds` have passed.

    Returns item, size, precision, median and spread (between quartiles) in seconds, images_per_second, first (the
    first turn: tracing and all), turns, and peak_gib (the process's largest memory: one item per process).
    """
    item = ITEMS[name]
    turn = item.make(precision)
    times = [_timed(turn) for _ in range(2)]  # the first traces, the second settles memory
    first, times = times[0], []
    gc.collect()
    while len(times) < 3 or (sum(times) < seconds and len(times) < 50):
        times.append(_timed(turn))
    low, _, high = statistics.quantiles(times, n=4)
    median = statistics.median(times)
    return {"item": name, "size": item.size, "precision": resolve_precision(precision), "median": median,
            "spread": high - low, "images_per_second": item.images / median, "first": first, "turns": len(times),
            "peak_gib": peak_memory() / 2**30}


def _timed(turn: Turn) -> float:
    start = time.perf_counter()
    turn()
    return time.perf_counter() - start


def _codes(count: int, size: int) -> np.ndarray:
    # Noise: the time of a network does not depend on its pictures.
    return np.random.default_rng(0).integers(0, _CLASSES, (count, size, size)).astype(np.uint8)


def _films(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size)).astype(np.uint8)


def _forward(make: Callable[[], keras.Model], channels: int, size: int) -> Callable[[str], Turn]:
    def build(precision: str) -> Turn:
        prepare(EngineConfig(precision=precision))
        with dtype_policy(resolve_precision(precision)):
            network = make()
            network.build((None, None, None, channels))
        # Open sides, as an export has them.
        compiled = tf.function(network, input_signature=[tf.TensorSpec((None, None, None, channels))])
        picture = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, size, size, channels)), tf.float32)
        return lambda: compiled(picture).numpy()  # `numpy` waits for the device

    return build


def _steps(make: Callable[[str], Any]) -> Callable[[str], Turn]:
    """Turns are training steps, one after another, as the loop takes them."""
    def build(precision: str) -> Turn:
        trainer, position = make(precision), 0

        def turn():
            nonlocal position
            position, metrics = trainer.step(position)
            return {name: float(value) for name, value in metrics.items()}  # `float` waits for the device

        return turn

    return build


def _pix2pixhd(size: int, batch: int, **options) -> Callable[[str], Any]:
    def make(precision: str) -> Pix2PixHDTrainer:
        config = Pix2PixHDConfig(precision=precision, batch=batch, **options)
        return Pix2PixHDTrainer(config, _codes(8, size), _films(8, size), _CLASSES, None, prepare(config))

    return make


def _pggan(size: int, batch: int) -> Callable[[str], Any]:
    def make(precision: str) -> PGGANTrainer:
        # Full-grown from the first step.
        config = PGGANConfig(precision=precision, resolution=size, start_resolution=size, max_batch=batch,
                             score_images=0)
        return PGGANTrainer(config, _codes(16, size), None, _GREY, prepare(config))

    return make


def _segmenter(size: int, batch: int, attention: str) -> Callable[[str], Any]:
    def make(precision: str) -> SMANetTrainer:
        config = SMANetConfig(precision=precision, batch=batch, attention=attention)
        # 4 classes: the organs that tables score
        return SMANetTrainer(config, _films(8, size), _codes(8, size) % 4, 4, None, prepare(config))

    return make


def _three_stage(size: int) -> Callable[[str], Turn]:
    """One pair of the three-stage method at the paper's sizes, drawn as `tools.generate` draws it."""
    def build(precision: str) -> Turn:
        prepare(EngineConfig(precision=precision))
        one_hot = LabelCoding("one_hot", tuple(range(_CLASSES)))
        with dtype_policy(resolve_precision(precision)):
            sampler, to_labels, to_film = Generator(64), GlobalGenerator(_CLASSES), GlobalGenerator()
            sampler.build((None, sampler.latent_size))
            for translator in (to_labels, to_film):
                translator.build((None, None, None, _CLASSES))
        method = methods.three_stage(methods.code_sampler(sampler, _GREY),
                                     methods.label_translator(to_labels, size, one_hot),
                                     methods.film_translator(to_film, _CLASSES))
        return lambda: method(np.arange(1), 0).films.numpy()

    return build


def _batches(precision: str) -> Turn:
    """One batch of random crops, as the segmenter's training reads them."""
    strategy = prepare(EngineConfig(precision=precision))
    # The paper's batch, crop and size; 66 pairs as TINY has.
    batches = distributed_batches(strategy, (_films(66, 512), _codes(66, 512)), 17, 0, 0, crop=377)
    return lambda: next(batches)


def _windows(precision: str) -> Turn:
    prepare(EngineConfig(precision=precision))
    with dtype_policy(resolve_precision(precision)):
        network = SMANet(4)
        network.build((None, None, None, 1))
    predict = probabilities_of(network)
    film = grey.from_levels(_films(1, 512))[0, ..., None]
    return lambda: sliding_window(predict, film)


ITEMS = {
    "pix2pixhd_forward_256": Item(256, 1, _forward(GlobalGenerator, _CLASSES, 256), quick=True),
    "pix2pixhd_forward_512": Item(512, 1, _forward(GlobalGenerator, _CLASSES, 512)),
    "local_enhancer_forward_1024": Item(1024, 1, _forward(LocalEnhancer, _CLASSES, 1024)),
    "pix2pixhd_step_256": Item(256, 1, _steps(_pix2pixhd(256, 1, num_D=3))),  # the paper's number of scales
    "pix2pixhd_small_step_128": Item(128, 4, _steps(_pix2pixhd(128, 4, ngf=16, ndf=16)), quick=True),
    "pspnet_forward_377": Item(377, 1, _forward(lambda: SMANet(4, attention="psp"), 1, 377), quick=True),
    "pspnet_step_377": Item(377, 4, _steps(_segmenter(377, 4, "psp"))),
    "smanet_forward_377": Item(377, 1, _forward(lambda: SMANet(4), 1, 377)),
    "smanet_step_377": Item(377, 4, _steps(_segmenter(377, 4, "multiscale"))),
    "smanet_step_17x377": Item(377, 17, _steps(_segmenter(377, 17, "multiscale"))),  # the paper's batch
    "segmenter_batch_17x377": Item(377, 17, _batches),
    "three_stage_pair_1024": Item(1024, 1, _three_stage(1024)),
    "sliding_window_512": Item(512, 1, _windows),
    "pggan_step_64": Item(64, 16, _steps(_pggan(64, 16)), quick=True),
    "pggan_step_256": Item(256, 4, _steps(_pggan(256, 4))),
}
