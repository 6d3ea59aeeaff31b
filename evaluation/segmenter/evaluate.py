"""Scores a segmenter on the films of a pair folder."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from datasets import grey, pair_cache
from datasets.common import atomic_files
from datasets.pair_store import PairStore, write_png
from datasets.rules.label_cleaning import keep_largest
from evaluation.metrics.overlap import dice, jaccard, overlap_counts, pooled, shown
from evaluation.metrics.surface import METRICS, measure_names, organ_distances
from evaluation.segmenter.sliding_window import Predict, segment_pictures, sliding_window

Segment = Callable[[str], np.ndarray]  # id of a film -> its predicted codes, uint8 [H, W]


@dataclasses.dataclass(frozen=True)
class Result:
    """Overlap counts of every film, and distances between borders where they were asked for.

    Attributes:
      films: their ids.
      organs: names of what was scored, as `ClassTable.regions` has them.
      scored: names in the tables' order.
      counts: int64 [films, organs, 3]: true positives, false positives, false negatives.
      distances: float64 [films, organs, 3], the METRICS of `evaluation.metrics.surface`, NaN where there is none.
      unit: of the distances, "mm" or "px".
    """

    films: tuple[str, ...]
    organs: tuple[str, ...]
    scored: tuple[str, ...]
    counts: np.ndarray
    distances: np.ndarray | None = None
    unit: str = "px"

    @property
    def mean_j(self) -> float:
        """Pooled J, averaged over the scored organs that any label map has (0 without one); a fraction of 1."""
        counts = pooled(self.counts)[[self.organs.index(name) for name in self.scored]]
        there = shown(counts)
        return float(np.mean(jaccard(counts[there]))) if there.any() else 0.0

    def per_film(self) -> pd.DataFrame:
        """A row per film and organ: film, organ, tp, fp, fn, j, dsc, and `measure_names` of the unit."""
        index = pd.MultiIndex.from_product([self.films, self.organs], names=["film", "organ"])
        flat = self.counts.reshape(-1, 3)
        table = pd.DataFrame(flat, index, ["tp", "fp", "fn"])
        table["j"], table["dsc"] = jaccard(flat), dice(flat)
        if self.distances is not None:
            for name, values in zip(measure_names(self.unit).values(), self.distances.reshape(-1, len(METRICS)).T,
                                    strict=True):
                table[name] = values
        return table.reset_index()

    def to_json(self) -> dict:
        """Pooled counts by organ, as `evaluation.results.tables` reads them; distances as means over films."""
        totals = pooled(self.counts)
        value = {"films": len(self.films), "scored": list(self.scored),
                 "counts": {organ: [int(n) for n in row] for organ, row in zip(self.organs, totals, strict=True)}}
        if self.distances is not None:
            value["surface"] = {"unit": self.unit, "organs": self._mean_distances()}
        return value

    def _mean_distances(self) -> dict[str, dict[str, float | int | None]]:
        """Organ -> means over films: distances where it is in both maps, surface Dice where it is in any; and in
        how many it is in one only."""
        found = {}
        for place, organ in enumerate(self.organs):
            values, counts = self.distances[:, place], self.counts[:, place]
            there = ~np.isnan(values)
            means = {metric: float(values[there[:, column], column].mean()) if there[:, column].any() else None
                     for column, metric in enumerate(METRICS)}
            # NaN without counts is an organ that neither map has
            found[organ] = {**means, "unmatched": int(np.sum(~there[:, 0] & (counts.sum(-1) > 0)))}
        return found


def score_films(segment: Segment, store: PairStore, ids: Sequence[str], scored: bool = True,
                keep: Callable[[str, np.ndarray], None] | None = None, surface: bool = False) -> Result:
    """Segments films `ids` and counts the overlap with their label maps.

    Args:
      segment: by a network, see `segment_with`, or anything else.
      scored: against the scored organs' exact maps, else against the painted maps of all organs. Unions of organs
        are scored as the store's class table has them.
      keep: called with each id and its predicted codes uint8 [H, W].
      surface: measure distances between borders, too: in millimetres where the store knows its spacing.
    """
    table = store.classes.segmented(scored)
    regions, spacing = table.regions, store.description.spacing_mm
    counts, distances = [], []
    for id_ in ids:
        codes = segment(id_)
        gold = store.segmented_label(id_, scored)
        counts.append(overlap_counts(codes, gold, table.num_classes, regions.values()))
        if surface:
            distances.append(organ_distances(codes, gold, regions.values(), spacing or 1.0))
        if keep:
            keep(id_, codes)
    return Result(tuple(ids), tuple(regions), table.scored, np.array(counts),
                  np.array(distances) if surface else None, "mm" if spacing else "px")


class FilmsInMemory:
    """Films to score a segmenter on again and again: decoded once, at the first score, and segmented in batches.

    Args:
      store, ids: whose films.
      scored: as in `score_films`.
      window, overlap: as in `segment_with`.
      batch: windows predicted at a time, each of another film.
    """

    def __init__(self, store: PairStore, ids: Sequence[str], scored: bool = True, window: int = 377,
                 overlap: float = 1 / 3, batch: int = 4):
        self._store, self._ids, self._scored = store, tuple(ids), scored
        self._windows, self._batch = (window, overlap), batch

    @functools.cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return pair_cache.load_pairs(self._store, self._ids, self._scored)

    def evaluate(self, predict: Predict) -> Result:
        """`score_films` of these films, segmented by a network as `segment_with` does."""
        table = self._store.classes.segmented(self._scored)
        films, gold = self._arrays
        counts = []
        for start in range(0, len(films), self._batch):
            part = slice(start, start + self._batch)
            codes = segment_pictures(predict, grey.to_network(films[part]), *self._windows)
            counts += [overlap_counts(found, wanted, table.num_classes, table.regions.values())
                       for found, wanted in zip(codes, gold[part], strict=True)]
        return Result(self._ids, tuple(table.regions), table.scored, np.array(counts))


def evaluate_to_folder(predict: Predict, store: PairStore, ids: Sequence[str], folder: pathlib.Path,
                       scored: bool = True, window: int = 377, overlap: float = 1 / 3,
                       largest: Sequence[Sequence[int]] = ()) -> Result:
    """Segments films by a network, see `segment_with`, and scores them, see `score_to_folder`."""
    return score_to_folder(segment_with(predict, store, window, overlap, largest), store, ids, folder, scored)


def score_to_folder(segment: Segment, store: PairStore, ids: Sequence[str], folder: pathlib.Path,
                    scored: bool = True) -> Result:
    """`score_films`, with predictions/ID.png, per_film.csv and, last, pooled.json written to `folder`."""
    (folder / "pooled.json").unlink(missing_ok=True)  # earlier scores are not of the predictions to come
    predictions = atomic_files.make_folder(folder / "predictions")
    if not (folder / "per_film.csv").is_file():  # from the first film on it tells whose the folder is
        atomic_files.write_text(folder / "per_film.csv", "film,organ,tp,fp,fn,j,dsc\n")
    result = score_films(segment, store, ids, scored,
                         lambda id_, codes: write_png(predictions / f"{id_}.png", codes), surface=True)
    atomic_files.write_text(folder / "per_film.csv", result.per_film().to_csv(index=False))
    atomic_files.write_json(folder / "pooled.json", result.to_json())
    return result


def segment_with(predict: Predict, store: PairStore, window: int, overlap: float,
                 largest: Sequence[Sequence[int]] = ()) -> Segment:
    """What segments the films of `store` by a network.

    Args:
      predict: films [N, h, w, C] in [-1, 1] -> probabilities [N, h, w, K].
      window, overlap: see `sliding_window`.
      largest: organs, by code, of which the largest piece alone is kept (`keep_largest`).
    """
    def segment(id_: str) -> np.ndarray:
        film = grey.to_network(store.image(id_)[None])[0]
        codes = np.argmax(sliding_window(predict, film, window, overlap), -1).astype(np.uint8)
        return keep_largest(codes, largest)

    return segment
