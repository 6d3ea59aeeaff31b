"""What a data set's label maps are like, learnt from real ones: which classes come, in how many pieces, where.

The class table says names; these rules say what is normal. Cleaning (`datasets.label_cleaning`) and the checks of
generated maps follow them, and so do the dots.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from datasets.class_table import ClassTable
from datasets.label_filters import components, majority_filter

MAIN_SHARE = 0.9  # a class is in one piece where its largest holds at least this share of it
SPECK_SHARE = 0.05  # pieces below this share of a class in one piece are specks
SLACK = 1.5  # a range of real maps may be left by this factor
WEAR = 0.01  # share of a real map's labelled pixels that cleaning may change
_DIRTY = 0.1  # share of real maps that may have dirt: pieces apart in size from all others
_SPARED = 0.75  # share of each whole organ that a filter of rims must leave
_SURROUNDED = 0.9  # share of a class's border along another class, to lie inside it
_EVIDENCE = 3  # films that must show a class, to say that it always lies inside another
_CHANCE = 0.05  # how likely "never without" may be by chance


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
      maps: how many label maps they were learnt from.
      touching: pairs of codes, lower first, that touch in some map; background included.
      smooth: whether a majority filter leaves the maps as they are, but for their outlines' roughness.
    """

    table: ClassTable
    classes: Mapping[int, ClassRule]
    maps: int
    touching: tuple[tuple[int, int], ...]
    smooth: bool

    @classmethod
    def learn(cls, maps: Sequence[np.ndarray], classes: ClassTable, films: int | None = None) -> "LabelRules":
        """The rules of real label maps, codes [H, W]; `films` of them are no copies of others (default: all).

        Raises ValueError without maps.
        """
        if not len(maps):
            raise ValueError("rules are learnt from label maps; received none")
        found = [_Facts(labels, classes) for labels in maps]
        weight = (len(maps) if films is None else films) / len(maps)
        shown = np.array([[facts.areas[code] > 0 for code in range(1, classes.num_classes)] for facts in found])
        rules = {code: _class_rule(code, classes, found, shown, weight)
                 for code in range(1, classes.num_classes)}
        touching = tuple(sorted(set().union(*(facts.touching for facts in found))))
        return cls(classes, rules, len(maps), touching, _is_smooth(found, rules))

    def in_pieces(self, code: int) -> bool:
        """Whether some map shows the class without one piece that holds nearly all of it."""
        return self.classes[code].main < MAIN_SHARE and self.classes[code].present > 0

    def find_pieces(self, labels: np.ndarray, code: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pieces of a class in codes [H, W]: components [H, W] numbered from 1 (see `components`), how many
        pixels of the class each holds, and whether it is one and not a speck or another class's part, bool."""
        parts, areas = components(labels, self.table.codes_within(code))
        rule = self.classes[code]
        least = max(rule.specks * areas.sum(), 0.0 if rule.specks else rule.smallest * labels.size / SLACK)
        return parts, areas, (areas > 0) & (areas >= least) & (rule.present > 0)

    def to_json(self) -> dict[str, Any]:
        rules = {self.table.names[code]: dataclasses.asdict(rule) for code, rule in self.classes.items()}
        return {"maps": self.maps, "touching": [list(pair) for pair in self.touching], "smooth": self.smooth,
                "table": self.table.to_json(), "classes": rules}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "LabelRules":
        """Raises KeyError, TypeError or ValueError for anything else than `to_json` gives."""
        table = ClassTable.from_json(value["table"])
        rules = {code: ClassRule.from_json(value["classes"][name]) for code, name in enumerate(table.organs, 1)}
        touching = tuple((int(low), int(high)) for low, high in value["touching"])
        return cls(table, rules, int(value["maps"]), touching, bool(value["smooth"]))


class _Facts:
    """What one real map [H, W] tells, class by class."""

    def __init__(self, labels: np.ndarray, classes: ClassTable):
        self.size = labels.size
        self.areas = np.bincount(labels.ravel(), minlength=classes.num_classes)
        self.pieces, self.around = {}, {}  # code -> areas of its pieces; -> share of its border along each code
        for code in range(1, classes.num_classes):
            if self.areas[code]:
                _, areas = components(labels, classes.codes_within(code))
                self.pieces[code] = areas[areas > 0]
                self.around[code] = _surroundings(labels, code, classes.num_classes)
        self.touching = _touching(labels)
        filtered = majority_filter(labels, classes.num_classes)
        self.worn = (filtered != labels).sum() / max(1, self.labelled)
        self.spared = {code: (filtered[labels == code] == code).mean() for code in self.pieces}

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
            if np.count_nonzero(lost) <= _DIRTY * len(seen) and (np.array(lost) <= allowed).all():
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
    """Share of each code along the outer border of a class [num_classes]; zeros where it has none."""
    region = ndimage.binary_fill_holes(labels == code)
    border = ndimage.binary_dilation(region) & ~region
    return np.bincount(labels[border], minlength=num_classes) / max(1, border.sum())


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
