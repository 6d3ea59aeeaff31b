"""Reading the networks that finished runs leave behind."""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import keras

from datasets.common import atomic_files
from datasets.common.errors import UserError
from models import pggan, pix2pixhd, smanet  # noqa: F401 (loading a .keras file needs the classes registered)
from models.label_coding import LabelCoding
from models.precision import float32_policy, to_float32


def read_facts(path: str | os.PathLike, snapshot: int | None = None) -> tuple[pathlib.Path, dict[str, Any]]:
    """The network's file and the content of product.json of run folder `path`; see `load_keras`.

    Args:
      snapshot: position of the snapshot to use instead of the run's choice.

    Raises UserError for a folder without a finished run, or without that snapshot.
    """
    path = pathlib.Path(path)
    if not (path / "product.json").is_file():
        raise UserError(f"{path}: no finished run (no product.json); run its training command to the end")
    facts = atomic_files.read_json(path / "product.json")
    try:
        name = str(facts["network"]) if snapshot is None else f"snapshots/{snapshot:09d}.keras"
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}/product.json: not a run's product ({error!r})") from None
    network = (path / name).resolve()
    if snapshot is not None and not network.is_file():
        kept = sorted(int(file.stem) for file in (path / "snapshots").glob("*.keras") if file.stem.isdigit())
        raise UserError(f"{path}: keeps no snapshot at {snapshot:,}, but at {', '.join(map(str, kept)) or 'none'}")
    if path.resolve() not in network.parents:
        raise UserError(f"{path}/product.json: network {name!r} lies outside the run folder; not read")
    return network, facts


def load_network(path: str | os.PathLike) -> keras.Model:
    """The network of a run folder, or of a .keras file."""
    return load_keras(read_facts(path)[0] if pathlib.Path(path).is_dir() else path)


def load_keras(path: str | os.PathLike) -> keras.Model:
    """The network in a .keras file, computing in float32 however it was trained, so that results do not depend on
    the process that loads it.

    The file is data: nothing in it is executed. Raises UserError if it is missing or unreadable.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a run folder or a .keras file of this project")
    try:
        with float32_policy():
            return to_float32(keras.saving.load_model(path, compile=False, safe_mode=True))
    except Exception as error:  # Keras raises many kinds for foreign or damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a readable .keras file of this project ({reason[:200]})") from None


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


def network_digest(path: str | os.PathLike) -> str:
    """Digest of the .keras file of a run folder, or of such a file itself. Raises UserError if there is none."""
    file = read_facts(path)[0] if pathlib.Path(path).is_dir() else pathlib.Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file; expected a run folder or a .keras file of this project")
    return hashlib.sha256(file.read_bytes()).hexdigest()
