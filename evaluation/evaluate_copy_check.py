r"""Measures the check for copies on planted ones: what it finds, and how often it flags other patients' films; and
how well name boxes and text that are burnt into films are found.

    python -m evaluation.evaluate_copy_check --data=data/jsrt-128 --out=runs/copy-check
    python -m evaluation.evaluate_copy_check --data=data/jsrt-128 --out=OUT --figures=RUN/synthetic-3/privacy.json

Copies of --films train films are hidden by shift, rotation, scaling, crop, mirror, gamma, blur, noise, all at
once, as one organ in another patient's film, as a label map with a new film, and in a blend with another patient's
film or with another of these, each in some strengths. Writes to --out: copy_check.csv and copy_check.md (a row for
each way), copy_check.json (the two figures that go onto a set's card, which --figures also adds to the file that
tools.publish_dataset reads), marks.csv and marks.md (boxes and text planted in the train films, whose own are
painted over).
"""

import pathlib
import sys
from collections.abc import Sequence

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import RESULTS, check_output
from datasets.pair_store import PairStore

_DATA = flags.DEFINE_string("data", None, "pair folder of real films; its train films are used", required=True)
_OUT = flags.DEFINE_string("out", None, "folder of the results", required=True)
_FILMS = flags.DEFINE_integer("films", 11, "train films that stand for those the networks saw", lower_bound=3)
_DRAWS = flags.DEFINE_integer("draws", 3, "draws of them", lower_bound=1)
_COUNT = flags.DEFINE_integer("count", 11, "films disguised in each way, at most, of each draw", lower_bound=1)
_FIGURES = flags.DEFINE_string("figures", None, "privacy.json of a synthetic set, to which the figures are added")


def main(argv: Sequence[str]) -> None:
    del argv
    from datasets.common import atomic_files
    from datasets.common.progress import show_progress
    from evaluation.privacy.copy_check import Options, headline, measure
    from evaluation.privacy.figures import add_figures
    from evaluation.privacy.planted_marks import measure_marks
    from evaluation.privacy.tables import copy_check_table, marks_table

    if _FIGURES.value is not None and not pathlib.Path(_FIGURES.value).parent.is_dir():
        raise UserError(f"--figures={_FIGURES.value}: no such folder; name a file beside the set's folder")
    check_output(_OUT.value, RESULTS, [_DATA.value])
    options = Options(_FILMS.value, _DRAWS.value, _COUNT.value)
    store = PairStore(_DATA.value)
    table = measure(store, options, show_progress)
    figures, of = headline(table), options.describe(store.description)
    text = copy_check_table(table, store.description.name, options)
    out = atomic_files.make_folder(_OUT.value)
    atomic_files.write_text(out / "copy_check.csv", table.round(4).to_csv(index=False))
    atomic_files.write_text(out / "copy_check.md", text)
    add_figures(out / "copy_check.json", figures, of)
    marks = measure_marks([store.image(id_) for id_ in store.films("train")])
    atomic_files.write_text(out / "marks.csv", marks.round(4).to_csv(index=False))
    atomic_files.write_text(out / "marks.md", marks_table(marks, store.description))
    if _FIGURES.value is not None:
        add_figures(_FIGURES.value, figures, of)
    print(f"{text}\n{marks_table(marks, store.description)}")


if __name__ == "__main__":
    app.run(report_user_errors(main))
