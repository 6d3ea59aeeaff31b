r"""Tests whether one column of an experiment is better than another, film by film.

    python -m evaluation.compare_columns --results=runs/tiny --left=finetune-3 --right=real

Prints the difference of pooled mean J (over the scored organs that a test film shows, as in the tables) with its
95 % bootstrap interval over films, the p-value of Wilcoxon's signed-rank test, and a verdict: better or worse (the
bootstrap's p after Holm's adjustment over what is compared), alike (within 0.3 points, by two one-sided tests) or
undecided. Without --left, all columns are compared with --right. Several folders in --results are draws (seeds) of
one configuration: the bootstrap is then over draws and films (evaluation/results/inference.py).
--external=NAME compares on an external set of films in their place.

The comparisons that were named before the run stand in the table `comparisons` of evaluation.make_tables.
"""

import pathlib
import sys
from collections.abc import Sequence

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors

_RESULTS = flags.DEFINE_list("results", None, "folders of tools.run_experiment", required=True)
_LEFT = flags.DEFINE_list("left", [], "columns, e.g. finetune-3; default: all others")
_RIGHT = flags.DEFINE_string("right", "real", "column they are compared with")
_EXTERNAL = flags.DEFINE_string("external", None, "name of an external set of films, in place of the test films")
_SHARED = flags.DEFINE_bool("shared", False, "of folders with different columns, those that all of them have")
_SEED = flags.DEFINE_integer("seed", 0, "of the bootstrap", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    del argv
    from evaluation.results.comparisons import verdicts
    from evaluation.results.inference import format_p
    from evaluation.results.tables import left_out
    from evaluation.results.write_tables import Results

    results = Results(_RESULTS.value, _EXTERNAL.value or "", _SHARED.value)
    found = results.differences(_RIGHT.value, _LEFT.value or None, _SEED.value)
    for difference, verdict in zip(found, verdicts(found), strict=True):
        print(f"{difference.describe()}; {verdict.word} (different p = {format_p(verdict.p_different)}, alike p = "
              f"{format_p(verdict.p_equivalent)}{', after Holm' if len(found) > 1 else ''})")
    if note := left_out(results.pooled):
        print(note)


if __name__ == "__main__":
    app.run(report_user_errors(main))
