r"""Writes an experiment's tables: the paper's Table 1 or 2, per-film results, and on demand organs and Table 3.

    python -m evaluation.make_tables --results=runs/full --out=runs/full/tables --organs --table3
    python -m evaluation.make_tables --results=runs/seed0,runs/seed1,runs/seed2 --out=runs/tables

Several folders are runs (seeds) of one configuration: cells are then mean ± standard deviation. Folders with
different columns are refused; with --shared, columns that not all have are left out. Each table is written as .md,
.csv, .tex (booktabs, multirow) and .html:

    table1 (FULL) or table2 (TINY)  J and DSC of the scored organs, pixels pooled, best of each row bold
    table1-organs                   --organs: all organs evaluated, HD95, ASSD and surface Dice in mm (pixels if
                                    unknown), the worst tenth of films, the share under J 0.7
    table3                          --table3: published results on SCR beside the best column
    differences                     every column against REAL: bootstrap interval, Wilcoxon p
    comparisons                     those named before the run (evaluation/results/comparisons.py): interval, p
                                    after Holm, equivalence, a verdict: better, worse, alike or undecided
    per_film.csv                    all measures of every film, organ, column and run
    per_film_summary.csv            mean, std and quartiles over films
    hardest.csv                     the 20 films of lowest J

Films of elsewhere on which columns were scored (--external of tools.run_experiment) stand in blocks of rows of
their own. --external=STORE[,NAME] here scores on such a folder what is not yet, into the folders of --results.
"""

import pathlib
import sys
from collections.abc import Sequence

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import RESULTS, check_output
from datasets.external import read_externals

_RESULTS = flags.DEFINE_list("results", None, "folders of tools.run_experiment", required=True)
_OUT = flags.DEFINE_string("out", None, "folder of the tables", required=True)
_EXTERNAL = flags.DEFINE_multi_string("external", [], "STORE[,NAME]: a pair folder of elsewhere on which columns "
                                      "are scored too, where they are not; may be given several times")
_EXTERNAL_CLASSES = flags.DEFINE_list("external_classes", [], "which of its classes are which of ours, as "
                                      "'lungs=left lung+right lung'")
_ORGANS = flags.DEFINE_bool("organs", False, "add a table of all evaluated organs with border distances")
_SHARED = flags.DEFINE_bool("shared", False, "of folders with different columns, those that all of them have")
_TABLE3 = flags.DEFINE_bool("table3", False, "add the paper's Table 3 with the best column beside it")


def main(argv: Sequence[str]) -> None:
    del argv
    externals = read_externals(_EXTERNAL.value, _EXTERNAL_CLASSES.value)
    check_output(_OUT.value, RESULTS, [external.path for external in externals], _RESULTS.value)
    from evaluation.results.table_formats import markdown
    from evaluation.results.write_tables import Results, write_results

    if externals:
        from evaluation.segmenter.external import score_columns  # starts TensorFlow

        score_columns(_RESULTS.value, externals)
    results = Results(_RESULTS.value, shared=_SHARED.value)
    names = write_results(results, pathlib.Path(_OUT.value), _ORGANS.value, _TABLE3.value)
    print(f"{results.caption()}\n\n{markdown(results.main_table())}")
    print(f"{_OUT.value}: {', '.join(names)}")
    for name, reason in results.without().items():
        print(f"left out: {name}: {reason}")


if __name__ == "__main__":
    app.run(report_user_errors(main))
