r"""Measures how real and how varied synthetic sets are, against a split of a real one.

    python -m evaluation.evaluate_realism --real=data/jsrt_256 --synthetic=runs/a/synthetic,runs/b/synthetic \
        --out=runs/realism

Writes to --out: realism.csv and realism.json (sliced Wasserstein distances x 1e3 per pyramid level, MS-SSIM within
each set, and with --feature_model the Frechet and kernel distances, of films and of label maps), methods.csv (one
row of anatomical plausibility per set) and plausibility_NAME.csv (one row per measure of the label maps). The row
"real, half against half" is the noise floor of half as many images: no set can be expected to score lower.
"""

import pathlib
from collections.abc import Sequence

import pandas as pd
from absl import app, flags

from datasets import files
from datasets.errors import UserError, report_user_errors
from datasets.labels import ClassTable
from datasets.store import SPLITS, PairStore
from datasets.synthetic import JOURNAL
from evaluation import diversity
from evaluation.image_sets import ImageSet, check_same_classes, draw_ids, load_set, unaugmented
from evaluation.realism import compare_sets, realism_table

FLOOR = "real, half against half"
FLAGS = flags.FLAGS
flags.DEFINE_string("real", None, "Pair folder of the real data.", required=True)
flags.DEFINE_list("synthetic", None, "Pair folders of the synthetic sets, separated by commas.", required=True)
flags.DEFINE_string("out", None, "Folder of the results.", required=True)
flags.DEFINE_enum("split", "train", SPLITS, "Split of the real data that the sets are compared with.")
flags.DEFINE_integer("count", 1000, "Pairs taken of each set at most, drawn by --seed.")
flags.DEFINE_integer("size", None, "Side to which all pairs are brought; the real pairs' own by default.")
flags.DEFINE_string("feature_model", None, "A .keras model: Frechet and kernel distances of its outputs, too.")
flags.DEFINE_integer("seed", 0, "Seed of every draw.")


def main(argv: Sequence[str]) -> None:
    del argv
    if FLAGS.count < 4 or (FLAGS.size is not None and FLAGS.size < 16):
        raise UserError(f"--count={FLAGS.count} --size={FLAGS.size}: expected a count of 4 or more and a size of "
                        "16 pixels or more")
    out = files.make_folder(FLAGS.out)
    real = PairStore(FLAGS.real)
    stores = name_stores(FLAGS.synthetic)
    for store in stores.values():
        check_same_classes(real, store)
    model = load_model(FLAGS.feature_model) if FLAGS.feature_model else None
    size = (FLAGS.size, FLAGS.size) if FLAGS.size else real.description.size
    real_ids = unaugmented(real, FLAGS.split)
    real_set = load_drawn("real", real, real_ids, FLAGS.count, size, FLAGS.seed)
    sets = {name: load_drawn(name, store, store.ids(), FLAGS.count, size, FLAGS.seed)
            for name, store in stores.items()}
    rejected = {name: rejected_share(store) for name, store in stores.items()}
    evaluate(real_set, sets, real.classes, rejected, model, FLAGS.seed, out)


def name_stores(paths: Sequence[str]) -> dict[str, PairStore]:
    """Stores by folder name; by the path as given where two folders have one name."""
    stores = [PairStore(path) for path in paths]
    names = [store.path.resolve().name for store in stores]
    return {name if names.count(name) == 1 else str(store.path): store
            for name, store in zip(names, stores, strict=True)}


def load_model(path: str):
    """A whole Keras model without its optimizer."""
    import keras

    if not pathlib.Path(path).is_file():
        raise UserError(f"{path}: no such file; --feature_model takes a whole model saved as .keras")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{path}: Keras cannot load this model ({str(error)[:200]}); save it as .keras, made of "
                        "Keras' own layers") from None


def load_drawn(name: str, store: PairStore, ids: Sequence[str], count: int, size: tuple[int, int],
               seed: int) -> ImageSet:
    """At most `count` of the pairs `ids`."""
    if len(ids) < 4:
        raise UserError(f"{store.path}: found {len(ids)} pairs for the set {name!r}, expected 4 or more; choose "
                        "another split or folder")
    return load_set(name, store, draw_ids(ids, count, seed), size)


def rejected_share(store: PairStore) -> float:
    """Share of the candidates that generation left out, as its journal tells; NaN without one."""
    path = store.path / JOURNAL
    journal = files.read_json(path) if path.is_file() else {}
    candidates = journal.get("candidates", 0)
    return sum(journal.get("rejected", {}).values()) / candidates if candidates else float("nan")


def evaluate(real: ImageSet, sets: dict[str, ImageSet], classes: ClassTable, rejected: dict[str, float], model,
             seed: int, out: pathlib.Path) -> None:
    """Measures every set against the real one, prints the tables and writes the files."""
    known = {}
    results = {FLOOR: compare_sets(real.half(0), real.half(1), classes, seed, model, known, within=real)}
    for name, images in sets.items():
        results[name] = compare_sets(real, images, classes, seed, model, known)
    table = realism_table(results, getattr(model, "name", None))
    measures = {name: diversity.measure_maps(images.labels, classes) for name, images in sets.items()}
    real_measures = diversity.measure_maps(real.labels, classes)
    methods = diversity.method_table(real_measures, measures, rejected)
    for name, values in measures.items():
        detail = diversity.plausibility(real_measures, values)
        write_table(out / f"plausibility_{name.replace('/', '_')}.csv", detail)
    write(out, results, table, methods, model, seed)
    print(f"sliced Wasserstein distance x 1e3 to {len(real)} real pairs, and MS-SSIM within each set")
    print(table.T.to_string(float_format="{:.4g}".format))
    print("label maps against the real ones")
    print(methods.T.to_string(float_format="{:.4g}".format))


def write(out: pathlib.Path, results: dict, table: pd.DataFrame, methods: pd.DataFrame, model, seed: int) -> None:
    flat = table.copy()
    flat.columns = [" ".join(column).strip() for column in flat.columns]
    write_table(out / "realism.csv", flat)
    write_table(out / "methods.csv", methods)
    files.write_json(out / "realism.json", {"seed": seed, "feature_model": getattr(model, "name", None),
                                            "sets": results})


def write_table(path: pathlib.Path, table: pd.DataFrame) -> None:
    files.write_text(path, table.to_csv(index_label="name"))


if __name__ == "__main__":
    app.run(report_user_errors(main))
