"""Checks a pair folder: every file, its size, its codes, and that they agree with one another.

    python -m tools.verify_dataset --data=data/mine

Prints one line for each problem (file, found, expected) and a summary; exits with 1 if there is any, warnings
apart.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors

_DATA = flags.DEFINE_string("data", None, "pair folder to check", required=True)


def main(argv) -> int:
    from datasets.pair_store import PairStore
    from datasets.verify import summarize, verify_store

    problems = warnings = 0
    for finding in verify_store(_DATA.value):
        problems, warnings = problems + (not finding.warning), warnings + finding.warning
        print(f"{'warning' if finding.warning else 'problem'}: {finding.text}", flush=True)
    print(summarize(PairStore(_DATA.value)))
    print(f"{problems} problems, {warnings} warnings" if problems or warnings else "no problems")
    return int(problems > 0)


if __name__ == "__main__":
    app.run(report_user_errors(main))
