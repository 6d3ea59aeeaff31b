"""The result files of an experiment, or of several runs (seeds) of it: tables, per-film results, comparisons."""

import functools
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from evaluation.metrics.overlap import overlap_counts
from evaluation.metrics.surface import METRICS, organ_distances
from evaluation.results import columns
from evaluation.results.comparisons import (
    LEAST_FILMS,
    MARGIN,
    Difference,
    compare,
    comparison_table,
    named_among,
)
from evaluation.results.experiment_folder import ExperimentFolder, run_names
from evaluation.results.inference import format_p, holm
from evaluation.results.per_film import film_rows, film_scores, hardest, merge_runs, summarize
from evaluation.results.published import table3
from evaluation.results.table_formats import Table, write_table
from evaluation.results.tables import comparison, extended, left_out, unmatched, unshown
from evaluation.segmenter.evaluate import Result

MEASURES = ("HD95, ASSD and surface Dice: means over films. Worst tenth: mean over the tenth of films with the "
            "lowest mean J.")
NAMES = {"FULL": "table1", "TINY": "table2"}  # the paper's numbers


class Results:
    """What one or several experiment folders of the same configuration hold.

    Args:
      folders: of tools.run_experiment.
      external: name of an external set of films, on which its columns are those that every folder has; without,
        the experiments' test films.
      shared: columns are those that every folder has there too, as in draws of which some were made by earlier
        plans; without, others are an error.

    Raises UserError where their configuration, columns or scored organs differ, where no column is in all of them,
    and where one is named twice.
    """

    def __init__(self, folders: Sequence[str | pathlib.Path], external: str = "", shared: bool = False):
        # A folder named twice would count as two runs.
        if not folders or len({pathlib.Path(folder).resolve() for folder in folders}) != len(folders):
            raise UserError(f"--results={','.join(map(str, folders))}: expected one or more folders, each once")
        self.experiments = [ExperimentFolder(pathlib.Path(folder), external) for folder in folders]
        first = self.experiments[0]
        found = [experiment.columns() for experiment in self.experiments]
        self.columns = [name for name in found[0] if all(name in names for names in found)]
        if not self.columns:
            each = "; ".join(f"{experiment.path} has {', '.join(names)}"
                             for experiment, names in zip(self.experiments, found, strict=True))
            where = f", on films of {external}" if external else ""
            raise UserError(f"{each}{where}: expected a column that all of them have; make a table of each")
        self._unshared = {name for names in found for name in names} - {*self.columns}
        self.pooled = {name: [] for name in self.columns}
        for experiment in self.experiments:
            names = experiment.columns()
            if experiment.choice != first.choice or (not (external or shared) and names != found[0]):
                alike = ", or with --shared one of what all have" if experiment.choice == first.choice else ""
                raise UserError(f"{experiment.path}: is {experiment.choice} with columns {', '.join(names)}, but "
                                f"{first.path} is {first.choice} with {', '.join(found[0])}; make a table of "
                                f"each{alike}")
            experiment.refuse_other_changes(first)
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
                    raise UserError(f"{experiment.results(name)}: was scored on other films or sizes than "
                                    f"{self.columns[0]}; evaluate it again")
        self._measured: dict[str, list[tuple[dict, pd.DataFrame]]] = {}

    @functools.cached_property
    def externals(self) -> dict[str, "Results"]:
        """Name of each external set of films that every run has a column of -> its results."""
        folders = [experiment.path for experiment in self.experiments]
        names = [experiment.externals() for experiment in self.experiments]
        shared = [name for name in names[0] if all(name in found for found in names)]
        scored = {name: [set(ExperimentFolder(folder, name).scored_columns()) for folder in folders]
                  for name in shared}
        return {name: Results(folders, name) for name, found in scored.items() if set.intersection(*found)}

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
        data = dict.fromkeys(experiment.title() for experiment in self.experiments)  # each once
        title = ", ".join(part for part in (*data, self.experiments[0].choice) if part)
        runs = len(self.experiments)
        spread = f"; mean ± standard deviation of {runs} runs" if runs > 1 else ""
        films = "test films" if self.tested > 1 else "test film"
        said = f"{title}: J and DSC in percent, pixels pooled over {self.tested} {films}{spread}."
        outside = [f"{name}: {found.tested} films of elsewhere." for name, found in self.externals.items()]
        outside += [f"{columns.title(column)} was scored on {name} before it was trained anew, and is left out "
                    "there; give --external again." for name, column in self._outdated()]
        notes = [self._pieces(), *self._columns_left_out(), left_out(self.pooled, organs), self._budget()]
        return " ".join(filter(None, [said, *outside, *notes]))

    def _columns_left_out(self) -> list[str]:
        """Sentences on columns that are in folders and not in the table."""
        superseded = {name for experiment in self.experiments for name in experiment.superseded()}
        found = {"Made by an earlier plan with other settings or data": superseded,
                 "Not in every run": self._unshared - superseded}
        return [f"{why}, and left out: {', '.join(map(columns.title, columns.in_order(names)))}."
                for why, names in found.items() if names]

    def _pieces(self) -> str:
        """A sentence on what the segmenters keep of what they find; empty where that is all."""
        return ("Of organs that come in one piece in the training films, the segmenters trained here keep the "
                "largest piece alone." if self.experiments[0].keeps_largest else "")

    def _budget(self) -> str:
        """A sentence on the updates behind each column that says them; empty without any."""
        budgets: dict[int, list[str]] = {}
        for name in self.columns:
            found = {experiment.updates(name) for experiment in self.experiments}
            if len(found) == 1 and found != {None}:
                budgets.setdefault(found.pop(), []).append(columns.title(name))
        parts = [f"{steps:,} for {', '.join(names)}" for steps, names in sorted(budgets.items())]
        return f"Updates of the segmenter in all: {'; '.join(parts)}." if parts else ""

    def _outdated(self) -> list[tuple[str, str]]:
        """External sets and columns whose scores on them are of an earlier segmenter, each once."""
        return list(dict.fromkeys(
            (name, column) for experiment in self.experiments for name in experiment.externals()
            for column in ExperimentFolder(experiment.path, name).outdated()))

    def recipe(self) -> str:
        """Sentences on the recipe, for what the main caption does not stand beside; empty for the paper's."""
        recipe = self.experiments[0].recipe  # all have one
        return " ".join(filter(None, [f"{recipe.capitalize()}." if recipe else "", self._pieces()]))

    def main_table(self) -> Table:
        """The paper's table, with a block of rows for each external set."""
        return comparison(self.pooled, externals={name: found.pooled for name, found in self.externals.items()})

    def measures_table(self) -> Table:
        """The same with all organs, border distances, surface Dice, and what single films add."""
        return extended(*self._all_measures(), {name: found._all_measures()
                                                for name, found in self.externals.items()})

    def _all_measures(self) -> tuple[dict[str, list[dict]], dict[str, list[pd.Series]]]:
        """Pooled results of every run, and `film_rows`, by column."""
        measured = {name: self.measured(name) for name in self.columns}
        return ({name: [pooled for pooled, _ in runs] for name, runs in measured.items()},
                {name: [film_rows(films, self.scored) for _, films in runs] for name, runs in measured.items()})

    def drawn(self) -> str:
        """What intervals are over."""
        draws = len(self.experiments)
        return f"{draws} draws and films" if draws > 1 else "films"

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
        return merge_runs(self.per_film_of_runs(column))

    def per_film_of_runs(self, column: str) -> list[pd.DataFrame]:
        """The same of each run."""
        return [films for _, films in self.measured(column)]

    def measured(self, column: str) -> list[tuple[dict, pd.DataFrame]]:
        """Pooled results and single films of every run, with border distances measured on the kept predictions
        where they lack."""
        if column not in self._measured:
            self._measured[column] = [
                (run, experiment.per_film(column)) if _is_measured(run) or not _kept(experiment, column)
                else _measure(experiment, column)
                for experiment, run in zip(self.experiments, self.pooled[column], strict=True)]
        return self._measured[column]

    def films(self) -> pd.DataFrame:
        """All single films: a row for each set of films ("test" or an external one), column, run (its folder's
        name, or all of its path where two have one name), film and organ."""
        names = run_names(self.experiments)
        parts = {(place, column, name): films
                 for place, results in {"test": self, **self.externals}.items() for column in results.columns
                 for name, films in zip(names, results.per_film_of_runs(column), strict=True)}
        return pd.concat(parts, names=["set", "column", "run"]).reset_index([0, 1, 2])

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
        return [self._compare(left, right, seed) for left in lefts]

    def _compare(self, left: str, right: str, seed: int = 0) -> Difference:
        return compare(self.per_film_of_runs(left), self.per_film_of_runs(right), self.scored, (left, right),
                       seed=seed)

    def comparisons(self) -> list[tuple[str, list[Difference]]]:
        """What `evaluation.results.comparisons.NAMED` names, on each set of films that has two or more; sets
        without any are left out."""
        sets = {"test": self, **self.externals}
        found = {films: [results._compare(*pair) for pair in named_among(results.columns)]
                 for films, results in sets.items() if results._comparable()}
        return [(films, family) for films, family in found.items() if family]

    def _comparable(self) -> bool:
        return self.tested >= LEAST_FILMS and len(unshown(self.pooled)) < len(self.scored)

    def table3(self) -> Table:
        """The paper's Table 3 with this experiment's best column as its last row."""
        first = self.experiments[0]
        split = f"training/test split ({len(first.subset()['train'])}/{self.tested})"
        return table3(self.pooled, first.films().description.size, split)


def _gold_pixels(pooled: dict) -> dict[str, int]:
    """Pixels of each organ in the true maps."""
    return {organ: hits + missed for organ, (hits, _, missed) in pooled["counts"].items()}


def _is_measured(pooled: dict) -> bool:
    """Whether border distances of all METRICS are there."""
    return all(metric in organ for organ in pooled.get("surface", {"organs": {"": {}}})["organs"].values()
               for metric in METRICS)


def _kept(experiment: ExperimentFolder, column: str) -> bool:
    """Whether there are the films and predictions that can be measured."""
    return (not experiment.external and experiment.keeps_films
            and (experiment.results(column) / "predictions").is_dir())


def _measure(experiment: ExperimentFolder, column: str) -> tuple[dict, pd.DataFrame]:
    """What `evaluation.segmenter.evaluate` writes today."""
    store, table = experiment.films(), experiment.table(column)
    ids = list(dict.fromkeys(experiment.per_film(column)["film"]))  # each film once
    pairs = [(experiment.prediction(column, id_), experiment.gold(column, id_)) for id_ in ids]
    spacing = store.description.spacing_mm
    counts = np.array([overlap_counts(*pair, table.num_classes, table.regions.values()) for pair in pairs])
    # 1.0: pixels
    distances = np.array([organ_distances(*pair, table.regions.values(), spacing or 1.0) for pair in pairs])
    scored = tuple(experiment.pooled(column)["scored"])
    result = Result(tuple(ids), tuple(table.regions), scored, counts, distances, "mm" if spacing else "px")
    return result.to_json(), result.per_film()


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


def comparisons_caption(results: Results) -> str:
    """What the table of comparisons shows."""
    one = len(results.experiments) == 1
    return ("Comparisons named before the run, in points of pooled mean J: 95 % interval by bootstrap over "
            f"{results.drawn()}; p of the difference and of its being within {MARGIN:g} points (two one-sided "
            "tests), each after Holm's adjustment over the comparisons on the same films."
            + (" One draw: another one of the training films may decide otherwise." if one else "")
            + f" {results.recipe()}".rstrip())


def write_results(results: Results, out: pathlib.Path, organs: bool = False,
                  with_table3: bool = False) -> list[str]:
    """Writes all tables as .md, .csv, .tex and .html and the per-film files as .csv; returns the names.

    Names: table1 or table2; with `organs` NAME-organs; with `with_table3` table3; with a column "real"
    differences, but see `Results.without`; comparisons, where columns are compared that were named for it;
    per_film.csv, per_film_summary.csv (and one of each external set), hardest.csv.
    """
    tables = [(results.name, results.main_table(), results.caption())]
    if organs:
        measured = {name: [run for run, _ in results.measured(name)] for name in results.columns}
        every = list(next(iter(measured.values()))[0]["counts"])
        note = f"{results.caption(every)} {MEASURES} {unmatched(measured)}".strip()
        tables.append((f"{results.name}-organs", results.measures_table(), note))
    if with_table3:
        tables.append(("table3", results.table3(), "Published results on the SCR data set in percent, as in Ciano "
                       f"et al. 2021, and this experiment. {results.recipe()}".rstrip()))
    if "real" in results.columns and len(results.columns) > 1 and "differences" not in results.without():
        tables.append(("differences", difference_table(results.differences()), "Differences from REAL in points "
                       f"of pooled mean J: bootstrap interval over {results.drawn()}; Wilcoxon's signed-rank test "
                       f"of the films' mean J. {results.recipe()}".rstrip()))
    if families := results.comparisons():
        tables.append(("comparisons", comparison_table(families), comparisons_caption(results)))
    lists = {"per_film_summary": results.summary().round(4), "hardest": results.hardest().round(4),
             "per_film": results.films().round(6).set_index("set"),
             **{f"per_film_summary-{name}": found.summary().round(4) for name, found in results.externals.items()}}
    out = atomic_files.make_folder(out)  # nothing is written before all is computed
    for name, rows in lists.items():
        atomic_files.write_text(out / f"{name}.csv", rows.to_csv())
    for name, table, caption in tables:
        write_table(table, out, name, caption)
    return [*(name for name, *_ in tables), *lists]
