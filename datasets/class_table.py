"""The class table: which code means which organ, which organs the tables score, and how to paint them.

A data set's description carries its own table; nothing else in the code knows an organ's name or number.
`CHEST` is the table of JSRT/SCR and of the phantoms.
"""

import dataclasses
import functools
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np

IGNORED = 255  # code of label maps where nobody knows the class: no loss and no score counts it


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """Names of the classes; a class's code is its place in `names`, and `names[0]` is the background.

    Attributes:
      names: background first, then the organs.
      scored: the organs the tables score, in the tables' order (default: all organs).
      fold_back: painted organ -> organ its pixels go back to where only scored organs count
        (SCR: clavicles are painted over the lungs; their pixels go back to the same-side lung).
        An unscored organ without an entry goes back to the background.
      ignored: whether label maps may hold IGNORED beside the codes of the classes.
      unions: name -> painted organs that are scored together under it, for classes inside one another. A fundus
        painted as rim and cup has {"disc": ["rim", "cup"]}; if the rim's class is itself called disc,
        {"disc": ["disc", "cup"]}. Such a name may stand in `scored`; networks know painted classes alone.
    """

    names: tuple[str, ...]
    scored: tuple[str, ...] = ()
    fold_back: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ignored: bool = False
    unions: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self._compose_names()
        if not 2 <= len(self.names) <= 255 or len(set(self.names)) != len(self.names):
            raise ValueError(f"names must be 2 to 255 different names, background first; received {self.names}")
        if not all(name.strip() for name in self.names):
            raise ValueError(f"names must not be empty; received {self.names}")
        folded = [name.casefold() for name in {**dict.fromkeys(self.names), **self.unions}]
        if len(set(folded)) != len(folded) or "average" in folded:  # tables print them with capitals, and a mean
            raise ValueError("names must differ in more than capitals, and none may be average; received "
                             f"{(*self.names, *self.unions)}")
        self._check_unions()
        if not self.scored:
            object.__setattr__(self, "scored", tuple(self.regions))
        for name in (*self.scored, *self.fold_back, *self.fold_back.values()):
            if name not in (self.regions if name in self.scored else self.organs):
                raise ValueError(f"{name!r} is scored or folded back but is not an organ of {self.names}")

    def _compose_names(self) -> None:
        """Brings all names to Unicode's normal form C: whichever way é is written, it is one name."""
        nfc = functools.partial(unicodedata.normalize, "NFC")
        composed = {"names": tuple(map(nfc, self.names)), "scored": tuple(map(nfc, self.scored)),
                    "fold_back": {nfc(top): nfc(below) for top, below in self.fold_back.items()},
                    "unions": {nfc(name): tuple(map(nfc, members)) for name, members in self.unions.items()}}
        for field, value in composed.items():
            object.__setattr__(self, field, value)  # the way to set a field of a frozen dataclass

    def _check_unions(self) -> None:
        for name, members in self.unions.items():
            if not name.strip() or name == self.names[0] or not members or len(set(members)) != len(members):
                raise ValueError(f"a union needs a name and different organs; received {name!r}: {members}")
            unknown = [member for member in members if member not in self.organs]
            if unknown or (name in self.organs and name not in members):
                raise ValueError(f"union {name!r} of {members}: expected organs of {self.names}, its namesake "
                                 "one of them")

    @property
    def num_classes(self) -> int:
        """Background included."""
        return len(self.names)

    @property
    def organs(self) -> tuple[str, ...]:
        return self.names[1:]

    @property
    def regions(self) -> dict[str, tuple[int, ...]]:
        """What scores are of: organs in order of their codes, then other unions -> codes in label maps."""
        own = {name: (code,) for code, name in enumerate(self.names) if code}
        return own | {name: tuple(map(self.code, members)) for name, members in self.unions.items()}

    def code(self, name: str) -> int:
        """Code of class `name`. Raises ValueError for an unknown name."""
        return self.names.index(name)

    def codes_within(self, code: int) -> list[int]:
        """`code` and those of the organs painted over it: folded back to it, or scored with it under its name."""
        folded = [top for top, below in self.fold_back.items() if below == self.names[code]]
        over = dict.fromkeys([*folded, *self.unions.get(self.names[code], ())])
        return [code, *(self.code(top) for top in over if top != self.names[code])]

    def scored_table(self) -> "ClassTable":
        """The table of the scored organs, and of those in scored unions, in order of their codes.

        The scored order is kept for tables.
        """
        unions = {name: members for name, members in self.unions.items() if name in self.scored}
        wanted = {*self.scored, *(member for members in unions.values() for member in members)}
        kept = tuple(name for name in self.organs if name in wanted)
        return ClassTable((self.names[0], *kept), self.scored, ignored=self.ignored, unions=unions)

    def segmented(self, scored: bool) -> "ClassTable":
        """The classes that a segmenter learns and is scored by: `scored_table()`, or all of them."""
        return self.scored_table() if scored else self

    def collapse(self, labels: np.ndarray) -> np.ndarray:
        """Painted codes of this table -> codes of `scored_table()`, any shape, uint8; IGNORED stays."""
        table = self.scored_table()
        lookup = np.full(256, IGNORED, np.uint8)
        for code, name in enumerate(self.names):
            # a scored organ keeps its pixels; another's go back to the organ below, which must be scored to count
            target = self.fold_back.get(name, name) if name not in table.names else name
            lookup[code] = table.names.index(target) if target in table.names else 0
        return lookup[labels]

    def paint(self, masks: np.ndarray) -> np.ndarray:
        """Organ masks [H, W, organs] (bool, in order of codes) -> codes [H, W], later organs on top, uint8."""
        labels = np.zeros(masks.shape[:2], np.uint8)
        for index in range(masks.shape[-1]):
            labels[masks[..., index]] = index + 1
        return labels

    def paint_scored(self, masks: np.ndarray) -> np.ndarray:
        """Organ masks [H, W, organs] -> codes of `scored_table()`, later organs on top, uint8 [H, W]."""
        table = self.scored_table()
        return table.paint(masks[..., [index for index, name in enumerate(self.organs) if name in table.names]])

    def to_json(self) -> dict[str, Any]:
        value = {"names": list(self.names), "scored": list(self.scored), "fold_back": dict(self.fold_back)}
        unions = {name: list(members) for name, members in self.unions.items()}
        # tables without them keep their digests
        return value | ({"ignored": True} if self.ignored else {}) | ({"unions": unions} if unions else {})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ClassTable":
        """Raises ValueError where `value` is not what `to_json` gives."""
        if not isinstance(value, Mapping) or set(value) - {"names", "scored", "fold_back", "ignored", "unions"}:
            raise ValueError(f"classes must hold names, scored, fold_back, ignored and unions; received {value!r}")
        names, scored, folds = value.get("names"), value.get("scored", []), value.get("fold_back", {})
        if not _all_strings(names) or not _all_strings(scored):
            raise ValueError("classes: names and scored must be lists of strings")
        if not isinstance(folds, Mapping) or not _all_strings(list(folds.values())):
            raise ValueError("classes: fold_back must be an object of strings")
        if not isinstance(value.get("ignored", False), bool):
            raise ValueError(f"classes: ignored must be true or false; received {value['ignored']!r}")
        unions = value.get("unions", {})
        if not isinstance(unions, Mapping) or not all(_all_strings(members) for members in unions.values()):
            raise ValueError("classes: unions must be an object of lists of strings")
        return cls(tuple(names), tuple(scored), dict(folds), value.get("ignored", False), dict(unions))


def _all_strings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


CHEST = ClassTable(
    names=("background", "left lung", "right lung", "heart", "left clavicle", "right clavicle"),
    scored=("left lung", "heart", "right lung"),
    fold_back={"left clavicle": "left lung", "right clavicle": "right lung"},
)
