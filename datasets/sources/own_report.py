"""What an import made of the classes: in how many films each is, and how much of the picture before and after."""

import dataclasses
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np

from datasets.class_table import ClassTable
from datasets.pair_store import describe_ids

_THIN = 0.75  # of a class's share must be left after resizing
_NESTED = 0.9  # of the films that have an organ
_LOST = 0.1  # of the films that have a class may lose it


class ShareTally:
    """Sums over films of the shares that classes have of a picture, in constant memory."""

    def __init__(self, classes: ClassTable):
        self.classes = classes
        self.films = 0
        self.present = np.zeros(classes.num_classes + 1, np.int64)  # films in which a class is; IGNORED last
        self._sums = np.zeros(classes.num_classes + 1)

    def add(self, shares: np.ndarray) -> None:
        """Shares of one picture, [num_classes + 1]."""
        self.films += 1
        self.present += shares > 0
        self._sums += shares

    @property
    def means(self) -> np.ndarray:
        """Mean shares over all films, [num_classes + 1]."""
        return self._sums / max(1, self.films)


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What became of the classes; shares leave padding out.

    Attributes:
      after: shares after resizing.
      padding: share of the squares written that is black ground of class 0 around the pictures.
      gap: pixels that part instances which touched, of `labelled` ones.
      nested: (inner, outer) -> films in which the mask of one organ lies in another's.
    """

    after: ShareTally
    padding: float
    gap: int = 0
    labelled: int = 0
    nested: Mapping[tuple[str, str], int] = dataclasses.field(default_factory=dict)

    def lines(self, before: ShareTally, size: int) -> list[str]:
        """The table, and what it says of thin classes, padding, gaps and ignored pixels.

        Args:
          before: shares in the label files.
        """
        return [*self._table(before, size), *self._thin(before, size), *self._beside(), *self._nested()]

    def _table(self, before: ShareTally, size: int) -> list[str]:
        names = [*before.classes.names, *(["ignored"] if before.classes.ignored else [])]
        width, last = max(5, *map(_columns, names)), f"at {size} x {size}"
        rows = [f"{'class':{width}}  {'films':>9}  of the pixels  {last}"]
        for code, name in enumerate(names):
            films = f"{before.present[code]}/{before.films}"
            rows.append(f"{name}{' ' * (width - _columns(name))}  {films:>9}  {before.means[code]:>13.2%}  "
                        f"{self.after.means[code]:>{len(last)}.2%}")
        return rows

    def _thin(self, tally: ShareTally, size: int) -> list[str]:
        """Warnings of classes that resizing makes smaller, and of those that no film has."""
        said = []
        for code, name in enumerate(tally.classes.names):
            before, after = tally.means[code], self.after.means[code]
            lost = tally.present[code] - self.after.present[code]
            if code and before and (after < _THIN * before or lost > _LOST * tally.present[code]):
                films = f", and {lost} of {tally.present[code]} films have none of it any more" if lost else ""
                said.append(f"warning: of {name} {after / before:.0%} is left at {size} x {size}{films}: it is "
                            f"thin or small; a larger --size keeps more, e.g. --size={2 * size}")
        absent = [name for code, name in enumerate(tally.classes.names) if code and not tally.present[code]]
        said += [f"warning: no film has {describe_ids(absent)}"] if absent else []
        there = np.flatnonzero(tally.present[:-1]).tolist()
        if len(there) == 1 and there[0]:
            said.append(f"warning: every pixel of every film is {tally.classes.names[there[0]]}; see whether the "
                        "label files hold what they should")
        return said

    def _beside(self) -> list[str]:
        classes, said = self.after.classes, []
        if self.padding:
            said.append(f"padding: {self.padding:.1%} of what is written is black ground around pictures that are "
                        f"not square, of class {classes.names[0]}; the shares above leave it out")
        if self.gap:
            said.append(f"instances: {self.gap:,} pixels ({self.gap / self.labelled:.1%} of the labelled ones) "
                        "became background between instances that touch")
        if classes.ignored:
            said.append(f"ignored: no loss and no score counts {self.after.means[-1]:.1%} of the pixels; "
                        "generators see the nearest class there")
        return said

    def _nested(self) -> list[str]:
        """Organs that lie in others in nearly all films that have them, and could be scored with them."""
        classes, said = self.after.classes, []
        for (inner, outer), films in self.nested.items() if not classes.unions else ():
            present = self.after.present[classes.code(inner)]
            if films > _NESTED * present:
                said.append(f"{inner} lies in {outer} in {films} of {present} films: "
                            f"--unions={outer}:{outer}+{inner} would score {outer} with it")
        return said


def nested_masks(masks: np.ndarray, names: Sequence[str]) -> list[tuple[str, str]]:
    """(inner, outer) of the organs whose mask lies in a larger one's, a twentieth of it apart.

    Args:
      masks: bool [H, W, organs].
    """
    flat = masks.reshape(-1, masks.shape[-1]).astype(np.float32)
    shared = flat.T @ flat  # [organs, organs]; areas on the diagonal
    areas = np.diagonal(shared)
    inside = (shared >= 0.95 * areas[:, None]) & (areas[:, None] > 0) & (areas[:, None] < areas)
    return [(names[inner], names[outer]) for inner, outer in np.argwhere(inside)]


def _columns(text: str) -> int:
    """Columns that a terminal takes for `text`: two for wide letters, none for marks on others."""
    letters = [char for char in text if not unicodedata.combining(char)]
    return len(letters) + sum(unicodedata.east_asian_width(char) in "WF" for char in letters)
