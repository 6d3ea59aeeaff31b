r"""Writes the synthetic set of a finished experiment for others, with its papers: all of it or nothing.

    python -m tools.publish_dataset RUN --method=three --license=cc-by-4.0 --out=published

Pairs that are flagged as copies of a training film are left out, and films nearly the same as an earlier one.
--out holds the rest as a pair folder and in nnU-Net's format, a dataset card (README.md), a sheet of random pairs,
figures.json and SHA256SUMS. Nothing of a real film is in it.

A set of which a figure misses its threshold, or is not known, is not written: a line says which figure, its value
and the threshold. --anyway writes it, and these lines into its card. Thresholds, why these, and the file of
figures measured elsewhere (RUN/synthetic-3/privacy.json) are in evaluation/synthetic/fit_to_share.py.

--internal=FOLDER also writes, for those who may see them, sheets of the nearest pairs beside their training films,
and what was left out and why. FOLDER may not lie in --out.
"""

import os
import pathlib
import shlex
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import INTERNAL, PUBLISHED, check_output
from datasets.subsets import refuse_existing
from evaluation.cards.parts import FILL_IN, LICENSE
from evaluation.results.columns import METHODS, method_named

_METHOD = flags.DEFINE_enum("method", "three", [method.name for method in METHODS], "whose pairs are published")
_OUT = flags.DEFINE_string("out", None, "new folder to write", required=True)
_LICENSE = flags.DEFINE_string("license", None, "licence of the set as the Hub spells it, as cc-by-4.0; without "
                               "it the card has a placeholder, and the set is not called fit to share")
_NAME = flags.DEFINE_string("name", None, "what the set is called (default: as its description says)")
_FIGURES = flags.DEFINE_string("figures", None, "JSON file of figures measured elsewhere (default: privacy.json "
                               "beside the set as made, where there is one)")
_WITHOUT_BOXES = flags.DEFINE_bool("without_boxes", False, "leave out films with a burnt-in rectangle, such as "
                                   "covers a name")
_ANYWAY = flags.DEFINE_bool("anyway", False, "write a set that is not fit to share too; its card says why")
_INTERNAL = flags.DEFINE_string("internal", None, "also write sheets that show training films, to this folder; "
                                "never to be published")
_DATASET_ID = flags.DEFINE_integer("dataset_id", 501, "NNN of nnU-Net's folder", lower_bound=1, upper_bound=999)

flags.FLAGS.set_gnu_getopt(True)  # options may follow the run


def main(argv) -> int:
    if len(argv) != 2:
        raise UserError("name one run: python -m tools.publish_dataset RUN --method=three --out=DIR")
    if _LICENSE.value is not None and not LICENSE.fullmatch(_LICENSE.value):
        raise UserError(f"--license={_LICENSE.value}: expected a licence as the Hub spells it, as cc-by-4.0")
    if _FIGURES.value is not None and not os.path.isfile(_FIGURES.value):
        raise UserError(f"--figures={_FIGURES.value}: no such file")
    check_output(_OUT.value, PUBLISHED, [argv[1]])
    refuse_existing(_OUT.value)
    if _INTERNAL.value is not None:
        check_output(_INTERNAL.value, INTERNAL, [argv[1]])
        out, internal = (pathlib.Path(os.path.realpath(path)) for path in (_OUT.value, _INTERNAL.value))
        if out == internal or out in internal.parents or internal in out.parents:
            raise UserError(f"--internal={_INTERNAL.value}: shows patients' films; choose a folder apart from "
                            f"--out={_OUT.value}")
    return _publish(argv[1])


def _publish(path: str) -> int:
    from evaluation.results.experiment_folder import ExperimentFolder
    from tools.publish.published_set import NotFitError, Options, publish

    words = [f"--{flag.name}={flag.value}" for flag in (_METHOD, _LICENSE, _NAME) if flag.value]
    words += [f"--{flag.name}" for flag in (_WITHOUT_BOXES, _ANYWAY) if flag.value]
    options = Options(
        method_named(_METHOD.value), _LICENSE.value or FILL_IN, _NAME.value or "",
        pathlib.Path(_FIGURES.value) if _FIGURES.value else None, _WITHOUT_BOXES.value, _ANYWAY.value,
        pathlib.Path(_INTERNAL.value) if _INTERNAL.value else None, _DATASET_ID.value,
        shlex.join(["python", "-m", "tools.publish_dataset", "RUN", *words, "--out=OUT"]))
    run = ExperimentFolder(pathlib.Path(path))
    try:
        chosen, lacks = publish(run, pathlib.Path(_OUT.value), options)
    except NotFitError as error:
        for line in error.args:
            print(f"not fit to share: {line}", file=sys.stderr)
        print("error: nothing is written; mend these, or --anyway writes the set with these lines in its card",
              file=sys.stderr)
        return 1
    print(f"{_OUT.value}: {len(chosen.kept):,} pairs and their card"
          + (f"; NOT called fit to share: its card has {len(lacks)} reasons" if lacks else
             ", fit to share by its figures (its card says whose intervals reach beyond the thresholds)"))
    return 0


if __name__ == "__main__":
    app.run(report_user_errors(main, arguments=True))
