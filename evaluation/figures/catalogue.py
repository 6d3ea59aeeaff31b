"""Which figures an experiment has, each with its caption; drawn when asked for."""

import dataclasses
from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from evaluation.figures.chart_figures import box_plots, measured_charts, training_curves
from evaluation.figures.film_figures import column_rows, comparison_rows, sample_sheet, stage_sheet
from evaluation.results import columns
from evaluation.results.experiment_folder import ExperimentFolder


@dataclasses.dataclass(frozen=True)
class ExperimentFigure:
    """A figure to be drawn.

    Attributes:
      name: of its files.
      caption: what it shows, one or two sentences.
      draw: makes it; see `evaluation.figures.style.save_figure`.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]


def experiment_figures(experiment: ExperimentFolder) -> list[ExperimentFigure]:
    """All figures that `experiment` has the files for, in reading order."""
    plain = [*_films(experiment), *_boxes(experiment), *_curves(experiment)]
    recipe = f" {experiment.recipe.capitalize()}." if experiment.recipe else ""
    return [*_synthetic(experiment),
            *(dataclasses.replace(figure, caption=figure.caption + recipe) for figure in plain)]


def _synthetic(experiment: ExperimentFolder) -> list[ExperimentFigure]:
    found = []
    for method in experiment.methods():
        store = experiment.synthetic(method)
        title = ", ".join(part for part in (method.title, experiment.choice) if part)
        found.append(ExperimentFigure(f"samples-{method.suffix}",
                                      f"{title}: synthetic label maps and their films.",
                                      partial(sample_sheet, store, title)))
        if any((store.path / "dots").glob("*.png")):  # three-stage sets keep them
            found.append(ExperimentFigure("stages", f"{title}: dots, the label map made from them, and its film.",
                                          partial(stage_sheet, store, title)))
    return found


def _films(experiment: ExperimentFolder) -> list[ExperimentFigure]:
    names = experiment.columns()
    films = experiment.pooled(names[0])["films"]
    choice = f"on {films} test {'film' if films == 1 else 'films'}" if films < 4 else (
        "on four test films: the two of lowest mean J, the middle one and the best")
    found = [ExperimentFigure("errors", f"Errors of every column {choice}{' over all columns' * (films > 3)}.",
                              partial(column_rows, experiment, names))]
    for name in names:
        found.append(ExperimentFigure(f"errors-{name}", f"{columns.title(name)} {choice}.",
                                      partial(comparison_rows, experiment, name)))
    return found


def _boxes(experiment: ExperimentFolder) -> list[ExperimentFigure]:
    names = experiment.columns()
    # SYNTH's spread would flatten the others
    kept = [name for name in names if columns.find(name).kind != "synth"]
    boxes = "quartiles, whiskers to 1.5 times their range, outliers as points"
    found = [ExperimentFigure("boxes", f"J of single test films: {boxes}.", partial(box_plots, experiment, names))]
    if 1 < len(kept) < len(names):  # of some, not all
        found.append(ExperimentFigure("boxes-finetuned", f"The same without the SYNTH columns: {boxes}.",
                                      partial(box_plots, experiment, kept)))
    return found


def _curves(experiment: ExperimentFolder) -> list[ExperimentFigure]:
    """Training curves: of each GAN stage by itself, and of all segmenters together."""
    logs, found = experiment.logs(), []
    for name, (title, unit) in columns.STAGES.items():
        if name in logs:
            # Out of the logs: what is left are segmenters.
            found.append((f"curves-{name}", f"Training of the GAN, {title}", {name: logs.pop(name)}, unit))
    found.append(("curves-segmenters", "Training of the segmenters", logs, "steps"))
    return [ExperimentFigure(name, f"{title}; large points mark the best values.",
                             partial(training_curves, runs, unit))
            for name, title, runs, unit in found if measured_charts(runs)]
