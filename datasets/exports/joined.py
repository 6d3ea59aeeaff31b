"""The pairs of one or several pair folders under names of their own, real and synthetic ones told apart."""

import dataclasses
import pathlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import numpy as np

from datasets.common.errors import UserError
from datasets.formats.png import PngFile
from datasets.formats.raster import read_bytes
from datasets.manifest import SPLITS, Entry
from datasets.pair_store import PairStore, film_names, read_png

Progress = Callable[[str, int, int], None]  # what, done, total
FOLDS = 5  # of a cross-validation, as nnU-Net has it


@dataclasses.dataclass(frozen=True)
class JoinedPair:
    """A pair of one of the folders.

    Attributes:
      name: among all pairs; that of its id unless another folder has it too.
      synthetic: whether a method made it.
      film: the real film it is an augmented copy of, or its own id.
    """

    name: str
    store: PairStore
    entry: Entry
    synthetic: bool
    film: str

    @property
    def file(self) -> pathlib.Path:
        """Its image."""
        return self.store.path / "images" / f"{self.entry.id}.png"

    @property
    def bits(self) -> int:
        """Of a sample of its image, 8 or 16; `max_value` counts for 16 alone."""
        return PngFile(read_bytes(self.file), self.file).depth

    def picture(self, eight_bits: bool) -> np.ndarray:
        """Its image as it is stored, or in 8 bits: [H, W] or [H, W, 3]."""
        description = self.store.description
        if eight_bits:
            return self.store.image(self.entry.id)
        return read_png(self.file, description.size, description.channels)


def join_stores(stores: Sequence[PairStore], made: Collection[str]) -> list[JoinedPair]:
    """The pairs of `stores`, store by store.

    Args:
      made: what the source column says of synthetic pairs, e.g. "three-stage".

    Synthetic pairs of a folder that has an id of another's get their source in front: three-stage-000001.
    Raises UserError where classes or channels differ, two real pairs have one id, or there is no pair.
    """
    if not stores:
        raise UserError("--data: found no pair folder, expected one or more")
    first = stores[0]
    for store in stores:
        for what, ours, theirs in (("classes", first.classes, store.classes),
                                   ("channel", first.description.channel, store.description.channel)):
            if ours != theirs:
                raise UserError(f"{store.path}: found other {what} than in {first.path}; export them apart")
    counts = Counter(id_ for store in stores for id_ in store.ids())
    pairs = []
    for store in stores:
        shared = any(counts[id_] > 1 for id_ in store.ids())
        for entry, film in zip(store.entries, film_names(store, store.ids()), strict=True):
            synthetic = entry.source in made
            name = f"{entry.source}-{entry.id}" if shared and synthetic else entry.id
            pairs.append(JoinedPair(name, store, entry, synthetic, film))
    named: dict[str, JoinedPair] = {}
    for pair in pairs:
        other = named.setdefault(pair.name.casefold(), pair)  # some file systems know no capitals
        if other is not pair:
            raise UserError(f"{pair.store.path}: found {pair.entry.id}, which {other.store.path} has too; export "
                            "them apart")
    if not pairs:
        raise UserError(f"{first.path}: found no pairs, expected at least one")
    return pairs


def folds(pairs: Sequence[JoinedPair]) -> tuple[list[dict[str, list[str]]], str]:
    """How the pairs that don't test are shared out to train and validate, as nnU-Net's splits_final.json has it.

    Synthetic pairs never validate real ones. Real validation pairs make one fold; without any there are up to
    five, drawn by film: a film's augmented copies stay with it, and a patient's films where they are known.

    Returns the folds, {"train": names, "val": names} each, and a line on them.
    """
    known = [pair for pair in pairs if pair.entry.split != "test"]
    judged = [pair for pair in known if not pair.synthetic] or known
    kind = "real" if not judged[0].synthetic else "synthetic"
    kept = [pair for pair in judged if pair.entry.split == "validation"]
    if kept:
        held = [{pair.name for pair in kept}]
        text = f"1 fold, validated on the {len(kept)} {kind} validation pairs"
    else:
        films = sorted({_whose(pair) for pair in judged})
        order = np.random.default_rng(0).permutation(len(films))
        parts = [{films[place] for place in part} for part in np.array_split(order, min(FOLDS, len(films)))]
        held = [{pair.name for pair in judged if _whose(pair) in part} for part in parts]
        what = "patients" if any(pair.entry.patient for pair in judged) else "films"
        text = f"{len(held)} fold{'s'[:len(held) != 1]} of {len(films)} {kind} {what}"
    made = []
    for validating in held:
        others = [pair.name for pair in known if pair.name not in validating]
        made.append({"train": others or sorted(validating), "val": sorted(validating)})  # a single film does both
    return made, text + (" (there are no real ones)" if kind == "synthetic" else "")


def _whose(pair: JoinedPair) -> str:
    return pair.entry.patient or pair.film


def check_pairs(pairs: Sequence[JoinedPair], progress: Progress) -> None:
    """Reads every file once. Raises UserError for one that is damaged."""
    for place, pair in enumerate(pairs):
        progress("checked", place, len(pairs))
        id_ = pair.entry.id
        pair.store.image(id_), pair.store.label(id_), pair.store.masks(id_)
    progress("checked", len(pairs), len(pairs))


def depths(pairs: Sequence[JoinedPair]) -> set[tuple[int, int]]:
    """Bits of a sample, and the grey value shown as white, of all images."""
    found = ((pair.bits, pair.store.description.max_value) for pair in pairs)
    return {(bits, white if bits == 16 else 255) for bits, white in found}


def about(pairs: Sequence[JoinedPair]) -> str:
    """Counts by split and kind, and sizes where there are several, in a line."""
    counts = Counter((pair.entry.split, pair.synthetic) for pair in pairs)
    parts = [f"{counts[split, synthetic]} {'synthetic' if synthetic else 'real'} {split}"
             for synthetic in (False, True) for split in SPLITS if counts[split, synthetic]]
    sizes = sorted({pair.store.description.size for pair in pairs})
    listed = " and ".join(f"{width} x {height}" for height, width in sizes)
    several = f"; of {listed} pixels" if len(sizes) > 1 else ""
    return f"{len(pairs)} pairs: {', '.join(parts)}{several}"
