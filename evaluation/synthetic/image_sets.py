"""Films and label maps of a pair folder as arrays, for measures that compare whole sets."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.pair_cache import load_pairs
from datasets.pair_store import PairStore
from datasets.patients import patients, same_patient, without_patients_of

MOST_HELD_OUT = 500  # films; so many tell a first percentile


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Pairs of one origin: label maps uint8 [N, H, W], films like them or [N, H, W, 3], and their ids.

    `patients` says whose they are, as `datasets.patients.patients` does; empty where nobody asks.
    """

    name: str
    ids: Sequence[str]
    films: np.ndarray
    labels: np.ndarray
    patients: Sequence[str] = ()

    @classmethod
    def load(cls, name: str, store: PairStore, ids: Sequence[str], size: tuple[int, int]) -> "ImageSet":
        """The pairs `ids`, with painted labels and none ignored, brought to `size` (height, width)."""
        return cls(name, ids, *load_pairs(store, ids, size=size, filled=True), patients(store, ids))

    def __len__(self) -> int:
        return len(self.ids)

    def half(self, which: int) -> "ImageSet":
        """Every second pair, from the first (0) or the second (1) on."""
        return ImageSet(f"{self.name}, half {which + 1}", self.ids[which::2], self.films[which::2],
                        self.labels[which::2], self.patients[which::2])

    def same_patient(self) -> np.ndarray:
        """Which pairs are known to be of one patient, each with itself: bool [N, N]."""
        return same_patient(self.patients or [""] * len(self))


def held_out(store: PairStore, real: PairStore, training: Sequence[str]) -> tuple[list[str], int]:
    """Ids of the un-augmented train films of `store` of patients of whom no film is among `training`, ids of
    `real`; MOST_HELD_OUT of them, drawn, where there are more. And how many other films of these patients are left
    out; films of which nobody says whose they are count as of one patient each."""
    ids, left_out = without_patients_of(store, store.films("train"), real, training)
    return draw_ids(ids, MOST_HELD_OUT, 0), left_out


def draw_ids(ids: Sequence[str], count: int, seed: int) -> list[str]:
    """`count` of `ids` drawn by `seed`, in their order; all of them where there are no more."""
    if len(ids) <= count:
        return list(ids)
    return [ids[place] for place in np.sort(np.random.default_rng([seed]).permutation(len(ids))[:count])]


def check_same_classes(real: PairStore, synthetic: PairStore) -> None:
    """Raises UserError where the two stores name their classes differently, or one alone is in colour."""
    ours, theirs = (store.description.channels for store in (real, synthetic))
    if ours != theirs:
        raise UserError(f"{synthetic.path}: has films of {theirs} channels, but {real.path} has {ours}; compare "
                        "stores of the same channels")
    if real.classes.names != synthetic.classes.names:
        raise UserError(f"{synthetic.path}: has the classes {', '.join(synthetic.classes.names)}, but {real.path} "
                        f"has {', '.join(real.classes.names)}; compare stores of the same classes")


def organ_view(classes: ClassTable) -> Callable[[np.ndarray], np.ndarray]:
    """Codes [H, W] -> uint8 [H, W, organs], 255 inside the organ: all organs are equally unlike one another."""
    codes = np.arange(1, classes.num_classes)
    return lambda labels: np.uint8(255) * (labels[..., None] == codes)
