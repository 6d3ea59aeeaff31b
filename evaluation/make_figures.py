r"""Draws an experiment's figures as PDF and PNG, at the width of a journal's page or column.

    python -m evaluation.make_figures --results=runs/full --out=runs/full/figures

samples-K (label map and film of method K), stages (dots, label map, film), errors-COLUMN (film, gold, prediction,
errors), errors (all columns side by side), boxes (J of single films per organ), boxes-finetuned, curves-STAGE (how
a GAN was trained) and curves-segmenters. captions.md says what each shows.
"""

import pathlib
import sys
from collections.abc import Sequence

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import RESULTS, check_output

_RESULTS = flags.DEFINE_string("results", None, "folder of tools.run_experiment", required=True)
_OUT = flags.DEFINE_string("out", None, "folder of the figures", required=True)


def main(argv: Sequence[str]) -> None:
    del argv
    check_output(_OUT.value, RESULTS, beside=[_RESULTS.value])
    from datasets.common import atomic_files
    from evaluation.figures.catalogue import experiment_figures
    from evaluation.figures.style import save_figure
    from evaluation.results.experiment_folder import ExperimentFolder

    experiment = ExperimentFolder(pathlib.Path(_RESULTS.value))
    experiment.columns()
    figures = experiment_figures(experiment)
    out = atomic_files.make_folder(_OUT.value)
    captions = [f"- **{figure.name}**: {figure.caption}\n" for figure in figures]
    atomic_files.write_text(out / "captions.md", "".join(captions))  # first: it tells whose the folder is
    for figure in figures:
        save_figure(figure.draw(), out, figure.name)
        print(f"{out}/{figure.name}: {figure.caption}")


if __name__ == "__main__":
    app.run(report_user_errors(main))
