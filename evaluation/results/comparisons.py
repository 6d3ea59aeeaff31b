"""Which columns are compared, named before anything is run, and what comes of it: better, worse, alike, undecided.

NAMED is the one list. A comparison whose columns an experiment does not have is passed over; Holm's adjustment is
over the others, on each set of films. A verdict is

    alike      the difference is within MARGIN: both one-sided tests, after Holm, at 5 %. Whatever its sign is
    better     it is above zero at 5 % after Holm, and not shown to be within the margin
    worse      likewise below
    undecided  neither is shown: more films or draws would tell
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from datasets.common.errors import UserError
from evaluation.results import columns
from evaluation.results.inference import (
    RESAMPLES,
    format_p,
    holm,
    interval,
    mean_j,
    p_different,
    p_equivalent,
    resample,
)
from evaluation.results.per_film import counts_of, film_scores, merge_runs
from evaluation.results.table_formats import Table

LEAST_FILMS = 2  # for `compare`: a difference of one film has no spread
MARGIN = 0.3  # points of mean J: less is of no use to anybody
LEVEL = 0.05
NAMED = (  # left against right
    ("finetune-3", "real"),  # the paper's claim
    ("finetune-2", "real"),
    ("finetune-3", "finetune-2"),  # are three stages better than two
    ("synth-3", "synth-2"),
    ("finetune-3", "finetune-shape"),  # do networks make better label maps than a shape model
    ("finetune-3", "finetune-warp"),  # or than real ones, warped
    ("finetune-3", "mix-3"),
    ("real-2x", "real"),  # what is owed to more updates
    ("finetune-3", "real-2x"),
    ("real+augment", "real"),  # what augmentation alone does
    ("finetune-3", "real+augment"),
    ("finetune-3+augment", "real+augment"),  # does synthesis add to it
    ("mix-3+augment", "real+augment"),
    ("finetune-warp+augment", "real+augment"),
    ("mix-warp+augment", "real+augment"),
    ("mix-real", "real+augment"),  # does mixing films
    ("pseudo", "real+augment"),  # do films without label maps
    ("finetune-warp", "real"),
    ("finetune-3+unet", "real+unet"),  # the same questions of a U-Net
    ("finetune-3+augment+unet", "real+augment+unet"),
    ("mix-3+augment+unet", "real+augment+unet"),
)


@dataclasses.dataclass(frozen=True)
class Difference:
    """Two columns on the same films.

    Attributes:
      left, right: their names; the difference is left - right.
      draws, films: how many there are.
      difference: of pooled J averaged over the organs that any film shows, in points of percent, mean over draws,
        as in the tables.
      low, high: its 95 % interval, see `evaluation.results.inference`.
      p_different, p_equivalent: against zero, and against MARGIN.
      median: of the films' own differences of mean J, mean over draws, in points.
      better, worse: films where left is above, or below, right.
      p_value: Wilcoxon's signed-rank test of the films' differences, two-sided; 1.0 where all are zero.
    """

    left: str
    right: str
    draws: int
    films: int
    difference: float
    low: float
    high: float
    p_different: float
    p_equivalent: float
    median: float
    better: int
    worse: int
    p_value: float

    def describe(self) -> str:
        """One line for people."""
        over = f"{self.films} films" + (f" and {self.draws} draws" if self.draws > 1 else "")
        return (f"{self.left} - {self.right}: {self.difference:+.2f} points of pooled mean J (95 % interval "
                f"{self.low:+.2f} to {self.high:+.2f}, bootstrap over {over}); better on "
                f"{self.better}, worse on {self.worse} films, Wilcoxon p = {format_p(self.p_value)}")


def compare(left: Sequence[pd.DataFrame], right: Sequence[pd.DataFrame], organs: Sequence[str],
            names: tuple[str, str], resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Compares two columns film by film.

    Args:
      left, right: a table of `read_per_film` for each draw, the same draws on both sides.
      organs: whose J is averaged.

    Raises UserError where the films differ, or there are fewer than two.
    """
    films = [set(table["film"]) for table in (*left, *right)]
    other = next((found for found in films if found != films[0]), films[0])
    if len(left) != len(right) or other != films[0] or len(other) < LEAST_FILMS:
        raise UserError(f"{names[0]} and {names[1]}: found {len(films[0])} and {len(other)} films, "
                        f"{len(films[0] & other)} of them in both; expected the same two or more films")
    counts = [[counts_of(table, organs) for table in side] for side in (left, right)]
    pooled = [np.mean([mean_j(draw.sum(0)) for draw in side]) for side in counts]  # as the tables
    drawn = resample(counts[0], resamples, seed) - resample(counts[1], resamples, seed)
    own = [film_scores(merge_runs(side), organs)["average"].sort_index() for side in (left, right)]
    differences = (own[0] - own[1]).to_numpy()
    decided = differences[~np.isnan(differences)]  # NaN: no organ in either map
    wilcoxon = stats.wilcoxon(decided).pvalue if np.any(decided != 0) else 1.0  # undefined for zeros alone
    return Difference(*names, len(left), len(differences), float(pooled[0] - pooled[1]), *interval(drawn),
                      p_different(drawn), p_equivalent(drawn, MARGIN),
                      float(np.median(decided)) if decided.size else 0.0, int(np.sum(decided > 0)),
                      int(np.sum(decided < 0)), float(wilcoxon))


def named_among(found: Sequence[str]) -> list[tuple[str, str]]:
    """The NAMED comparisons whose columns are both in `found`."""
    return [pair for pair in NAMED if set(pair) <= set(found)]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of a difference: p values after Holm's adjustment, and a word."""

    p_different: float
    p_equivalent: float
    word: str


def verdicts(differences: Sequence[Difference]) -> list[Verdict]:
    """The verdict on each of `differences`, which are adjusted together."""
    adjusted = zip(differences, holm([found.p_different for found in differences]),
                   holm([found.p_equivalent for found in differences]), strict=True)
    return [Verdict(different, equivalent, _word(found.difference, different, equivalent))
            for found, different, equivalent in adjusted]


def _word(difference: float, different: float, equivalent: float) -> str:
    if equivalent <= LEVEL:
        return "alike"
    if different <= LEVEL:
        return "better" if difference > 0 else "worse"
    return "undecided"


def comparison_table(differences: Sequence[tuple[str, Sequence[Difference]]]) -> Table:
    """Text cells, a row for each comparison: films, columns, difference, interval, p, p of equivalence, verdict.

    Args:
      differences: name of the films ("test", or an external set's) and the comparisons on them, a family.
    """
    rows = [{("", "Films"): films, ("", "Column"): columns.title(found.left),
             ("", "Against"): columns.title(found.right),
             ("Pooled mean J", "Difference"): f"{found.difference:+.2f}",
             ("Pooled mean J", "95 % interval"): f"{found.low:+.2f} to {found.high:+.2f}",
             ("p (Holm)", "Different"): format_p(verdict.p_different),
             ("p (Holm)", f"Within {MARGIN:g}"): format_p(verdict.p_equivalent), ("", "Verdict"): verdict.word}
            for films, family in differences for found, verdict in zip(family, verdicts(family), strict=True)]
    return Table(pd.DataFrame(rows))
