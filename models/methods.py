"""The paper's three methods on one page (Ciano et al. 2021, section 3).

A method makes pairs of label map and film from nothing but numbers: a *sampler* draws the first discrete
picture, *translators* refine it. Discrete codes pass between stages, so a stage may be a network, an exported
model or a folder of label maps.

    single-stage   sample_pairs ------------------------------------------------> label map and film
    two-stage                     sample_labels --------------> labels_to_film -> label map and film
    three-stage    sample_dots -> dots_to_labels -------------> labels_to_film -> label map and film

Shapes: indices [N] int; latents [N, L]; dots uint8 [N, 64, 64]; labels uint8 [N, H, W]; films float32
[N, H, W, 1] in [-1, 1].
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from models import label_coding
from models.label_coding import LabelCoding

Method = Callable[[np.ndarray, int], "Pairs"]
Sampler = Callable[[np.ndarray, int], np.ndarray]  # (indices, seed) -> codes
PairSampler = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]  # (indices, seed) -> labels, films
Translator = Callable[[np.ndarray], np.ndarray]  # codes -> codes, or codes -> films
Check = Callable[[np.ndarray], tuple[np.ndarray, list[str | None]]]  # codes -> mended codes, reason or None each


@dataclasses.dataclass(frozen=True)
class Pairs:
    """What a method made for some indices.

    Attributes:
      indices: the indices whose every stage passed its check.
      labels, films: their label maps and films.
      rejected: index -> reason, for the others.
      dots: their dots, where the method has them.
    """

    indices: np.ndarray
    labels: np.ndarray
    films: np.ndarray
    rejected: dict[int, str]
    dots: np.ndarray | None = None


def accept_all(maps: np.ndarray) -> tuple[np.ndarray, list[str | None]]:
    """The check that keeps every sample as it is, as the paper does."""
    return maps, [None] * len(maps)


def single_stage(sample_pairs: PairSampler, check_labels: Check = accept_all) -> Method:
    """One network makes label map and film together as two channels."""

    def generate(indices: np.ndarray, seed: int) -> Pairs:
        rejected: dict[int, str] = {}
        labels, films = sample_pairs(indices, seed)
        labels, kept = _keep(check_labels, labels, indices, rejected)
        return Pairs(indices[kept], labels, films[kept], rejected)

    return generate


def two_stage(sample_labels: Sampler, labels_to_film: Translator, check_labels: Check = accept_all) -> Method:
    """A sampler makes the label map; a translator turns it into the film."""

    def generate(indices: np.ndarray, seed: int) -> Pairs:
        rejected: dict[int, str] = {}
        labels, kept = _keep(check_labels, sample_labels(indices, seed), indices, rejected)
        return Pairs(indices[kept], labels, labels_to_film(labels), rejected)

    return generate


def three_stage(sample_dots: Sampler, dots_to_labels: Translator, labels_to_film: Translator,
                check_dots: Check = accept_all, check_labels: Check = accept_all) -> Method:
    """A sampler places one dot per organ; translators turn dots into the label map, and that into the film."""

    def generate(indices: np.ndarray, seed: int) -> Pairs:
        rejected: dict[int, str] = {}
        dots, kept = _keep(check_dots, sample_dots(indices, seed), indices, rejected)
        indices = indices[kept]
        labels, kept = _keep(check_labels, dots_to_labels(dots), indices, rejected)
        return Pairs(indices[kept], labels, labels_to_film(labels), rejected, dots[kept])

    return generate


def _keep(check: Check, maps: np.ndarray, indices: np.ndarray,
          rejected: dict[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """The mended maps that pass, and which of them they were (bool [N]); notes the others in `rejected`."""
    maps, reasons = check(maps)
    kept = np.array([reason is None for reason in reasons], bool)
    rejected.update({int(i): reason for i, reason in zip(indices, reasons, strict=True) if reason is not None})
    return maps[kept], kept


def latents(indices: np.ndarray, seed: int, size: int) -> np.ndarray:
    """Standard normal latents float32 [N, size]; each row depends on (seed, index) alone."""
    return _draw_latents(tf.constant(indices, tf.int64), tf.constant(seed, tf.int64), size).numpy()


def code_sampler(generator: keras.Model, coding: LabelCoding) -> Sampler:
    """A PGGAN that makes dots or label maps, as a sampler of codes."""
    draw = code_graph(generator, coding)
    return lambda indices, seed: draw(latents(indices, seed, generator.latent_size)).numpy()


def pair_sampler(generator: keras.Model, coding: LabelCoding) -> PairSampler:
    """A PGGAN whose first channels are the coded label map and whose last is the film."""
    draw = pair_graph(generator, coding)
    return lambda indices, seed: tuple(
        array.numpy() for array in draw(latents(indices, seed, generator.latent_size)))


def label_translator(generator: keras.Model, size: int, coding: LabelCoding) -> Translator:
    """A Pix2PixHD from dots (any size, enlarged to `size`) to label maps."""
    translate = label_graph(generator, size, coding)
    return lambda dots: _translate(translate, dots)


def film_translator(generator: keras.Model, num_classes: int) -> Translator:
    """A Pix2PixHD from label maps to films."""
    translate = film_graph(generator, num_classes)
    return lambda labels: _translate(translate, labels)


def _translate(translate: Callable, maps: np.ndarray) -> np.ndarray:
    """No maps give no pictures, of the right shape; mirror padding refuses an empty batch."""
    made = translate(maps if len(maps) else np.zeros((1, *maps.shape[1:]), maps.dtype)).numpy()
    return made[:len(maps)]


Graph = tf.types.experimental.PolymorphicFunction
_CODES = tf.TensorSpec((None, None, None), tf.uint8, "codes")


def _graph(function: Callable, spec: tf.TensorSpec) -> Graph:
    return tf.function(function, input_signature=[spec], experimental_attributes={"_noinline": True})


def draw_latents(indices: tf.Tensor, seed: tf.Tensor, size: int) -> tf.Tensor:
    """Standard normal latents float32 [N, size] of int64 indices [N] and seed []; a row depends on both alone.

    Philox counters and the Box-Muller transform, on the CPU everywhere, so that a sample can be made again.
    """
    def row(index):
        return tf.random.stateless_normal([size], tf.stack([seed, index]), alg="philox")

    with tf.device("/CPU:0"):
        return tf.map_fn(row, indices, fn_output_signature=tf.TensorSpec(size, tf.float32))


_draw_latents = tf.function(draw_latents, reduce_retracing=True)


def code_graph(generator: keras.Model, coding: LabelCoding) -> Graph:
    """Latents [N, L] -> codes uint8 [N, h, w], by a PGGAN of dots or label maps."""
    return _graph(lambda z: coding.decode(generator(z)), _latents_of(generator))


def pair_graph(generator: keras.Model, coding: LabelCoding) -> Graph:
    """Latents [N, L] -> codes uint8 [N, h, w] and films float32 [N, h, w, 1] in [-1, 1], by one PGGAN."""

    def draw(z):
        channels = generator(z)
        return coding.decode(channels[..., :-1]), tf.clip_by_value(channels[..., -1:], -1.0, 1.0)

    return _graph(draw, _latents_of(generator))


def label_graph(generator: keras.Model, size: int, coding: LabelCoding) -> Graph:
    """Dots uint8 [N, h, w], enlarged to `size` -> label maps uint8 [N, size, size], by a Pix2PixHD."""

    def translate(dots):
        return coding.decode(generator(label_coding.one_hot(label_coding.enlarge(dots, size), coding.num_classes)))

    return _graph(translate, _CODES)


def film_graph(generator: keras.Model, num_classes: int) -> Graph:
    """Label maps uint8 [N, h, w] -> films float32 [N, h, w, 1] in [-1, 1], by a Pix2PixHD."""
    return _graph(lambda labels: generator(label_coding.one_hot(labels, num_classes)), _CODES)


def _latents_of(generator: keras.Model) -> tf.TensorSpec:
    return tf.TensorSpec((None, generator.latent_size), tf.float32, "latents")
