"""Tasks that score an experiment's segmenters, on its test films and on films of elsewhere."""

import dataclasses
import pathlib

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.external import External
from datasets.pair_store import PairStore
from datasets.rules.label_cleaning import asked_organs
from evaluation.results.experiment_folder import RULES, ExperimentFolder, results_name
from evaluation.segmenter.evaluate import evaluate_to_folder
from evaluation.segmenter.external import score_segmenter
from evaluation.segmenter.load import coded
from evaluation.segmenter.saved_network import load_network
from evaluation.segmenter.sliding_window import probabilities_of
from tools.experiment.tasks import Task
from training.config import SMANetConfig


@dataclasses.dataclass(frozen=True)
class ColumnScoring:
    """The scoring of one column.

    Attributes:
      config: how its segmenter was trained, and is used.
      workdir: the experiment's.
      copy: which copy of the films the segmenters read: "gan", the GANs' own, or "segmenter", of another size.
    """

    column: str
    config: SMANetConfig
    workdir: pathlib.Path
    copy: str

    def test_films(self) -> Task:
        config = self.config
        settings = {"window": config.crop, "overlap": config.overlap, "classes": config.classes,
                    **kept_pieces(config)}

        def run(folder: pathlib.Path) -> None:
            store, network = self._films(), load_network(self.workdir / self.column)
            table = segmented_table(config, store.classes)
            evaluate_to_folder(probabilities_of(network), store, store.ids("test"), folder,
                               config.classes == "scored", config.crop, config.overlap,
                               coded(largest_organs(config, self.workdir, table), table.names))

        return Task(results_name(self.column), f"test films through {self.column}", ("data", self.column),
                    settings, run)

    def elsewhere(self, external: External) -> Task:
        """The same of the films of `external`, in their own geometry."""
        settings = {"films": external.fingerprint, "unions": [[name, *parts] for name, parts in external.unions],
                    **kept_pieces(self.config)}

        def run(folder: pathlib.Path) -> None:
            table = segmented_table(self.config, self._films().classes)
            score_segmenter(self.workdir / self.column, external, table, self.config.classes == "scored", folder,
                            largest_organs(self.config, self.workdir, table))

        return Task(results_name(self.column, external.name), f"films of {external.name} through {self.column}",
                    ("data", self.column), settings, run)

    def _films(self) -> PairStore:
        return PairStore(self.workdir / "data" / f"{self.copy}-films")


def kept_pieces(config: SMANetConfig) -> dict[str, str]:
    """--keep_largest as a setting of tasks that use a segmenter, where it is asked for."""
    return {"keep_largest": config.keep_largest} if config.keep_largest else {}


def segmented_table(config: SMANetConfig, classes: ClassTable) -> ClassTable:
    """Those of `classes` that segmenters learn."""
    return classes.segmented(config.classes == "scored")


def largest_organs(config: SMANetConfig, workdir: pathlib.Path, table: ClassTable) -> list[tuple[str, ...]]:
    """The classes whose largest piece alone is kept, as `asked_organs` of `table`: auto are those in one piece in
    the label maps of the experiment's films.

    Raises UserError where the experiment does not say what these are like.
    """
    def whole() -> list[str]:
        rules = ExperimentFolder(workdir).rules()
        if rules is None:
            raise UserError(f"{workdir}/data/{RULES}: no such file, which says what comes in one piece; remove "
                            f"{workdir}/tasks/data.json, and the data are made again")
        return [name for name in rules.whole() if name in table.organs]

    return asked_organs(config.keep_largest, table, whole)
