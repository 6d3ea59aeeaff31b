r"""Measures how real and how varied synthetic sets are, against a split of a real one.

    python -m evaluation.evaluate_realism --real=data/jsrt_256 --synthetic=runs/a/synthetic,runs/b/synthetic \
        --out=runs/realism

Writes to --out: realism.csv and realism.json (sliced Wasserstein distances x 1e3 per pyramid level, MS-SSIM within
each set, and with --feature_model the Frechet and kernel distances, of films and of label maps), methods.csv (one
row of anatomical plausibility per set) and plausibility_NAME.csv (one row per measure of the label maps). The row
"real, half against half" is what real pairs score against real ones, with half as many images on each side: the
distances fall as images are added, so a good set of more images may score lower.
"""

import pathlib
import sys
from collections.abc import Sequence

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import RESULTS, check_output
from datasets.manifest import SPLITS
from datasets.pair_store import PairStore
from evaluation.synthetic.realism_report import load_model, name_stores, report_realism

FLAGS = flags.FLAGS
flags.DEFINE_string("real", None, "Pair folder of the real data.", required=True)
flags.DEFINE_list("synthetic", None, "Pair folders of the synthetic sets, separated by commas.", required=True)
flags.DEFINE_string("out", None, "Folder of the results.", required=True)
flags.DEFINE_enum("split", "train", SPLITS, "Split of the real data that the sets are compared with.")
flags.DEFINE_integer("count", 1000, "Pairs taken of each set at most, drawn by --seed.", lower_bound=4)
flags.DEFINE_integer("size", None, "Side to which all pairs are brought; the real pairs' own by default.",
                     lower_bound=16, upper_bound=4096)
flags.DEFINE_string("feature_model", None, "A .keras model: Frechet and kernel distances of its outputs, too.")
flags.DEFINE_integer("seed", 0, "Seed of every draw.", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    del argv
    check_output(FLAGS.out, RESULTS, [FLAGS.real, *FLAGS.synthetic, FLAGS.feature_model])
    model = load_model(FLAGS.feature_model) if FLAGS.feature_model else None
    if not FLAGS.synthetic:
        raise UserError("--synthetic: found no pair folder, expected one or more")
    found = report_realism(PairStore(FLAGS.real), name_stores(FLAGS.synthetic), FLAGS.out, split=FLAGS.split,
                           count=FLAGS.count, size=FLAGS.size, model=model, seed=FLAGS.seed)
    print(found.describe())


if __name__ == "__main__":
    app.run(report_user_errors(main))
