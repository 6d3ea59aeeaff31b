"""The networks that finished runs leave behind, and what product.json says of them:

    network          the .keras file that stands for the run, within its folder
    position         where the run ended
    task             the trainer: train_pggan, train_pix2pixhd or train_smanet
    target           what a PGGAN makes: dots, labels or pairs
    translate_from   what a Pix2PixHD translates: dots or labels
    phase            how a Pix2PixHD was trained: both, or a part of coarse to fine
    coding           of the dots or label maps that it makes (`LabelCoding`); null where it makes none
    dot              of the dot maps that it makes or translates (`Dot`); null where it knows none
    size             side in pixels of the pictures it was trained on
    num_classes, class_names
    classes, crop, overlap   of a segmenter, as in `training.config`
    channel          what a segmenter sees of films in colour; "grey", their luminance, where it is not told
    largest          classes of which whoever uses a segmenter keeps the largest piece alone, each with those
                     painted over it (`datasets.rules.label_cleaning.keep_largest`); none where it is not told
    keep_largest     "auto" where these were learnt from the label maps it was trained on
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.dots import Dot
from evaluation.segmenter.network_file import PRODUCT, inside, network_file, read_facts
from models import pggan, pix2pixhd, smanet, unet  # noqa: F401 (loading a .keras file needs the classes registered)
from models.label_coding import LabelCoding
from models.precision import dtype_policy, to_float32


def write_product(path: str | os.PathLike, facts: Mapping[str, Any]) -> None:
    """Finishes run folder `path`: keeps what its network is.

    Args:
      facts: network (the .keras file that stands for the run, by its name in the folder), position (where the
        training ended), coding, and whatever else the trainer says of it.
    """
    atomic_files.write_json(pathlib.Path(path) / PRODUCT, facts)


def finished_at(path: str | os.PathLike) -> int | None:
    """The position at which the product of run folder `path` was made, if one was. Raises UserError for a product
    that tells none."""
    file = pathlib.Path(path) / PRODUCT
    if not file.is_file():
        return None
    facts = atomic_files.read_json(file)
    try:
        return int(facts["position"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file}: not a run's product ({error!r})") from None


@dataclasses.dataclass(frozen=True)
class Product:
    """A finished run, as its product.json says.

    Attributes:
      network: the .keras file, for `load_keras`.
      coding: of the maps it makes; None where it makes none.
      dot: of the dot maps it makes or translates; None where it knows none.
      facts: all that product.json says.
    """

    network: pathlib.Path
    coding: LabelCoding | None
    dot: Dot | None
    facts: dict[str, Any]


def read_product(path: str | os.PathLike, snapshot: int | None = None) -> Product:
    """The product of run folder `path`.

    Args:
      snapshot: position of the snapshot to use instead of the run's choice.

    Raises UserError for a folder without a finished run, or without that snapshot.
    """
    path = pathlib.Path(path)
    facts = read_facts(path)
    try:
        coding = LabelCoding.from_json(facts["coding"]) if facts.get("coding") else None
        dot = Dot.from_json(facts["dot"]) if facts.get("dot") else None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path / PRODUCT}: not a run's product ({error!r})") from None
    network = inside(path, facts["network"] if snapshot is None else f"snapshots/{snapshot:09d}.keras")
    if snapshot is not None and not network.is_file():
        kept = sorted(int(file.stem) for file in (path / "snapshots").glob("*.keras") if file.stem.isdigit())
        raise UserError(f"{path}: keeps no snapshot at {snapshot:,}, but at {', '.join(map(str, kept)) or 'none'}")
    return Product(network, coding, dot, facts)


def load_network(path: str | os.PathLike) -> keras.Model:
    """The network of a run folder, or of a .keras file; see `load_keras`."""
    return load_keras(network_file(path))


def load_keras(path: str | os.PathLike) -> keras.Model:
    """The network in a .keras file, computing in float32 however it was trained, so that results do not depend on
    the process that loads it.

    The file is data: nothing in it is executed. Raises UserError if it is missing or unreadable.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a run folder or a .keras file of this project")
    try:
        with dtype_policy("float32"):
            return to_float32(keras.saving.load_model(path, compile=False, safe_mode=True))
    except Exception as error:  # Keras raises many kinds for foreign or damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a readable .keras file of this project ({reason[:200]})") from None
