"""A segmenter with what comes before and after it in one TensorFlow graph: any film in, its organs out.

What happens to a film, whatever its height and width:
  1. white: grey values are divided by the one shown as white: 255 for uint8, 1.0 for float32, for uint16 the one
     given, or the least 2^n - 1 (n >= 8) that no pixel exceeds.
  2. black borders go: rows and columns at the edges in which no pixel is above 2 % of white in any channel.
  3. the longer side becomes the working size, the shorter keeps the aspect ratio (at least one pixel): by area
     averaging where the film shrinks, bilinear where it grows; then whole grey levels, as stored pairs have.
  4. black ground, as much on either side, makes it square; so `datasets.sources.own_folders` prepares pairs.
  5. overlapping windows, mean of the softmax where they overlap.
  6. probabilities are enlarged to the film's own geometry (bilinear); a removed border is background.
Codes are the most probable class.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from datasets import grey
from evaluation.segmenter.sliding_window import probabilities_of, sliding_window
from models.device_kernels import for_device

DARK = 0.02  # share of white up to which a pixel at the edge counts as black border
FILM_TYPES = ("uint8", "uint16", "float32")
_GREYS = grey.from_levels(np.arange(256))  # a table, since graphs divide less exactly
_WHITES = [2.0**bits - 1.0 for bits in range(8, 17)]


@dataclasses.dataclass(frozen=True)
class SegmenterFacts:
    """What a segmenter does not hold in its weights.

    Attributes:
      class_names: by code, background first.
      size: side in pixels of the square pictures it was trained on: the working size.
      window: side of its crops, and of the sliding window.
      overlap: share of a window that the next one covers too.
      batch: windows predicted at a time.
      channel: what it sees of films, one of `datasets.formats.channels.CHANNELS`: "colour" takes RGB films; for
        the others it takes films [H, W], and whoever calls it chooses that channel of colour ones.
      largest: classes whose largest piece alone is to be kept, each with those painted over it; no part of the
        graph, so that whoever calls it does it (`datasets.rules.label_cleaning.keep_largest`).
    """

    class_names: tuple[str, ...]
    size: int
    window: int
    overlap: float = 1 / 3
    batch: int = 4
    channel: str = "grey"
    largest: tuple[tuple[str, ...], ...] = ()

    @property
    def film_shape(self) -> tuple[int | None, ...]:
        """Of the films it takes: (None, None), or (None, None, 3) in colour."""
        return (None, None, 3) if self.channel == "colour" else (None, None)

    def to_json(self) -> dict[str, Any]:
        value = {**dataclasses.asdict(self), "class_names": list(self.class_names)}
        value["largest"] = [list(organ) for organ in self.largest]
        usual = {"channel": "grey", "largest": []}
        return {name: fact for name, fact in value.items() if name not in usual or fact != usual[name]}


class FilmSegmenter(tf.Module):
    """A trained network as a function of films; saved with `tf.saved_model.save`, it needs nothing else.

    Args:
      network: films [N, h, w, C] in [-1, 1] -> logits [N, h, w, K]; C is 3 for "colour", else 1.
      facts: what belongs to it.
      target: the devices it is to run on, one of `models.device_kernels.TARGETS`; None for those of this process.

    Attributes:
      functions: by type of film ("uint8", "uint16", "float32"): (film [H, W] or [H, W, 3] as `film_shape`,
        white float32 []) -> {"codes": uint8 [H, W], "probabilities": float32 [H, W, K]}. Bright bone on dark
        ground; white 0 takes the rule above. Beside them "serving_default", the one for uint8, and
        "class_names": () -> {"class_names": string [K]}. Traced once for all heights and widths.
      architecture: the network's class, SMANet or UNet.
      target: as given.
      of_windows: films [N, h, w, C] in [-1, 1] -> probabilities [N, h, w, K]: the network alone.
    """

    def __init__(self, network, facts: SegmenterFacts, target: str | None = None):
        super().__init__()
        self.facts, self.target = facts, target
        self.architecture = type(network).__name__
        predict = probabilities_of(network)
        self.of_windows = predict.python_function  # without the border around the graph, which ONNX does not know
        predict = for_device(predict, target) if target else predict
        self.weights = [variable.value for variable in network.variables]  # so that they are saved with it
        segment = tf.function(lambda film, white: _segment(predict, facts, film, white))
        names = tf.function(lambda: {"class_names": tf.constant(facts.class_names)}, input_signature=())
        white = tf.TensorSpec((), tf.float32, "white")
        functions = {kind: segment.get_concrete_function(tf.TensorSpec(facts.film_shape, kind, "film"), white)
                     for kind in FILM_TYPES}
        self.functions = {**functions, "serving_default": functions["uint8"],
                          "class_names": names.get_concrete_function()}


def _segment(predict, facts: SegmenterFacts, film: tf.Tensor, white: tf.Tensor) -> dict[str, tf.Tensor]:
    shares = _shares_of_white(film if len(film.shape) == 3 else film[..., None], white)  # [H, W, C]
    edges = _content_edges(shares)
    top, left, height, width = edges
    content = tf.slice(shares, (top, left, 0), (height, width, shares.shape[2]))
    working, inner = _to_square(content, facts.size)
    classes = len(facts.class_names)
    # the way back: without the square's ground, at the content's size, inside the border
    probabilities = sliding_window(predict, working, facts.window, facts.overlap, facts.batch)
    probabilities = tf.slice(probabilities, (inner[0], inner[1], 0), (inner[2], inner[3], classes))
    probabilities = tf.image.resize(probabilities, (height, width))
    probabilities = _with_border(probabilities, edges, tf.shape(film))
    probabilities = tf.ensure_shape(probabilities, (film.shape[0], film.shape[1], classes))
    return {"codes": tf.cast(tf.argmax(probabilities, -1), tf.uint8), "probabilities": probabilities}


def _shares_of_white(film: tf.Tensor, white: tf.Tensor) -> tf.Tensor:
    """float64 [H, W, C] in [0, 1], so that whole grey levels round as they do in stored pairs."""
    values = tf.cast(film, tf.float64)
    if film.dtype.is_floating:
        values = tf.where(tf.math.is_finite(values), values, tf.zeros_like(values))
        usual = tf.constant(1.0, tf.float64)
    elif film.dtype == tf.uint8:
        usual = tf.constant(255.0, tf.float64)
    else:
        whites = tf.constant(_WHITES, tf.float64)
        usual = tf.reduce_min(tf.where(whites >= tf.reduce_max(values), whites, whites[-1]))
    scale = tf.where(white > 0.0, tf.cast(white, tf.float64), usual)
    return tf.clip_by_value(values / scale, 0.0, 1.0)


def _content_edges(shares: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Top, left, height and width of what lies inside the black border; the whole of a black film."""
    bright = tf.reduce_any(shares > DARK, -1)
    first, length = zip(*(_extent(tf.reduce_any(bright, axis)) for axis in (1, 0)), strict=True)
    return first[0], first[1], length[0], length[1]


def _extent(lines: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the true ones of bool [n] begin, and how far they reach; all of them if none is true."""
    lines = lines | ~tf.reduce_any(lines)  # a black film is all content
    places = tf.where(lines)[:, 0]
    first = tf.cast(tf.reduce_min(places), tf.int32)
    return first, tf.cast(tf.reduce_max(places), tf.int32) - first + 1


def _to_square(content: tf.Tensor, size: int) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
    """Film float32 [size, size, C] in [-1, 1], and top, left, height and width of the content [h, w, C] in it."""
    shape, channels = tf.shape(content)[:2], content.shape[2]
    sides = tf.cast(shape, tf.float64)
    fitted = tf.maximum(1, tf.cast(tf.round(sides * size / tf.reduce_max(sides)), tf.int32))
    levels = tf.cast(content * 255.0, tf.float32)[None]
    # by area only where both sides shrink, as resize_film does
    resized = tf.cond(tf.reduce_all(fitted <= shape),
                      lambda: tf.image.resize(levels, fitted, "area"), lambda: tf.image.resize(levels, fitted))
    levels = tf.cast(tf.clip_by_value(tf.round(resized[0]), 0.0, 255.0), tf.int32)
    top, left = (size - fitted[0]) // 2, (size - fitted[1]) // 2
    square = tf.pad(levels, [[top, size - fitted[0] - top], [left, size - fitted[1] - left], [0, 0]])
    square = tf.ensure_shape(square, (size, size, channels))
    return tf.gather(tf.constant(_GREYS), square), (top, left, *tf.unstack(fitted))


def _with_border(probabilities: tf.Tensor, edges: tuple[tf.Tensor, ...], shape: tf.Tensor) -> tf.Tensor:
    """Probabilities of the content put back into [H, W, K]; around it class 0 is certain."""
    top, left, height, width = edges
    around = [[top, shape[0] - top - height], [left, shape[1] - left - width], [0, 0]]
    return tf.concat([tf.pad(probabilities[..., :1], around, constant_values=1.0),
                      tf.pad(probabilities[..., 1:], around)], -1)
