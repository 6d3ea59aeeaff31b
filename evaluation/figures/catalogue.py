"""Which figures an experiment has, each with its caption; drawn when asked for."""

import dataclasses
from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from evaluation.figures.chart_figures import box_plots, gan_curves, segmenter_curves
from evaluation.figures.film_figures import column_rows, comparison_rows, sample_sheet, stage_sheet
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.tables import GROUPS, heading


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
    return [*_synthetic(experiment), *_films(experiment), *_charts(experiment)]


def _synthetic(experiment: ExperimentFolder) -> list[ExperimentFigure]:
    found = []
    for number in experiment.methods():
        store = experiment.synthetic(number)
        title = ", ".join(part for part in (GROUPS[number], experiment.configuration) if part)
        found.append(ExperimentFigure(f"samples-{number}", f"{title}: synthetic label maps and their films.",
                                      partial(sample_sheet, store, title)))
        if any((store.path / "dots").glob("*.png")):
            found.append(ExperimentFigure("stages", f"{title}: dots, the label map made from them, and its film.",
                                          partial(stage_sheet, store, title)))
    return found


def _films(experiment: ExperimentFolder) -> list[ExperimentFigure]:
    columns = experiment.columns()
    choice = "on four test films: the two of lowest mean J, the middle one and the best"
    found = [ExperimentFigure("errors", f"Errors of every column {choice} over all columns.",
                              partial(column_rows, experiment, columns))]
    for name in columns:
        found.append(ExperimentFigure(f"errors-{name}", f"{' '.join(heading(name)).strip()} {choice}.",
                                      partial(comparison_rows, experiment, name)))
    return found


def _charts(experiment: ExperimentFolder) -> list[ExperimentFigure]:
    logs, columns = experiment.logs(), experiment.columns()
    kept = [name for name in columns if not name.startswith("synth")]
    boxes = "quartiles, whiskers to 1.5 times their range, outliers as points"
    found = [ExperimentFigure("boxes", f"J of single test films: {boxes}.", partial(box_plots, experiment))]
    if 1 < len(kept) < len(columns):
        found.append(ExperimentFigure("boxes-finetuned", f"The same without the SYNTH columns: {boxes}.",
                                      partial(box_plots, experiment, kept)))
    if gan_curves(logs):
        found.append(ExperimentFigure("gan-curves", "Losses of the GAN stages and, where measured, the sliced "
                                      "Wasserstein distance; the dot is its least value.",
                                      partial(gan_curves, logs)))
    if segmenter_curves(logs):
        found.append(ExperimentFigure("segmenter-curves", "Training loss of the segmenters, and J on the "
                                      "synthetic validation pairs.", partial(segmenter_curves, logs)))
    return found
