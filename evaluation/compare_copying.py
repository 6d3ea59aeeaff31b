r"""Lays how much synthetic sets copy beside how useful they are: a row for each set of each experiment.

    python -m evaluation.compare_copying --results=RUN,RUN-WARPED,RUN-AUGMENTED --out=OUT

Reads what the experiments' folders hold: copies.csv of each set (tools.run_experiment writes it, of older runs
evaluation.evaluate_memorization --mark does), the membership figures of evaluation.evaluate_membership, and the
pooled mean J of real films and of the columns that were trained on the set. Writes copying.csv and copying.md to
--out. Runs that differ in one option show what it changes; look at several seeds of each.
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
_OUT = flags.DEFINE_string("out", None, "folder of the results", required=True)


def main(argv: Sequence[str]) -> None:
    del argv
    check_output(_OUT.value, RESULTS, [], _RESULTS.value)
    from datasets.common import atomic_files
    from evaluation.privacy.copying import copying_rows
    from evaluation.privacy.tables import copying_table
    from evaluation.results.experiment_folder import ExperimentFolder

    rows = copying_rows([ExperimentFolder(pathlib.Path(path)) for path in _RESULTS.value])
    text, out = copying_table(rows), atomic_files.make_folder(_OUT.value)
    atomic_files.write_text(out / "copying.csv", rows.round(4).to_csv(index=False))
    atomic_files.write_text(out / "copying.md", text)
    print(text)


if __name__ == "__main__":
    app.run(report_user_errors(main))
