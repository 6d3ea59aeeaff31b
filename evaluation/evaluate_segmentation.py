r"""Scores a trained segmenter on the films of a pair folder.

    python -m evaluation.evaluate_segmentation --model=runs/a/real --data=data/jsrt_512 --out=runs/a/evaluate-real

--model is a run folder of training.train_smanet or a .keras file. Writes to --out: predictions/ID.png (class
codes), per_film.csv (counts, J, DSC and border distances of every film and organ), summary.csv (their spread over
films), hardest.csv (films of lowest J) and pooled.json (all films together, which evaluation.make_tables reads). A
folder RUN/evaluate-COLUMN is a column of RUN's tables.
"""

from collections.abc import Sequence

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import RESULTS, check_output
from datasets.pair_store import SPLITS

_MODEL = flags.DEFINE_string("model", None, "run folder of train_smanet, or .keras file", required=True)
_DATA = flags.DEFINE_string("data", None, "pair folder of the films", required=True)
_SPLIT = flags.DEFINE_enum("split", "test", [*SPLITS, "all"], "which films of it")
_OUT = flags.DEFINE_string("out", None, "folder of the results", required=True)
_WINDOW = flags.DEFINE_integer("window", None, "side of the sliding window in pixels; default: the crops' it was "
                               "trained on, for a .keras file the paper's 377", lower_bound=1)
_OVERLAP = flags.DEFINE_float("overlap", None, "share of a window that the next one covers too; default: the "
                              "run's, for a .keras file 1/3", 0.0, 0.95)
_CLASSES = flags.DEFINE_enum("classes", "", ["", "scored", "all"],
                             "score the organs of the paper's tables, or all; default: those the model knows")


def main(argv: Sequence[str]) -> None:
    del argv
    check_output(_OUT.value, RESULTS, [_MODEL.value, _DATA.value])
    from datasets.common import atomic_files
    from datasets.pair_store import PairStore
    from evaluation.results.per_film import film_scores, hardest, summarize
    from evaluation.results.table_formats import markdown
    from evaluation.results.tables import comparison, left_out
    from evaluation.segmenter.evaluate import evaluate_to_folder
    from evaluation.segmenter.load import check_fit, read_segmenter
    from evaluation.segmenter.sliding_window import probabilities_of

    store = PairStore(_DATA.value)
    ids = store.ids(None if _SPLIT.value == "all" else _SPLIT.value)
    if not ids:
        raise UserError(f"{_DATA.value}/manifest.csv: found no pair of split {_SPLIT.value}; choose another "
                        "--split")
    network, facts = read_segmenter(_MODEL.value)
    check_fit(_MODEL.value, network, facts, store)
    window = int(facts["crop"]) if _WINDOW.value is None else _WINDOW.value
    overlap = float(facts["overlap"]) if _OVERLAP.value is None else _OVERLAP.value
    scored = _scored_only(network, store)
    out = atomic_files.make_folder(_OUT.value)
    result = evaluate_to_folder(probabilities_of(network), store, ids, out, scored, window, overlap)
    table = result.per_film()
    atomic_files.write_text(out / "summary.csv", summarize(table).round(4).to_csv())
    atomic_files.write_text(out / "hardest.csv", hardest(film_scores(table, result.scored)).round(4).to_csv())
    columns, organs = {"model": [result.to_json()]}, None if scored else result.organs
    print("\n".join(filter(None, [markdown(comparison(columns, organs)), left_out(columns, organs)])))


def _scored_only(network, store) -> bool:
    """Whether `network` is scored on the scored organs alone. Raises UserError where its classes do not fit."""
    sizes = {"scored": store.classes.scored_table().num_classes, "all": store.classes.num_classes}
    wanted = [_CLASSES.value] if _CLASSES.value else list(sizes)
    fitting = [name for name in wanted if sizes[name] == network.num_classes]
    if not fitting:
        expected = " or ".join(f"{sizes[name]} (--classes={name})" for name in wanted)
        raise UserError(f"{_MODEL.value}: knows {network.num_classes} classes, but {_DATA.value} needs {expected};"
                        " name a segmenter that was trained on these organs")
    return fitting[0] == "scored"


if __name__ == "__main__":
    app.run(report_user_errors(main))
