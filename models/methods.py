"""The paper's three methods on one page (Ciano et al. 2021, section 3).

A method makes pairs of label map and film from nothing but numbers: a *sampler* draws the first discrete
picture, *translators* refine it. Discrete codes pass between stages, so a stage may be a network, an exported
model or a folder of label maps.

    single-stage   sample_pairs ------------------------------------------------> label map and film
    two-stage                     sample_labels --------------> labels_to_film -> label map and film
    three-stage    sample_dots -> dots_to_labels -------------> labels_to_film -> label map and film

The same composition works on arrays, where samples may be refused, and on tensors, where it becomes one graph.

Shapes: indices [N] int; latents [N, L]; dots uint8 [N, 64, 64]; labels uint8 [N, H, W]; films float32
[N, H, W, 1] in [-1, 1], or [N, H, W, 3] in colour.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from models import label_coding
from models.label_coding import LabelCoding

Array = np.ndarray | tf.Tensor
Method = Callable[[Array, Array | int], "Pairs"]
Sampler = Callable[[Array, Array | int], Array]  # (indices, seed) -> codes
PairSampler = Callable[[Array, Array | int], tuple[Array, Array]]  # (indices, seed) -> labels, films
Translator = Callable[[Array], Array]  # codes -> codes, or codes -> films
# codes -> mended codes, and for each of them why it is refused or None; None for all where none ever is
Check = Callable[[Array], tuple[Array, list[str | None] | None]]


@dataclasses.dataclass(frozen=True)
class Pairs:
    """What a method made for some indices.

    Attributes:
      indices: the indices whose every stage passed its check.
      labels, films: their label maps and films.
      rejected: index -> reason, for the others.
      dots: their dots, where the method has them.
      mending: of each label map, how many pixels were labelled as it was made, and how many the check changed:
        int [N, 2]; None where nothing was checked.
    """

    indices: np.ndarray
    labels: np.ndarray
    films: np.ndarray
    rejected: dict[int, str]
    dots: np.ndarray | None = None
    mending: np.ndarray | None = None


def accept_all(maps: Array) -> tuple[Array, None]:
    """The check that keeps every sample as it is, as the paper does."""
    return maps, None


def single_stage(sample_pairs: PairSampler, check_labels: Check = accept_all) -> Method:
    """One network makes label map and film together, as channels of one picture."""

    def generate(indices: np.ndarray, seed: int) -> Pairs:
        rejected: dict[int, str] = {}
        labels, films = sample_pairs(indices, seed)
        labels, kept, mending = _keep(check_labels, labels, indices, rejected)  # kept: bool [N]
        return Pairs(indices[kept], labels, films[kept], rejected, mending=mending)

    return generate


def two_stage(sample_labels: Sampler, labels_to_film: Translator, check_labels: Check = accept_all) -> Method:
    """A sampler makes the label map; a translator turns it into the film."""

    def generate(indices: np.ndarray, seed: int) -> Pairs:
        rejected: dict[int, str] = {}
        labels, kept, mending = _keep(check_labels, sample_labels(indices, seed), indices, rejected)
        return Pairs(indices[kept], labels, labels_to_film(labels), rejected, mending=mending)

    return generate


def three_stage(sample_dots: Sampler, dots_to_labels: Translator, labels_to_film: Translator,
                check_dots: Check = accept_all, check_labels: Check = accept_all) -> Method:
    """A sampler places one dot per organ; translators turn dots into the label map, and that into the film.

    Classes in pieces have a dot for each of them, and classes that are absent have none (`datasets.dots`).
    """

    def generate(indices: np.ndarray, seed: int) -> Pairs:
        rejected: dict[int, str] = {}
        dots, kept, _ = _keep(check_dots, sample_dots(indices, seed), indices, rejected)
        indices = indices[kept]  # of those that have dots
        labels, kept, mending = _keep(check_labels, dots_to_labels(dots), indices, rejected)
        # `kept` is now among those whose dots passed.
        return Pairs(indices[kept], labels, labels_to_film(labels), rejected, dots[kept], mending)

    return generate


def _keep(check: Check, maps: Array, indices: Array, rejected: dict[int, str]
          ) -> tuple[Array, np.ndarray | slice, np.ndarray | None]:
    """The mended maps that pass, which they were (bool [N]), and their `Pairs.mending`; notes the others in
    `rejected`."""
    mended, reasons = check(maps)
    if reasons is None:
        return mended, slice(None), None  # tensors too, whose values no graph knows while it is built
    kept = np.array([reason is None for reason in reasons], bool)
    rejected.update({int(i): reason for i, reason in zip(indices, reasons, strict=True) if reason is not None})
    mending = np.stack([np.count_nonzero(different, (1, 2)) for different in (maps > 0, mended != maps)], 1)
    return mended[kept], kept, mending[kept]


Stage = tf.types.experimental.PolymorphicFunction  # a tf.function
_INDICES, _SEED = tf.TensorSpec((None,), tf.int64, "indices"), tf.TensorSpec((), tf.int64, "seed")
_CODES = tf.TensorSpec((None, None, None), tf.uint8, "codes")


def code_sampler(generator: keras.Model, coding: LabelCoding) -> Stage:
    """A PGGAN of dots or label maps, as a sampler of tensors."""

    def sample(indices, seed):
        # [N, L] -> [N, R, R, C] -> uint8 [N, R, R]
        return coding.decode(generator(draw_latents(indices, seed, generator.latent_size)))

    return _stage(sample, _INDICES, _SEED)


def pair_sampler(generator: keras.Model, coding: LabelCoding) -> Stage:
    """A PGGAN whose first channels are the coded label map and the others the film, as a sampler of tensors."""

    def sample(indices, seed):
        channels = generator(draw_latents(indices, seed, generator.latent_size))
        # PGGAN ends without tanh
        codes = coding.decode(channels[..., :coding.channels])
        return codes, tf.clip_by_value(channels[..., coding.channels:], -1.0, 1.0)

    return _stage(sample, _INDICES, _SEED)


def label_translator(generator: keras.Model, size: int, coding: LabelCoding, smooth: bool = False) -> Stage:
    """A Pix2PixHD from dots (any size, enlarged to `size`) to label maps, as a translator of tensors.

    With `smooth`, a class is the one strongest on average over several looks at the dots, each moved by a few
    pixels and its output moved back (ours): what differs by chance from look to look goes. One-hot coding alone.
    """

    def translate(dots):
        # [N, h, w] -> [N, size, size] -> one-hot [N, size, size, K] -> uint8 [N, size, size]
        codes = label_coding.enlarge(dots, size)

        def look(down: int, right: int) -> tf.Tensor:
            return generator(label_coding.one_hot(_moved(codes, down, right), coding.num_classes))

        if not smooth:
            return coding.decode(look(0, 0))
        seen = tf.ones_like(codes[..., None], tf.float32)
        made = [(_moved(look(down, right), -down, -right), _moved(_moved(seen, down, right), -down, -right))
                for down, right in _LOOKS]
        return coding.decode(tf.add_n([one for one, _ in made]) / tf.add_n([inside for _, inside in made]))

    return _stage(translate, _CODES)


# Of `label_translator`: pixels down and right, each another place of the grids of 2 and 4 by which networks halve.
_LOOKS = ((0, 0), (1, -2), (2, 1), (-1, -1))


def _moved(pictures: tf.Tensor, down: int, right: int) -> tf.Tensor:
    """[N, H, W] or [N, H, W, C] moved by whole pixels; zeros come in."""
    moves = [(0, 0), (down, -down), (right, -right), (0, 0)][:len(pictures.shape)]
    padded = tf.pad(pictures, [[max(0, one) for one in pair] for pair in moves])
    return tf.slice(padded, [max(0, after) for _, after in moves], tf.shape(pictures))


def film_translator(generator: keras.Model, num_classes: int) -> Stage:
    """A Pix2PixHD from label maps to films, as a translator of tensors."""
    return _stage(lambda labels: generator(label_coding.one_hot(labels, num_classes)), _CODES)


def on_arrays(stage: Stage) -> Callable:
    """`stage`, a sampler or translator of tensors, as one of arrays."""

    def call(first: np.ndarray, *others):
        # Mirrored borders refuse an empty batch: one picture is made then, for its shape, and dropped.
        made = stage(first if len(first) else np.zeros((1, *first.shape[1:]), first.dtype), *others)
        return tf.nest.map_structure(lambda tensor: tensor.numpy()[:len(first)], made)  # a pair sampler's are two

    return call


def _stage(function: Callable, *specs: tf.TensorSpec) -> Stage:
    # Kept whole inside larger graphs, so that Python and an exported method compute the same bits.
    return tf.function(function, input_signature=specs, experimental_attributes={"_noinline": True})


def latents(indices: np.ndarray, seed: int, size: int) -> np.ndarray:
    """Standard normal latents float32 [N, size]; each row depends on (seed, index) alone."""
    return _draw_latents(tf.constant(indices, tf.int64), tf.constant(seed, tf.int64), size).numpy()


def draw_latents(indices: tf.Tensor, seed: tf.Tensor, size: int) -> tf.Tensor:
    """`latents` of int64 tensors [N] and [].

    Philox counters and the Box-Muller transform, on the CPU everywhere, so that a sample can be made again.
    """
    def row(index):
        # A draw of its own, whatever else the batch holds.
        return tf.random.stateless_normal([size], tf.stack([seed, index]), alg="philox")

    with tf.device("/CPU:0"):
        return tf.map_fn(row, indices, fn_output_signature=tf.TensorSpec(size, tf.float32))


_draw_latents = tf.function(draw_latents, reduce_retracing=True)
