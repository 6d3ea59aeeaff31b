r"""Scores a trained segmenter, or label maps that any other one predicted, on the films of a pair folder.

    python -m evaluation.evaluate_segmentation --model=runs/a/real --data=data/jsrt_512 --out=runs/a/evaluate-real
    python -m evaluation.evaluate_segmentation --predictions=nnunet/predicted --data=data/mine --out=nnunet/scores
    python -m evaluation.evaluate_segmentation --predictions=nnunet/predicted --as=nnU-Net --out=runs/a

--model is a run folder of training.train_smanet or a .keras file. --predictions holds a label map for each film,
called as the film (ID.png, ID.nii.gz), in codes of all classes of --data (--codes=scored: of the scored ones in
their order; --remap=255:1 translates others). Maps of another size, but of the films' proportions, are brought to
it by nearest neighbour.

Writes to --out: predictions/ID.png (class codes), per_film.csv (counts, J, DSC and border distances of every film
and organ), summary.csv (their spread over films), hardest.csv (films of lowest J) and pooled.json (all films
together, which evaluation.make_tables reads). With --as=NAME --out is an experiment's folder, whose test films are
scored as its columns were, and the results become its column NAME in tables, figures and comparisons; the same
tools.run_experiment command writes its report anew. (A folder RUN/evaluate-COLUMN is a column of RUN's tables.)

--external=STORE[,NAME] in place of --data scores on the films of elsewhere (docs/outside.md), a --model in their
own geometry as tools.predict does, into OUT/external-NAME; with --as, it is the column's block of rows in the
experiment's tables, and --predictions are of these films in the experiment's codes.
"""

import pathlib
import sys
from collections.abc import Sequence

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import RESULTS, check_output
from datasets.external import read_externals
from datasets.manifest import SPLITS
from evaluation.results.columns import COLUMNS, NAME, is_own

_MODEL = flags.DEFINE_string("model", None, "run folder of train_smanet, or .keras file")
_PREDICTIONS = flags.DEFINE_string("predictions", None, "or a folder of label maps, named like the films")
_CODES = flags.DEFINE_enum("codes", "all", ["all", "scored"], "what the codes of --predictions mean: all classes "
                           "of the films, or the scored ones")
_REMAP = flags.DEFINE_list("remap", [], "codes of --predictions to codes, e.g. 255:1; others stay")
_DATA = flags.DEFINE_string("data", None, "pair folder of the films (default with --as: the experiment's)")
_SPLIT = flags.DEFINE_enum("split", "test", [*SPLITS, "all"], "which films of it")
_OUT = flags.DEFINE_string("out", None, "folder of the results, with --as of the experiment", required=True)
_AS = flags.DEFINE_string("as", None, "name of a column of the experiment's own tables, e.g. nnU-Net")
_EXTERNAL = flags.DEFINE_multi_string("external", [], "or STORE[,NAME]: a pair folder of elsewhere; may be given "
                                      "again")
_EXTERNAL_CLASSES = flags.DEFINE_list("external_classes", [], "which of its classes are which of ours, as "
                                      "'lungs=left lung+right lung'")
_WINDOW = flags.DEFINE_integer("window", None, "side of the sliding window in pixels; default: the crops' it was "
                               "trained on, for a .keras file the paper's 377", lower_bound=1)
_OVERLAP = flags.DEFINE_float("overlap", None, "share of a window that the next one covers too; default: the "
                              "run's, for a .keras file 1/3", 0.0, 0.95)
_CLASSES = flags.DEFINE_enum("classes", "", ["", "scored", "all"], "score the organs of the paper's tables, or "
                             "all; default: those the model knows, of --predictions the scored ones")


def main(argv: Sequence[str]) -> None:
    del argv
    if bool(_MODEL.value) == bool(_PREDICTIONS.value):  # both or neither
        raise UserError("give either --model=RUN or --predictions=DIR")
    if externals := read_externals(_EXTERNAL.value, _EXTERNAL_CLASSES.value):
        _score_externals(externals)
        return
    out = _results_folder()
    from datasets.common import atomic_files
    from evaluation.results.per_film import film_scores, hardest, summarize
    from evaluation.results.table_formats import markdown
    from evaluation.results.tables import comparison, left_out
    from evaluation.segmenter.evaluate import score_to_folder

    store, classes = _films()
    ids = store.ids(None if _SPLIT.value == "all" else _SPLIT.value)
    if not ids:
        raise UserError(f"{store.path}/manifest.csv: found no pair of split {_SPLIT.value}; choose another "
                        "--split")
    segment, scored = (_network if _MODEL.value else _label_maps)(store, ids, classes)
    out = atomic_files.make_folder(out)
    result = score_to_folder(segment, store, ids, out, scored)
    table = result.per_film()
    atomic_files.write_text(out / "summary.csv", summarize(table).round(4).to_csv())
    atomic_files.write_text(out / "hardest.csv", hardest(film_scores(table, result.scored)).round(4).to_csv())
    columns, organs = {_AS.value or "model": [result.to_json()]}, None if scored else result.organs
    print("\n".join(filter(None, [markdown(comparison(columns, organs)), left_out(columns, organs)])))


def _score_externals(externals) -> None:
    """Scores --model or --predictions on the films of elsewhere, into a folder for each."""
    from evaluation.results.table_formats import markdown
    from evaluation.results.tables import comparison, read_pooled
    from evaluation.segmenter.external import score_label_maps, score_model

    for flag in (_DATA, _WINDOW, _OVERLAP):
        if flag.value is not None:
            raise UserError(f"--{flag.name}={flag.value}: does not go with --external; leave one out")
    if _PREDICTIONS.value and not _AS.value:
        raise UserError("--predictions: found --external without --as=NAME, the column of the experiment in --out "
                        "whose classes they have")
    folders = [pathlib.Path(_results_folder(external)) for external in externals]
    films, classes = _films() if _AS.value else (None, _CLASSES.value)
    for external, folder in zip(externals, folders, strict=True):
        if _MODEL.value:
            score_model(_MODEL.value, external, folder, films, classes != "all")
        else:
            score_label_maps(_PREDICTIONS.value, external, folder, films, classes != "all", _CODES.value,
                             _REMAP.value)
        print(f"{folder}\n{markdown(comparison({_AS.value or 'model': [read_pooled(folder / 'pooled.json')]}))}")


def _results_folder(external=None) -> str:
    """--out, or with --as the column's folder in it; or the one in --out on an external set."""
    read = [_MODEL.value, _PREDICTIONS.value, external and external.path]
    if not _AS.value:
        if not _DATA.value and not external:
            raise UserError("give --data=STORE, --external=STORE, or --as=NAME to score an experiment's films")
        out = f"{_OUT.value}/external-{external.name}" if external else _OUT.value
        check_output(out, RESULTS, [*read, _DATA.value])
        return out
    if not NAME.fullmatch(_AS.value) or not is_own(_AS.value.casefold()):
        raise UserError(f"--as={_AS.value}: expected a name of letters, digits, '-', '_' and '+' that begins with "
                        "a letter, and none of the experiment's own columns "
                        f"({', '.join(column.name for column in COLUMNS)}, nor one of these with +unet)")
    if _SPLIT.value != "test":
        raise UserError(f"--split={_SPLIT.value}: a column is scored on the test films, found --as={_AS.value}; "
                        "leave one out")
    from evaluation.results.experiment_folder import results_name

    out = f"{_OUT.value}/{results_name(_AS.value, external.name if external else '')}"
    check_output(out, RESULTS, read, [_OUT.value])
    return out


def _films():
    """The films to score on, and which of their classes are scored, "" where that is free."""
    from datasets.pair_store import PairStore
    from evaluation.results.experiment_folder import ExperimentFolder

    if not _AS.value:
        return PairStore(_DATA.value), _CLASSES.value
    experiment = ExperimentFolder(pathlib.Path(_OUT.value))
    store = experiment.films()
    if _DATA.value and PairStore(_DATA.value).fingerprint() != store.fingerprint():
        raise UserError(f"--data={_DATA.value}: found other films than the experiment's in {store.path}; leave "
                        "--data out")
    others = [name for name in experiment.columns() if name != _AS.value]
    if not others:
        return store, _CLASSES.value
    classes = "scored" if experiment.table(others[0]) == store.classes.scored_table() else "all"
    if _CLASSES.value not in ("", classes):
        raise UserError(f"--classes={_CLASSES.value}: found columns of {_OUT.value} that score {classes} classes; "
                        "leave --classes out")
    return store, classes


def _label_maps(store, ids, classes: str):
    """What "segments" films by --predictions, and whether the scored organs alone are scored."""
    from datasets.sources.own_options import parse_remap
    from evaluation.segmenter.label_maps import find_label_maps

    scored = classes != "all"
    if not scored and _CODES.value == "scored" and store.classes.scored_table() != store.classes:
        raise UserError("--codes=scored: label maps of the scored classes cannot be scored on all; leave --codes "
                        "or --classes=all out")
    maps = find_label_maps(_PREDICTIONS.value, store, ids, _CODES.value, parse_remap(_REMAP.value))
    resized = maps.check(ids)
    if resized:
        height, width = store.description.size
        print(f"{resized} of {len(ids)} label maps brought to {width} x {height} pixels by nearest neighbour")
    if maps.others:
        print(f"left out: {len(maps.others)} files of no film, e.g. {maps.others[0]}")
    return (lambda id_: maps.read(id_, scored)), scored


def _network(store, ids, classes: str):
    """What segments films by --model, and whether the scored organs alone are scored."""
    from evaluation.segmenter.evaluate import segment_with
    from evaluation.segmenter.load import check_fit, coded, read_largest, read_segmenter
    from evaluation.segmenter.network_file import refuse_moved_classes
    from evaluation.segmenter.sliding_window import probabilities_of

    del ids
    network, facts = read_segmenter(_MODEL.value)
    check_fit(_MODEL.value, network, facts, store)
    window = int(facts["crop"]) if _WINDOW.value is None else _WINDOW.value
    overlap = float(facts["overlap"]) if _OVERLAP.value is None else _OVERLAP.value
    scored = _scored_only(network, store, classes)
    refuse_moved_classes(_MODEL.value, facts, store.classes.segmented(scored).names, store.path)
    names = facts.get("class_names") or ()  # the run's own: a folder may call the same classes otherwise
    largest = coded(read_largest(_MODEL.value, facts, names), names)
    return segment_with(probabilities_of(network), store, window, overlap, largest), scored


def _scored_only(network, store, classes: str) -> bool:
    """Whether `network` is scored on the scored organs alone. Raises UserError where its classes do not fit."""
    sizes = {"scored": store.classes.scored_table().num_classes, "all": store.classes.num_classes}
    wanted = [classes] if classes else list(sizes)
    fitting = [name for name in wanted if sizes[name] == network.num_classes]
    if not fitting:
        expected = " or ".join(f"{sizes[name]} (--classes={name})" for name in wanted)
        raise UserError(f"{_MODEL.value}: knows {network.num_classes} classes, but {store.path} needs {expected};"
                        " name a segmenter that was trained on these organs")
    return fitting[0] == "scored"


if __name__ == "__main__":
    app.run(report_user_errors(main))
