"""Blinded readers compare gold and predicted outlines of the hardest films, or tell real films from made ones.

    python -m tools.reader_study build --experiment=runs/demo --column=finetune-3 --out=study
    python -m tools.reader_study build --kind=real-or-synthetic --experiment=runs/demo --method=three --out=study
    python -m tools.reader_study report --key=study/keep/key.json --answers=FOLDER --out=study/report

`build` writes for-readers/reader-study.html, one page that works offline, from a file and on a phone, and
keep/key.json, which readers must not get. Instead of --experiment, --data (a pair folder) and --results (a folder
with per_film.csv and predictions/) name films and predictions of any origin. `report` joins the key with the
files that readers saved from the page: preferences, sign test, agreement and comments, as Markdown, CSV and LaTeX.

--kind=real-or-synthetic shows test films and synthetic ones that are not flagged as copies, half of each, one at a
time; with --data, --synthetic names their pair folder. Its report has accuracy with its interval, the shares of
synthetic and of real films that were found, and Fleiss' kappa.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import RESULTS, STUDY, check_output
from evaluation.results.columns import METHODS, method_named

_KIND = flags.DEFINE_enum("kind", "outlines", ["outlines", "real-or-synthetic"], "build: what readers are asked")
_EXPERIMENT = flags.DEFINE_string("experiment", None, "build: folder of an experiment (tools.run_experiment)")
_COLUMN = flags.DEFINE_string("column", None, "build: column of the table whose predictions are shown (default: "
                              "finetune-3); with --data a name alone (default: that of the folder of --results)")
_DATA = flags.DEFINE_string("data", None, "build: pair folder of the films, instead of --experiment")
_RESULTS = flags.DEFINE_string("results", None, "build: folder with per_film.csv and predictions/, with --data")
_METHOD = flags.DEFINE_enum("method", "three", [method.name for method in METHODS], "build: whose films are told "
                            "from real ones")
_SYNTHETIC = flags.DEFINE_string("synthetic", None, "build: pair folder of synthetic films, with --data")
_FILMS = flags.DEFINE_integer("films", 20, "build: how many films, those with the smallest mean J (paper: 20); of "
                              "real and synthetic ones together", lower_bound=1, upper_bound=100)
_SEED = flags.DEFINE_integer("seed", None, "build: draws the hidden order; without it nobody can guess the order. "
                                           "Kept in the key", lower_bound=0)
_SIDE = flags.DEFINE_integer("side", 768, "build: larger films are shown reduced to this side, in pixels",
                             lower_bound=64, upper_bound=2048)
_KEY = flags.DEFINE_string("key", None, "report: the key that build wrote")
_ANSWERS = flags.DEFINE_list("answers", [], "report: answer files, or a folder of them")
_OUT = flags.DEFINE_string("out", None, "folder of the results (required)")


def main(argv) -> None:
    command = argv[1] if len(argv) > 1 else ""
    if len(argv) > 2:
        raise UserError(f"unexpected argument {argv[2]!r}: options are written --name=value; see --help")
    if command not in ("build", "report"):
        raise UserError(f"found {command!r}, expected build or report: python -m tools.reader_study build "
                        "--experiment=RUN --out=FOLDER; see --help")
    if not _OUT.value:
        raise UserError(f"{command}: give --out=FOLDER, where the results go")
    if command == "build":
        build() if _KIND.value == "outlines" else build_realism()
    else:
        report()


def build() -> None:
    """Writes page and key."""
    from datasets.pair_store import PairStore
    from evaluation.reader_study.study import KEY, PAGE, Results, choose_films, find_results, write_study

    check_output(_OUT.value, STUDY, [_DATA.value, _RESULTS.value], beside=[_EXPERIMENT.value])
    if bool(_EXPERIMENT.value) == bool(_DATA.value) or bool(_DATA.value) != bool(_RESULTS.value):
        raise UserError("build: give either --experiment=RUN, or --data=STORE and --results=FOLDER")
    if _EXPERIMENT.value:
        results = find_results(_EXPERIMENT.value, _COLUMN.value or "finetune-3")
    else:
        folder = pathlib.Path(_RESULTS.value)
        results = Results(PairStore(_DATA.value), folder, _COLUMN.value or folder.resolve().name)
    films = choose_films(results, _FILMS.value)
    title = f"{results.store.description.name}, {results.column}"
    write_study(films, _OUT.value, title, _SEED.value, _SIDE.value)
    page = pathlib.Path(_OUT.value) / PAGE
    print(f"{len(films)} films of {title}, mean J {100 * films[0].mean_j:.2f} to {100 * films[-1].mean_j:.2f}")
    print(f"give to readers: {page} ({page.stat().st_size / 1e6:.1f} MB)")
    print(f"keep to yourself: {pathlib.Path(_OUT.value) / KEY}")


def build_realism() -> None:
    """Writes page and key of the study of real and synthetic films."""
    from datasets.pair_store import PairStore
    from evaluation.reader_study.realism_study import write_realism_study
    from evaluation.reader_study.study import KEY, PAGE
    from evaluation.results.experiment_folder import ExperimentFolder

    check_output(_OUT.value, STUDY, [_DATA.value, _SYNTHETIC.value], beside=[_EXPERIMENT.value])
    if bool(_EXPERIMENT.value) == bool(_DATA.value) or bool(_DATA.value) != bool(_SYNTHETIC.value):
        raise UserError("build: give either --experiment=RUN, or --data=STORE and --synthetic=STORE")
    if _EXPERIMENT.value:
        run = ExperimentFolder(pathlib.Path(_EXPERIMENT.value))
        real = PairStore(run.path / "data" / "gan-films")
        synthetic = run.synthetic(method_named(_METHOD.value))
    else:
        real, synthetic = PairStore(_DATA.value), PairStore(_SYNTHETIC.value)
    title = f"{real.description.name} and {synthetic.description.name}"
    write_realism_study(real, synthetic, _FILMS.value, _OUT.value, title, _SEED.value, _SIDE.value)
    out = pathlib.Path(_OUT.value)
    print(f"{_FILMS.value} films, half of them real: {title}")
    print(f"give to readers: {out / PAGE} ({(out / PAGE).stat().st_size / 1e6:.1f} MB)")
    print(f"keep to yourself: {out / KEY}")


def report() -> None:
    """Joins key and answers."""
    from evaluation.reader_study.key import TruthKey
    from evaluation.reader_study.realism_study import realism_answers, write_realism_answers
    from evaluation.reader_study.report import make_report, read_study, write_reader_report

    if not _KEY.value or not _ANSWERS.value:
        raise UserError("report: give --key=key.json and --answers=FILE,FILE or a folder of answer files")
    check_output(_OUT.value, RESULTS, [_KEY.value, *_ANSWERS.value])
    key, answers = read_study(_KEY.value, _ANSWERS.value)
    if isinstance(key, TruthKey):
        found = realism_answers(key, answers)
        write_realism_answers(found, _OUT.value)
    else:
        found = make_report(key, answers)
        write_reader_report(found, _OUT.value)
    print(found.to_markdown())
    print(f"tables: {_OUT.value}")


if __name__ == "__main__":
    flags.FLAGS.set_gnu_getopt(True)  # options after the command
    app.run(report_user_errors(main, arguments=True))
