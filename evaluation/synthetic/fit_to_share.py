"""When a synthetic set is called fit to share: figures, their thresholds, and why these.

What a set must show is in THRESHOLDS, and nowhere else. Figures that publishing does not measure itself (how good
the check for copies is, how well an attacker tells members) come from a file beside the set as made,
RUN/synthetic-K/privacy.json:

    {"set": "...",          of the set's copies.json: figures of another set are refused; may be left out
     "figures": {
       "check_recall": {"value": 0.994, "low": 0.981, "high": 0.999, "of": "11 films of JSRT", "measure": 3},
       "synth_j_published": {"value": 90.1, "panel": "utility", "title": "mean J without flagged pairs"}}}

value is a number, low and high its interval where there is one, of what it was measured on, measure the version of
the check for copies that it was measured with (`copies.MEASURE`): figures of another version are refused. Names
that THRESHOLDS does not have are shown on the panel of the card that they say ("fidelity", "privacy" or
"utility"), and judged by nobody.

Thresholds are for values. An interval that reaches beyond one does not keep a set back, since with a dozen
training films every interval does; the card says of which figures it is so.
"""

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from datasets.common import atomic_files
from datasets.common.errors import UserError
from evaluation.synthetic.copies import MEASURE

FIGURES = "privacy.json"
PANELS = ("fidelity", "privacy", "utility")


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number on a card; `low` and `high` are its 95 % interval, None where there is none; `of` is what it was
    measured on, where the title does not say it."""

    value: float
    panel: str
    title: str
    low: float | None = None
    high: float | None = None
    of: str = ""

    def shown(self) -> str:
        """As people read it, with its interval."""
        if self.low is None or self.high is None:
            return _shown(self.value)
        return f"{_shown(self.value)} ({_shown(self.low)} to {_shown(self.high)})"


@dataclasses.dataclass(frozen=True)
class Threshold:
    """What a figure must be: at most `limit`, or at least where `least`; just there where `limit` is None.

    Where `around`, 1 - the figure must be so, too: an attack worse than guessing is a good one turned round.
    """

    title: str
    panel: str
    limit: float | None
    why: str
    least: bool = False
    around: bool = False

    def met(self, value: float) -> bool:
        if self.limit is None:
            return True
        value = max(value, 1 - value) if self.around else value
        return value >= self.limit if self.least else value <= self.limit

    def borne_out(self, figure: Figure) -> bool:
        """Whether the whole interval of `figure` is within it, too; True where there is no interval."""
        return all(self.met(value) for value in (figure.value, figure.low, figure.high) if value is not None)

    def wanted(self) -> str:
        """The condition in words."""
        if self.limit is None:
            return "any"
        also = f" and at least {_shown(1 - self.limit)}" if self.around else ""
        return f"at {'least' if self.least else 'most'} {_shown(self.limit)}{also}"


THRESHOLDS = {
    "copies_made": Threshold(
        "share of the pairs as made that the check flags as copies", "privacy", 0.10,
        "the check misses some copies, and the more the more there are: of 10 % flagged at a recall of 0.99 about "
        "0.1 % of the set"),
    "near_published": Threshold(
        "published films nearer to a training film than the nearest 1 % of new real films, as a multiple of the "
        "share to expect without copying", "privacy", 2.0,
        "a set can be near to its patients as a whole though no single pair is flagged; twice leaves room for "
        "chance in sets of some hundred pairs"),
    "check_recall": Threshold(
        "share of planted copies that the check finds", "privacy", 0.99,
        "without it, that few pairs are flagged says little", least=True),
    "check_false_alarms": Threshold(
        "share of new real pairs that the check flags", "privacy", 0.01,
        "a check that flags much finds everything, and says nothing of what it leaves"),
    "membership_auc_distance": Threshold(
        "AUC of telling training films from others by their nearest pair that is not flagged", "privacy", 0.55,
        "0.5 is guessing; at 0.55 an attacker who is shown a training film and another one tells which is which "
        "55 times of 100", around=True),
    "membership_auc_segmenter": Threshold(
        "AUC of telling training films from others by a segmenter trained on the set alone", "privacy", 0.55,
        "as the other attack; a segmenter may remember what no single pair shows", around=True),
    "films_swd": Threshold(
        "sliced Wasserstein distance x 1e3 of the films to the training films", "fidelity", None,
        "who uses the set must know how true it is; how true is enough depends on the use"),
    "synth_j": Threshold(
        "mean J of a segmenter trained on the set alone, on real test films, in percent", "utility", None,
        "who uses the set must know what it is good for; which J is enough depends on the use"),
}


def read_figures(path: pathlib.Path, of_set: str = "") -> dict[str, Figure]:
    """Figures that others measured, from a file as this module describes it; none where there is no file.

    Args:
      of_set: digest of the set that is published (`marked_copies.set_digest`); "" asks for none.

    Raises UserError for a file of another set or version of the check, or that is not of this form.
    """
    if not path.is_file():
        return {}
    found = atomic_files.read_json(path)
    try:
        figures = {str(name): _figure(str(name), value) for name, value in found["figures"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not figures of a synthetic set ({type(error).__name__}: {str(error)[:100]}); "
                        'expected {"figures": {NAME: {"value": NUMBER}}}') from None
    if of_set and found.get("set", of_set) != of_set:
        raise UserError(f"{path}: figures of the set {found['set']}, expected {of_set} as in copies.json; measure "
                        "this set, or remove the file")
    for name, value in found["figures"].items():
        if value.get("measure", MEASURE) != MEASURE:
            raise UserError(f"{path}: {name} is of version {value['measure']} of the check for copies, expected "
                            f"{MEASURE}; measure it again, or remove it")
    return figures


def _figure(name: str, value: Mapping[str, Any]) -> Figure:
    known = THRESHOLDS.get(name)
    panel = known.panel if known else value.get("panel", "privacy")
    title = known.title if known else str(value.get("title", name))
    numbers = [value["value"], *(value[bound] for bound in ("low", "high") if value.get(bound) is not None)]
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise ValueError(f"{name}: found {numbers}, expected numbers")
    if panel not in PANELS:
        raise ValueError(f"{name}: panel {panel!r}, expected one of {', '.join(PANELS)}")
    return Figure(float(value["value"]), panel, title[:300], value.get("low"), value.get("high"),
                  str(value.get("of", ""))[:300])


def shortfalls(figures: Mapping[str, Figure], source: str) -> list[str]:
    """A line for each threshold that is not met: which figure, its value, what is expected.

    Args:
      source: where figures that are missing belong, for the line.
    """
    lines = []
    for name, threshold in THRESHOLDS.items():
        figure = figures.get(name)
        if figure is None:
            lines.append(f"{name}: not measured, expected {threshold.wanted()} ({threshold.title}); tell it in "
                         f"{source}")
        elif not threshold.met(figure.value):
            lines.append(f"{name}: {figure.shown()}, expected {threshold.wanted()} ({threshold.title})")
    return lines


def reaching_beyond(figures: Mapping[str, Figure]) -> list[str]:
    """Names of the figures whose value meets its threshold, while their interval reaches beyond it."""
    return [name for name, threshold in THRESHOLDS.items() if name in figures
            and threshold.met(figures[name].value) and not threshold.borne_out(figures[name])]


def _shown(value: float) -> str:
    return f"{value:.4g}"
