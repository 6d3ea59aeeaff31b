"""Reading what a finished run offers: its network and how its channels mean codes."""

import dataclasses
import os
from typing import Any

import keras

from datasets.common.errors import UserError
from evaluation.segmenter.saved_network import load_keras, load_network, read_facts
from models.label_coding import LabelCoding

__all__ = ["Product", "load_keras", "load_network", "load_product"]


@dataclasses.dataclass(frozen=True)
class Product:
    """A finished run's network.

    Attributes:
      network: the Keras model.
      coding: of the label maps it makes; None where it makes none.
      facts: the rest of product.json: task, target or source, size, ...
    """

    network: keras.Model
    coding: LabelCoding | None
    facts: dict[str, Any]


def load_product(path: str | os.PathLike, snapshot: int | None = None) -> Product:
    """The product of run folder `path`, or its snapshot at position `snapshot`.

    Raises UserError for a folder without a finished run, or without that snapshot.
    """
    network, facts = read_facts(path, snapshot)
    try:
        coding = LabelCoding.from_json(facts["coding"]) if facts.get("coding") else None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}/product.json: not a run's product ({error!r})") from None
    return Product(load_keras(network), coding, facts)
