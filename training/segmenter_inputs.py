"""What a segmenter is trained on and starts from.

What cannot be is told on opening, by descriptions and manifests alone: before a run folder is made, and before a
picture is decoded.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from datasets import pair_cache
from datasets.common.errors import UserError
from datasets.pair_store import PairStore, split_ids
from evaluation.segmenter.evaluate import FilmsInMemory
from evaluation.segmenter.network_file import (
    network_digest,
    network_options,
    read_facts,
    refuse_moved_classes,
    refuse_others,
)
from models.unet import halvings
from training.config import SMANetConfig


class SegmenterInputs:
    """The pair folders, and the network, of one training.

    Args:
      config: the options.
      data: store whose train pairs are learnt from.
      validation: store whose validation pairs choose the weights.
      finetune_from: run folder or .keras file whose weights the training starts from.
      mixed_with: store whose train pairs give the other half of all crops.

    Attributes:
      store, ids: that of `data`, and its pairs.
      classes: what the segmenter learns.

    Raises UserError for what is not there, a store without pairs for its purpose, a network that does not fit, and
    where `mixed_with` has other classes, or pictures of another size or channel, or `validation` other classes or
    another channel.
    """

    def __init__(self, config: SMANetConfig, data: str, validation: str | None = None,
                 finetune_from: str | None = None, mixed_with: str | None = None):
        self._config, self._scored = config, config.classes == "scored"
        self.store, self._start = PairStore(data), finetune_from
        self.classes, self.ids = self.store.classes.segmented(self._scored), train_ids(self.store, config)
        self._mixed = PairStore(mixed_with) if mixed_with else None
        self._others = train_ids(self._mixed, config) if self._mixed else []
        self._validation = PairStore(validation) if validation else None
        if self._mixed:
            self._check_mixed(self._mixed)
        if self._validation:
            self._check_validation(self._validation)
        if finetune_from:
            self._check_start(finetune_from)

    def digests(self) -> dict[str, str]:
        """What the run reads, by content: a moved folder continues, an altered one is noticed."""
        stores = {"data": self.store, "validation": self._validation, "mixed_with": self._mixed}
        digests = {name: store.fingerprint() for name, store in stores.items() if store}
        return digests | ({"finetune_from": network_digest(self._start)} if self._start else {})

    def load_pairs(self, say: Callable[[str], None]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Films uint8 [N, H, W] or [N, H, W, 3] and codes uint8 [N, H, W], those of `mixed_with` behind the
        others, and the rows [M] that make them equal halves; None is each once. `say` tells of pairs left out."""
        for store, ids in ((self.store, self.ids), (self._mixed, self._others)):
            copies = len(store.ids("train")) - len(ids) if store else 0
            if copies:
                say(f"{store.path}: crops of {len(ids)} films; {copies} augmented copies of them are left out")
        if self._mixed is None:
            return *pair_cache.load_pairs(self.store, self.ids, self._scored), None
        pairs = pair_cache.load_pairs(self.store, self.ids, self._scored, behind=(self._mixed, self._others))
        return *pairs, pair_cache.half_and_half(len(self.ids), len(self._others))

    def validation_films(self) -> FilmsInMemory | None:
        """The films that choose the weights, not decoded yet."""
        if self._validation is None:
            return None
        config, ids = self._config, self._validation.ids("validation")
        # A window takes less memory than a crop in training: as many at a time.
        return FilmsInMemory(self._validation, ids, self._scored, config.crop, config.overlap, config.batch)

    def _check_mixed(self, mixed: PairStore) -> None:
        for name, ours, theirs in (
                ("classes", self.store.classes.to_json(), mixed.classes.to_json()),
                ("size", tuple(self.store.description.size), tuple(mixed.description.size)),
                ("channel", self.store.description.channel, mixed.description.channel)):
            if ours != theirs:
                raise UserError(f"{mixed.path}: found {name} {theirs}, expected {ours} as in {self.store.path}; "
                                "mix pairs of the same classes, size and channel")

    def _check_validation(self, validation: PairStore) -> None:
        if not validation.ids("validation"):
            raise UserError(f"{validation.path}/manifest.csv: found no pair with split validation; leave "
                            "--validation out to keep the last weights")
        for name, ours, theirs in (
                ("classes", self.classes.names, validation.classes.segmented(self._scored).names),
                ("channel", self.store.description.channel, validation.description.channel)):
            if ours != theirs:
                raise UserError(f"{validation.path}: found {name} {theirs}, expected {ours} as in "
                                f"{self.store.path}; validate on pairs of the same classes and channel")

    def _check_start(self, path: str) -> None:
        side = min(self._config.crop, *self.store.description.size)
        if pathlib.Path(path).is_dir():  # a .keras file names no classes
            refuse_moved_classes(path, read_facts(path), self.classes.names, self.store.path)
        refuse_others(path, network_options(path), {
            "network": {"smanet": "SMANet", "unet": "UNet"}[self._config.network],
            "input channels": self.store.description.channels,
            **shape_options(self._config, self.classes.num_classes, side)})


def shape_options(config: SMANetConfig, num_classes: int, side: int) -> dict[str, Any]:
    """Options of the network for crops of `side` pixels that decide which weights it has."""
    shape = {"num_classes": num_classes, "width": config.width}
    if config.network == "unet":
        return {**shape, "levels": halvings(side)}
    return {**shape, "depth": config.depth, "attention": config.attention}


def train_ids(store: PairStore, config: SMANetConfig) -> list[str]:
    """Train pairs of `store`; without copies that an experiment's augmentation made where crops get a stronger.

    Raises UserError where there is none.
    """
    ids = split_ids(store, "train")
    films = store.films("train") if config.augment == "strong" else ids
    if not films:
        raise UserError(f"{store.path}/manifest.csv: found augmented copies alone among the train pairs, expected "
                        "films, of which --augment=strong makes its own; add them, or leave it out")
    return films
