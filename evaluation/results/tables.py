"""The paper's Tables 1 and 2: J and DSC per organ and their mean, for every way of training the segmenter.

Percent with two decimals, pixels pooled over all test films, best of each row bold. Several runs (seeds) of a
column give mean ± standard deviation. Numbers are pandas frames, rows (metric, organ) and columns by name, until
`formatted` makes text of them. The paper's published comparison, Table 3, is in `evaluation.results.published`.
"""

import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from evaluation.metrics.overlap import dice, jaccard, shown
from evaluation.metrics.surface import measure_titles
from evaluation.results import columns
from evaluation.results.safe_text import heading
from evaluation.results.table_formats import Table

Rows = Mapping[str, Sequence[pd.Series]]  # column -> numbers of each run of it, by (metric, row)
AVERAGE = "Average"
ABSENT = "–"  # a score that no film gives
_LESS = ("HD95", "ASSD", "Under J")  # what the names of metrics begin with of which less is better


def read_pooled(path: str | pathlib.Path) -> dict:
    """A pooled.json as `evaluation.segmenter.evaluate` writes it. Raises UserError if it is something else."""
    value = atomic_files.read_json(path)
    try:
        named = value["scored"] and set(value["scored"]) <= set(value["counts"])
        counted = all(np.array(counts, np.int64).shape == (3,) and min(counts) >= 0  # tp, fp, fn
                      for counts in value["counts"].values())
        fitting = named and counted and isinstance(value["films"], int)
    except (TypeError, KeyError, ValueError, AttributeError):
        fitting = False
    if not fitting:
        raise UserError(f"{path}: not pooled counts; expected what evaluation.evaluate_segmentation writes")
    return value


def scores(result: Mapping, organs: Sequence[str] | None = None,
           averaged: Sequence[str] | None = None) -> pd.Series:
    """J and DSC in percent, by (metric, organ), from pooled counts; organs as scored unless named.

    The average is the plain mean over the organs `averaged`, by default those that a film shows; NaN without any.
    Raises UserError for an organ that was not evaluated.
    """
    organs = list(organs or result["scored"])
    missing = [organ for organ in organs if organ not in result["counts"]]
    if missing:
        raise UserError(f"organ {missing[0]!r} was not evaluated; there are {', '.join(result['counts'])}")
    counts = np.array([result["counts"][organ] for organ in organs])  # [organs, 3]
    there = shown(counts) if averaged is None else np.isin(organs, list(averaged))
    cells = {}
    for metric, function in (("J", jaccard), ("DSC", dice)):
        values = 100 * function(counts)
        mean = values[there].mean() if there.any() else math.nan
        for organ, value in zip([*organs, AVERAGE], [*values, mean], strict=True):
            cells[metric, heading(organ)] = value
    return pd.Series(cells)


def mean_scores(results: Mapping[str, Sequence[Mapping]]) -> pd.Series:
    """Column -> mean J in percent, as in the main table: over the scored organs shown, then over runs."""
    averaged = _averaged(results, None)
    return pd.Series({name: float(np.mean([scores(run, None, averaged)["J", AVERAGE] for run in runs]))
                      for name, runs in results.items()})


def unshown(results: Mapping[str, Sequence[Mapping]], organs: Sequence[str] | None = None) -> list[str]:
    """Those of `organs` (default: scored) that no film shows; all averages leave them out."""
    runs = [run for column in results.values() for run in column]
    return [organ for organ in organs or runs[0]["scored"]
            if not any(shown(run["counts"][organ]) for run in runs if organ in run["counts"])]


def left_out(results: Mapping[str, Sequence[Mapping]], organs: Sequence[str] | None = None) -> str:
    """A footnote on the organs that no film shows, and on who predicts them; empty without any."""
    parts = []
    for organ in unshown(results, organs):
        found = [columns.title(name) for name, runs in results.items()
                 if any(run["counts"].get(organ, (0, 0, 0))[1] for run in runs)]  # false positives
        parts.append(organ + (f" (predicted all the same by {', '.join(found)})" if found else ""))
    return f"Left out of the averages, since no test film shows it: {', '.join(parts)}." if parts else ""


def distances(result: Mapping, organs: Sequence[str], averaged: Sequence[str] | None = None) -> pd.Series:
    """Mean border distances and surface Dice (percent) by (metric with unit, organ).

    The average is over the organs `averaged` (default: all). Empty where none were measured.
    """
    surface = result.get("surface")
    if not surface:
        return pd.Series(dtype=float)
    cells = {}
    for key, name in measure_titles(surface["unit"]).items():
        values = [surface["organs"][organ].get(key) for organ in organs]  # of earlier results no surface Dice
        values = [math.nan if value is None else value * (100 if key == "surface_dice" else 1) for value in values]
        kept = [value for organ, value in zip(organs, values, strict=True)
                if averaged is None or organ in averaged]
        # One missing: no mean.
        mean = float(np.mean(kept)) if kept else math.nan
        for organ, value in zip([*organs, AVERAGE], [*values, mean], strict=True):
            cells[name, heading(organ)] = value
    return pd.Series(cells)


def comparison(results: Mapping[str, Sequence[Mapping]], organs: Sequence[str] | None = None,
               externals: Mapping[str, Mapping[str, Sequence[Mapping]]] | None = None) -> Table:
    """The formatted table.

    Args:
      results: column ("real", "synth-1", "finetune-1", ...) -> pooled counts of each run (seed) of it.
      organs: rows, instead of the scored organs.
      externals: name of an external set of films -> its results, blocks of rows below.
    """
    blocks = {name: _scores_of_runs(found) for name, found in (externals or {}).items()}
    return _over_runs(_with_blocks(_scores_of_runs(results, organs), blocks))


def extended(results: Mapping[str, Sequence[Mapping]], films: Rows | None = None,
             externals: Mapping[str, tuple[Mapping[str, Sequence[Mapping]], Rows]] | None = None) -> Table:
    """`comparison` with every organ that was evaluated, scored ones first, and border distances where measured.

    Args:
      results: as there.
      films: further rows of each run of a column, of `evaluation.results.per_film.film_rows`.
      externals: name of an external set of films -> its results and rows.

    Raises UserError where runs were evaluated on different organs or measured in different units.
    """
    blocks = {name: _measures_of_runs(*found) for name, found in (externals or {}).items()}
    return _over_runs(_with_blocks(_measures_of_runs(results, films), blocks))


def _scores_of_runs(results: Mapping[str, Sequence[Mapping]], organs: Sequence[str] | None = None) -> Rows:
    averaged = _averaged(results, organs)
    return {name: [scores(run, organs, averaged) for run in runs] for name, runs in results.items()}


def _measures_of_runs(results: Mapping[str, Sequence[Mapping]], films: Rows | None) -> Rows:
    runs = [run for column in results.values() for run in column]
    organs = [*runs[0]["scored"], *(organ for organ in runs[0]["counts"] if organ not in runs[0]["scored"])]
    for run in runs:
        if set(run["counts"]) != set(organs):
            raise UserError(f"columns were evaluated on different organs ({', '.join(organs)}; "
                            f"{', '.join(run['counts'])}); evaluate them with the same --classes")
    if len({run["surface"]["unit"] for run in runs if "surface" in run}) > 1:
        raise UserError("border distances are in mm in one run and in pixels in another; evaluate on the same "
                        "films")
    averaged, films = _averaged(results, organs), films or {}
    return {name: [pd.concat([scores(run, organs, averaged), distances(run, organs, averaged),
                              *([films[name][place]] if name in films else [])])
                   for place, run in enumerate(column)] for name, column in results.items()}


def _with_blocks(own: Rows, externals: Mapping[str, Rows]) -> Rows:
    """`own` rows with those of every external set behind them, its name in their metrics. Where it has one organ
    alone there is no average."""
    return {column: [pd.concat([rows, *(_renamed(found[column][place], name) for name, found in externals.items()
                                        if column in found)]) for place, rows in enumerate(runs)]
            for column, runs in own.items()}


def _renamed(rows: pd.Series, films: str) -> pd.Series:
    organs = {row for metric, row in rows.index if metric == "J"} - {AVERAGE}
    return pd.Series({(f"{metric}, {films}", row): value for (metric, row), value in rows.items()
                      if row != AVERAGE or len(organs) > 1})


def unmatched(results: Mapping[str, Sequence[Mapping]]) -> str:
    """A sentence on films left out of border distances, an organ being in one map only; empty without any."""
    parts = []
    for name, runs in results.items():
        total = sum(organ["unmatched"] for run in runs if "surface" in run
                    for organ in run["surface"]["organs"].values())
        if total:
            parts.append(f"{columns.title(name)} {total}")
    return f"Organs found in one map only have no border distance: {', '.join(parts)}." if parts else ""


def formatted(means: pd.DataFrame, spread: pd.DataFrame) -> Table:
    """Numbers in percent by (metric, organ) and column name -> text cells under the paper's headings.

    Args:
      spread: standard deviations in the same rows and columns, NaN where there is none.
    """
    frames = [means.map(printed),
              spread.map(lambda value: "" if math.isnan(value) else f"{value:.2f}"), best_cells(means)]
    for frame in frames:
        frame.columns = pd.MultiIndex.from_tuples([columns.heading(name) for name in means.columns])
        frame.index = pd.MultiIndex.from_tuples(means.index)
    return Table(*frames)


def printed(value: float, digits: int = 2) -> str:
    """A number with `digits` decimals, or the dash of a missing one."""
    return ABSENT if math.isnan(value) else f"{value:.{digits}f}"


def best_cells(means: pd.DataFrame) -> pd.DataFrame:
    """True where a number is its row's best; equals are all best, a single column never is, nor is NaN.

    More is better, but for border distances and shares of bad films. A score of 0.00 is no merit: no cell of such
    a row is best.
    """
    # Equal as printed: Python rounds a float as its own format does, numpy by way of a multiplication.
    shortened = means.map(lambda value: round(float(value), 2))
    less = np.array([metric.startswith(_LESS) for metric, _ in means.index])
    best = shortened.max(axis=1).where(~less, shortened.min(axis=1))
    best = best.where((best > 0) | less)
    return shortened.eq(best, axis=0) & (means.shape[1] > 1)


def _averaged(results: Mapping[str, Sequence[Mapping]], organs: Sequence[str] | None) -> list[str]:
    """The organs of which averages are made: the same for all columns."""
    runs = [run for column in results.values() for run in column]
    absent = unshown(results, organs)
    return [organ for organ in organs or runs[0]["scored"] if organ not in absent]


def _over_runs(runs: Mapping[str, Sequence[pd.Series]]) -> Table:
    frames = {name: pd.DataFrame(list(found)) for name, found in runs.items()}
    order = list(dict.fromkeys(row for frame in frames.values() for row in frame.columns))
    means, spread = (pd.DataFrame({name: getattr(frame, kind)(skipna=False) for name, frame in frames.items()})
                     for kind in ("mean", "std"))  # a score that one run lacks is no mean over all of them
    return formatted(means.reindex(order), spread.reindex(order))
