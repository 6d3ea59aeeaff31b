"""How discrete label maps become network channels and come back.

Discrete codes pass between the stages of a method, so each network's own coding ends at its border:
grey (one channel, codes evenly spaced in [-1, 1]) or one channel per class.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

KINDS = ("grey", "one_hot")


@dataclasses.dataclass(frozen=True)
class LabelCoding:
    """A coding of class codes as channels in [-1, 1].

    Attributes:
      kind: "grey" or "one_hot".
      order: for "grey", all class codes from the darkest (-1) to the brightest (+1). Decoding takes the
        nearest code, so a soft border between two codes crosses the codes between them: neighbours in the
        picture should be neighbours here (see `neighbour_order`). For "one_hot", the codes in their order.
    """

    kind: str
    order: tuple[int, ...]

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}; received {self.kind!r}")
        if sorted(self.order) != list(range(len(self.order))) or len(self.order) < 2:
            raise ValueError(f"order must be a permutation of 0..K-1 with K >= 2; received {self.order}")

    @property
    def num_classes(self) -> int:
        return len(self.order)

    @property
    def channels(self) -> int:
        return 1 if self.kind == "grey" else self.num_classes

    def encode(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes [N, H, W] (any integer type) -> float32 [N, H, W, channels] in [-1, 1]."""
        if self.kind == "one_hot":
            return one_hot(codes, self.num_classes) * 2.0 - 1.0  # {0, 1} -> {-1, 1}
        place = np.argsort(self.order)  # code -> place in the grey order
        # [K]: place p -> -1 + 2p / (K - 1)
        values = tf.constant(place * (2.0 / (self.num_classes - 1)) - 1.0, tf.float32)
        return tf.gather(values, tf.cast(codes, tf.int32))[..., None]  # [N, H, W] -> [N, H, W, 1]

    def decode(self, channels: tf.Tensor) -> tf.Tensor:
        """Float [N, H, W, channels] -> the nearest (grey) or strongest (one-hot) code, uint8 [N, H, W]."""
        if self.kind == "one_hot":
            return tf.cast(tf.argmax(channels, -1), tf.uint8)
        # -1 ... 1 -> 0 ... K - 1
        place = tf.round((tf.cast(channels[..., 0], tf.float32) + 1.0) * ((self.num_classes - 1) / 2.0))
        # PGGAN's output may pass -1 and 1
        place = tf.cast(tf.clip_by_value(place, 0, self.num_classes - 1), tf.int32)
        return tf.gather(tf.constant(self.order, tf.uint8), place)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "order": list(self.order)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "LabelCoding":
        return cls(value["kind"], tuple(value["order"]))


def one_hot(codes: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Codes [N, H, W] -> float32 [N, H, W, num_classes] of 0 and 1: a translator's input."""
    return tf.one_hot(tf.cast(codes, tf.int32), num_classes)


def enlarge(codes: tf.Tensor, size: int) -> tf.Tensor:
    """Codes [N, h, w] -> [N, size, size] by nearest neighbour, as the paper enlarges dots."""
    # [N, h, w, 1] in between: resizing takes images
    return tf.image.resize(codes[..., None], (size, size), method="nearest")[..., 0]


def neighbour_order(labels: np.ndarray, num_classes: int) -> tuple[int, ...]:
    """The grey order with the fewest false rims: touching classes get close grey values.

    Minimises the sum over touching pixel pairs of the distance between their places; exhaustive up to 7
    classes, the plain order beyond. Ties go to the lexicographically first order.

    Args:
      labels: codes [N, H, W] of real label maps.
    """
    if num_classes > 7:  # 7! = 5,040 orders, 8! = 40,320
        return tuple(range(num_classes))
    touching = np.zeros((num_classes, num_classes))
    # Pixels side by side, then one above the other.
    for one, other in ((labels[:, 1:], labels[:, :-1]), (labels[:, :, 1:], labels[:, :, :-1])):
        pairs = one.astype(np.int64) * num_classes + other  # one number for each ordered pair
        touching += np.bincount(pairs.ravel(), minlength=num_classes**2).reshape(touching.shape)
    best = min(itertools.permutations(range(num_classes)), key=lambda order: _rim_cost(order, touching))
    return tuple(best)


def _rim_cost(order: Sequence[int], touching: np.ndarray) -> float:
    place = np.argsort(order)
    return float((touching * np.abs(place[:, None] - place[None, :])).sum())  # places [K, 1] against [1, K]
