"""Charts: how a run's training went, and how scores spread over films."""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from evaluation.figures.style import PAGE, style
from evaluation.results import columns
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.per_film import shown_organs


class Chart(NamedTuple):
    """A panel of training curves."""

    title: str
    meaning: str
    metrics: tuple[str, ...]  # their names in the log
    best: str = ""  # "lowest" or "highest": the point that is marked


CHARTS = (
    Chart("Sliced Wasserstein distance × 10³", "snapshot to real pictures; lower is better", ("swd",), "lowest"),
    Chart("Valid samples", "share that passes the checks; higher is better", ("valid",), "highest"),
    Chart("Validation J", "pooled mean over organs; higher is better", ("val_j",), "highest"),
    Chart("Critic gap", "score of real minus made; near 0 it cannot tell", ("critic gap",)),
    Chart("Losses", "", ("d_loss", "g_loss", "penalty", "d_real", "d_fake", "g_gan", "g_features", "g_vgg",
                         "loss")),
    Chart("Accuracy", "share of training pixels labelled rightly", ("accuracy",)),
    Chart("Gradients", "norm of each network's gradient", ("d_gradient", "g_gradient", "gradient")),
    Chart("Growth", "log2 of the resolution, with the part faded in", ("level",)),
)
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's
_BOXES = 6  # panels of box plots side by side
_ACROSS, _PANEL = 3, 1.8  # panels side by side; inches of height of each, with its titles and numbers
_LEGEND = {"loc": "best", "fontsize": 5.5, "frameon": False, "handlelength": 1.8, "labelspacing": 0.2}

Row = dict[str, float]  # of a log, see evaluation.results.run_log
Line = tuple[list[float], list[float], dict]  # positions, values, matplotlib's look


def training_curves(logs: Mapping[str, Sequence[Row]], unit: str) -> Figure | None:
    """A panel for each of CHARTS that a run has values for; None without any.

    One run has a colour per metric; several have the colours and lines of their columns.

    Args:
      logs: run -> the rows of its log.
      unit: what positions count, "images" or "steps".
    """
    panels = measured_charts(logs)
    if not panels:
        return None
    several = len(logs) > 1
    rows = -(-(len(panels) + several) // _ACROSS)  # rounded up; one more for the legend
    with style():
        figure = Figure(figsize=(PAGE, _PANEL * rows))
        # Places in inches, not by a layout engine: a trainer draws this at every grid.
        # Left, bottom, right, top, gaps as shares of a panel.
        figure.subplots_adjust(0.06, 0.35 / (_PANEL * rows), 0.99, 1 - 0.35 / (_PANEL * rows), 0.25,
                               0.7 / (_PANEL - 0.7))
        axes = figure.subplots(rows, _ACROSS, squeeze=False).ravel()
        for axis in axes[len(panels):]:
            axis.set_axis_off()
        for axis, (chart, lines) in zip(axes, panels, strict=False):
            _draw_chart(axis, chart, lines, unit)
            if len(lines) > 1 and not several:
                axis.legend(**_LEGEND)
        if several:  # a panel of its own, since a run may lack what another has
            for run in logs:
                axes[len(panels)].plot([], **_run_look(run))
            axes[len(panels)].legend(ncols=1 + (len(logs) > 14), **_LEGEND)
    return figure


def measured_charts(logs: Mapping[str, Sequence[Row]]) -> list[tuple[Chart, list[Line]]]:
    """Those of CHARTS that `logs` have values for, with their lines."""
    return [(chart, lines) for chart in CHARTS if (lines := list(_lines(chart, logs)))]


def _lines(chart: Chart, logs: Mapping[str, Sequence[Row]]) -> Iterator[Line]:
    for run, rows in logs.items():
        for colour, metric in zip(2 * _COLOURS, chart.metrics, strict=False):  # twice: more metrics than colours
            points = [(row["position"], _value(row, metric)) for row in rows if math.isfinite(_value(row, metric))]
            if points:
                look = {"color": colour, "label": metric} if len(logs) == 1 else _run_look(run)
                yield *map(list, zip(*points, strict=True)), look


def _run_look(run: str) -> dict[str, str]:
    found = columns.find(run)
    return {"color": found.colour, "linestyle": found.look.line, "label": columns.title(run)}


def _value(row: Row, metric: str) -> float:
    if metric == "critic gap":
        return row.get("score_real", math.nan) - row.get("score_fake", math.nan)
    return row.get(metric, math.nan)


def _draw_chart(axis: Axes, chart: Chart, lines: Sequence[Line], unit: str) -> None:
    for positions, values, look in lines:
        axis.plot(positions, values, **look, linewidth=0.9, marker="." if len(values) < 20 else "", markersize=3)
        if chart.best:
            place = values.index(min(values) if chart.best == "lowest" else max(values))  # the first of equals
            axis.plot(positions[place], values[place], marker="o", color=look["color"], markersize=4)
    axis.set_title(chart.title, fontsize=7, pad=11)
    axis.text(0.5, 1.03, chart.meaning, fontsize=5.5, ha="center", transform=axis.transAxes, color="#555555")
    axis.set_xlabel(unit, labelpad=1, fontsize=6)
    axis.tick_params(labelsize=6)
    axis.xaxis.set_major_formatter(EngFormatter())
    if chart.title == "Losses" and all(min(values) > 0 for _, values, _ in lines):
        axis.set_yscale("log")  # labelled 0.1, 0.2, 0.5, 1, 2, 5, ..., or 0.1, 1, ... where these would crowd
        labelled = "25" if axis.get_ylim()[1] < 200 * axis.get_ylim()[0] else ""
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in labelled else "")


def box_plots(experiment: ExperimentFolder, names: Sequence[str]) -> Figure:
    """J of single films, a panel per scored organ and a box per column: quartiles, 1.5 x their range, outliers.

    Organs that no film shows have no panel, unless there would be none at all. Many organs stand in several rows,
    with a legend of the columns below.
    """
    tables = {name: experiment.per_film(name) for name in names}
    scored = experiment.pooled(names[0])["scored"]
    organs = shown_organs(tables[names[0]], scored) or scored
    with style():
        rows = -(-len(organs) // _BOXES)
        across = -(-len(organs) // rows)
        figure = Figure(figsize=(PAGE, 2.6 + 1.5 * (rows - 1)), layout="constrained")
        axes = figure.subplots(rows, across, sharey=True, squeeze=False)
        for axis in axes.ravel()[len(organs):]:
            axis.set_axis_off()
        for place, organ in enumerate(organs):
            axis = axes.ravel()[place]
            values = [100 * tables[name].loc[tables[name]["organ"] == organ, "j"].dropna() for name in names]
            _draw_boxes(axis, values, names)
            if rows > 1:  # in panels so narrow they would run into one another
                axis.tick_params(labelbottom=False)
            if len(organs) < 5:
                axis.set_title(organ)
            else:
                axis.set_title(textwrap.fill(organ, 16), fontsize=7)
        for axis in axes[:, 0]:
            axis.set_ylabel("J of a film (%)")
        if rows > 1:
            patches = [Patch(facecolor=_light(found.colour), hatch=found.look.hatch, edgecolor="black",
                             linewidth=0.6, label=columns.title(found.name)) for found in map(columns.find, names)]
            figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_boxes(axis: Axes, values: Sequence[pd.Series], names: Sequence[str]) -> None:
    thin = {"linewidth": 0.6}
    drawn = axis.boxplot([list(series) for series in values], widths=0.6, patch_artist=True, whiskerprops=thin,
                         capprops=thin, medianprops={"color": "black", "linewidth": 1.2},
                         flierprops={"marker": ".", "markersize": 3, "markeredgewidth": 0.5})
    for box, found in zip(drawn["boxes"], map(columns.find, names), strict=True):
        box.set(facecolor=_light(found.colour), linewidth=0.6)
        box.set_hatch(found.look.hatch)
    axis.set_xticks(range(1, len(names) + 1), list(map(columns.title, names)), rotation=60,
                    ha="right", rotation_mode="anchor")
    axis.grid(axis="y", linewidth=0.3, color="#BBBBBB")
    axis.set_axisbelow(True)


def _light(colour: str) -> tuple[float, ...]:
    """Half way to white."""
    # x / 255, half way to 1.
    return tuple(0.5 + int(colour[place:place + 2], 16) / 510 for place in (1, 3, 5))
