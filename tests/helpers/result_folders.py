"""An experiment's results without its training: phantoms, label maps shifted by a known amount, logs."""

import json
import pathlib

import numpy as np

from datasets.common import atomic_files
from datasets.dots import Dot
from datasets.manifest import Entry
from datasets.pair_store import PairStore, PairWriter, write_png
from datasets.sources.phantom import write_phantoms
from evaluation.segmenter.evaluate import evaluate_to_folder

SHIFTS = {"real": 2, "synth-3": 6, "finetune-3": 1}  # column -> pixels by which its label maps are moved


def write_experiment(path: pathlib.Path, shifts=None, films: int = 6, size: int = 32, config: str = "tiny",
                     scored: bool = True, kind: str = "chest") -> pathlib.Path:
    """`path` as an experiment leaves it: films, evaluated columns, synthetic pairs of method 3, logs."""
    shifts = SHIFTS if shifts is None else shifts
    store = write_phantoms(path / "data" / "gan-films", 2 + films, films, size, 0, kind)
    atomic_files.write_json(path / "data" / "subset.json",
                            {"config": config, "seed": 0, "train": store.ids("train")})
    for column, shift in shifts.items():
        write_column(path / f"evaluate-{column}", store, shift, scored)
    _write_synthetic(path / "synthetic-3" / "gan", store)
    for name in ("dots", "labels_to_film", *shifts):
        _write_log(atomic_files.make_folder(path / name) / "metrics.jsonl", name)
    return path


def write_column(folder: pathlib.Path, store: PairStore, shift: int, scored: bool = True) -> None:
    """Evaluates label maps that are the true ones moved down by `shift`, one more in every second film."""
    ids = store.ids("test")
    classes = store.classes.segmented(scored)
    truths = (store.segmented_label(id_, scored) for id_ in ids)
    moved = (np.roll(codes, shift + place % 2, 0) for place, codes in enumerate(truths))

    def predict(films: np.ndarray) -> np.ndarray:
        assert films.shape[0] == 1
        return np.eye(classes.num_classes, dtype=np.float32)[next(moved)][None]

    evaluate_to_folder(predict, store, ids, atomic_files.make_folder(folder), scored, max(store.description.size))


def _write_synthetic(path: pathlib.Path, store: PairStore) -> None:
    with PairWriter(path, store.description) as writer:
        for id_ in store.ids():
            writer.add(Entry(id_, "train"), store.image(id_), store.label(id_))
            dots = Dot(16, 1.0).draw(store.label(id_), store.classes.num_classes)
            write_png(atomic_files.make_folder(path / "dots") / f"{id_}.png", dots)


def _write_log(path: pathlib.Path, name: str) -> None:
    keys = {"dots": ("d_loss", "g_loss", "level"), "labels_to_film": ("d_real", "d_fake", "g_gan", "g_features")}
    names = keys.get(name, ("loss",))
    rows = [{"position": 10 * step, **dict.fromkeys(names, 1.0 + step)} for step in range(1, 4)]
    score = {"dots": {"swd": 50.0}, "synth-3": {"val_j": 0.5}}.get(name)
    rows += [{"position": 30, **score}] if score else []
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
