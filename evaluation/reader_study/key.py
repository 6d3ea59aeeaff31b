"""The key of a reader study and the answer files of its readers, as files.

Answer files come from strangers: size, form and text are checked before anything is believed.
"""

import dataclasses
import json
import os
import pathlib
import unicodedata
from typing import Any

from datasets.common.errors import UserError
from datasets.formats.raster import read_bytes

FORMAT = 1  # of both files
GOLD, PREDICTION, NONE = "gold", "prediction", "no preference"
REAL, SYNTHETIC = "real", "synthetic"
TRUTH_KIND = "real-or-synthetic"
MAX_FILE = 2**20  # bytes of an answer or key file
MAX_COMMENT = 1000  # characters, as the page's field takes
MAX_READER = 60


@dataclasses.dataclass(frozen=True)
class KeyFilm:
    """What a film of the page is: its neutral name, its id, what outline 1 is, and its mean J."""

    film: str
    id: str
    first: str
    mean_j: float

    def preference(self, choice: int) -> str:
        """What a reader who chose outline 1, outline 2 or neither (0) preferred."""
        if choice == 0:
            return NONE
        other = PREDICTION if self.first == GOLD else GOLD
        return self.first if choice == 1 else other


@dataclasses.dataclass(frozen=True)
class Key:
    """What readers must not see. `title` says what is compared, e.g. the data set and the table's column."""

    format: int
    study: str
    seed: int
    title: str
    films: tuple[KeyFilm, ...]

    choices = (0, 1, 2)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class TruthFilm:
    """What a film of the page is: its neutral name, its id, and whether it is REAL or SYNTHETIC."""

    film: str
    id: str
    truth: str


@dataclasses.dataclass(frozen=True)
class TruthKey:
    """The key of a study in which readers tell real films from synthetic ones; choice 1 is real, 2 synthetic."""

    format: int
    study: str
    seed: int
    title: str
    films: tuple[TruthFilm, ...]
    kind: str = TRUTH_KIND

    choices = (1, 2)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Answer:
    """A reader's answer to a film: 1, 2, 0 for no preference, None where not answered; and a comment."""

    film: str
    choice: int | None
    comment: str


@dataclasses.dataclass(frozen=True)
class Answers:
    """All answers of one reader, in the key's order."""

    reader: str
    answers: tuple[Answer, ...]


def read_key(path: str | os.PathLike) -> Key | TruthKey:
    """Raises UserError if `path` is not a key as `evaluation.reader_study.study` or `realism_study` writes it."""
    value = _read(path, "the key of a reader study")
    try:
        if isinstance(value, dict) and "kind" in value:
            return _truth_key(value)
        films = tuple(KeyFilm(**film) for film in value["films"])
        key = Key(**{**value, "films": films})
        texts = [key.study, key.title, *(text for film in films for text in (film.film, film.id))]
        whole = key.format == FORMAT and films and all(isinstance(text, str) for text in texts)
        if not whole or any(film.first not in (GOLD, PREDICTION) for film in films):
            raise ValueError
        return dataclasses.replace(key, films=tuple(dataclasses.replace(film, mean_j=float(film.mean_j))
                                                    for film in films))
    except (KeyError, TypeError, ValueError):  # TypeError: names too many or too few
        raise UserError(f"{path}: not the key of a reader study; give the key.json that tools.reader_study build "
                        "wrote") from None


def _truth_key(value: dict[str, Any]) -> TruthKey:
    """Raises KeyError, TypeError or ValueError for anything else."""
    key = TruthKey(**{**value, "films": tuple(TruthFilm(**film) for film in value["films"])})
    texts = [key.study, key.title, *(text for film in key.films for text in (film.film, film.id))]
    if key.format != FORMAT or key.kind != TRUTH_KIND or not key.films or not all(
            isinstance(text, str) for text in texts) or {film.truth for film in key.films} - {REAL, SYNTHETIC}:
        raise ValueError
    return key


def read_answers(path: str | os.PathLike, key: Key | TruthKey) -> Answers:
    """A reader's answers, its texts cleaned by `clean`.

    Raises UserError naming what is wrong for anything but a whole answer file to this study.
    """
    value = _read(path, "an answer file")
    _expect(path, isinstance(value, dict) and set(value) == {"format", "study", "reader", "answers"},
            "not an answer file; give what the page's button saved")
    _expect(path, value["format"] == FORMAT, f"is not of format {FORMAT}; save it again from the page")
    _expect(path, value["study"] == key.study, f"answers another study, expected study {key.study}; "
            "give the key of that study")
    _expect(path, isinstance(value["reader"], str) and len(value["reader"]) <= MAX_READER,
            f"the reader's name is not a text of up to {MAX_READER} characters")
    reader = clean(value["reader"])
    _expect(path, reader != "", "holds no reader's name; fill it in on the page and save again")
    _expect(path, isinstance(value["answers"], list) and len(value["answers"]) == len(key.films),
            f"expected answers to {len(key.films)} films")
    given = [_answer(path, entry, key.choices) for entry in value["answers"]]
    _expect(path, [answer.film for answer in given] == [film.film for film in key.films],
            "expected one answer to each film of the study, in its order")
    return Answers(reader, tuple(given))


def clean(text: str) -> str:
    """One line of `text` without control, direction-changing, private or unpaired characters."""
    # C: control and the like; Z: blanks
    kept = (" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return " ".join("".join(kept).split())


def _answer(path: str | os.PathLike, entry: Any, choices: tuple[int, ...]) -> Answer:
    _expect(path, isinstance(entry, dict) and set(entry) == {"film", "choice", "comment"},
            "expected film, choice and comment in every answer")
    film, choice, comment = entry["film"], entry["choice"], entry["comment"]
    _expect(path, isinstance(film, str), "a film's name is not a text")
    # True is an int too, and no choice
    _expect(path, choice is None or (type(choice) is int and choice in choices),
            f"a choice is none of {', '.join(map(str, choices))} and null (not answered)")
    _expect(path, isinstance(comment, str) and len(comment) <= MAX_COMMENT,
            f"a comment is not a text of up to {MAX_COMMENT:,} characters")
    return Answer(film, choice, clean(comment))


def _expect(path: str | os.PathLike, holds: bool, otherwise: str) -> None:
    if not holds:
        raise UserError(f"{path}: {otherwise}")


def _read(path: str | os.PathLike, what: str) -> Any:
    path = pathlib.Path(path)
    try:
        # UTF-8, with or without a mark at its start
        return json.loads(read_bytes(path, MAX_FILE).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON, expected {what}") from None
