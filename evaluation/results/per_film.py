"""What a table of pooled scores does not say: how scores spread over films, and whether a difference is real."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from datasets.common.errors import UserError
from evaluation.metrics.overlap import jaccard, shown
from evaluation.results.safe_text import heading

LEAST_FILMS = 2  # for `compare`: a difference of one film has no spread
_COUNTS = ["tp", "fp", "fn"]
_MEASURES = {"j": "J", "dsc": "DSC", "hd95_mm": "HD95 (mm)", "assd_mm": "ASSD (mm)", "hd95_px": "HD95 (px)",
             "assd_px": "ASSD (px)"}


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

    J and DSC in percent, distances in their unit. Films where a score does not exist are left out and not
    counted. "Average" is the mean over the organs of a film, without those that no film shows.
    """
    parts = {}
    organs = list(dict.fromkeys(per_film["organ"]))
    for column, name in _MEASURES.items():
        if column in per_film:
            # `pivot` sorts organs by name
            wide = per_film.pivot(index="film", columns="organ", values=column)[organs]
            wide = 100 * wide if column in ("j", "dsc") else wide
            wide["average"] = wide[shown_organs(per_film, organs)].mean(axis=1)
            for organ in wide:
                parts[name, heading(organ)] = _spread(wide[organ].dropna())
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


@dataclasses.dataclass(frozen=True)
class Difference:
    """Two columns on the same films.

    Attributes:
      left, right: their names; the difference is left - right.
      films: how many there are.
      difference: of pooled J averaged over the organs that any film shows, in points of percent, as in the tables.
      low, high: its 95 % percentile bootstrap interval over films.
      median: of the films' own differences of mean J, in points.
      better, worse: films where left is above, or below, right.
      p_value: Wilcoxon's signed-rank test of the films' differences, two-sided; 1.0 where all are zero.
    """

    left: str
    right: str
    films: int
    difference: float
    low: float
    high: float
    median: float
    better: int
    worse: int
    p_value: float

    def describe(self) -> str:
        """One line for people."""
        return (f"{self.left} - {self.right}: {self.difference:+.2f} points of pooled mean J (95 % interval "
                f"{self.low:+.2f} to {self.high:+.2f}, bootstrap over {self.films} films); better on "
                f"{self.better}, worse on {self.worse} films, Wilcoxon p = {format_p(self.p_value)}")


def compare(left: pd.DataFrame, right: pd.DataFrame, organs: Sequence[str], names: tuple[str, str],
            resamples: int = 10000, seed: int = 0) -> Difference:
    """Compares two tables of `read_per_film` film by film.

    Films are drawn with replacement, the same for both sides; their counts are pooled as in the tables. The
    interval covers the choice of films, not that of the training seed.

    Args:
      organs: whose J is averaged.

    Raises UserError where the films differ, or there are fewer than two.
    """
    counts = [_counts(table, organs) for table in (left, right)]
    films = [set(table["film"]) for table in (left, right)]
    if films[0] != films[1] or len(films[0]) < LEAST_FILMS:
        raise UserError(f"{names[0]} and {names[1]}: found {len(films[0])} and {len(films[1])} films, "
                        f"{len(films[0] & films[1])} of them in both; expected the same two or more films")
    own = [film_scores(table, organs)["average"].sort_index() for table in (left, right)]
    differences = (own[0] - own[1]).to_numpy()
    pooled = _difference([side.sum(0) for side in counts])  # over all films, as the tables
    drawn = _resample(counts, resamples, seed)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    decided = differences[~np.isnan(differences)]  # NaN: no organ in either map
    p_value = stats.wilcoxon(decided).pvalue if np.any(decided != 0) else 1.0  # undefined for zeros alone
    return Difference(*names, len(differences), float(pooled), float(low), float(high),
                      float(np.median(decided)) if decided.size else 0.0, int(np.sum(decided > 0)),
                      int(np.sum(decided < 0)), float(p_value))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjustment for several tests, in the order given."""
    order = np.argsort(p_values)
    # The smallest p x n, the next x n - 1, ....
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)  # never below the one before it
    return adjusted.tolist()


def format_p(p_value: float) -> str:
    """Three decimals, or two figures below 0.001."""
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.1e}"


def _spread(values: pd.Series) -> dict[str, float]:
    quartiles = values.quantile([0.0, 0.25, 0.5, 0.75, 1.0])
    return {"films": len(values), "mean": values.mean(), "std": values.std(ddof=1),  # sample deviation
            **dict(zip(["min", "q1", "median", "q3", "max"], quartiles, strict=True))}


def _counts(table: pd.DataFrame, organs: Sequence[str]) -> np.ndarray:
    """int64 [films, organs, 3], films sorted by id."""
    missing = set(organs) - set(table["organ"])
    if missing:
        found = ", ".join(table["organ"].unique())
        raise UserError(f"organ {min(missing)!r} was not evaluated; there are {found}")
    films = sorted(table["film"].unique())
    index = pd.MultiIndex.from_product([films, organs])
    return table.set_index(["film", "organ"]).loc[index, _COUNTS].to_numpy().reshape(len(films), len(organs), 3)


def _resample(counts: Sequence[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Differences of pooled mean J in points, float64 [resamples]: how often each film is drawn x its counts."""
    films = len(counts[0])
    # [resamples, films]
    times = np.random.default_rng(seed).multinomial(films, np.full(films, 1 / films), resamples)
    # [resamples, films] x [films, organs 3] -> [resamples, organs, 3]
    drawn = [(times @ side.reshape(films, -1)).reshape(resamples, *side.shape[1:]) for side in counts]
    return _difference(drawn)


def _difference(counts: Sequence[np.ndarray]) -> np.ndarray:
    """Left minus right, mean J in points, of two arrays of counts [..., organs, 3].

    Films without an organ in their label maps say nothing of it; the others are averaged.
    """
    there = shown(counts[0])  # the label maps are those of both sides
    differences = np.where(there, jaccard(counts[0]) - jaccard(counts[1]), 0.0)
    return 100 * differences.sum(-1) / np.where(there.any(-1), there.sum(-1), np.nan)
