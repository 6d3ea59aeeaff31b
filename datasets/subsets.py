"""Parts of a pair folder: the train films an experiment may see, all (FULL) or a few drawn by seed (TINY), and few
of many that stand for the others."""

import os
import shutil
from collections.abc import Sequence

import numpy as np

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import PairStore, PairWriter, film_names

CONFIGS = ("full", "tiny")
TINY_FILMS = 11  # the paper's, of 124
LEFT_OUT = "train"  # in place of a folder of films without label maps: the train films that a subset leaves out


def choose_subset(store: PairStore, config: str, seed: int, count: int = TINY_FILMS) -> list[str]:
    """Ids of the train films, in order.

    Args:
      config: "full" for all, "tiny" for `count` of them drawn at random. Draws of one seed are nested: five films
        are among the eleven, these among twenty. Films are drawn, not patients: several may be of one.

    Raises UserError if there are no train or no test films, or fewer train films than `count`.
    """
    if config not in CONFIGS:
        raise ValueError(f"config must be one of {CONFIGS}; received {config!r}")
    ids = store.films("train")
    needed = count if config == "tiny" else 1
    if len(ids) < needed:
        raise UserError(f"{store.path}: found {len(ids)} train films, expected at least {needed} for "
                        f"--config={config}; add films, or mark more of them as train in manifest.csv")
    if not store.ids("test"):
        raise UserError(f"{store.path}: found no test films; mark some as test in manifest.csv, or import with "
                        "--test_fraction")
    if config == "full":
        return sorted(ids)
    return draw_films(ids, seed, count)


def draw_films(ids: Sequence[str], seed: int, count: int) -> list[str]:
    """`count` of `ids` as `choose_subset` draws them, in order."""
    return sorted(_shuffled(sorted(ids), seed)[:count])


def _shuffled(ids: Sequence[str], seed: int) -> list[str]:
    """`ids` in the order in which they are drawn: those of the paper's number first, then the others."""
    rng = np.random.default_rng(seed)
    first = rng.choice(ids, min(TINY_FILMS, len(ids)), replace=False).tolist()
    return first + rng.permutation([id_ for id_ in ids if id_ not in set(first)]).tolist()


def evenly(count: int, most: int) -> np.ndarray:
    """Places in a row of `count`, in order: up to `most`, evenly spread from the first to the last."""
    return np.linspace(0, count - 1, min(most, count)).astype(int)


def different_films(store: PairStore, ids: Sequence[str], count: int) -> list[int]:
    """Places in `ids` of up to `count` pairs for a grid: one of each film, spread over them, then others."""
    first: dict[str, int] = {}
    for place, film in enumerate(film_names(store, ids)):
        first.setdefault(film, place)
    films = list(first.values())
    if len(films) >= count:
        return [films[place] for place in evenly(len(films), count)]
    return [*films, *sorted(set(range(len(ids))) - set(films))][:count]


def write_subset(store: PairStore, ids: Sequence[str], path: str | os.PathLike,
                 kinds: Sequence[str] = ("images", "labels", "masks", "dots")) -> PairStore:
    """Writes the pairs `ids` of `store` as a pair folder of their own: the same files, all of them or none.

    Args:
      kinds: folders of which files are taken.

    Raises UserError if `path` is there already, or a file cannot be read or written.
    """
    refuse_existing(path)
    kept = set(ids)
    with atomic_files.replacing_folder(path) as made:
        writer = PairWriter(made, store.description)
        for id_ in ids:
            for kind in kinds:
                source = store.path / kind / f"{id_}.png"
                if source.is_file():
                    shutil.copyfile(source, atomic_files.make_folder(made / kind) / source.name)
        writer.entries = {entry.id: entry for entry in store.entries if entry.id in kept}
        writer.close()
    return PairStore(path)


def refuse_existing(path: str | os.PathLike) -> None:
    """Raises UserError unless `path` can be a new folder."""
    if not os.fspath(path) or os.path.lexists(path):
        raise UserError(f"{path}: is there already, expected a new folder; choose another name")

