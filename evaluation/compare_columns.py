r"""Tests whether one column of an experiment is better than another, film by film.

    python -m evaluation.compare_columns --results=runs/tiny --left=finetune-3 --right=real

Prints the difference of pooled mean J (over the scored organs that a test film shows, as in the tables) with its
95 % bootstrap interval over films and the p-value of Wilcoxon's signed-rank test. Without --left, all columns are
compared with --right, p-values also after Holm's adjustment. Several folders in --results are runs
(seeds) of one configuration; their counts are pooled.
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
_SEED = flags.DEFINE_integer("seed", 0, "of the bootstrap", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    del argv
    from evaluation.results.per_film import format_p, holm
    from evaluation.results.tables import left_out
    from evaluation.results.write_tables import Results

    results = Results(_RESULTS.value)
    found = results.differences(_RIGHT.value, _LEFT.value or None, _SEED.value)
    adjusted = holm([difference.p_value for difference in found])
    for difference, p_value in zip(found, adjusted, strict=True):
        after = f", {format_p(p_value)} after Holm" if len(found) > 1 else ""
        print(difference.describe() + after)
    if note := left_out(results.pooled):
        print(note)


if __name__ == "__main__":
    app.run(report_user_errors(main))
