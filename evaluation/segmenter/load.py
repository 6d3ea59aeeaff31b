"""Segmenters of every kind of file, as functions of films: a run folder, a .keras file, or an export."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.formats.channels import CHANNELS, with_channel
from datasets.formats.raster import Film
from datasets.pair_store import PairStore
from datasets.rules.label_cleaning import keep_largest
from evaluation.segmenter.film_segmenter import FilmSegmenter, SegmenterFacts
from evaluation.segmenter.network_file import refuse_moved_classes
from evaluation.segmenter.saved_network import load_keras, read_product
from models.segmenter import Segmenter

ASSET = "model.json"  # of an export, in its folder `assets`


@dataclasses.dataclass(frozen=True)
class LoadedSegmenter:
    """A segmenter ready for films.

    Attributes:
      class_names: by code, background first.
      functions: as `FilmSegmenter.functions`.
      module: what holds the weights.
      channel: what it sees of films, one of CHANNELS.
      largest: classes whose largest piece alone is kept, each with those painted over it (`keep_largest`).
    """

    class_names: tuple[str, ...]
    functions: Mapping[str, Callable]
    module: Any
    channel: str = "grey"
    largest: tuple[tuple[str, ...], ...] = ()

    def segment(self, film: Film) -> tuple[np.ndarray, np.ndarray]:
        """Codes uint8 [H, W] and probabilities float32 [H, W, K] in the film's own geometry.

        Of a film in colour it sees `channel`; a grey film is one whose channels are equal.
        """
        film = with_channel(film, self.channel)
        white = float(film.max_value) if film.exact else 0.0
        made = self.functions[film.pixels.dtype.name](film=tf.constant(film.pixels), white=tf.constant(white))
        codes = keep_largest(made["codes"].numpy(), coded(self.largest, self.class_names))
        return codes, made["probabilities"].numpy()


def load_any_segmenter(path: str, data: str | None = None) -> LoadedSegmenter:
    """The segmenter in an export folder, a run folder or a .keras file; for `data` see `load_segmenter`.

    An export is a program: load only those whose maker you trust.

    Raises UserError where there is none.
    """
    if not (pathlib.Path(path) / "saved_model.pb").is_file():
        segmenter = load_segmenter(path, data)
        return LoadedSegmenter(segmenter.facts.class_names, segmenter.functions, segmenter,
                               segmenter.facts.channel, segmenter.facts.largest)
    facts = atomic_files.read_json(pathlib.Path(path) / "assets" / ASSET)
    if not isinstance(facts, dict) or facts.get("kind") != "segmenter":
        raise UserError(f"{path}: not the export of a segmenter; make one with tools.export_model")
    try:
        module = tf.saved_model.load(path)
        names = [name.decode() for name in module.signatures["class_names"]()["class_names"].numpy()]
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: truncated or damaged export ({reason}); make it again") from None
    asset = f"{path}/assets/{ASSET}"
    return LoadedSegmenter(tuple(names), module.signatures, module, _channel(asset, facts),
                           read_largest(asset, facts, names))


def load_segmenter(path: str, data: str | None = None, batch: int = 4, target: str | None = None) -> FilmSegmenter:
    """The segmenter of a run folder or .keras file, in float32.

    Args:
      data: pair folder it was trained on: names classes, size and channel where the run does not.
      batch: windows predicted at a time.
      target: the devices it is to run on, as in `FilmSegmenter`.

    Raises UserError where the classes are not known, not as many as the network's, or in another order in `data`.
    """
    network, facts = read_segmenter(path)
    names, size = tuple(facts.get("class_names", ())), facts.get("size")
    # A .keras file alone: with three channels it was trained on colour, with one on grey films for all it says.
    channel = "colour" if network.film_channels == 3 else _channel(path, facts)
    if data is not None:
        store = PairStore(data)
        check_channels(path, network, store)
        channel = store.description.channel
        tables = [store.classes.names, store.classes.scored_table().names]
        names = next((table for table in tables if len(table) == network.num_classes), store.classes.names)
        refuse_moved_classes(path, facts, names, store.path)
        size = max(store.description.size)
    if not names or not size:
        raise UserError(f"{path}: does not say its classes and size; give --data, the pair folder it was trained "
                        "on")
    if len(names) != network.num_classes:
        raise UserError(f"{path}: has {network.num_classes} classes, expected {len(names)} ({', '.join(names)})")
    return FilmSegmenter(network, SegmenterFacts(
        names, int(size), int(facts["crop"]), float(facts["overlap"]), batch, channel,
        read_largest(path, facts, names)), target)


def read_segmenter(path: str) -> tuple[Segmenter, dict[str, Any]]:
    """The network of a run folder or .keras file, and what the run says of it: crop and overlap among others.

    A .keras file says nothing; crop and overlap are then the paper's. Raises UserError for another network.
    """
    file, facts = pathlib.Path(path), {}
    if file.is_dir():
        product = read_product(file)
        file, facts = product.network, product.facts
    network = load_keras(file)
    if not isinstance(network, Segmenter) or facts.get("task", "train_smanet") != "train_smanet":
        raise UserError(f"{path}: found a {type(network).__name__}, expected a segmenter: a run of train_smanet "
                        "or its .keras file")
    return network, {"crop": 377, "overlap": 1 / 3, **facts}


def check_fit(path: str, network: Segmenter, facts: Mapping[str, Any], store: PairStore) -> None:
    """Raises UserError where the run at `path` was trained on films of other channels or size than `store`'s."""
    check_channels(path, network, store)
    size, found = facts.get("size"), max(store.description.size)
    if size is not None and int(size) != found:
        raise UserError(f"{path}: was trained on pictures of {size} pixels, but {store.path} has {found}; make "
                        f"that folder at --size={size}, or segment its films with tools.predict, which resizes")


def check_channels(path: str, network: Segmenter, store: PairStore) -> None:
    """Raises UserError where the network at `path` takes films of other channels than `store` has."""
    if network.film_channels != store.description.channels:
        ours, theirs = ("colour" if count == 3 else "grey"
                        for count in (network.film_channels, store.description.channels))
        raise UserError(f"{path}: was trained on {ours} films, but {store.path} has {theirs} ones; import that "
                        "folder with another --channel, or segment its files with tools.predict, which takes both")


def read_largest(path: str, facts: Mapping[str, Any], names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The classes of a segmenter whose largest piece alone is kept, as `facts` say. Raises UserError where one is
    none of its classes `names`."""
    found = facts.get("largest", [])
    if not isinstance(found, list) or not all(isinstance(organ, list) and organ and set(organ) <= set(names[1:])
                                              for organ in found):
        raise UserError(f"{path}: found classes {found!r} whose largest piece is kept, expected lists of some of "
                        f"{', '.join(names[1:])}; make it again")
    return tuple(map(tuple, found))


def coded(organs: Sequence[Sequence[str]], names: Sequence[str]) -> list[list[int]]:
    """Classes by name -> by code."""
    return [[names.index(name) for name in organ] for organ in organs]


def _channel(path: str, facts: Mapping[str, Any]) -> str:
    """What `facts` say that the segmenter sees of films. Raises UserError where that is no channel."""
    channel = facts.get("channel", "grey")
    if channel not in CHANNELS:
        raise UserError(f"{path}: found channel {channel!r}, expected one of {', '.join(CHANNELS)}; make it again")
    return channel
