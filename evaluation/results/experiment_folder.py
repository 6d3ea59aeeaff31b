"""What `tools.run_experiment` leaves in its folder, as tables and figures read it."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from datasets.class_table import ClassTable
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import PairStore, read_png
from datasets.rules.label_rules import LabelRules
from evaluation.results import columns, run_log
from evaluation.results.columns import Method
from evaluation.results.made_with import PAPER, MadeWith, read_made_with
from evaluation.results.per_film import read_per_film
from evaluation.results.tables import read_pooled
from evaluation.segmenter.network_file import PRODUCT, network_digest, network_file

RULES = "rules.json"  # below data/: what the training films' label maps are like
HELD_OUT = "held-out"  # below data/: train films that no maker of pairs sees, at the size of gan-films
FILMS = ("segmenter-films", "gan-films")  # below data/: films at the segmenters' size, or at that of all stages


def results_name(column: str, external: str = "") -> str:
    """The folder of a column's results on the test films, or on an external set of that name."""
    return f"external-{external}.{column}" if external else f"evaluate-{column}"


def set_name(method: Method) -> str:
    """The folder of a method's synthetic pairs."""
    return f"synthetic-{method.suffix}"


def run_names(experiments: Sequence["ExperimentFolder"]) -> list[str]:
    """A name for each in tables: its folder's, or all of its path where two folders have one name."""
    paths = [experiment.path.resolve() for experiment in experiments]
    names = [path.name for path in paths]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths, strict=True)]


@dataclasses.dataclass(frozen=True)
class ExperimentFolder:
    """An experiment's folder. Everything is read when asked for; a missing or foreign file is a UserError.

    Attributes:
      path: the folder.
      external: name of an external set of films: columns and their scores are then those on it.
    """

    path: pathlib.Path
    external: str = ""

    def __post_init__(self):
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such folder; expected the --workdir of tools.run_experiment")

    def columns(self) -> list[str]:
        """Evaluated columns in the tables' order; see `evaluation.results.columns.in_order`."""
        found = self.scored_columns()
        if not found:
            raise UserError(f"{self.path}: found no evaluated column ({results_name('*', self.external)}/"
                            "pooled.json); run tools.run_experiment to its end")
        return found

    def scored_columns(self) -> list[str]:
        """The same where there may be none."""
        left_out = {*self.outdated(), *self.superseded()}
        return columns.in_order(name for name in self._found() if name not in left_out)

    def superseded(self) -> list[str]:
        """Columns of earlier plans that were made with other settings or data; see `MadeWith.superseded`."""
        known = self.superseded_tasks
        return columns.in_order(name for name in self._found() if results_name(name) in known)

    @property
    def superseded_tasks(self) -> tuple[str, ...]:
        """The tasks that made them, and what these read."""
        made = self.made_with
        return made.superseded if made else ()

    def outdated(self) -> list[str]:
        """Columns that were scored on the external set and whose segmenter is another one by now."""
        return [name for name in self._found() if self.external and self._is_outdated(name)]

    def _is_outdated(self, column: str) -> bool:
        known = self.pooled(column).get("external", {}).get("network")
        run = self.path / column
        kept = (run / PRODUCT).is_file() and network_file(run).is_file()  # a shared folder may lack it
        return bool(known and kept and known != network_digest(run))

    def _found(self) -> list[str]:
        prefix = results_name("", self.external)
        found = [path.parent.name.removeprefix(prefix) for path in self.path.glob(f"{prefix}*/pooled.json")]
        # Names that people gave to folders are no columns.
        return [name for name in found if columns.NAME.fullmatch(name)]

    def externals(self) -> list[str]:
        """Names of the external sets on which columns were scored."""
        return sorted({path.parent.name.removeprefix("external-").partition(".")[0]
                       for path in self.path.glob("external-*.*/pooled.json")})

    def results(self, column: str) -> pathlib.Path:
        """The folder of a column's results on the films."""
        return self.path / results_name(column, self.external)

    def pooled(self, column: str) -> dict:
        """See `evaluation.results.tables.read_pooled`."""
        return read_pooled(self.results(column) / "pooled.json")

    def per_film(self, column: str) -> pd.DataFrame:
        """See `evaluation.results.per_film.read_per_film`."""
        return read_per_film(self.results(column) / "per_film.csv")

    def updates(self, column: str) -> int | None:
        """How often the segmenter's weights were updated on the way to `column`, in all its phases; None where the
        folder does not say, as for a user's own column."""
        path, start = self.path / column / "config.json", columns.find(column).start
        before = self.updates(start) if start else 0
        if not path.is_file() or before is None:
            return None
        value = atomic_files.read_json(path)
        try:
            return before + int(value["config"]["steps"])
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path}: not the settings of a segmenter's training; expected what "
                            "tools.run_experiment writes") from None

    def prediction(self, column: str, id_: str) -> np.ndarray:
        """Predicted codes uint8 [H, W] of a test film."""
        path = self.path / results_name(column) / "predictions" / f"{id_}.png"
        codes = read_png(path, self.films().description.size)
        highest = self.table(column).num_classes - 1
        if codes.dtype != np.uint8 or codes.max() > highest:
            raise UserError(f"{path}: found code {codes.max()}, expected 0 to {highest}")
        return codes

    def gold(self, column: str, id_: str) -> np.ndarray:
        """True codes uint8 [H, W] of the organs on which `column` was scored."""
        store = self.films()
        if self.table(column) == store.classes.scored_table():  # scored against overlapping masks
            return store.scored_label(id_)
        return store.label(id_)

    def table(self, column: str) -> ClassTable:
        """The class table of the maps on which `column` was scored: that of the scored organs, or of all."""
        found, classes = tuple(self.pooled(column)["counts"]), self.films().classes
        for table in (classes.scored_table(), classes):
            if tuple(table.regions) == found:
                return table
        raise UserError(f"{self.results(column)}/pooled.json: found organs {', '.join(found)}, expected "
                        f"{', '.join(classes.regions)} as in the films' description.json; evaluate it again")

    def films(self) -> PairStore:
        """Test films as the segmenters saw them."""
        for name in FILMS:
            if (self.path / "data" / name).is_dir():
                return PairStore(self.path / "data" / name)
        raise UserError(f"{self.path}/data: found neither segmenter-films nor gan-films; run tools.run_experiment")

    def held_out(self) -> PairStore | None:
        """Train films that no network that makes pairs saw; None where the folder keeps none."""
        path = self.path / "data" / HELD_OUT
        return PairStore(path) if path.is_dir() else None

    def title(self) -> str:
        """Name of the data set, or of the folder where the films are not kept."""
        return self.films().description.name if self.keeps_films else self.path.resolve().name

    @property
    def keeps_films(self) -> bool:
        """Whether the test films are there; they may be left out of a shared folder."""
        return any((self.path / "data" / name).is_dir() for name in FILMS)

    def synthetic(self, method: Method) -> PairStore:
        """Synthetic pairs of `method` at the size they were made. Raises UserError where they are superseded."""
        path = self.path / set_name(method)
        if path.name in self.superseded_tasks:
            raise UserError(f"{path}: an earlier plan made these pairs with other settings or data; ask "
                            "tools.run_experiment for them again, and they are made anew")
        return PairStore(path / "gan")

    def methods(self) -> list[Method]:
        """Those whose synthetic pairs are there and not superseded, in the order of `columns.METHODS`."""
        known = self.superseded_tasks
        return [method for method in columns.METHODS if set_name(method) not in known
                and (self.path / set_name(method) / "gan" / "manifest.csv").is_file()]

    def subset(self) -> dict:
        """What the data task chose: config, seed, and the films' ids in train."""
        path = self.path / "data" / "subset.json"
        value = atomic_files.read_json(path)
        if not isinstance(value, dict) or not isinstance(value.get("train"), list):
            raise UserError(f"{path}: not the choice of an experiment's films; expected what tools.run_experiment "
                            "writes")
        return value

    def rules(self) -> LabelRules | None:
        """What the training films' label maps are like; None where the folder does not say."""
        path = self.path / "data" / RULES
        if not path.is_file():
            return None
        value = atomic_files.read_json(path)
        try:
            return LabelRules.from_json(value)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: not the rules of label maps ({type(error).__name__}: {str(error)[:100]}); "
                            "expected what tools.run_experiment writes; remove it") from None

    @property
    def configuration(self) -> str:
        """"FULL" or "TINY"; empty where the folder does not say."""
        kept = (self.path / "data" / "subset.json").is_file()
        return str(self.subset().get("config", "")).upper() if kept else ""

    @property
    def made_with(self) -> MadeWith | None:
        """Names of its preset and recipe; None where the folder does not say."""
        return read_made_with(self.path)

    @property
    def recipe(self) -> str:
        """"recipe best"; empty for the paper's, and where the folder does not say."""
        made = self.made_with
        return f"recipe {made.recipe}" if made and made.recipe != PAPER else ""

    @property
    def keeps_largest(self) -> bool:
        """Whether its segmenters keep the largest piece alone of organs that come in one."""
        return bool(self.recipe_changes.get("segmenters", {}).get("keep_largest"))

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """What its recipe changed of the preset: recipes of one name may differ from version to version."""
        made = self.made_with
        return made.settings_changed() if made else {}

    def refuse_other_changes(self, other: "ExperimentFolder") -> None:
        """Raises UserError where its recipe changed other settings than `other`'s of the same name."""
        ours, theirs = self.recipe_changes, other.recipe_changes
        for part in sorted({*ours, *theirs}):
            if ours.get(part) != theirs.get(part):
                raise UserError(f"{self.path}: its recipe changed {part} by {ours.get(part, {})}, that of "
                                f"{other.path} by {theirs.get(part, {})}; make a table of each")

    @property
    def choice(self) -> str:
        """The configuration with its number of training films, and `recipe`, as in "TINY (11 films), recipe best";
        without what is not known."""
        count = len(self.subset()["train"]) if self.configuration else 0
        films = f"{self.configuration} ({count} film{'s'[:count != 1]})" if count else ""
        return ", ".join(filter(None, [films, self.recipe]))

    def logs(self) -> dict[str, list[dict[str, float]]]:
        """Training run -> its rows, see `evaluation.results.run_log`; stages first, then columns in order. Runs of
        earlier plans that are superseded are left out."""
        found = {path.parent.name for path in self.path.glob(f"*/{run_log.NAME}")} - {*self.superseded_tasks}
        stages = [name for name in columns.STAGES if name in found]
        names = [*stages, *columns.in_order(found - set(stages))]
        return {name: run_log.read_rows(self.path / name / run_log.NAME) for name in names}
