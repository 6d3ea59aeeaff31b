"""What a data set's label maps are like, learnt from real ones: which classes come, in how many pieces, where.

The class table says names; these rules say what is normal. Cleaning (`datasets.rules.label_cleaning`), the checks
of generated maps and the dots follow them. Every map that they were learnt from passes.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from datasets.class_table import IGNORED, ClassTable
from datasets.rules.label_filters import components, majority_filter

MAIN_SHARE = 0.9  # a class is in one piece where its largest holds at least this share of it
SPECK_SHARE = 0.05  # pieces below this share of a class in one piece are specks
SLACK = 1.5  # a range of real maps may be left by this factor
_WIDE = 0.5  # or by this power of the factor between its ends
WEAR = 0.01  # share of a real map's labelled pixels that cleaning may change
_DIRTY = 0.1  # share of real maps that may have dirt: pieces apart in size from all others
_SPARED = 0.75  # share of each whole organ that a filter of rims must leave
_SURROUNDED = 0.9  # share of a class's border along another class, to lie inside it
_AROUND = _SURROUNDED / 2  # and what of it is enough in a generated map
_EVIDENCE = 3  # films that must show a class, to say that it always lies inside another
_CHANCE = 0.05  # how likely "never without" may be by chance
_FILTERED = 100  # maps at most on which a majority filter is tried
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclasses.dataclass(frozen=True)
class ClassRule:
    """One class in the real maps; everything but `present` is of the maps that show it.

    Attributes:
      present: share of the maps that show it, 0 to 1.
      pieces: fewest and most pieces; specks of a class in one piece do not count.
      smallest: the smallest piece that is no speck, as a share of the picture.
      main: the least share of the class that its largest piece holds.
      area: least and largest share of the picture that it covers.
      specks: share of the class below which a piece is a speck; 0 where only those well below `smallest` are.
      inside: codes of the classes that always surround it.
      needs: codes of the classes that are there wherever it is, though not in every map.
    """

    present: float
    pieces: tuple[int, int]
    smallest: float
    main: float
    area: tuple[float, float]
    specks: float = 0.0
    inside: tuple[int, ...] = ()
    needs: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ClassRule":
        """Raises KeyError, TypeError or ValueError for anything else than `dataclasses.asdict` gives."""
        numbers = {name: float(value[name]) for name in ("present", "smallest", "main", "specks")}
        lists = {name: tuple(int(code) for code in value[name]) for name in ("pieces", "inside", "needs")}
        area = tuple(float(share) for share in value["area"])
        if len(lists["pieces"]) != 2 or len(area) != 2 or not 0 <= numbers["present"] <= 1:
            raise ValueError(f"not the rule of a class: {value!r}")
        return cls(area=area, **numbers, **lists)


@dataclasses.dataclass(frozen=True)
class LabelRules:
    """The rules of a data set.

    Attributes:
      table: the class table.
      classes: code (from 1) -> its rule.
      maps, films: how many label maps they were learnt from, and how many of these are no copies of others.
      touching: pairs of codes, lower first, that touch in some map; background included.
      smooth: whether a majority filter leaves the maps as they are, but for their outlines' roughness.
    """

    table: ClassTable
    classes: Mapping[int, ClassRule]
    maps: int
    films: int
    touching: tuple[tuple[int, int], ...]
    smooth: bool

    @classmethod
    def learn(cls, maps: Sequence[np.ndarray], classes: ClassTable, films: int | None = None) -> "LabelRules":
        """The rules of real label maps, codes [H, W]; `films` of them are no copies of others (None: all).

        Raises ValueError without maps.
        """
        if not len(maps):
            raise ValueError("rules are learnt from label maps; received none")
        every = -(-len(maps) // _FILTERED)
        found = [_Facts(labels, classes, place % every == 0) for place, labels in enumerate(maps)]
        films = len(maps) if films is None else films
        shown = np.array([[facts.areas[code] > 0 for code in range(1, classes.num_classes)] for facts in found])
        rules = {code: _class_rule(code, classes, found, shown, films / len(maps))
                 for code in range(1, classes.num_classes)}
        touching = tuple(sorted(set().union(*(facts.touching for facts in found))))
        return cls(classes, rules, len(maps), films, touching, _is_smooth(found[::every], rules))

    def in_pieces(self, code: int) -> bool:
        """Whether some map shows the class without one piece that holds nearly all of it."""
        return self.classes[code].main < MAIN_SHARE and self.classes[code].present > 0

    def whole(self) -> tuple[str, ...]:
        """Names of the classes that come in one piece in every map that shows them."""
        return tuple(self.table.names[code] for code, rule in self.classes.items()
                     if rule.present and not self.in_pieces(code))

    def shares(self) -> dict[int, float]:
        """Code -> share of the maps that show it, of the classes that come and go."""
        return {code: rule.present for code, rule in self.classes.items() if 0 < rule.present < 1}

    def rims_between(self, order: Sequence[int]) -> bool:
        """Whether a grey coding of this order makes rims of a third code between two classes that touch, and a
        majority filter, which takes them out, leaves what is thin in real maps."""
        places = {code: place for place, code in enumerate(order)}
        return self.smooth and any(abs(places[one] - places[other]) > 1 for one, other in self.touching)

    def broken_by(self, labels: np.ndarray) -> str | None:
        """Why codes [H, W] cannot be a label map of this data set; None if they can."""
        for code, name in enumerate(self.table.organs, 1):
            reason = self._broken_by(labels, code)
            if reason:
                return f"{name} {reason}"
        return None

    def _broken_by(self, labels: np.ndarray, code: int) -> str | None:
        """What is wrong with one class."""
        rule = self.classes[code]
        _, areas, whole = self.find_pieces(labels, code)
        total = areas.sum()
        if not total:
            return "missing" if rule.present == 1 else None
        if rule.present == 0:
            return "there, which no real map shows"
        if not self.in_pieces(code) and areas.max() < MAIN_SHARE * total:
            return "in pieces"
        share, slack = total / labels.size, self._slack(code, rule.area)
        if not rule.area[0] / slack <= share <= rule.area[1] * slack:
            return f"too {'small' if share < rule.area[0] else 'large'}"
        slack = self._slack(code, rule.pieces)
        low, high = math.ceil(rule.pieces[0] / slack), math.floor(rule.pieces[1] * slack)
        if self.in_pieces(code) and not low <= whole.sum() <= high:
            return f"in too {'few' if whole.sum() < low else 'many'} pieces"
        return self._misplaced(labels, code)

    def _slack(self, code: int, found: tuple[float, float]) -> float:
        """The factor by which a range may be left: more where it is wide, but for a whole organ of every map."""
        rule = self.classes[code]
        whole = rule.present == 1 and not self.in_pieces(code)
        return SLACK if whole else max(SLACK, (found[1] / max(1e-9, found[0])) ** _WIDE)

    def _misplaced(self, labels: np.ndarray, code: int) -> str | None:
        """Which class is not where it always is with this one."""
        rule, names = self.classes[code], self.table.names
        if rule.inside:
            around = _surroundings(labels, code, self.table.num_classes)
            outside = [other for other in rule.inside if around[other] < _AROUND]
            if outside:
                return f"outside {names[outside[0]]}"
        alone = [other for other in rule.needs if not (labels == other).any()]
        return f"without {names[alone[0]]}" if alone else None

    def lines(self) -> list[str]:
        """One line for people on each class."""
        return [f"{self.table.names[code]}: {self._line(code, rule)}" for code, rule in self.classes.items()]

    def _line(self, code: int, rule: ClassRule) -> str:
        if not rule.present:
            return f"in none of {self.films}"
        low, high = rule.pieces if self.in_pieces(code) else (1, 1)
        pieces = f"{low:,} to {high:,} pieces" if low < high else f"{low:,} piece{'s' if low > 1 else ''}"
        areas = " to ".join(f"{100 * share:.2g}" for share in rule.area)
        inside = [f"inside {self.table.names[other]}" for other in rule.inside]
        needs = [f"never without {self.table.names[other]}" for other in rule.needs]
        shown = f"in {rule.present * self.films:.3g} of {self.films}"
        return ", ".join([shown, pieces, f"{areas} % of the picture", *inside, *needs])

    def find_pieces(self, labels: np.ndarray, code: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pieces of a class in codes [H, W]: components [H, W] numbered from 1 (see `components`), how many
        pixels of the class each holds, and whether it is one and not a speck or another class's part, bool."""
        parts, areas = components(labels, self.table.codes_within(code))
        rule = self.classes[code]
        least = max(rule.specks * areas.sum(), 0.0 if rule.specks else rule.smallest * labels.size / SLACK)
        return parts, areas, (areas > 0) & (areas >= least) & (rule.present > 0)

    def to_json(self) -> dict[str, Any]:
        rules = {self.table.names[code]: dataclasses.asdict(rule) for code, rule in self.classes.items()}
        return {"maps": self.maps, "films": self.films, "touching": [list(pair) for pair in self.touching],
                "smooth": self.smooth, "table": self.table.to_json(), "classes": rules}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "LabelRules":
        """Raises KeyError, TypeError or ValueError for anything else than `to_json` gives."""
        table = ClassTable.from_json(value["table"])
        rules = {code: ClassRule.from_json(value["classes"][name]) for code, name in enumerate(table.organs, 1)}
        touching = tuple((int(low), int(high)) for low, high in value["touching"])
        return cls(table, rules, int(value["maps"]), int(value["films"]), touching, bool(value["smooth"]))


class _Facts:
    """What one real map [H, W] tells, class by class; if asked for, what a majority filter would change of it."""

    def __init__(self, labels: np.ndarray, classes: ClassTable, filtered: bool):
        self.size = labels.size
        self.areas = np.bincount(labels.ravel(), minlength=classes.num_classes)[:classes.num_classes]
        self.pieces, self.around = {}, {}  # code -> areas of its pieces; -> share of its border along each code
        for code in range(1, classes.num_classes):
            if self.areas[code]:
                _, areas = components(labels, classes.codes_within(code))
                self.pieces[code] = areas[areas > 0]
                self.around[code] = _surroundings(labels, code, classes.num_classes)
        self.touching = _touching(labels)
        if filtered:
            made = majority_filter(labels, classes.num_classes)
            self.worn = np.count_nonzero(made != labels) / max(1, self.labelled)
            self.spared = {code: (made[labels == code] == code).mean() for code in self.pieces}

    @property
    def labelled(self) -> int:
        """Pixels that are not background."""
        return int(self.areas[1:].sum())


def _class_rule(code: int, classes: ClassTable, found: Sequence[_Facts], shown: np.ndarray,
                weight: float) -> ClassRule:
    """The rule of one class. `shown`: bool [maps, organs]; `weight`: films per map."""
    present = shown[:, code - 1]
    seen = [facts for facts in found if code in facts.pieces]
    if not seen:
        return ClassRule(0.0, (0, 0), 0.0, 0.0, (0.0, 0.0))
    main = min(facts.pieces[code].max() / facts.pieces[code].sum() for facts in seen)
    specks = _speck_share(code, seen) if main >= MAIN_SHARE else 0.0
    least = 0.0 if specks else _least_piece(code, seen)
    pieces = [shares[shares >= max(specks * shares.sum(), least)] for shares in
              (facts.pieces[code] / facts.size for facts in seen)]
    # as shares of a picture, whatever its size
    areas = [facts.areas[code] / facts.size for facts in seen]
    smallest = min(kept.min() for kept in pieces)
    counts = [len(kept) for kept in pieces]
    return ClassRule(float(present.mean()), (min(counts), max(counts)), float(smallest), float(main),
                     (float(min(areas)), float(max(areas))), specks, _inside(code, classes, seen, weight),
                     _needs(code, shown, weight))


def _speck_share(code: int, seen: Sequence[_Facts]) -> float:
    """SPECK_SHARE for a class in one piece, or 0 where that would take more than dirt from a real map."""
    lost = max(areas[areas < SPECK_SHARE * areas.sum()].sum() / facts.labelled
               for facts, areas in ((facts, facts.pieces[code]) for facts in seen))
    return SPECK_SHARE if lost <= WEAR / len(seen[0].areas) else 0.0


def _least_piece(code: int, seen: Sequence[_Facts]) -> float:
    """Share of the picture of the smallest piece in real maps, but for dirt.

    Dirt is smaller than all other pieces by SLACK, in a tenth of the maps at most, and no more than cleaning may
    take from a map.
    """
    shares = [np.sort(facts.pieces[code]) / facts.size for facts in seen]
    sizes = np.unique(np.concatenate(shares))
    for place in range(len(sizes) - 1, 0, -1):
        if sizes[place - 1] * SLACK < sizes[place]:
            lost = [part[part < sizes[place]].sum() for part in shares]
            allowed = [WEAR / len(facts.areas) * facts.labelled / facts.size for facts in seen]
            whole = all(part[-1] >= sizes[place] for part in shares)  # no map shows dirt alone
            if whole and np.count_nonzero(lost) <= _DIRTY * len(seen) and (np.array(lost) <= allowed).all():
                return float(sizes[place])
    return float(sizes[0])


def _inside(code: int, classes: ClassTable, seen: Sequence[_Facts], weight: float) -> tuple[int, ...]:
    """Codes that surround the class in every map; not those it is painted over by its table."""
    if len(seen) * weight < _EVIDENCE:
        return ()
    least = np.min([facts.around[code] for facts in seen], 0)
    return tuple(other for other in range(1, classes.num_classes) if least[other] >= _SURROUNDED
                 and code not in classes.codes_within(other) and other not in classes.codes_within(code))


def _needs(code: int, shown: np.ndarray, weight: float) -> tuple[int, ...]:
    """Codes of classes that come and go, but are never away where this one is, more often than by chance."""
    rows, shares = shown[shown[:, code - 1]], shown.mean(0)
    films = len(rows) * weight
    return tuple(other + 1 for other in range(shown.shape[1])
                 if rows[:, other].all() and shares[other] < 1 and shares[other] ** films < _CHANCE
                 and other != code - 1)


def _surroundings(labels: np.ndarray, code: int, num_classes: int) -> np.ndarray:
    """Share of each code along the outer border of a class [num_classes]; the picture's edge has none."""
    framed = np.pad(labels, 2, constant_values=IGNORED)
    rows, columns = (np.flatnonzero((framed == code).any(axis)) for axis in (1, 0))
    framed = framed[rows[0] - 1:rows[-1] + 2, columns[0] - 1:columns[-1] + 2]  # the class and a pixel around it
    outside = (framed != code).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2, flags=4)  # 1 stays in holes
    region = (outside < 2).astype(np.uint8)
    border = (cv2.dilate(region, _CROSS) > 0) & (region == 0)
    return np.bincount(framed[border], minlength=num_classes)[:num_classes] / border.sum()


def _touching(labels: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of codes, lower first, of neighbouring pixels."""
    sides = ((labels[:-1], labels[1:]), (labels[:, :-1], labels[:, 1:]))
    pairs = np.concatenate([np.stack([one[one != other], other[one != other]], 1) for one, other in sides])
    return {(int(low), int(high)) for low, high in np.unique(np.sort(pairs, 1), axis=0)}


def _is_smooth(found: Sequence[_Facts], rules: Mapping[int, ClassRule]) -> bool:
    """Whether a majority filter changes no map by WEAR; whole organs, in every map, may lose more of their rim."""
    if max(facts.worn for facts in found) < WEAR:
        return True
    whole = all(rule.present == 1 and rule.main >= MAIN_SHARE for rule in rules.values())
    return whole and all(np.mean([facts.spared[code] for facts in found]) >= _SPARED for code in rules)
