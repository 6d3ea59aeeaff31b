r"""Asks whether a synthetic set tells which films it was made from: membership inference, with intervals.

    python -m evaluation.evaluate_membership --results=RUN --data=data/jsrt-128 --method=three --out=OUT
    python -m evaluation.evaluate_membership --synthetic=SET --training_ids=FILE --data=data/jsrt-128 --out=OUT

--results is an experiment's folder: its data/subset.json names the members, synthetic-K/gan is the set, and
synth-K, where it is there, the segmenter that was trained on it. --data is the pair folder that the films were
drawn from: its other train films are those that were never seen (its test films, where fewer than 5 are left).
Attacks: evaluation/privacy/membership.py. Writes membership.csv, .md and .json to --out, and with --results the
two figures of a set's card to RUN/synthetic-K/privacy.json, which tools.publish_dataset reads.
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
from evaluation.results.columns import METHODS, method_named

_RESULTS = flags.DEFINE_string("results", None, "folder of tools.run_experiment")
_METHOD = flags.DEFINE_enum("method", "three", [method.name for method in METHODS], "which of its sets")
_SYNTHETIC = flags.DEFINE_string("synthetic", None, "or the pair folder of a synthetic set")
_TRAINING = flags.DEFINE_string("training_ids", None, "with --synthetic: text file with the members' ids")
_SEGMENTER = flags.DEFINE_string("segmenter", None, "run folder of a segmenter trained on the set alone; default: "
                                 "the experiment's synth-K")
_DATA = flags.DEFINE_string("data", None, "pair folder that the films were drawn from", required=True)
_OUT = flags.DEFINE_string("out", None, "folder of the results", required=True)
_COUNT = flags.DEFINE_integer("count", 10000, "synthetic pairs compared, at most, drawn by --seed", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "of the draw", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    del argv
    if (_RESULTS.value is None) == (_SYNTHETIC.value is None):
        raise UserError("give either --results=RUN or --synthetic=SET")
    check_output(_OUT.value, RESULTS, [_DATA.value, _SYNTHETIC.value], [_RESULTS.value])
    from datasets.common.progress import say, show_progress
    from evaluation.privacy.figures import add_figures
    from evaluation.privacy.membership import attack_table
    from evaluation.privacy.membership_report import (
        AS_MADE,
        Films,
        attack_distances,
        attack_segmenter,
        headline,
        write_results,
    )
    from evaluation.results.experiment_folder import ExperimentFolder
    from evaluation.segmenter.network_file import PRODUCT
    from evaluation.synthetic.copies_report import training_ids
    from evaluation.synthetic.fit_to_share import FIGURES
    from evaluation.synthetic.marked_copies import set_digest

    store, segmenter = PairStore(_DATA.value), _SEGMENTER.value
    if _RESULTS.value is not None:
        experiment = ExperimentFolder(pathlib.Path(_RESULTS.value))
        method = method_named(_METHOD.value)
        members, synthetic = experiment.subset()["train"], experiment.synthetic(method)
        trained = experiment.path / f"synth-{method.suffix}"
        if segmenter is None and (trained / PRODUCT).is_file():
            segmenter = str(trained)
    else:
        members, synthetic = training_ids(store, _TRAINING.value), PairStore(_SYNTHETIC.value)
    films = Films.choose(store, members)
    scores, counts = attack_distances(films, synthetic, _COUNT.value, _SEED.value, show_progress)
    if segmenter is None:
        say("no segmenter trained on the set: that attack is left out (training.train_smanet trains one)")
    else:
        scores[AS_MADE] = {**scores[AS_MADE], **attack_segmenter(films, segmenter, show_progress)}
    table = attack_table(scores, [id_ in set(films.members) for id_ in films.ids])
    print(write_results(pathlib.Path(_OUT.value), table, films, counts))
    if _RESULTS.value is not None:
        path = synthetic.path.parent / FIGURES
        add_figures(path, headline(table), films.describe(), set_digest(synthetic))
        print(f"figures of the set's card: {path}")


if __name__ == "__main__":
    app.run(report_user_errors(main))
