"""Scores a segmenter on the films of a pair folder."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from datasets import files
from datasets.store import PairStore, write_png
from evaluation.metrics import dice, jaccard, overlap_counts, pooled
from evaluation.sliding_window import Predict, sliding_window


@dataclasses.dataclass(frozen=True)
class Result:
    """Overlap counts of every film.

    Attributes:
      films: their ids.
      organs: names in order of their codes.
      scored: names in the tables' order.
      counts: int64 [films, organs, 3]: true positives, false positives, false negatives.
    """

    films: tuple[str, ...]
    organs: tuple[str, ...]
    scored: tuple[str, ...]
    counts: np.ndarray

    @property
    def mean_j(self) -> float:
        """Pooled J, averaged over the scored organs; a fraction of 1."""
        rows = [self.organs.index(name) for name in self.scored]
        return float(np.mean(jaccard(pooled(self.counts))[rows]))

    def per_film(self) -> pd.DataFrame:
        """A row per film and organ: film, organ, tp, fp, fn, j, dsc."""
        rows = [(film, organ, *counts, jaccard(counts), dice(counts))
                for film, per_organ in zip(self.films, self.counts, strict=True)
                for organ, counts in zip(self.organs, per_organ, strict=True)]
        return pd.DataFrame(rows, columns=["film", "organ", "tp", "fp", "fn", "j", "dsc"])

    def to_json(self) -> dict:
        """Pooled counts by organ, as `evaluation.tables` reads them."""
        totals = pooled(self.counts)
        return {"films": len(self.films), "scored": list(self.scored),
                "counts": {organ: [int(n) for n in row] for organ, row in zip(self.organs, totals, strict=True)}}


def evaluate(predict: Predict, store: PairStore, ids: Sequence[str], scored: bool = True, window: int = 377,
             overlap: float = 1 / 3, keep: Callable[[str, np.ndarray], None] | None = None) -> Result:
    """Segments films `ids` and counts the overlap with their label maps.

    Args:
      predict: films [N, h, w, 1] in [-1, 1] -> probabilities [N, h, w, K].
      scored: against the scored organs' exact maps, else against the painted maps of all organs.
      window, overlap: see `sliding_window`.
      keep: called with each id and its predicted codes uint8 [H, W].
    """
    table = store.classes.scored_table() if scored else store.classes
    counts = []
    for id_ in ids:
        film = store.image(id_).astype(np.float32)[..., None] / 127.5 - 1.0
        codes = np.argmax(sliding_window(predict, film, window, overlap), -1).astype(np.uint8)
        gold = store.scored_label(id_) if scored else store.label(id_)
        counts.append(overlap_counts(codes, gold, table.num_classes))
        if keep:
            keep(id_, codes)
    return Result(tuple(ids), table.organs, table.scored, np.array(counts))


def evaluate_to_folder(predict: Predict, store: PairStore, ids: Sequence[str], folder: pathlib.Path,
                       scored: bool = True, window: int = 377, overlap: float = 1 / 3) -> Result:
    """`evaluate`, with predictions/ID.png, per_film.csv and pooled.json written to `folder`."""
    predictions = files.make_folder(folder / "predictions")
    result = evaluate(predict, store, ids, scored, window, overlap,
                      lambda id_, codes: write_png(predictions / f"{id_}.png", codes))
    files.write_text(folder / "per_film.csv", result.per_film().to_csv(index=False))
    files.write_json(folder / "pooled.json", result.to_json())
    return result
