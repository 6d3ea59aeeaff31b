"""Pairs changed at random and written as a pair folder, whatever changes them."""

import dataclasses
import json
import pathlib
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from datasets.common import atomic_files
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter

Change = Callable[[np.ndarray, Sequence[np.ndarray], np.random.Generator], tuple[np.ndarray, Sequence[np.ndarray]]]


@dataclasses.dataclass(frozen=True)
class Variant:
    """What is made of every pair.

    Attributes:
      entry: the changed pair's entry, of the pair's.
      change: gives film and layers, changed, in the formats it gets: a film uint8 [H, W] or [H, W, 3], and as
        layers its codes uint8 [H, W] and, where the store has masks, those as uint8 [H, W, organs].
    """

    entry: Callable[[Entry], Entry]
    change: Change


def write_changed(store: PairStore, ids: Sequence[str], path: pathlib.Path, description: Description, seed: int,
                  ranges: Any, variants: Sequence[Variant]) -> PairStore:
    """Writes the variants of each pair `ids` as a pair folder; a complete folder of the same is left as it is.

    A changed pair is a function of (seed, id, number of the variant).

    Args:
      description: of the new folder, whose films are of 8 bits.
      ranges: dataclass of what the variants draw by, which complete.json keeps beside the films' fingerprint and
        the seed.

    Raises UserError if the folder holds other pairs, is of another description or cannot be written to, or if a
    file of the store is damaged.
    """
    known = {entry.id: entry for entry in store.entries}
    entries = {id_: [variant.entry(known[id_]) for variant in variants] for id_ in ids}
    names = {entry.id for made in entries.values() for entry in made}
    done = path / "complete.json"
    asked = json.loads(json.dumps({"films": store.fingerprint(), "pairs": len(names), "seed": seed,
                                   "ranges": dataclasses.asdict(ranges)}))  # as it is read back
    if _is_made(path, names, asked):
        return PairStore(path)
    with PairWriter(path, description) as writer:
        writer.refuse_others(names)
        done.unlink(missing_ok=True)
        for id_ in ids:
            film, label, masks = store.image(id_), store.label(id_), store.masks(id_)
            layers = [label] if masks is None else [label, masks.astype(np.uint8)]
            for number, (entry, variant) in enumerate(zip(entries[id_], variants, strict=True)):
                # crc32, as Python's hash of a string differs from process to process
                rng = np.random.default_rng([seed, zlib.crc32(id_.encode()), number])
                changed, moved = variant.change(film, layers, rng)
                writer.add(entry, changed, moved[0], moved[1].astype(bool) if len(moved) > 1 else None)
    atomic_files.write_json(done, asked)
    return PairStore(path)


def _is_made(path: pathlib.Path, names: set[str], asked: dict[str, Any]) -> bool:
    """Whether the folder is complete and holds what is asked."""
    done = path / "complete.json"
    if not done.is_file():
        return False
    older = {key: value for key, value in asked.items() if key != "films"}  # augmented folders once kept no films
    return atomic_files.read_json(done) in (asked, older) and set(PairStore(path).ids()) == names
