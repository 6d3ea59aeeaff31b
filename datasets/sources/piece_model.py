"""A statistical model of label maps whose classes come in pieces, or come and go: real maps, varied (ours).

`ShapeModel` needs one outline of every class in every map. Where that is not so, a map is drawn as a smoothed
bootstrap draws (Silverman 1986, "Density estimation for statistics and data analysis", section 6.4): a real map,
each as likely as any other, gives the classes and the pieces that are there, so both come as often as in real
maps. What it shows is then varied:

- classes with one outline in every map together, along their principal modes of variation as in `ShapeModel`;
- any other piece by itself: its outline along the modes of its class's pieces, all brought to one size, and its
  place and size a little.

Pieces of one class stay apart. Outlines have no holes: a class that has them, or branches, is refused.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from datasets.common.errors import UserError
from datasets.rules.label_rules import LabelRules
from datasets.sources.shape_model import (
    POINTS,
    ShapeModel,
    fill,
    outline,
    outlines,
    principal_modes,
    truncated_normal,
)
from datasets.subsets import evenly

SMOOTHING = 0.5  # share of the deviation along a mode that is drawn anew; the variance stays that of the data
MOVED = 0.05  # standard deviation of a piece's place, in parts of its size (the root of its area)
RESIZED = 0.05  # standard deviation of the logarithm of a piece's size
LEAST_OVERLAP = 0.85  # J of a class's real maps and what their outlines paint, below which it cannot be modelled
_CHECKED = 50  # maps whose outlines are compared with them
SETTINGS = {"smoothing": SMOOTHING, "moved": MOVED, "resized": RESIZED}


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece of a class: its outline is centre + size * points, float64 [POINTS, 2] as (x, y) in [0, 1]."""

    code: int
    centre: np.ndarray
    size: float
    points: np.ndarray

    @property
    def outline(self) -> np.ndarray:
        return self.centre + self.size * self.points


@dataclasses.dataclass(frozen=True)
class Modes:
    """How vectors vary: mean [D], orthonormal modes [K, D], standard deviations along them [K]."""

    mean: np.ndarray
    modes: np.ndarray
    deviations: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray) -> "Modes":
        """Of vectors [N, D]; one alone does not vary."""
        if len(vectors) < 2 or not vectors.size:
            return cls(np.zeros(vectors.shape[1]), np.zeros((0, vectors.shape[1])), np.zeros(0))
        return cls(*principal_modes(vectors))

    def vary(self, vector: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """`vector` [D] with its deviations from the mean partly drawn anew."""
        before = self.modes @ (vector - self.mean)
        drawn = truncated_normal(rng, len(self.deviations)) * self.deviations
        after = np.sqrt(1 - SMOOTHING**2) * before + SMOOTHING * drawn
        return vector + (after - before) @ self.modes


@dataclasses.dataclass(frozen=True)
class PieceModel:
    """Real maps as outlines, and how these vary.

    Attributes:
      order: codes in the order of painting, what surrounds others first.
      whole: codes with one outline in every map.
      shapes: float64 [maps, D] of the outlines of `whole`, D = their number x points x 2.
      joint: how `shapes` vary.
      pieces: of each map, the pieces of all other classes.
      single: code -> how the points of its pieces vary.
    """

    order: tuple[int, ...]
    whole: tuple[int, ...]
    shapes: np.ndarray
    joint: Modes
    pieces: tuple[tuple[Piece, ...], ...]
    single: dict[int, Modes]

    @classmethod
    def fit(cls, maps: Sequence[np.ndarray], rules: LabelRules, order: Sequence[int]) -> "PieceModel":
        """The model of label maps (codes [H, W]) that these rules were learnt from, painted in this order."""
        found = [_taken_apart(labels, rules) for labels in maps]
        whole = tuple(code for code in rules.classes if _is_whole(rules, code))
        shapes = np.array([np.array([shape[code] for code in whole]).ravel() for shape, _ in found])
        pieces = tuple(tuple(loose) for _, loose in found)
        single = {code: Modes.fit(np.array([piece.points.ravel() for loose in pieces for piece in loose
                                            if piece.code == code]))
                  for code, rule in rules.classes.items() if code not in whole and rule.present}
        return cls(tuple(order), whole, shapes, Modes.fit(shapes), pieces, single)

    def sample(self, indices: np.ndarray, seed: int, size: int) -> np.ndarray:
        """Label maps [N] -> codes uint8 [N, size, size]; map i is a function of (seed, i) alone."""
        made = [self._draw(np.random.default_rng([seed, int(index)]), size) for index in indices]
        return np.stack(made) if made else np.zeros((0, size, size), np.uint8)

    def _draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        place = int(rng.integers(len(self.pieces)))
        shape = self.joint.vary(self.shapes[place], rng).reshape(len(self.whole), POINTS, 2)
        pieces = [self._vary(piece, rng) for piece in self.pieces[place]]
        return _paint(dict(zip(self.whole, shape, strict=True)), pieces, self.order, (size, size))

    def _vary(self, piece: Piece, rng: np.random.Generator) -> Piece:
        points = self.single[piece.code].vary(piece.points.ravel(), rng).reshape(-1, 2)
        moved = piece.centre + MOVED * piece.size * truncated_normal(rng, 2)
        return Piece(piece.code, moved, piece.size * np.exp(RESIZED * truncated_normal(rng, 1)[0]), points)


def fit_label_model(maps: Sequence[np.ndarray], rules: LabelRules) -> ShapeModel | PieceModel:
    """The statistical model that suits label maps (codes [H, W]) with these rules.

    A class that surrounds others is modelled together with them and painted before them, as a disc under its cup.
    Raises UserError for a class whose outlines do not give its maps back, and as the models do.
    """
    order = sorted(rules.classes, key=lambda code: (_depth(code, rules), code))
    under = {rules.table.names[code]: rules.table.names[rule.inside[0]] for code, rule in rules.classes.items()
             if rule.inside}
    if under:
        table = dataclasses.replace(rules.table, fold_back={**rules.table.fold_back, **under})
        rules = LabelRules.learn(maps, table, rules.films)
    _check(maps, rules, order)
    if order == sorted(order) and all(_is_whole(rules, code) for code in rules.classes):
        return ShapeModel.fit(maps, rules.table)
    return PieceModel.fit(maps, rules, order)


def _depth(code: int, rules: LabelRules) -> int:
    """How many classes surround the class, one in the other."""
    depth = 0
    while rules.classes[code].inside and depth < len(rules.classes):
        code, depth = rules.classes[code].inside[0], depth + 1
    return depth


def _is_whole(rules: LabelRules, code: int) -> bool:
    """Whether every map has the class in one piece, whose outlines then correspond."""
    return rules.classes[code].present == 1 and not rules.in_pieces(code)


def _check(maps: Sequence[np.ndarray], rules: LabelRules, order: Sequence[int]) -> None:
    """Raises UserError for a class whose outlines, as they are, do not give its real maps back."""
    real = np.stack([maps[place] for place in evenly(len(maps), _CHECKED)])
    painted = np.stack([_paint(*_taken_apart(labels, rules), order, labels.shape) for labels in real])
    for code in order:
        one, other = real == code, painted == code
        overlap = (one & other).sum() / max(1, (one | other).sum())
        if one.any() and overlap < LEAST_OVERLAP:
            raise UserError(f"shape model: found J {overlap:.2f} of outlines of {rules.table.names[code]} and its "
                            f"{len(maps):,} label maps, expected at least {LEAST_OVERLAP} (outlines have no holes "
                            "and few points); leave shape out of --extras")


def _taken_apart(labels: np.ndarray, rules: LabelRules) -> tuple[dict[int, np.ndarray], list[Piece]]:
    """Codes [H, W] as outlines of whole classes, code -> float64 [POINTS, 2], and pieces of all others."""
    whole = [code for code in rules.classes if _is_whole(rules, code)]
    shapes = dict(zip(whole, outlines(labels, rules.table, whole), strict=True)) if whole else {}
    return shapes, [piece for code in rules.classes if code not in whole for piece in _pieces(labels, code, rules)]


def _pieces(labels: np.ndarray, code: int, rules: LabelRules) -> list[Piece]:
    """The pieces of a class in codes [H, W]."""
    parts, areas, counted = rules.find_pieces(labels, code)
    found = []
    for number in 1 + np.flatnonzero(counted):
        points = (outline(parts == number, POINTS) + 0.5) / labels.shape[::-1]
        size = np.sqrt(areas[number - 1] / labels.size)
        centre = points.mean(0)
        found.append(Piece(code, centre, float(size), (points - centre) / size))
    return found


def _paint(whole: dict[int, np.ndarray], pieces: Sequence[Piece], order: Sequence[int],
           size: tuple[int, int]) -> np.ndarray:
    """The label map uint8 [size] of outlines and pieces, class by class."""
    labels = np.zeros(size, np.uint8)
    for code in order:
        if code in whole:
            fill(labels, whole[code], code)
            continue
        layer = np.zeros(size, np.uint8)
        for piece in pieces:
            if piece.code == code:
                _add_apart(layer, piece.outline)
        labels[layer > 0] = code
    return labels


def _add_apart(layer: np.ndarray, outline: np.ndarray) -> None:
    """Paints 1 into uint8 [H, W] inside an outline, but not beside what is there: pieces stay apart."""
    one = np.zeros_like(layer)
    fill(one, outline, 1)
    around = cv2.dilate(layer, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    layer[(one > 0) & (around == 0)] = 1
