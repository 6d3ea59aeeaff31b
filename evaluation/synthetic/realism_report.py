"""All realism measures of synthetic stores against a real one, as tables and files."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import PairStore
from datasets.synthetic.synthetic_store import JOURNAL, read_journal
from evaluation.metrics import anatomy
from evaluation.metrics.sliced_wasserstein import SMALLEST_LEVEL
from evaluation.synthetic.image_sets import ImageSet, check_same_classes, draw_ids
from evaluation.synthetic.realism import compare_sets, realism_table

REAL, FLOOR = "real", "real, half against half"
LEAST_PAIRS = 4  # of a set that is compared


@dataclasses.dataclass(frozen=True)
class RealismReport:
    """Tables of one comparison.

    Attributes:
      real_count: real pairs compared with.
      results: set name -> values of `compare_sets`; the first is the noise floor.
      realism: one row per set, columns (films or labels, measure), see `realism_table`.
      methods: one row per set, the real one first, see `anatomy.method_table`.
      plausibility: set name -> one row per measure of its label maps, see `anatomy.plausibility`.
    """

    real_count: int
    results: dict[str, dict[str, Any]]
    realism: pd.DataFrame
    methods: pd.DataFrame
    plausibility: dict[str, pd.DataFrame]

    def describe(self) -> str:
        """Both tables, sets side by side."""
        style = "{:.4g}".format
        return "\n".join([
            f"sliced Wasserstein distance x 1e3 to {self.real_count} real pairs, and MS-SSIM within each set",
            self.realism.T.to_string(float_format=style), "label maps against the real ones",
            self.methods.T.to_string(float_format=style)])


def report_realism(real: PairStore, stores: Mapping[str, PairStore], out: str | os.PathLike, *,
                   split: str = "train", count: int = 1000, size: int | None = None, model=None,
                   seed: int = 0) -> RealismReport:
    """Measures every store against the un-augmented pairs of the real `split`, and writes the files to `out`.

    Files: realism.csv, realism.json, methods.csv, and plausibility_NAME.csv for each store.

    Args:
      stores: synthetic stores by the names they have in the tables.
      count: pairs taken of each set at most, drawn by `seed`.
      size: side in pixels to which all pairs are brought; None is the real pairs' own size.
      model: Keras model whose features of the films are compared too, or None.

    Raises UserError for stores of other classes or channels, or with fewer than 4 pairs, and for pairs under 16
    pixels.
    """
    for store in stores.values():
        check_same_classes(real, store)
    channels = getattr(model, "input_shape", (None,))[-1]  # None takes any
    if real.description.channels == 3 and channels not in (None, 3):
        raise UserError(f"--feature_model takes {channels} channels, but the films of {real.path} have 3; name a "
                        "model of colour pictures")
    shape = (size, size) if size else real.description.size
    if min(shape) < SMALLEST_LEVEL:
        raise UserError(f"{real.path}: its pairs have {shape[0]} x {shape[1]} pixels, expected sides of "
                        f"{SMALLEST_LEVEL} or more to compare; choose --size={SMALLEST_LEVEL} or larger")
    out = atomic_files.make_folder(out)
    originals = load_drawn(REAL, real, real.films(split), count, shape, seed)
    sets = {name: load_drawn(name, store, store.ids(), count, shape, seed) for name, store in stores.items()}
    shares = {name: generation_shares(store) for name, store in stores.items()}
    report = _measure(originals, sets, shares, real.classes, model, seed)
    flat = report.realism.copy()
    flat.columns = [" ".join(column).strip() for column in flat.columns]
    _write_table(out / "realism.csv", flat)
    _write_table(out / "methods.csv", report.methods)
    for name, table in report.plausibility.items():
        _write_table(out / f"plausibility_{name.replace('/', '_')}.csv", table)
    atomic_files.write_json(out / "realism.json", {"seed": seed, "feature_model": getattr(model, "name", None),
                                                "sets": report.results})
    return report


def name_stores(paths: Sequence[str]) -> dict[str, PairStore]:
    """Stores by folder name; by the path as given where two folders have one name, and by the whole path where
    that is what the tables call the real set.

    Raises UserError where one is named twice.
    """
    stores = [PairStore(path) for path in paths]
    if len({store.path.resolve() for store in stores}) != len(stores):
        raise UserError(f"--synthetic={','.join(paths)}: expected each set once")
    names = [store.path.resolve().name for store in stores]
    shown = [name if names.count(name) == 1 else str(store.path)
             for name, store in zip(names, stores, strict=True)]
    return {str(store.path.resolve()) if name in (REAL, FLOOR) else name: store
            for name, store in zip(shown, stores, strict=True)}


def load_model(path: str):
    """A whole Keras model without its optimizer, from pictures to features.

    Raises UserError for anything else.
    """
    import keras

    if not pathlib.Path(path).is_file():
        raise UserError(f"{path}: no such file; --feature_model takes a whole model saved as .keras")
    try:
        model = keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{path}: Keras cannot load this model ({str(error)[:200]}); save it as .keras, made of "
                        "Keras' own layers") from None
    taken, made = (getattr(model, name, None) for name in ("input_shape", "output_shape"))
    if not _is_shape(taken, 4) or not (_is_shape(made, 2) or _is_shape(made, 4)):
        raise UserError(f"{path}: --feature_model takes {taken} and gives {made}, expected pictures "
                        "(N, height, width, channels) in and features (N, D) or (N, height, width, D) out; cut "
                        "the model at such a layer")
    return model


def _is_shape(found, count: int) -> bool:
    """Of one tensor: a model of several has a list or dictionary of them."""
    return isinstance(found, tuple) and len(found) == count and all(
        side is None or isinstance(side, int) for side in found)


def load_drawn(name: str, store: PairStore, ids: Sequence[str], count: int, size: tuple[int, int],
               seed: int) -> ImageSet:
    """At most `count` of the pairs `ids`."""
    if len(ids) < LEAST_PAIRS:
        raise UserError(f"{store.path}: found {len(ids)} pairs for the set {name!r}, expected {LEAST_PAIRS} or "
                        "more; choose another split or folder")
    return ImageSet.load(name, store, draw_ids(ids, count, seed), size)


def generation_shares(store: PairStore) -> dict[str, float]:
    """`rejected`, the share of candidates left out, and the shares of pairs taken because too few passed:
    `repeats` of a label map, `unchecked` ones and, where classes come and go, `uneven` ones, which make these come
    more or less often than in real maps; as the set's journal tells, NaN where it does not.
    """
    path = store.path / JOURNAL
    if not path.is_file():
        return dict.fromkeys(("rejected", "repeats", "unchecked"), float("nan"))
    journal = read_journal(path)
    accepted = max(1, len(journal["accepted"]))
    return {"rejected": sum(journal["rejected"].values()) / max(1, journal["candidates"]),
            "repeats": journal.get("repeats", float("nan")) / accepted,
            "unchecked": journal.get("unchecked", float("nan")) / accepted,
            **({"uneven": journal.get("uneven", float("nan")) / accepted} if journal.get("shown") else {})}


def _measure(real: ImageSet, sets: Mapping[str, ImageSet], shares: Mapping[str, Mapping[str, float]], classes,
             model, seed: int) -> RealismReport:
    known: dict = {}
    results = {FLOOR: compare_sets(real.half(0), real.half(1), classes, seed, model, known, within=real)}
    for name, images in sets.items():
        results[name] = compare_sets(real, images, classes, seed, model, known)
    real_measures = anatomy.measure_maps(real.labels, classes)
    measures = {name: anatomy.measure_maps(images.labels, classes) for name, images in sets.items()}
    return RealismReport(len(real), results, realism_table(results, getattr(model, "name", None)),
                         anatomy.method_table(real_measures, measures, shares),
                         {name: anatomy.plausibility(real_measures, table) for name, table in measures.items()})


def _write_table(path: pathlib.Path, table: pd.DataFrame) -> None:
    atomic_files.write_text(path, table.to_csv(index_label="name"))
