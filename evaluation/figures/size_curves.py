"""How a score grows with the number of train films: a curve for each column, over draws of the films, and how many
films of a plain column a film with synthesis is worth."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from datasets.common import atomic_files
from datasets.common.errors import UserError
from evaluation.figures.style import COLUMN, PAGE, save_figure, style
from evaluation.results import columns
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.inference import interval, resample
from evaluation.results.per_film import counts_of
from evaluation.results.table_formats import Table, write_table
from evaluation.results.tables import ABSENT, AVERAGE, scores
from evaluation.results.write_tables import Results

REFERENCES = ("real", "real+augment")  # what films are counted in
_TEST = "Test films"

Points = dict[tuple[str, str], dict[int, np.ndarray]]  # set of films, column -> number of train films -> resamples


def results_by_films(folders: Sequence[str]) -> dict[int, Results]:
    """Number of train films -> the runs of it among `folders`, rising.

    Raises UserError for one number alone, and for runs that were scored on other organs or numbers of test films.
    """
    found: dict[int, list[str]] = {}
    for folder in folders:
        found.setdefault(len(ExperimentFolder(pathlib.Path(folder)).subset()["train"]), []).append(folder)
    if len(found) < 2:
        raise UserError(f"--results={','.join(folders)}: found runs of {', '.join(map(str, found))} train films, "
                        "expected two numbers or more")
    results = {films: Results(found[films]) for films in sorted(found)}
    first, *others = results.values()
    for other in others:
        if (set(other.scored), other.tested) != (set(first.scored), first.tested):
            ours, theirs = (f"{', '.join(one.scored)} on {one.tested} test films" for one in (other, first))
            raise UserError(f"{other.experiments[0].path}: scored {ours}, but {first.experiments[0].path} "
                            f"{theirs}; make curves of each")
    return results


def write_curves(folder: pathlib.Path, results: Mapping[int, Results], chosen: Sequence[str] = ()) -> list[Table]:
    """Writes curves.csv (a row for each set of films, number of train films, column and draw), points.csv (means
    and intervals), the tables films.* (means and deviations) and worth.* (see `worth_table`), and the figure
    curves.pdf and .png; returns the tables.

    Args:
      results: number of train films -> the draws of it, rising.
      chosen: columns; all without.

    Raises UserError for a column that no number has, and where recipes differ.
    """
    recipes = {found.recipe(): found.experiments[0].path for found in results.values()}
    if len(recipes) > 1:
        raise UserError(f"{' and '.join(map(str, recipes.values()))}: were made with different recipes; make "
                        "curves of each")
    first, *others = (found.experiments[0] for found in results.values())
    for other in others:
        other.refuse_other_changes(first)
    recipe, = recipes
    known = columns.in_order({name for found in results.values() for name in found.columns})
    if missing := [name for name in chosen if name not in known]:
        raise UserError(f"column {missing[0]!r} is in none of the results; there are {', '.join(known)}")
    values, points = mean_scores(results), resampled_scores(results)
    worth = worth_table(values, points, chosen or known)
    values = values[values["column"].isin(chosen or known)]
    table, drawn = size_table(values), size_figure(values, points)
    folder = atomic_files.make_folder(folder)
    atomic_files.write_text(folder / "curves.csv", values.round(4).to_csv(index=False))
    atomic_files.write_text(folder / "points.csv", _with_intervals(values, points).round(4).to_csv(index=False))
    draws = sorted({len(found.experiments) for found in results.values()})
    write_table(table, folder, "films", "Mean J in percent over the number of train films, mean ± standard "
                f"deviation of {' or '.join(map(str, draws))} draws. {recipe}".rstrip())
    write_table(worth, folder, "worth", "Mean J in percent with its 95 % interval (bootstrap over draws and "
                "films), and on how many films REAL, or REAL with augmentation, reaches the same: read off its "
                "curve, straight over the logarithm of the number. Beyond the curve's ends it is said so. "
                f"{recipe}".rstrip())
    save_figure(drawn, folder, "curves")
    return [table, worth]


def mean_scores(results: Mapping[int, Results]) -> pd.DataFrame:
    """A row for each set of films, number of train films, column and draw: `set`, `films`, `column`, `draw` (its
    folder's name), and `J` in percent, pooled over the films and averaged over the organs scored."""
    rows = [{"set": name, "films": films, "column": column, "draw": experiment.path.name,
             "J": scores(run)["J", AVERAGE]}
            for films, all_sets in results.items() for name, found in _sets(all_sets).items()
            for column in found.columns
            for experiment, run in zip(found.experiments, found.pooled[column], strict=True)]
    return pd.DataFrame(rows)


def resampled_scores(results: Mapping[int, Results]) -> Points:
    """The bootstrap's mean J of every point; paired over columns and, where draws are as many, over numbers."""
    points: Points = {}
    for films, all_sets in results.items():
        for name, found in _sets(all_sets).items():
            for column in found.columns:
                draws = [counts_of(table, found.scored) for table in found.per_film_of_runs(column)]
                points.setdefault((name, column), {})[films] = resample(draws)
    return points


def size_table(values: pd.DataFrame) -> Table:
    """Columns down, block by block of the sets of films, numbers of train films across."""
    grouped = values.groupby(["set", "column", "films"])["J"]
    means, deviations = grouped.mean().unstack(), grouped.std(ddof=1).unstack()
    keys = [(name, column) for name in values["set"].unique() for column in columns.in_order(
        values.loc[values["set"] == name, "column"].unique())]
    index = pd.MultiIndex.from_tuples([(name, columns.title(column)) for name, column in keys])
    heads = pd.MultiIndex.from_tuples([("Train films", str(films)) for films in means.columns])

    def text(frame: pd.DataFrame, missing: str) -> pd.DataFrame:
        cells = [[missing if np.isnan(value) else f"{value:.2f}" for value in frame.loc[key]] for key in keys]
        return pd.DataFrame(cells, index, heads)

    spread = text(deviations, "")
    return Table(text(means, ABSENT), spread if spread.to_numpy().any() else None)


def worth_table(values: pd.DataFrame, points: Points, chosen: Sequence[str]) -> Table:
    """For each set of films, chosen column and number of train films: J, its interval, and what it is worth: the
    number of films on which each of REFERENCES reaches the same J, with its interval."""
    rows, means = [], values.groupby(["set", "column", "films"])["J"].mean()
    for name, column in [key for key in points if key[1] in chosen]:
        for films, drawn in points[name, column].items():
            low, high = interval(drawn)
            row = {("", "Films scored"): name, ("", "Column"): columns.title(column),
                   ("", "Train films"): str(films), ("Mean J", "Mean"): f"{means[name, column, films]:.2f}",
                   ("Mean J", "95 % interval"): f"{low:.2f} to {high:.2f}"}
            for reference in REFERENCES:
                curve = points.get((name, reference), {})
                if len(curve) > 1:
                    said = ABSENT if column == reference else _said_worth(
                        means[name, column, films], drawn, means[name, reference], curve)
                    row["Worth films of", columns.title(reference)] = said
            rows.append(row)
    return Table(pd.DataFrame(rows).fillna(ABSENT))


def worth(score: np.ndarray, films: Sequence[int], curve: np.ndarray) -> np.ndarray:
    """The number of films on which a curve reaches a score: float64 [N]; -inf below its first point, inf above all
    points.

    Between points it is straight over the logarithm of the number; where it falls, the first number counts.

    Args:
      score: float64 [N].
      films: numbers, rising.
      curve: their scores, float64 [numbers, N].
    """
    rising, logs = np.maximum.accumulate(curve), np.log(films)
    place = np.argmax(rising >= score, axis=0)  # of the first point that reaches it
    before, each = np.maximum(place - 1, 0), np.arange(len(score))
    low, high = rising[before, each], rising[place, each]
    share = np.divide(score - low, high - low, out=np.ones(len(score)), where=high > low)
    found = np.exp(logs[before] + share * (logs[place] - logs[before]))
    found = np.where(score < rising[0], -np.inf, found)
    return np.where(score > rising[-1], np.inf, found)


def _said_worth(score: float, drawn: np.ndarray, means: pd.Series, curve: Mapping[int, np.ndarray]) -> str:
    films = [number for number in means.index if number in curve]
    value = worth(np.array([score]), films, means[films].to_numpy()[:, None])[0]
    spread = worth(drawn, films, np.stack([curve[number] for number in films]))
    low, high = np.quantile(spread[~np.isnan(drawn)], [0.025, 0.975], method="nearest")  # some may be infinite

    def said(number: float) -> str:
        if np.isinf(number):
            return f"more than {films[-1]}" if number > 0 else f"fewer than {films[0]}"
        return f"{number:.0f}"

    beyond = np.isinf(value) and value == low == high
    return said(value) if beyond else f"{said(value)} ({said(low)} to {said(high)})"


def _with_intervals(values: pd.DataFrame, points: Points) -> pd.DataFrame:
    """A row for each set, number of films and column: `J`, `draws`, and the interval's `low` and `high`."""
    grouped = values.groupby(["set", "films", "column"])["J"]
    table = grouped.agg(J="mean", draws="count").reset_index()
    ends = [interval(points[name, column][films])
            for name, films, column in table[["set", "films", "column"]].itertuples(index=False)]
    return table.assign(low=[low for low, _ in ends], high=[high for _, high in ends])


def size_figure(values: pd.DataFrame, points: Points) -> Figure:
    """A panel for each set of films: a line for each column through the means over draws, with 95 % intervals."""
    table, sets = _with_intervals(values, points), list(values["set"].unique())
    with style():
        width = COLUMN if len(sets) == 1 else PAGE
        figure = Figure(figsize=(width, 0.85 * COLUMN * -(-len(sets) // 2)), layout="constrained")
        axes = figure.subplots(-(-len(sets) // 2), min(2, len(sets)), squeeze=False).ravel()
        for axis, name in zip(axes, sets, strict=False):
            for column in columns.in_order(table.loc[table["set"] == name, "column"].unique()):
                found = table[(table["set"] == name) & (table["column"] == column)].sort_values("films")
                look = columns.find(column)
                ends = [(found["J"] - found["low"]).clip(lower=0), (found["high"] - found["J"]).clip(lower=0)]
                axis.errorbar(found["films"], found["J"], ends, label=columns.title(column), color=look.colour,
                              linestyle=look.look.line, marker="o", markersize=2.5, capsize=1.5, elinewidth=0.6)
            sizes = sorted(table.loc[table["set"] == name, "films"].unique())
            axis.set_xscale("log")
            axis.set_xticks(sizes, [str(size) for size in sizes])
            axis.minorticks_off()
            axis.set_title(name if len(sets) > 1 else "")
            axis.set_xlabel("train films")
            axis.set_ylabel("mean J, percent")
        axes[0].legend(fontsize=5.5, frameon=False, handlelength=4)
        for axis in axes[len(sets):]:
            axis.remove()
    return figure


def _sets(results: Results) -> dict[str, Results]:
    return {_TEST: results, **results.externals}
