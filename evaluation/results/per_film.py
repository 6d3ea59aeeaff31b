"""What a table of pooled scores does not say: the scores of single films, and how they spread."""

import math
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from datasets.common.errors import UserError
from evaluation.metrics.overlap import shown
from evaluation.metrics.surface import METRICS, measure_names, measure_titles
from evaluation.results.safe_text import heading

LEAST_J = 70.0  # percent: an organ below it is not usable
_COUNTS = ["tp", "fp", "fn"]
_MEASURES = {"j": "J", "dsc": "DSC", **{measure_names(unit)[metric]: measure_titles(unit)[metric]
                                        for unit in ("mm", "px") for metric in METRICS}}
_IN_PERCENT = ("j", "dsc", "surface_dice")  # what their names begin with


def read_per_film(path: str | pathlib.Path) -> pd.DataFrame:
    """A per_film.csv as `evaluation.segmenter.evaluate` writes it: a row per film and organ.

    Raises UserError where it is something else, or a film lacks an organ that another has.
    """
    try:
        # An organ named "NA" is a name.
        table = pd.read_csv(path, dtype={"film": str, "organ": str}, keep_default_na=False, na_values=[""])
        table = table.astype(dict.fromkeys(_COUNTS, np.int64) | {"j": float, "dsc": float})
        if table.empty or table[["film", "organ"]].isna().to_numpy().any():
            raise ValueError("rows without film or organ")
        if table.duplicated(["film", "organ"]).any():
            raise ValueError("a film's organ stands there twice")
        if table.groupby("film")["organ"].agg(tuple).nunique() != 1:  # in one order too: the codes'
            raise ValueError("not every film has the same organs")
    except (OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read ({reason}); expected what evaluation.evaluate_segmentation "
                        "writes") from None
    return table


def merge_runs(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of `read_per_film` of several runs on the same films as one: counts summed, scores averaged.

    Raises UserError where films or organs differ.
    """
    if len(tables) == 1:
        return tables[0]
    keys = [set(zip(table["film"], table["organ"], strict=True)) for table in tables]
    if any(key != keys[0] for key in keys):
        raise UserError("runs of one column were evaluated on different films or organs; give runs on the same "
                        "data")  # one run: its columns stay
    means = dict.fromkeys(tables[0].columns.difference(["film", "organ", *_COUNTS]), "mean")
    grouped = pd.concat(tables).groupby(["film", "organ"], sort=False)
    return grouped.agg(dict.fromkeys(_COUNTS, "sum") | means).reset_index()


def summarize(per_film: pd.DataFrame) -> pd.DataFrame:
    """Spread over films by (metric, organ): films, mean, std, min, q1, median, q3, max.

    J, DSC and surface Dice in percent, distances in their unit. Films where a score does not exist are left out
    and not counted. "Average" is the mean over the organs of a film, without those that no film shows.
    """
    parts = {}
    organs = list(dict.fromkeys(per_film["organ"]))
    for column, name in _MEASURES.items():
        if column in per_film:
            # `pivot` sorts organs by name
            wide = per_film.pivot(index="film", columns="organ", values=column)[organs]
            wide = 100 * wide if column.startswith(_IN_PERCENT) else wide
            wide["average"] = wide[shown_organs(per_film, organs)].mean(axis=1)
            for organ in wide:
                parts[name, heading(organ)] = spread_of(wide[organ].dropna())
    table = pd.DataFrame(parts).T.rename_axis(["metric", "organ"])
    return table.astype({"films": int})


def film_scores(per_film: pd.DataFrame, organs: Sequence[str]) -> pd.DataFrame:
    """J in percent, a row per film and a column per organ, and their mean as "average".

    Organs that no film shows are left out of the mean.
    """
    wide = 100 * per_film.pivot(index="film", columns="organ", values="j")[list(organs)]
    wide["average"] = wide[shown_organs(per_film, organs)].mean(axis=1)
    return wide


def shown_organs(per_film: pd.DataFrame, organs: Sequence[str]) -> list[str]:
    """Those of `organs` that any film's label map has."""
    counts = per_film.groupby("organ")[_COUNTS].sum()
    return [organ for organ in organs if shown(counts.loc[organ].to_numpy())]


def hardest(scores: pd.DataFrame, count: int = 20) -> pd.DataFrame:
    """The `count` films of lowest score, lowest first, equals by name.

    Args:
      scores: a row per film, e.g. of `film_scores`; the last column is what ranks them, films without it last.
    """
    return scores.sort_values([scores.columns[-1], "film"]).head(count)


def film_rows(per_film: pd.DataFrame, organs: Sequence[str]) -> pd.Series:
    """What single films add to a table, by (metric, row): the worst tenth, and the share below LEAST_J."""
    found = film_scores(per_film, shown_organs(per_film, organs))
    return pd.Series({("Worst tenth", "Mean J"): worst_tenth(found),
                      (f"Under J {LEAST_J / 100:g}", "Films (%)"): share_below(found)})


def worst_tenth(scores: pd.DataFrame) -> float:
    """Mean over the tenth of films with the lowest "average" of `film_scores`, at least one; NaN without any."""
    averages = scores["average"].dropna().sort_values()
    return float(averages.head(math.ceil(len(averages) / 10)).mean())


def share_below(scores: pd.DataFrame) -> float:
    """Percentage of films of `film_scores` on which any organ has a J below LEAST_J."""
    return float(100 * (scores.drop(columns="average") < LEAST_J).any(axis=1).mean())


def counts_of(per_film: pd.DataFrame, organs: Sequence[str]) -> np.ndarray:
    """int64 [films, organs, 3], films sorted by id. Raises UserError for an organ that was not evaluated."""
    missing = set(organs) - set(per_film["organ"])
    if missing:
        found = ", ".join(per_film["organ"].unique())
        raise UserError(f"organ {min(missing)!r} was not evaluated; there are {found}")
    films = sorted(per_film["film"].unique())
    index = pd.MultiIndex.from_product([films, organs])
    return per_film.set_index(["film", "organ"]).loc[index, _COUNTS].to_numpy().reshape(len(films), len(organs), 3)


def spread_of(values: pd.Series) -> dict[str, float]:
    """Number ("films"), mean, std, min, q1, median, q3 and max of one value a film."""
    quartiles = values.quantile([0.0, 0.25, 0.5, 0.75, 1.0])
    return {"films": len(values), "mean": values.mean(), "std": values.std(ddof=1),  # sample deviation
            **dict(zip(["min", "q1", "median", "q3", "max"], quartiles, strict=True))}
