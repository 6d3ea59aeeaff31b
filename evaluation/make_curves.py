r"""Draws how scores grow with the number of train films, and tells what synthesis is worth in films.

    python -m evaluation.make_curves --results=RUN/films-5/seed-0,RUN/films-11/seed-0,... --out=CURVES \
        --columns=real,real+augment,finetune-3

Folders with the same number of train films are draws of it (they may be more of one number than of another); those
of tools.run_experiment's plans are drawn into RUN/curves by themselves.

    curves.pdf, .png    mean J over the number of films, a line for each column, with 95 % bootstrap intervals, a
                        panel for each external set of films
    films.*             the same as a table, mean ± standard deviation over draws
    worth.*             J with its interval, and on how many films REAL (and REAL with augmentation) is as good:
                        read off their curves, and said to be beyond them where it is
    curves.csv, points.csv   all numbers: of single draws, and means with intervals
"""

import pathlib
import sys
from collections.abc import Sequence

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import RESULTS, check_output

_RESULTS = flags.DEFINE_list("results", None, "folders of tools.run_experiment", required=True)
_OUT = flags.DEFINE_string("out", None, "folder of the curves", required=True)
_COLUMNS = flags.DEFINE_list("columns", [], "which columns; default: all")


def main(argv: Sequence[str]) -> None:
    del argv
    check_output(_OUT.value, RESULTS, beside=_RESULTS.value)
    from evaluation.figures.size_curves import results_by_films, write_curves
    from evaluation.results.table_formats import markdown

    tables = write_curves(pathlib.Path(_OUT.value), results_by_films(_RESULTS.value), _COLUMNS.value)
    print("\n".join([*map(markdown, tables), f"{_OUT.value}/curves.png"]))


if __name__ == "__main__":
    app.run(report_user_errors(main))
