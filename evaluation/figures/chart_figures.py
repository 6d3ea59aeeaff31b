"""Charts of an experiment: training curves, and how scores spread over films."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from evaluation.figures.style import PAGE, style
from evaluation.results.experiment_folder import COLUMNS, ExperimentFolder
from evaluation.results.tables import heading

# Okabe and Ito's colours, one per method; line styles and hatches tell SYNTH, FINETUNE and MIX apart
# without colour.
_METHODS = {"": "#000000", "1": "#D55E00", "2": "#0072B2", "3": "#009E73", "shape": "#CC79A7"}
_STYLES = {"synth": "--", "mix": ":"}
_HATCHES = {"synth": "////", "mix": "...."}
_LINES = ("#000000", "#D55E00", "#0072B2", "#CC79A7", "#E69F00", "#009E73", "#56B4E9")
_STAGES = {"pairs": "single: label maps and films", "labels": "two: label maps", "dots": "three: dots",
           "dots_to_labels": "three: dots → label maps", "labels_to_film": "two, three: label maps → films"}
_LOSSES = {"d_loss": "critic", "g_loss": "generator", "d_real": "discriminator, real",
           "d_fake": "discriminator, made", "g_gan": "generator, GAN", "g_features": "feature matching",
           "g_vgg": "perceptual"}


def gan_curves(logs: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Losses of every GAN stage, and below them the sliced Wasserstein score where there is one; None without any.

    Args:
      logs: run -> its metrics, as `ExperimentFolder.logs` gives them.
    """
    runs = [name for name in _STAGES if name in logs and len(logs[name])]
    if not runs:
        return None
    scored = [name for name in runs if "swd" in logs[name]]
    rows = 2 if scored else 1
    with style():
        figure = Figure(figsize=(PAGE, 1.6 * rows + 0.6), layout="constrained")
        axes = figure.subplots(rows, len(runs), squeeze=False, sharex="col")
        for place, name in enumerate(runs):
            _draw_losses(axes[0, place], logs[name])
            axes[0, place].set_title(_STAGES[name].replace(": ", ":\n"))
            if scored:
                _draw_score(axes[1, place], logs[name], "swd")
            axes[-1 if name in scored else 0, place].set_xlabel("images" if name in scored else "steps")
            axes[0, place].xaxis.set_tick_params(labelbottom=name not in scored)
        axes[0, 0].set_ylabel("loss")
        if scored:
            axes[1, runs.index(scored[0])].set_ylabel("SWD × 10³ (less is better)")
        handles = {text: line for axis in axes[0]
                   for line, text in zip(*axis.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=7, frameon=False,
                      handlelength=1.2, columnspacing=1.2)
    return figure


def segmenter_curves(logs: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Training loss and validation J of every column; None without any."""
    runs = [name for name in COLUMNS if name in logs and "loss" in logs[name]]
    if not runs:
        return None
    with style():
        figure = Figure(figsize=(PAGE, 2.3), layout="constrained")
        axes = figure.subplots(1, 2)
        for name in runs:
            group, number = name.partition("-")[::2]
            look = {"color": _METHODS.get(number, "#777777"), "linestyle": _STYLES.get(group, "-"),
                    "label": " ".join(heading(name)).strip(), "marker": ".", "markersize": 4}
            for axis, key, factor in ((axes[0], "loss", 1), (axes[1], "val_j", 100)):
                if key in logs[name]:
                    values = logs[name].dropna(subset=[key])
                    axis.plot(values["position"], factor * values[key], **look)
        axes[0].set(xlabel="steps", ylabel="training loss")
        _set_log(axes[0])
        axes[1].set(xlabel="steps", ylabel="validation J (%)")
        if not axes[1].lines:
            axes[1].set_axis_off()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def box_plots(experiment: ExperimentFolder, columns: Sequence[str] | None = None) -> Figure:
    """J of single films, a panel per scored organ and a box per column: quartiles, 1.5 x their range, outliers."""
    columns = list(columns or experiment.columns())
    organs = experiment.pooled(columns[0])["scored"]
    tables = {name: experiment.per_film(name) for name in columns}
    with style():
        figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
        axes = figure.subplots(1, len(organs), sharey=True, squeeze=False)[0]
        for axis, organ in zip(axes, organs, strict=True):
            values = [100 * tables[name].loc[tables[name]["organ"] == organ, "j"].dropna() for name in columns]
            _draw_boxes(axis, values, columns)
            axis.set_title(organ)
        axes[0].set_ylabel("J of a film (%)")
    return figure


def _draw_boxes(axis: Axes, values: Sequence[pd.Series], columns: Sequence[str]) -> None:
    thin = {"linewidth": 0.6}
    drawn = axis.boxplot([list(series) for series in values], widths=0.6, patch_artist=True, whiskerprops=thin,
                         capprops=thin, medianprops={"color": "black", "linewidth": 1.2},
                         flierprops={"marker": ".", "markersize": 3, "markeredgewidth": 0.5})
    for box, name in zip(drawn["boxes"], columns, strict=True):
        kind, _, number = name.partition("-")
        box.set(facecolor=_light(_METHODS.get(number, "#777777")), linewidth=0.6)
        box.set_hatch(_HATCHES.get(kind))
    axis.set_xticks(range(1, len(columns) + 1), [name.replace("-", " ").upper() for name in columns], rotation=60,
                    ha="right", rotation_mode="anchor")
    axis.grid(axis="y", linewidth=0.3, color="#BBBBBB")
    axis.set_axisbelow(True)


def _draw_losses(axis: Axes, log: pd.DataFrame) -> None:
    for colour, (key, label) in zip(_LINES, _LOSSES.items(), strict=True):
        if key in log:
            values = log.dropna(subset=[key])
            axis.plot(values["position"], values[key], color=colour, label=label)
    if "level" in log:
        _mark_levels(axis, log)
    else:
        _set_log(axis)


def _draw_score(axis: Axes, log: pd.DataFrame, key: str) -> None:
    if key not in log:
        axis.set_axis_off()
        return
    values = log.dropna(subset=[key])
    axis.plot(values["position"], values[key], color="#000000", marker=".")
    best = values.loc[values[key].idxmin()]
    axis.plot(best["position"], best[key], marker="o", color="#D55E00", markersize=5, linestyle="none")
    axis.set_ylim(0, 1.1 * values[key].max())


def _mark_levels(axis: Axes, log: pd.DataFrame) -> None:
    """A line where a resolution is full-grown, with its side in pixels."""
    levels = log.dropna(subset=["level"])
    for level in np.unique(np.floor(levels["level"])):
        reached = levels.loc[levels["level"] >= level, "position"].iloc[0]
        axis.axvline(reached, color="#BBBBBB", linewidth=0.6, zorder=0)
        axis.annotate(f" {2 ** int(level)} px", (reached, 1), xycoords=("data", "axes fraction"), fontsize=5,
                      rotation=90, va="top", ha="left", color="#777777")


def _set_log(axis: Axes) -> None:
    """A logarithmic vertical axis labelled 0.1, 0.2, 0.5, 1, 2, 5, ..."""
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""))


def _light(colour: str) -> tuple[float, ...]:
    """Half way to white."""
    return tuple(0.5 + int(colour[place:place + 2], 16) / 510 for place in (1, 3, 5))
