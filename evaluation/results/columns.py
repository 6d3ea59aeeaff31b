"""The grammar of the tables' columns: names, order, headings, colours and lines, all in this file.

A column is one way to train the segmenter. Its name is KIND-METHOD, e.g. "finetune-3", or KIND alone, e.g. "real",
where no method's synthetic pairs are in it; either may end in +augment, and of a U-Net in SMANet's place in +unet.
A new column is a line of COLUMNS here and a case of `ColumnTraining.task` in tools/experiment/segmenters.py; a new
way to make pairs is a line of METHODS.

Any other name is a user's own column, e.g. nnU-Net's, whose results were evaluated into the experiment's folder.
Such columns stand behind ours, by name, under the name that was given.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple


class Method(NamedTuple):
    """A way to make synthetic pairs."""

    name: str  # in --methods, or in --extras where it is not the paper's
    suffix: str  # what the names of its columns and of its synthetic set end with
    title: str
    source: str  # what the manifest of its pairs says
    colour: str


class Look(NamedTuple):
    """What tells the kinds of columns apart without colour."""

    line: str | tuple  # matplotlib's style of a curve
    hatch: str | None  # matplotlib's pattern of a box


class Column(NamedTuple):
    """A column; `column` makes one from its name."""

    name: str
    kind: str  # the name without method and +augment
    method: Method | None
    augmented: bool  # whether it ends in +augment
    group: str  # what stands above the headings of one method
    heading: str
    colour: str
    look: Look
    extra: str  # the word of --extras that asks for it; the paper's columns have none
    network: str = "smanet"  # that is trained, as in training/config.py

    def by(self, network: str) -> "Column":
        """The same of another of NETWORKS; a U-Net's are darker."""
        if network == self.network:
            return self
        dark = "".join(f"{int(self.colour[place:place + 2], 16) * 5 // 8:02X}" for place in (1, 3, 5))
        return self._replace(name=f"{self.name}+{network}", heading=f"{self.heading} {NETWORKS[network]}",
                             colour=f"#{dark if self.method else _UNET_GREY}", network=network)

    @property
    def start(self) -> str:
        """The column from whose weights this one's training starts; empty where it starts from none."""
        return f"synth{self.name.removeprefix(self.kind)}" if self.kind == "finetune" else ""


# Okabe and Ito's colours, one per method.
METHODS = (
    Method("single", "1", "Single-stage", "single-stage", "#D55E00"),
    Method("two", "2", "Two-stage", "two-stage", "#0072B2"),
    Method("three", "3", "Three-stage", "three-stage", "#009E73"),
    Method("shape", "shape", "Shape model", "shape-model", "#CC79A7"),
    Method("warp", "warp", "Warped maps", "warped-maps", "#E69F00"),
)
SOLID, DASHED, DOTTED = Look("-", None), Look("--", "////"), Look(":", "....")
# The same with strong augmentation: long and short dashes, and dots far apart.
AUGMENTED = {SOLID: Look((0, (9, 2)), "++"), DASHED: Look((0, (2, 1)), "\\\\"), DOTTED: Look((0, (1, 4)), "oo")}
_BLACK, _GREY, _UNET_GREY = "#000000", "#777777", "4D4D4D"
NETWORKS = {"smanet": "SMANet", "unet": "U-Net"}  # as in training/config.py -> title
NAME = re.compile(r"[a-z][a-z0-9_+-]*", re.IGNORECASE)  # of every column: a part of a folder's name


def column(name: str, heading: str, look: Look = SOLID, extra: str = "") -> Column:
    """A line of COLUMNS; its group and colour are those of the method in its name."""
    stem, augment, _ = name.partition("+augment")  # "synth-1+augment" -> "synth-1"
    kind, _, suffix = stem.rpartition("-")  # without a dash all of it is the suffix
    method = next((method for method in METHODS if kind and method.suffix == suffix), None)
    group, colour = (method.title, method.colour) if method else ("", _BLACK)
    kind = kind if method else stem  # "real", or a dash before no method's suffix
    return Column(name, kind, method, bool(augment), group, heading, colour, look, extra)


COLUMNS = (  # in the tables' order: the paper's, then the baselines beside them
    column("real", "REAL"),
    column("synth-1", "SYNTH 1", DASHED),
    column("finetune-1", "FINETUNE"),
    column("synth-2", "SYNTH 2", DASHED),
    column("finetune-2", "FINETUNE"),
    column("synth-3", "SYNTH 3", DASHED),
    column("finetune-3", "FINETUNE"),
    column("mix-1", "MIX", DOTTED, "mix"),
    column("mix-2", "MIX", DOTTED, "mix"),
    column("mix-3", "MIX", DOTTED, "mix"),
    column("synth-shape", "SYNTH", DASHED, "shape"),
    column("finetune-shape", "FINETUNE", SOLID, "shape"),
    column("synth-warp", "SYNTH", DASHED, "warp"),
    column("finetune-warp", "FINETUNE", SOLID, "warp"),
    column("real-2x", "REAL 2x", DASHED, "real-2x"),
    column("real+augment", "REAL + AUG", AUGMENTED[SOLID], "augment"),
    column("mix-real", "CUTMIX + AUG", AUGMENTED[DOTTED], "mix-real"),
    *(column(f"{kind}-{method.suffix}+augment", f"{kind.upper()} + AUG", AUGMENTED[look], extra)
      for method in METHODS for kind, look, extra in (
          ("synth", DASHED, "finetune+augment"), ("finetune", SOLID, "finetune+augment"),
          ("mix", DOTTED, "mix+augment"))),
    column("pseudo", "PSEUDO + AUG", AUGMENTED[DASHED], "pseudo"),
)
EXTRAS = tuple(dict.fromkeys(known.extra for known in COLUMNS if known.extra))
PAPER_METHODS = tuple(method.name for method in METHODS if method.name not in EXTRAS)

# The runs before the columns, in the order in which an experiment trains them -> title, what positions count.
STAGES = {
    "pairs": ("single stage: label maps and films", "images"),
    "labels": ("two stages: label maps", "images"),
    "dots": ("three stages: dots", "images"),
    "dots_to_labels": ("three stages: dots → label maps", "steps"),
    "labels_to_film": ("two and three stages: label maps → films", "steps"),
}


def method_named(name: str) -> Method:
    """The line of METHODS of that name. Raises KeyError for another name."""
    return {method.name: method for method in METHODS}[name]


def known() -> dict[str, Column]:
    """Name -> column, in the tables' order: SMANet's, then the U-Net's."""
    return {made.name: made for network in NETWORKS for made in (found.by(network) for found in COLUMNS)}


def find(name: str) -> Column:
    """The column of that name; a user's own has its name as heading, no method, and is grey."""
    return known().get(name) or Column(name, name, None, False, "", name, _GREY, SOLID, "")


def is_own(name: str) -> bool:
    """Whether the column is a user's own, and none of `known`."""
    return name not in known()


def in_order(names: Iterable[str]) -> list[str]:
    """`names` as the tables have them: those of `known`, then others by name."""
    order = list(known())
    # Unknown ones last, by name.
    return sorted(names, key=lambda name: (order.index(name), "") if name in order else (len(order), name))


def heading(name: str) -> tuple[str, str]:
    """Column name -> (group, heading) as the paper prints them, and likewise for baselines beyond it."""
    return find(name).group, find(name).heading


def title(name: str) -> str:
    """Column name -> group and heading in one line."""
    return " ".join(heading(name)).strip()
