r"""Asks whether a synthetic set copies the films it was trained on.

    python -m evaluation.evaluate_memorization --real=data/jsrt_256 --synthetic=runs/a/synthetic \
        --out=runs/a/copies

Writes to --out: memorization.json (shares and thresholds), memorization.csv (one row per sample), and contact
sheets closest_film.png and closest_label.png of the samples nearest to training pairs. What "near" means is
calibrated on held-out train films, which the networks did not see: those of --real that are not among
--training_ids, or those of --held_out (an experiment's RUN/data/held-out, or the data that its films were chosen
from; what is a training film is left out). With fewer than 20, on the training films, each against the others.
Test films are not read.

--without_copies=FOLDER also writes the samples of which neither film nor label map is flagged as a copy as a pair
folder, to train on or to share. That no copy is left in it is not said: docs/privacy.md tells what is found of
planted ones.

--mark writes copies.csv and copies.json into --synthetic itself, as tools.generate does with the sets that it
makes: a distance and a flag for each pair.
"""

import pathlib
import sys
from collections.abc import Sequence

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import PAIRS, RESULTS, check_output
from datasets.pair_store import PairStore
from datasets.subsets import refuse_existing, write_subset
from evaluation.synthetic.copies import PERCENTILE

FLAGS = flags.FLAGS
flags.DEFINE_string("real", None, "Pair folder with the training films.", required=True)
flags.DEFINE_string("synthetic", None, "Pair folder of the synthetic set.", required=True)
flags.DEFINE_string("out", None, "Folder of the results.", required=True)
flags.DEFINE_string("training_ids", None, "Text file with the ids the networks saw, one a line, where that is a "
                    "part of the train split; all of it by default.")
flags.DEFINE_string("held_out", None, "Pair folder with train films that the networks did not see; --real by "
                    "default.")
flags.DEFINE_integer("count", 10000, "Synthetic pairs looked at, at most, drawn by --seed.")
flags.DEFINE_float("percentile", PERCENTILE, "Percentile of the real distances below which a sample is close.")
flags.DEFINE_integer("seed", 0, "Seed of the draw.", lower_bound=0)
flags.DEFINE_string("without_copies", None, "New pair folder to write of the samples looked at that are "
                    "no copies.")
flags.DEFINE_bool("mark", False, "Also mark each pair of --synthetic in its folder, in copies.csv.")


def main(argv: Sequence[str]) -> None:
    del argv
    from evaluation.synthetic.copies_report import describe, report_memorization, training_ids
    from evaluation.synthetic.marked_copies import mark_copies

    if FLAGS.count < 1 or not 0 < FLAGS.percentile < 100:
        raise UserError(f"--count={FLAGS.count} --percentile={FLAGS.percentile}: expected a positive count and a "
                        "percentile between 0 and 100")
    check_output(FLAGS.out, RESULTS, [FLAGS.real, FLAGS.synthetic, FLAGS.training_ids, FLAGS.held_out])
    if FLAGS.without_copies is not None:
        refuse_existing(FLAGS.without_copies)
        check_output(FLAGS.without_copies, PAIRS, [FLAGS.real, FLAGS.synthetic, FLAGS.held_out])
    real, synthetic = PairStore(FLAGS.real), PairStore(FLAGS.synthetic)
    held_out = PairStore(FLAGS.held_out) if FLAGS.held_out is not None else None
    training = training_ids(real, FLAGS.training_ids)
    found = report_memorization(real, synthetic, FLAGS.out, training=training, count=FLAGS.count,
                                percentile=FLAGS.percentile, seed=FLAGS.seed, held_out=held_out)
    print(describe(found))
    if FLAGS.mark:
        mark_copies(synthetic, real, training, held_out=held_out)
    if FLAGS.without_copies is not None:
        kept = write_subset(synthetic, found.no_copies, FLAGS.without_copies)
        print(f"{kept.path}: {len(kept.ids())} of {len(found.samples)} samples, without copies")


if __name__ == "__main__":
    app.run(report_user_errors(main))
