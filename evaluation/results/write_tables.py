"""The result files of an experiment, or of several runs (seeds) of it: tables, per-film results, comparisons."""

import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from evaluation.metrics.overlap import overlap_counts
from evaluation.metrics.surface import organ_distances
from evaluation.results import columns
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.per_film import (
    LEAST_FILMS,
    Difference,
    compare,
    film_scores,
    format_p,
    hardest,
    holm,
    merge_runs,
    summarize,
)
from evaluation.results.published import table3
from evaluation.results.table_formats import Table, write_table
from evaluation.results.tables import comparison, extended, left_out, unmatched, unshown
from evaluation.segmenter.evaluate import Result

NAMES = {"FULL": "table1", "TINY": "table2"}  # the paper's numbers


class Results:
    """What one or several experiment folders of the same configuration hold.

    Raises UserError where their configuration, columns or scored organs differ, and where one is named twice.
    """

    def __init__(self, folders: Sequence[str | pathlib.Path]):
        # A folder named twice would count as two runs.
        if not folders or len({pathlib.Path(folder).resolve() for folder in folders}) != len(folders):
            raise UserError(f"--results={','.join(map(str, folders))}: expected one or more folders, each once")
        self.experiments = [ExperimentFolder(pathlib.Path(folder)) for folder in folders]
        first = self.experiments[0]
        self.columns = first.columns()
        self.pooled = {name: [] for name in self.columns}
        for experiment in self.experiments:
            if (experiment.choice, experiment.columns()) != (first.choice, self.columns):
                raise UserError(f"{experiment.path}: is {experiment.choice} with columns "
                                f"{', '.join(experiment.columns())}, but {first.path} is {first.choice} "
                                f"with {', '.join(self.columns)}; make a table of each")
            for name in self.columns:
                self.pooled[name].append(experiment.pooled(name))
        self.scored = self.pooled[self.columns[0]][0]["scored"]
        runs = [run for runs in self.pooled.values() for run in runs]  # of all columns
        if any((run["scored"], run["films"]) != (self.scored, runs[0]["films"]) for run in runs):
            raise UserError(f"{first.path}: columns score different organs or numbers of films; evaluate them on "
                            "the same --data with the same --classes")
        for place, experiment in enumerate(self.experiments):
            golds = {name: _gold_pixels(found[place]) for name, found in self.pooled.items()}
            for name, gold in golds.items():
                known = golds[self.columns[0]]
                if gold != known and gold.keys() == known.keys():  # e.g. a user's own, of earlier films
                    raise UserError(f"{experiment.path}/evaluate-{name}: was scored on other films or sizes than "
                                    f"{self.columns[0]}; evaluate it again")

    @property
    def name(self) -> str:
        """Of the main table's files: "table1" for FULL, "table2" for TINY, else "table"."""
        return NAMES.get(self.experiments[0].configuration, "table")

    @property
    def tested(self) -> int:
        """Number of test films."""
        return self.pooled[self.columns[0]][0]["films"]

    def caption(self, organs: Sequence[str] | None = None) -> str:
        """What the main table shows, or one of `organs`, and which organs its averages leave out."""
        first = self.experiments[0]
        title = ", ".join(part for part in (first.title(), first.choice) if part)
        runs = len(self.experiments)
        spread = f"; mean ± standard deviation of {runs} runs" if runs > 1 else ""
        films = "test films" if self.tested > 1 else "test film"
        said = f"{title}: J and DSC in percent, pixels pooled over {self.tested} {films}{spread}."
        return " ".join(part for part in (said, left_out(self.pooled, organs), self._budget()) if part)

    def _budget(self) -> str:
        """A sentence on the updates behind each column that says them; empty without any."""
        budgets: dict[int, list[str]] = {}
        for name in self.columns:
            found = {experiment.updates(name) for experiment in self.experiments}
            if len(found) == 1 and found != {None}:
                budgets.setdefault(found.pop(), []).append(columns.title(name))
        parts = [f"{steps:,} for {', '.join(names)}" for steps, names in sorted(budgets.items())]
        return f"Updates of the segmenter in all: {'; '.join(parts)}." if parts else ""

    def without(self) -> dict[str, str]:
        """Files that cannot be written for want of films -> why."""
        if "real" not in self.columns or len(self.columns) < 2:
            return {}  # there is nothing to compare
        if self.tested < LEAST_FILMS:
            return {"differences": f"needs {LEAST_FILMS} test films, found {self.tested}"}
        if len(unshown(self.pooled)) == len(self.scored):
            return {"differences": "no test film shows an organ that is scored"}
        return {}

    def per_film(self, column: str) -> pd.DataFrame:
        """A row per film and organ, runs put together; see `merge_runs`."""
        return merge_runs([experiment.per_film(column) for experiment in self.experiments])

    def with_distances(self, column: str) -> list[dict]:
        """Pooled counts of every run, with border distances measured on the kept predictions where they lack."""
        return [run if "surface" in run else _measure(experiment, column)
                for experiment, run in zip(self.experiments, self.pooled[column], strict=True)]

    def summary(self) -> pd.DataFrame:
        """Spread over films of every column, by (column, metric, organ); see `summarize`."""
        parts = {name: summarize(self.per_film(name)) for name in self.columns}
        return pd.concat(parts, names=["column"])

    def hardest(self, count: int = 20) -> pd.DataFrame:
        """The films of lowest J, averaged over columns; mean J in percent of every column, lowest first."""
        films = pd.DataFrame({name: film_scores(self.per_film(name), self.scored)["average"]
                              for name in self.columns})
        films["all columns"] = films.mean(axis=1)  # last: what `hardest` ranks by
        return hardest(films, count)

    def differences(self, right: str = "real", lefts: Sequence[str] | None = None,
                    seed: int = 0) -> list[Difference]:
        """Every column, or those of `lefts`, against `right`, film by film; see `compare`."""
        lefts = list(dict.fromkeys(lefts or [name for name in self.columns if name != right]))
        if right in lefts:
            raise UserError(f"column {right!r} cannot be compared with itself; name another")
        for name in (right, *lefts):
            if name not in self.columns:
                raise UserError(f"{self.experiments[0].path}: has no column {name!r}; there are "
                                f"{', '.join(self.columns)}")
        reference = self.per_film(right)
        return [compare(self.per_film(left), reference, self.scored, (left, right), seed=seed)
                for left in lefts]

    def table3(self) -> Table:
        """The paper's Table 3 with this experiment's best column as its last row."""
        first = self.experiments[0]
        split = f"training/test split ({len(first.subset()['train'])}/{self.tested})"
        return table3(self.pooled, first.films().description.size, split)


def _gold_pixels(pooled: dict) -> dict[str, int]:
    """Pixels of each organ in the true maps."""
    return {organ: hits + missed for organ, (hits, _, missed) in pooled["counts"].items()}


def _measure(experiment: ExperimentFolder, column: str) -> dict:
    """What `evaluation.segmenter.evaluate` writes to pooled.json today."""
    store, table = experiment.films(), experiment.table(column)
    ids = list(dict.fromkeys(experiment.per_film(column)["film"]))  # each film once
    pairs = [(experiment.prediction(column, id_), experiment.gold(column, id_)) for id_ in ids]
    spacing = store.description.spacing_mm
    counts = np.array([overlap_counts(*pair, table.num_classes, table.regions.values()) for pair in pairs])
    # 1.0: pixels
    distances = np.array([organ_distances(*pair, table.regions.values(), spacing or 1.0) for pair in pairs])
    scored = tuple(experiment.pooled(column)["scored"])
    return Result(tuple(ids), tuple(table.regions), scored, counts, distances, "mm" if spacing else "px").to_json()


def difference_table(differences: Sequence[Difference]) -> Table:
    """Text cells: difference, interval, films, p, and p after Holm's adjustment for the number of rows."""
    adjusted = holm([difference.p_value for difference in differences])
    rows = [{("", "Column"): columns.title(found.left), ("", "Against"): columns.title(found.right),
             ("Pooled mean J", "Difference"): f"{found.difference:+.2f}",
             ("Pooled mean J", "95 % interval"): f"{found.low:+.2f} to {found.high:+.2f}",
             ("Films", "Better"): str(found.better), ("Films", "Worse"): str(found.worse),
             ("Wilcoxon", "p"): format_p(found.p_value),
             ("Wilcoxon", "p (Holm)"): format_p(after)}
            for found, after in zip(differences, adjusted, strict=True)]
    return Table(pd.DataFrame(rows))


def write_results(results: Results, out: pathlib.Path, organs: bool = False,
                  with_table3: bool = False) -> list[str]:
    """Writes all tables as .md, .csv, .tex and .html and the per-film files as .csv; returns the names.

    Names: table1 or table2; with `organs` NAME-organs; with `with_table3` table3; with a column "real"
    differences, but see `Results.without`; per_film_summary.csv, hardest.csv.
    """
    tables = [(results.name, comparison(results.pooled), results.caption())]
    if organs:
        measured = {name: results.with_distances(name) for name in results.columns}
        every = list(next(iter(measured.values()))[0]["counts"])
        note = f"{results.caption(every)} HD95 and ASSD: means over films. {unmatched(measured)}".strip()
        tables.append((f"{results.name}-organs", extended(measured), note))
    if with_table3:
        tables.append(("table3", results.table3(), "Published results on the SCR data set in percent, as in Ciano "
                       "et al. 2021, and this experiment."))
    if "real" in results.columns and len(results.columns) > 1 and "differences" not in results.without():
        tables.append(("differences", difference_table(results.differences()), "Differences from REAL in points "
                       "of pooled mean J: bootstrap interval over films; Wilcoxon's signed-rank test of the "
                       "films' mean J."))
    lists = {"per_film_summary": results.summary().round(4), "hardest": results.hardest().round(4)}
    out = atomic_files.make_folder(out)  # nothing is written before all is computed
    for name, rows in lists.items():
        atomic_files.write_text(out / f"{name}.csv", rows.to_csv())
    for name, table, caption in tables:
        write_table(table, out, name, caption)
    return [*(name for name, *_ in tables), *lists]
