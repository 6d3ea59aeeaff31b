"""Reading what a finished run offers: its network and how its channels mean codes."""

import dataclasses
import os
import pathlib
from typing import Any

import keras

from datasets import files
from datasets.errors import UserError
from models import pggan, pix2pixhd, smanet  # noqa: F401 (loading a .keras file needs the classes registered)
from models.codes import LabelCoding


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
    path = pathlib.Path(path)
    if not (path / "product.json").is_file():
        raise UserError(f"{path}: no finished run (no product.json); run its training command to the end")
    facts = files.read_json(path / "product.json")
    try:
        name = str(facts["network"]) if snapshot is None else f"snapshots/{snapshot:09d}.keras"
        coding = LabelCoding.from_json(facts["coding"]) if facts.get("coding") else None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}/product.json: not a run's product ({error!r})") from None
    network = (path / name).resolve()
    if path.resolve() not in network.parents:
        raise UserError(f"{path}/product.json: network {name!r} lies outside the run folder; not read")
    return Product(load_keras(network), coding, facts)


def load_network(path: str | os.PathLike) -> keras.Model:
    """The network of a run folder, or of a .keras file."""
    return load_product(path).network if pathlib.Path(path).is_dir() else load_keras(path)


def load_keras(path: str | os.PathLike) -> keras.Model:
    """A .keras file as data: nothing in it is executed. Raises UserError if it is missing or unreadable."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a run folder or a .keras file of this project")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for foreign or damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a readable .keras file of this project ({reason[:200]})") from None
