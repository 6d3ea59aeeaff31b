r"""Asks whether a synthetic set copies the films it was trained on.

    python -m evaluation.evaluate_memorization --real=data/jsrt_256 --synthetic=runs/a/synthetic \
        --out=runs/a/copies

Writes to --out: memorization.json (shares and thresholds), memorization.csv (one row per sample), and contact
sheets closest_film.png and closest_label.png of the samples nearest to training pairs. The test split of --real
calibrates what "near" means; without one, its training films do, each against the others.
"""

import pathlib
from collections.abc import Sequence

from absl import app, flags

from datasets import files
from datasets.errors import UserError, report_user_errors
from datasets.store import PairStore, describe_ids
from evaluation.contact_sheet import write_sheet
from evaluation.image_sets import check_same_classes, draw_ids, load_set, unaugmented
from evaluation.memorization import KINDS, PERCENTILE, Memorization, compare

SIDE = 256  # pixels to which larger pairs are reduced

FLAGS = flags.FLAGS
flags.DEFINE_string("real", None, "Pair folder with the training films, and test films if there are any.",
                    required=True)
flags.DEFINE_string("synthetic", None, "Pair folder of the synthetic set.", required=True)
flags.DEFINE_string("out", None, "Folder of the results.", required=True)
flags.DEFINE_string("training_ids", None, "Text file with the ids the networks saw, one a line, where that is a "
                    "part of the train split; all of it by default.")
flags.DEFINE_integer("count", 10000, "Synthetic pairs looked at, at most, drawn by --seed.")
flags.DEFINE_float("percentile", PERCENTILE, "Percentile of the real distances below which a sample is close.")
flags.DEFINE_integer("seed", 0, "Seed of the draw.")


def main(argv: Sequence[str]) -> None:
    del argv
    if FLAGS.count < 1 or not 0 < FLAGS.percentile < 100:
        raise UserError(f"--count={FLAGS.count} --percentile={FLAGS.percentile}: expected a positive count and a "
                        "percentile between 0 and 100")
    out = files.make_folder(FLAGS.out)
    real, synthetic = PairStore(FLAGS.real), PairStore(FLAGS.synthetic)
    check_same_classes(real, synthetic)
    found = evaluate(real, training_ids(real, FLAGS.training_ids), synthetic, FLAGS.count, FLAGS.percentile,
                     FLAGS.seed, out)
    print(describe(found))


def training_ids(store: PairStore, path: str | None) -> list[str]:
    """The un-augmented training films, or those listed in the text file `path`."""
    ids = unaugmented(store, "train")
    if path is None:
        return ids
    try:
        listed = pathlib.Path(path).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); expected a text file of ids, one a line") from None
    unknown = sorted(set(listed) - set(ids))
    if unknown:
        raise UserError(f"{path}: {describe_ids(unknown)} not among the un-augmented training films of "
                        f"{store.path}; list ids of its manifest")
    return [id_ for id_ in ids if id_ in set(listed)]


def evaluate(real: PairStore, training: Sequence[str], synthetic: PairStore, count: int, percentile: float,
             seed: int, out: pathlib.Path) -> Memorization:
    """Compares the stores and writes the files."""
    test = unaugmented(real, "test")
    least = 2 if test else 3
    if len(training) < least or not synthetic.entries:
        raise UserError(f"{real.path}: found {len(training)} training films, and {synthetic.path}: found "
                        f"{len(synthetic.entries)} samples; expected at least {least} and 1")
    size = tuple(min(SIDE, side) for side in real.description.size)
    originals = load_set("training", real, training, size)
    held_out = load_set("test", real, test, size) if test else None
    samples = load_set("synthetic", synthetic, draw_ids(synthetic.ids(), count, seed), size)
    found = compare(samples, originals, held_out, real.classes, percentile)
    files.write_json(out / "memorization.json", found.summary)
    files.write_text(out / "memorization.csv", found.samples.to_csv(index=False))
    for kind in ("film", "label"):
        write_sheet(out / f"closest_{kind}.png", found, samples, originals, kind)
    return found


def describe(found: Memorization) -> str:
    """The answer in a few lines."""
    summary = found.summary
    lines = [f"{summary['synthetic']} samples against {summary['training']} training films; calibrated on "
             f"{summary['calibration']}"]
    lines += [f"  nearer by {kind} than the nearest {summary['expected_share']:.2%} of real pairs: "
              f"{summary[kind]['share_below']:.2%} (if nothing is copied, about {summary['expected_share']:.2%})"
              for kind in KINDS]
    boxes = summary["burnt_in"]
    lines += [f"  copied films {summary['film_copies']:.2%}, mirrored {summary['film_copies_mirrored']:.2%}",
              f"  burnt-in box in {boxes['share_with_box']:.2%} of the samples (training films "
              f"{boxes['training_share_with_box']:.2%}), at a training film's place in "
              f"{boxes['share_at_training_place']:.2%}"]
    return "\n".join(lines)


if __name__ == "__main__":
    app.run(report_user_errors(main))
