"""How a score grows with the number of train films: a curve for each column, over draws of the films."""

import pathlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from datasets.common import atomic_files
from evaluation.figures.style import COLUMN, save_figure, style
from evaluation.results import columns
from evaluation.results.table_formats import Table, write_table
from evaluation.results.tables import AVERAGE, scores
from evaluation.results.write_tables import Results


def write_curves(folder: pathlib.Path, results: Mapping[int, Results]) -> Table:
    """Writes curves.csv (a row for each number of films, column and draw), the table films.* of their means and
    deviations, and the figure curves.pdf and .png; returns the table.

    Args:
      results: number of train films -> the draws of it.
    """
    values = mean_scores(results)
    table, drawn = size_table(values), size_figure(values)
    atomic_files.write_text(folder / "curves.csv", values.round(4).to_csv(index=False))
    write_table(table, folder, "films", "Mean J in percent over the number of train films, mean ± standard "
                f"deviation of {values['draw'].nunique()} draws.")
    save_figure(drawn, folder, "curves")
    return table


def mean_scores(results: Mapping[int, Results]) -> pd.DataFrame:
    """A row for each number of films, column and draw: `films`, `column`, `draw` (its folder's name), and `J` in
    percent, pooled over the test films and averaged over the organs scored."""
    rows = [{"films": films, "column": column, "draw": experiment.path.name,
             "J": scores(run)["J", AVERAGE]}
            for films, found in sorted(results.items()) for column in found.columns
            for experiment, run in zip(found.experiments, found.pooled[column], strict=True)]
    return pd.DataFrame(rows)


def size_table(values: pd.DataFrame) -> Table:
    """Columns down, numbers of films across."""
    names = columns.in_order(values["column"].unique())
    grouped = values.groupby(["column", "films"])["J"]
    means, deviations = grouped.mean().unstack(), grouped.std(ddof=1).unstack()
    index = pd.MultiIndex.from_tuples([columns.heading(name) for name in names])
    heads = pd.MultiIndex.from_tuples([("Train films", str(films)) for films in means.columns])

    def text(frame: pd.DataFrame, missing: str) -> pd.DataFrame:
        cells = [[missing if np.isnan(value) else f"{value:.2f}" for value in frame.loc[name]] for name in names]
        return pd.DataFrame(cells, index, heads)

    spread = text(deviations, "")
    return Table(text(means, "–"), spread if spread.to_numpy().any() else None)


def size_figure(values: pd.DataFrame) -> Figure:
    """A line for each column, through the means over draws, with bars of a standard deviation."""
    with style():
        figure = Figure(figsize=(COLUMN, 0.85 * COLUMN), layout="constrained")
        axis = figure.add_subplot()
        for name in columns.in_order(values["column"].unique()):
            column = columns.find(name)
            found = values[values["column"] == name].groupby("films")["J"]
            deviation = found.std(ddof=1).fillna(0.0)
            axis.errorbar(deviation.index, found.mean(), deviation, label=columns.title(name), color=column.colour,
                          linestyle=column.look.line, marker="o", markersize=2.5, capsize=1.5, elinewidth=0.6)
        sizes = sorted(values["films"].unique())
        axis.set_xscale("log")
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.set_xlabel("train films")
        axis.set_ylabel("mean J, percent")
        axis.legend(fontsize=5.5, frameon=False)
    return figure
