"""A small experiment folder with an evaluated column, for the tests of the reader study."""

import pathlib

import numpy as np
import tensorflow as tf

from datasets import grey
from datasets.resize import resize_store
from datasets.sources.phantom import write_phantoms
from evaluation.segmenter.evaluate import evaluate_to_folder

COLUMN = "finetune-3"


def write_experiment(root: pathlib.Path, films: int = 7, size: int = 64, seed: int = 5) -> pathlib.Path:
    """`films` test phantoms, and as predictions their gold maps, shifted and with a piece missing."""
    phantoms = write_phantoms(root / "phantoms", films + 2, films, size, seed)
    store = resize_store(phantoms, phantoms.ids(), root / "data" / "gan-films", size)
    answers = {}
    for number, id_ in enumerate(store.ids("test")):
        codes = np.roll(store.scored_label(id_), (1 + number % 3, 1 + number % 2), (0, 1))
        codes[size // 2:size // 2 + 1 + number, size // 3:size // 2] = 0
        film = grey.from_levels(store.image(id_))
        answers[film.tobytes()] = np.eye(store.classes.scored_table().num_classes, dtype=np.float32)[codes]

    def predict(batch: tf.Tensor) -> np.ndarray:
        return np.stack([answers[film[..., 0].tobytes()] for film in batch.numpy()])

    evaluate_to_folder(predict, store, store.ids("test"), root / f"evaluate-{COLUMN}", window=size)
    return root


def answer_file(key, reader: str, choices, comments=()) -> dict:
    """What the page saves: `choices` in the order of the films."""
    texts = [*comments, *[""] * (len(key.films) - len(comments))]
    return {"format": 1, "study": key.study, "reader": reader,
            "answers": [{"film": film.film, "choice": choice, "comment": comment}
                        for film, choice, comment in zip(key.films, choices, texts, strict=True)]}


def choices_for(key, preferences) -> list[int | None]:
    """The choices that mean these preferences ("gold", "prediction", "no preference", None)."""
    def choice(film, preference):
        if preference is None:
            return None
        return next(number for number in (0, 1, 2) if film.preference(number) == preference)

    return [choice(film, preference) for film, preference in zip(key.films, preferences, strict=True)]
