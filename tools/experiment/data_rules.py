"""What the training films' label maps are like: learnt, said and kept before anything is trained."""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from datasets.common import atomic_files
from datasets.pair_store import PairStore, film_names
from datasets.resize import resize_labels
from datasets.rules.label_cleaning import clean_labels
from datasets.rules.label_rules import LabelRules
from datasets.sources.piece_model import fit_label_model


def write_rules(store: PairStore, path: pathlib.Path, checked: bool, say: Callable[[str], None] = print) -> None:
    """Learns the rules of the train label maps of `store`, says them, and writes them to `path` as JSON.

    `checked`: whether generated label maps will be mended and checked by them.
    """
    ids = store.ids("train")
    maps = [store.filled_label(id_) for id_ in ids]
    rules = LabelRules.learn(maps, store.classes, len(set(film_names(store, ids))))
    passing = sum(rules.broken_by(clean_labels(labels, rules)) is None for labels in maps)
    atomic_files.write_json(path, {"passing": passing, **rules.to_json()})
    say(f"rules: {passing:,} of {rules.maps:,} real label maps ({rules.films:,} films, augmented) pass"
        + ("" if checked else "; generated ones are neither mended nor checked (--check_samples does it)"))
    for line in rules.lines():
        say(f"    {line}")


def film_maps(store: PairStore, ids: Sequence[str], size: int) -> list[np.ndarray]:
    """The label maps of films `ids` as an experiment will have them, codes uint8 [size, size]."""
    maps, sides = [store.filled_label(id_) for id_ in ids], (size, size)
    return maps if store.description.size == sides else [
        resize_labels(labels, sides, store.classes.num_classes) for labels in maps]


def check_shape_model(store: PairStore, ids: Sequence[str], size: int) -> None:
    """Raises UserError where no shape model can be fitted to the label maps of films `ids` at side `size`."""
    maps = film_maps(store, ids, size)
    fit_label_model(maps, LabelRules.learn(maps, store.classes))
