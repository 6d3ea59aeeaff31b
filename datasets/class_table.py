"""The class table: which code means which organ, which organs the tables score, and how to paint them.

A data set's description carries its own table; nothing else in the code knows an organ's name or number.
`CHEST` is the table of JSRT/SCR and of the phantoms.
"""

import dataclasses
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
    """

    names: tuple[str, ...]
    scored: tuple[str, ...] = ()
    fold_back: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ignored: bool = False

    def __post_init__(self):
        if not 2 <= len(self.names) <= 255 or len(set(self.names)) != len(self.names):
            raise ValueError(f"names must be 2 to 255 different names, background first; received {self.names}")
        if not all(name.strip() for name in self.names):
            raise ValueError(f"names must not be empty; received {self.names}")
        folded = [name.casefold() for name in self.names]
        if len(set(folded)) != len(folded) or "average" in folded:  # tables print them with capitals, and a mean
            raise ValueError("names must differ in more than capitals, and none may be average; received "
                             f"{self.names}")
        if not self.scored:
            object.__setattr__(self, "scored", self.organs)  # the way to set a field of a frozen dataclass
        for name in (*self.scored, *self.fold_back, *self.fold_back.values()):
            if name not in self.organs:
                raise ValueError(f"{name!r} is scored or folded back but is not an organ of {self.names}")

    @property
    def num_classes(self) -> int:
        """Background included."""
        return len(self.names)

    @property
    def organs(self) -> tuple[str, ...]:
        return self.names[1:]

    def code(self, name: str) -> int:
        """Code of class `name`. Raises ValueError for an unknown name."""
        return self.names.index(name)

    def codes_within(self, code: int) -> list[int]:
        """`code` and those of the organs painted over it (`fold_back`)."""
        return [code, *(self.code(top) for top, below in self.fold_back.items() if below == self.names[code])]

    def scored_table(self) -> "ClassTable":
        """The table of the scored organs alone, in order of their codes (scored order is kept for tables)."""
        kept = tuple(name for name in self.organs if name in self.scored)
        return ClassTable((self.names[0], *kept), self.scored, ignored=self.ignored)

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
        kept = [index for index, name in enumerate(self.organs) if name in self.scored]
        return self.scored_table().paint(masks[..., kept])

    def to_json(self) -> dict[str, Any]:
        value = {"names": list(self.names), "scored": list(self.scored), "fold_back": dict(self.fold_back)}
        return value | {"ignored": True} if self.ignored else value  # tables without it keep their digests

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ClassTable":
        """Raises ValueError where `value` is not what `to_json` gives."""
        if not isinstance(value, Mapping) or set(value) - {"names", "scored", "fold_back", "ignored"}:
            raise ValueError(f"classes must hold names, scored, fold_back and ignored; received {value!r}")
        names, scored, folds = value.get("names"), value.get("scored", []), value.get("fold_back", {})
        if not _all_strings(names) or not _all_strings(scored) or not isinstance(folds, Mapping):
            raise ValueError("classes: names and scored must be lists of strings, fold_back an object")
        if not isinstance(value.get("ignored", False), bool):
            raise ValueError(f"classes: ignored must be true or false; received {value['ignored']!r}")
        return cls(tuple(names), tuple(scored), dict(folds), value.get("ignored", False))


def _all_strings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


CHEST = ClassTable(
    names=("background", "left lung", "right lung", "heart", "left clavicle", "right clavicle"),
    scored=("left lung", "heart", "right lung"),
    fold_back={"left clavicle": "left lung", "right clavicle": "right lung"},
)
