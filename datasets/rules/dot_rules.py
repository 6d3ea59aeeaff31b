"""Which dots suit a data set: learnt from its real label maps, with what they place and what they cannot.

Where every class is one whole organ in every map and no dot hides another, the paper's dots stand. Elsewhere a
class in pieces has a dot for each of them, smaller ones where they would merge, and a class that others lie on has
larger ones below theirs. Dots tell a place, not a shape: a branching tree or the sky has none, and that is said.
"""

import dataclasses
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

import cv2
import numpy as np
from scipy import ndimage

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.dots import Centres, ClassDots, Dot, FindPieces
from datasets.rules.label_rules import LabelRules
from datasets.subsets import evenly

_SAMPLE, _DOTS = 100, 5000  # maps, and about how many dots, at most, by which sizes are chosen
PLACED = 0.95  # share of a class's pieces that its dots should place
_FEW = 0.9  # below this share dots do not suit it
_SHRUNK = (1.0, 0.75, 0.5, 0.375, 0.25)  # parts of the radius that are tried
_LEAST = 0.5  # the smallest radius: dots of one pixel
_RING = 1.5  # pixels of a larger dot around a smaller one on top: what is seen of it hangs together
_NEAR = 1.0  # pixels of the dot map that a dot may be read beside its place
# Shares of a class's pixels over the sample.
_OUTSIDE = 0.5  # in pieces whose centre lies outside of them
_ROUND = 0.4  # that a disc as large as the piece covers from its centre: a bar of 1 to 9 has 0.41
_BRANCHING = 0.25, 0.6  # more than the one and less than the other: pieces of a tree
_FRAMED, _LARGE = 0.75, 0.1  # in pieces that touch the picture's border; and of the picture: a background


@dataclasses.dataclass(frozen=True)
class LearntDots:
    """The dots of a data set.

    Attributes:
      dot: what they look like.
      drawn: the dot maps of the label maps they were learnt from, uint8 [N, size, size].
      placed: code -> pieces that its dots place, and all that there are, in a sample of the maps.
      doubts: code -> why dots do not tell where the class lies, of those where they do not.
      names: of the classes, by code.
    """

    dot: Dot
    drawn: np.ndarray
    placed: Mapping[int, tuple[int, int]]
    doubts: Mapping[int, str]
    names: tuple[str, ...]

    def lines(self) -> list[str]:
        """What a user should know before training; none where the paper's dots stand and suit every class."""
        usual = ClassDots(self.dot.radius)
        said = [self._line(code) for code, dots in enumerate(self.dot.classes, 1)
                if dots != usual or dots.may_lack or self._share(code) < 1]
        said += [f"warning: dots do not place {self.names[code]}: {why}" for code, why in self.doubts.items()]
        if self.doubts:
            listed = ",".join(self.names[code] for code in self.doubts)
            rest = f", or leave {'them' if len(self.doubts) > 1 else 'it'} to the translator: --undotted={listed}"
            said.append("    two stages need no dots: --methods=two"
                        f"{rest if len(self.doubts) < len(self.placed) else ''}")
        return said

    @property
    def least_share(self) -> float:
        """Of the pieces that its dots place, of the class that fares worst."""
        return min(_shares(self.placed))

    def _share(self, code: int) -> float:
        found, pieces = self.placed.get(code, (1, 1))  # none in the sample: none is lost
        return found / pieces

    def _line(self, code: int) -> str:
        dots, name = self.dot.classes[code - 1], self.names[code]
        if not dots.radius:
            return f"dots: none of {name}, left to the translator"
        if not dots.most and code not in self.placed:
            return f"dots: none of {name}, which no training map shows"
        found, pieces = self.placed.get(code, (0, 0))
        each = f"{'each piece of ' * dots.in_pieces}{name}{' where it is' * dots.may_lack}"
        instead = f" instead of {self.dot.radius:g}" if dots.radius != self.dot.radius else ""
        return (f"dots: one for {each}, radius {dots.radius:g}{instead} on {self.dot.size} pixels; they place "
                f"{100 * self._share(code):.3g} % of its pieces ({pieces - found:,} of {pieces:,} lost or merged)")


def undotted_codes(names: str, classes: ClassTable, dotless: bool = False) -> tuple[int, ...]:
    """Codes of the classes that --undotted names, with commas between them.

    Raises UserError for a name that is no class, where no class would be left to have dots, and for any name in a
    run that is `dotless`.
    """
    if names and dotless:
        raise UserError(f"--undotted={names}: found a run without dots, expected one that makes or translates "
                        "them (--target=dots, --translate_from=dots, --methods=three); leave it out")
    listed = {unicodedata.normalize("NFC", name.strip()) for name in names.split(",") if name.strip()}
    unknown = sorted(listed - set(classes.organs))
    if unknown:
        raise UserError(f"--undotted={names}: found {unknown[0]!r}, expected some of {', '.join(classes.organs)}")
    if len(listed) == len(classes.organs):
        raise UserError(f"--undotted={names}: found every class, expected at least one that has dots; two stages "
                        "make label maps without dots (--methods=two)")
    return tuple(sorted(classes.code(name) for name in listed))


def learn_dots(base: Dot, maps: np.ndarray, rules: LabelRules, undotted: Sequence[int] = (),
               say: Callable[[str], None] | None = None) -> LearntDots:
    """The dots of real label maps.

    Args:
      base: the paper's, of the size and radius asked for.
      maps: codes [N, H, W].
      rules: of these maps.
      undotted: codes that get no dots.
      say: is given `LearntDots.lines`.
    """
    num_classes, find = rules.table.num_classes, rules.find_pieces
    dotted = [code for code in range(1, num_classes) if code not in undotted]
    sample = maps[evenly(len(maps), _SAMPLE)]
    # of any radius: where the dots stand depends on the pieces alone
    plain = dataclasses.replace(base, classes=tuple(
        ClassDots(base.radius if code in dotted else 0.0, code in dotted and rules.in_pieces(code))
        for code in range(1, num_classes)))
    places = [plain.place(label, num_classes, find) for label in sample]
    many = sum(len(centres) for one in places for centres in one.values())
    places = [places[row] for row in evenly(len(places), max(1, len(places) * _DOTS // max(1, many)))]
    shapes = {code: _Shapes(sample, code, find) for code in sorted(set().union(*places))}
    dot, placed = base, _placed(base, places, num_classes)
    paper = len(dotted) == num_classes - 1 and not any(
        rules.classes[code].present < 1 or rules.in_pieces(code) for code in dotted)
    if not paper or min(_shares(placed)) < PLACED:
        dot, placed = _best_radii(plain, places, shapes)
    drawn = np.stack([dot.draw(label, num_classes, find) for label in maps])
    doubts = {code: why for code, shape in shapes.items() if (why := shape.doubt() or _loss(*placed[code]))}
    learnt = LearntDots(_counted(dot, drawn), drawn, placed, doubts, rules.table.names)
    for line in learnt.lines() if say else ():
        say(line)
    return learnt


class _Shapes:
    """What the pieces of a class look like over label maps [N, H, W], weighted by their pixels."""

    def __init__(self, maps: np.ndarray, code: int, find: FindPieces):
        found = [piece for label in maps if (label == code).any() for piece in _pieces(label, code, find)]
        # areas [P]; for each piece whether its centre lies outside, what a disc covers, whether it is framed
        areas, *self.facts = np.array(found, float).T
        self.area = areas.mean()
        self.share = areas.sum() / maps.size
        self.outside, self.round, self.framed = (np.average(fact, weights=areas) for fact in self.facts)

    def doubt(self) -> str | None:
        """Why a dot at its centre does not tell where the class lies; None if it does."""
        outside, round_ = _BRANCHING
        if self.outside > _OUTSIDE or (self.outside > outside and self.round < round_):
            return f"{100 * self.outside:.0f} % of it are pieces whose centre lies outside of them"
        if self.round < _ROUND:
            return f"it is long: a disc as large around its centre covers {100 * self.round:.0f} % of it"
        if self.framed > _FRAMED and self.share > _LARGE:
            return f"it covers {100 * self.share:.0f} % of the pictures and goes beyond their border"
        return None


def _pieces(label: np.ndarray, code: int, find: FindPieces) -> Iterator[tuple[float, bool, float, bool]]:
    """Of each piece, its holes filled: pixels, whether its centre lies outside of it, the share that a disc as
    large around its centre covers, and whether it touches the border of [H, W]."""
    parts, _, counted = find(label, code)
    boxes = ndimage.find_objects(parts)
    for number in 1 + np.flatnonzero(counted):
        box = boxes[number - 1]
        mask = np.pad((parts[box] == number).astype(np.uint8), 1)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, cv2.FILLED) > 0
        rows, columns = np.nonzero(filled)
        y, x = rows.mean(), columns.mean()
        near = (rows - y) ** 2 + (columns - x) ** 2 <= len(rows) / np.pi + 0.5
        framed = any(one.start == 0 or one.stop == side for one, side in zip(box, label.shape, strict=True))
        yield len(rows), not filled[round(y), round(x)], near.mean(), framed


def _best_radii(plain: Dot, places: Sequence[Centres], shapes: Mapping[int, _Shapes]
                ) -> tuple[Dot, dict[int, tuple[int, int]]]:
    """`plain` with the radii that place most pieces, larger ones first; and what they place."""
    tried = sorted({max(_LEAST, plain.radius * part) for part in _SHRUNK} | {_LEAST}, reverse=True)
    found = []
    for radius in tried:
        for radii in ({}, _stacked(radius, places, shapes)):
            dot = dataclasses.replace(plain, classes=tuple(
                dataclasses.replace(dots, radius=radii.get(code, radius)) if dots.radius else dots
                for code, dots in enumerate(plain.classes, 1)))
            placed = _placed(dot, places, len(plain.classes) + 1)
            if min(_shares(placed)) >= PLACED:
                return dot, placed
            found.append((dot, placed))
    return max(found, key=lambda one: np.mean(_shares(one[1])))


def _stacked(radius: float, places: Sequence[Centres], shapes: Mapping[int, _Shapes]) -> dict[int, float]:
    """Code -> radius: `radius` on top, and for classes whose dots these would lie on, as much more as is seen."""
    radii: dict[int, float] = {}
    for code in sorted(shapes, key=lambda code: shapes[code].area):  # the smallest pieces are on top
        above = [radii[other] + _RING for other in radii if _overlap(places, code, other, radius + radii[other])]
        radii[code] = max([radius, *above])
    return radii


def _overlap(places: Sequence[Centres], code: int, other: int, reach: float) -> bool:
    """Whether dots of two classes are nearer than `reach` more often than may be."""
    near, all_ = np.zeros(2), np.zeros(2)
    for centres in places:
        if code in centres and other in centres:
            distances = _distances(centres[code], centres[other])
            close = distances < reach
            near += close.any(1).sum(), close.any(0).sum()
        all_ += len(centres.get(code, ())), len(centres.get(other, ()))
    return bool((near > (1 - PLACED) * all_).any())


def _placed(dot: Dot, places: Sequence[Centres], num_classes: int) -> dict[int, tuple[int, int]]:
    """Code -> dots that are read where they were drawn, and all that were drawn."""
    placed: dict[int, tuple[int, int]] = {}
    for centres in places:
        read = dot.read(dot.redraw(centres), num_classes).centres
        for code, true in centres.items():
            near = _distances(true, read[code]) <= _NEAR if code in read else np.zeros((len(true), 0), bool)
            found, pieces = placed.get(code, (0, 0))
            # two that have merged are near one dot
            placed[code] = found + int(min(near.any(1).sum(), near.any(0).sum())), pieces + len(true)
    return placed


def _distances(ones: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]]) -> np.ndarray:
    """Between centres: [N, M]."""
    return np.linalg.norm(np.array(ones)[:, None] - np.array(others)[None], axis=-1)


def _shares(placed: Mapping[int, tuple[int, int]]) -> list[float]:
    return [found / pieces for found, pieces in placed.values()] or [1.0]  # no class anywhere: nothing is lost


def _loss(found: int, pieces: int) -> str | None:
    share = found / pieces
    return f"{100 * share:.0f} % of its pieces are placed, the others lost or merged" if share < _FEW else None


def _counted(dot: Dot, drawn: np.ndarray) -> Dot:
    """`dot` with how many dots of each class the dot maps [N, size, size] have, half of the range to spare."""
    if not dot.classes:
        return dot  # one each
    reads = [dot.read(dots, len(dot.classes) + 1).centres for dots in drawn]
    classes = []
    for code, dots in enumerate(dot.classes, 1):
        counts = [len(read.get(code, ())) for read in reads]
        shown = [count for count in counts if count] or [0]
        spare = (max(shown) - min(shown)) // 2
        classes.append(dataclasses.replace(dots, fewest=max(min(1, min(shown)), min(shown) - spare),
                                           most=max(shown) + spare, may_lack=0 in counts))
    return dataclasses.replace(dot, classes=tuple(classes))
