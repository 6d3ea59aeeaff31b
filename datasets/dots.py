"""Dots: where the organs of a label map lie, drawn as discs of their codes (Ciano et al. 2021, 3.2.3).

The paper has one dot for each organ, at the centroid of its mask. Other label maps need others, and a `Dot` says
them class by class (`datasets.rules.dot_rules` learns it from the maps): a dot for each piece of a class that
comes in pieces, none for a class that is absent or left to the translator, and smaller dots on top of larger ones,
so that a cup in a disc does not hide it.

Smaller dots on top rather than a channel for each class: a dot map stays one plane of codes, as the paper's, which
both label codings, PNG files, grids and exported methods take as it is, and the networks keep their shapes.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

_SPECK = 1 / 3  # components below this share of a dot's area are noise
HIDDEN_TURNS = 4  # of the search for the centre of a dot that is partly hidden

Centres = Mapping[int, Sequence[tuple[float, float]]]  # code -> (y, x) of its dots, in pixels of the dot map
# (codes [H, W], code) -> components [H, W], their areas, which of them are pieces: `LabelRules.find_pieces`
FindPieces = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class ReadDots:
    """What `Dot.read` found.

    Attributes:
      centres: code -> (y, x) in pixels of every dot found; classes without dots are left out.
      reason: why these are not as many dots as a real map has; None if they are.
    """

    centres: dict[int, tuple[tuple[float, float], ...]]
    reason: str | None


@dataclasses.dataclass(frozen=True)
class ClassDots:
    """The dots of one class.

    Attributes:
      radius: in pixels of the dot map; 0 for a class that gets no dots.
      in_pieces: whether each piece of the class has a dot; else one stands at the centroid of the whole mask.
      fewest, most: dots that a real map with the class has.
      may_lack: whether real maps may have none. These three don't decide what a dot looks like: a translator takes
        maps with more of them than it was trained on.
    """

    radius: float
    in_pieces: bool = False
    fewest: int = dataclasses.field(default=1, compare=False)
    most: int = dataclasses.field(default=1, compare=False)
    may_lack: bool = dataclasses.field(default=False, compare=False)

    def __post_init__(self):
        flags = type(self.in_pieces) is type(self.may_lack) is bool
        numbers = type(self.fewest) is type(self.most) is int and 0 <= self.fewest <= self.most
        if not flags or not numbers or not 0 <= self.radius < math.inf:
            raise ValueError(f"dots of a class have a radius of 0 or more and counts in order; received {self}")

    def __str__(self) -> str:
        if not self.radius:
            return "none"
        return f"one{' for each piece' * self.in_pieces}, radius {self.radius:g}"

    def refuses(self, count: int) -> bool:
        """Whether no real map has `count` dots of the class."""
        return self.radius > 0 and not (self.fewest <= count <= self.most or (count == 0 and self.may_lack))


@dataclasses.dataclass(frozen=True)
class Dot:
    """What the dots of a map look like. A translator knows no others than those it was trained on.

    Attributes:
      size: side of the dot map in pixels (paper: 64).
      radius: of the discs, in pixels of the dot map.
      classes: the dots of each class, in order of codes from 1; empty for the paper's, one of `radius` each.

    Raises ValueError unless size and radius are positive numbers.
    """

    size: int
    radius: float
    classes: tuple[ClassDots, ...] = dataclasses.field(default=(), repr=False)

    def __post_init__(self):
        if type(self.size) is not int or self.size < 1 or not 0 < self.radius < math.inf:
            raise ValueError(f"a dot has a side in whole pixels and a radius above 0; received {self}")

    @classmethod
    def scaled(cls, size: int, radius_at_64: float) -> "Dot":
        """On a map of side `size`: a radius in proportion to that at 64 x 64, but at least one pixel."""
        return cls(size, max(1.0, radius_at_64 * size / 64))

    def of_class(self, code: int) -> ClassDots:
        return self.classes[code - 1] if self.classes else ClassDots(self.radius)

    def least_area(self, code: int) -> float:
        """Pixels that a part of a map must have to be a dot of the class and not a speck."""
        return max(1.0, _SPECK * math.pi * self.of_class(code).radius**2)

    def draw(self, label: np.ndarray, num_classes: int, pieces: FindPieces | None = None) -> np.ndarray:
        """The dot map uint8 [size, size] of codes [H, W]; organs that are absent get no dot.

        Args:
          pieces: finds the pieces of a class; needed where classes come in pieces.
        """
        return self.redraw(self.place(label, num_classes, pieces))

    def place(self, label: np.ndarray, num_classes: int, pieces: FindPieces | None = None) -> Centres:
        """Where the dots of codes [H, W] go; as `draw`."""
        dotted = [code for code in range(1, num_classes) if self.of_class(code).radius and (label == code).any()]
        whole = [code for code in dotted if not self.of_class(code).in_pieces]
        found = ndimage.center_of_mass(np.ones_like(label), label, whole) if whole else []
        centres = {code: [centre] for code, centre in zip(whole, found, strict=True)}
        for code in dotted:
            if self.of_class(code).in_pieces:
                parts, _, counted = pieces(label, code)
                centres[code] = ndimage.center_of_mass(label == code, parts, 1 + np.flatnonzero(counted))
        scale = self.size / np.array(label.shape)
        return {code: [tuple((np.array(centre) + 0.5) * scale - 0.5) for centre in places]  # pixel centres: halves
                for code, places in centres.items() if places}

    def redraw(self, centres: Centres) -> np.ndarray:
        """Discs at the given places, larger ones first, then in order of codes; a disc holds at least its nearest
        pixel."""
        dots = np.zeros((self.size, self.size), np.uint8)
        for code in sorted(centres, key=lambda code: (-self.of_class(code).radius, code)):
            radius = self.of_class(code).radius
            for centre in centres[code]:
                near = [np.clip(round(place), 0, self.size - 1) for place in centre]
                box = tuple(slice(max(0, place - int(radius) - 2), place + int(radius) + 3) for place in near)
                rows, columns = np.ogrid[:self.size, :self.size]
                distance = (rows[box[0]] - centre[0]) ** 2 + (columns[:, box[1]] - centre[1]) ** 2
                dots[box][(distance <= radius**2) | (distance == distance.min())] = code
        return dots

    def read(self, dots: np.ndarray, num_classes: int) -> ReadDots:
        """Finds the dots of each class in codes [size, size]; specks are ignored."""
        centres: dict[int, tuple[tuple[float, float], ...]] = {}
        reasons = []
        for code in range(1, num_classes):
            if not self.of_class(code).radius:
                continue
            parts, count = ndimage.label(dots == code)
            areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
            whole = [index + 1 for index, area in enumerate(areas) if area >= self.least_area(code)]
            if self.of_class(code).refuses(len(whole)):
                reasons.append(f"{f'{len(whole)} dots' if whole else 'no dot'} of class {code}")
            if whole:
                centres[code] = self._centres(dots, code, parts, whole)
        return ReadDots(centres, reasons[0] if reasons else None)

    def _centres(self, dots: np.ndarray, code: int, parts: np.ndarray,
                 numbers: Sequence[int]) -> tuple[tuple[float, float], ...]:
        """Centres of dots of `code`, components of [size, size]: of what is seen and of what smaller dots hide."""
        radius = self.of_class(code).radius
        above = np.isin(dots, [other for other in range(1, len(self.classes) + 1)
                               if 0 < self.of_class(other).radius < radius])
        centres = ndimage.center_of_mass(np.ones_like(dots), parts, numbers)
        if above.any():
            centres = [self._whole_centre(parts == number, above, radius, centre)
                       for number, centre in zip(numbers, centres, strict=True)]
        return tuple((float(y), float(x)) for y, x in centres)

    def _whole_centre(self, seen: np.ndarray, above: np.ndarray, radius: float,
                      centre: tuple[float, float]) -> tuple[float, float]:
        """Of a dot partly hidden by those above: the disc around it has it as its centroid."""
        rows, columns = np.ogrid[:self.size, :self.size]
        for _ in range(HIDDEN_TURNS):
            distance = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
            centre = ndimage.center_of_mass(seen | above & (distance <= radius**2))
        return centre

    def to_json(self) -> dict[str, Any]:
        """Size and radius; and, unless they are the paper's, the dots of each class."""
        value = {"size": self.size, "radius": self.radius}
        return {**value, "classes": [dataclasses.asdict(dots) for dots in self.classes]} if self.classes else value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Dot":
        """Raises KeyError, TypeError or ValueError for anything else than `to_json` gives."""
        return cls(value["size"], value["radius"], tuple(ClassDots(**dots) for dots in value.get("classes", ())))
