"""The page readers get: one HTML file with films, outlines, style and script in it, and no network.

A policy in the page allows its own script and style, by digest, and pictures in the page; nothing can be
fetched or sent. Answers leave it as a file that the reader saves.
"""

import base64
import dataclasses
import hashlib
import html
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from evaluation.pictures import colour_labels
from evaluation.reader_study.key import FORMAT, MAX_COMMENT, MAX_READER

_HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Question:
    """What readers are asked of each film. Texts are HTML.

    Attributes:
      heading, intro: of the start; intro may say {count}, the number of films.
      views: captions of the pictures side by side: the film, then the outlines.
      choices: number in the answer and its key -> text of the button, in order.
      keys: keys -> what they do.
      hint: how to see the pictures one at a time; "" where there is one.
    """

    heading: str
    intro: str
    views: tuple[str, ...]
    choices: dict[int, str]
    keys: dict[str, str]
    hint: str = ""


OUTLINES = Question(
    "Which outline do you prefer?",
    "You will see {count} films. Each comes with two outlines of the same organs, in random order. For each film "
    "choose the outline that you think is better, or no preference, and add a comment if you like.",
    ("Film", "Outline 1", "Outline 2"), {1: "Outline 1", 0: "No preference", 2: "Outline 2"},
    {"<kbd>1</kbd> <kbd>2</kbd>": "prefer that outline", "<kbd>0</kbd>": "no preference",
     "<kbd>&uarr;</kbd> <kbd>&darr;</kbd>": "when enlarged: film, outline 1, outline 2 in the same place"},
    "Tap the picture to go from film to outline 1 to outline 2 in the same place.")
REALISM = Question(
    "Real or synthetic?",
    "You will see {count} films, half of them real, half of them made by a computer, in random order. For "
    "each film say which it is; guess where you cannot tell. Add a comment if you like, as on what gave it away.",
    ("Film",), {1: "Real", 2: "Synthetic"}, {"<kbd>1</kbd>": "real", "<kbd>2</kbd>": "synthetic"})


@dataclasses.dataclass(frozen=True)
class PageFilm:
    """A film as the page shows it.

    Attributes:
      name: neutral, e.g. "F01".
      film: uint8 [H, W] or RGB [H, W, 3].
      outlines: of each candidate, 1 and 2, a path per organ (`outlines.organ_paths`); none where none is asked of.
      side: pixels to which a larger film is reduced.
    """

    name: str
    film: np.ndarray
    outlines: tuple[tuple[str, ...], ...]
    side: int

    def to_json(self) -> dict[str, Any]:
        height, width = self.film.shape[:2]
        return {"film": self.name, "width": width, "height": height, "picture": _data_uri(self.film, self.side),
                "outlines": [list(paths) for paths in self.outlines]}


def make_page(study: str, organs: Sequence[str], films: Sequence[PageFilm],
              question: Question = OUTLINES) -> str:
    """The page's HTML. It depends on its arguments only, and treats both candidates alike."""
    colours = [f"rgb({red}, {green}, {blue})"  # the organs' colours in every picture of label maps
               for red, green, blue in colour_labels(np.arange(1, len(organs) + 1), len(organs) + 1)]
    shown = {"format": FORMAT, "study": study, "maxComment": MAX_COMMENT,
             "organs": [{"name": name, "colour": colour} for name, colour in zip(organs, colours, strict=True)],
             "films": [film.to_json() for film in films]}
    style, script = ((_HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    # Nothing but what stands in the page itself, told by its digest.
    policy = (f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
              "base-uri 'none'; form-action 'none'")
    parts = {"policy": html.escape(policy), "style": style, "script": script, "study": _script_json(shown),
             "max_comment": str(MAX_COMMENT), "max_reader": str(MAX_READER), **_asked(question, len(films))}
    template = (_HERE / "page.html").read_text(encoding="utf-8")
    # In one pass: texts put in are not searched.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _asked(question: Question, count: int) -> dict[str, str]:
    """The question's parts of the template."""
    captions = dict(enumerate(question.views))
    return {
        "heading": question.heading, "intro": question.intro.format(count=count), "hint": question.hint,
        "views": str(len(captions)),
        "keys": "\n    ".join(f"<dt>{keys}</dt><dd>{text}</dd>" for keys, text in question.keys.items()),
        # A single picture needs no tabs.
        "tabs": "\n    ".join(f'<button type="button" data-view="{view}">{caption}</button>'
                              for view, caption in captions.items() if len(captions) > 1),
        "panels": "\n    ".join(
            f'<figure data-view="{view}"><div class="picture"></div><figcaption>{caption}</figcaption></figure>'
            for view, caption in captions.items()),
        "choices": "\n      ".join(
            f'<button type="button" data-choice="{choice}">{text} <kbd>{choice}</kbd></button>'
            for choice, text in question.choices.items())}


def _data_uri(film: np.ndarray, side: int) -> str:
    """A film as PNG without metadata, reduced by area averaging to at most `side` pixels."""
    factor = side / max(film.shape[:2])
    if factor < 1:
        height, width = (max(1, round(length * factor)) for length in film.shape[:2])
        film = cv2.resize(film, (width, height), interpolation=cv2.INTER_AREA)
    film = film if film.ndim == 2 else film[..., ::-1]  # OpenCV writes blue first
    data = cv2.imencode(".png", film, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()  # 9: smallest
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")  # "</script>" in a string would end it
