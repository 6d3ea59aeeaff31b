"""Tasks that train an experiment's segmenters: a run folder for each column of the tables."""

import dataclasses
import pathlib
import re
from typing import TypeVar

from datasets.pair_store import PairStore
from evaluation.results import columns
from evaluation.results.columns import Column
from evaluation.results.experiment_folder import set_name
from tools.experiment.estimate import shared_by
from tools.experiment.scoring import largest_organs, segmented_table
from tools.experiment.tasks import Task
from training import smanet
from training.config import EngineConfig, SMANetConfig
from training.presets import Preset
from training.run_folder import decisive

Config = TypeVar("Config", bound=EngineConfig)
CUTMIX = 0.5  # share of mixed crops where films are mixed, as Yun et al. 2019 have it for small pictures


@dataclasses.dataclass(frozen=True)
class ColumnTraining:
    """The training of one column.

    Attributes:
      workdir: the experiment's.
      copy: which copy of the pairs the segmenters read: "gan", the GANs' own, or "segmenter", of another size.
      workers: of a cluster that train each network together, but for those whose batches they cannot share.
    """

    column: Column
    preset: Preset
    seed: int
    workdir: pathlib.Path
    copy: str
    workers: int = 1

    def task(self) -> Task:
        """Trains the segmenter."""
        column = self.column
        synthetic = set_name(column.method) if column.method else ""
        match column.kind, column.augmented:
            case ("real", _) | ("real-2x" | "mix-real", False):
                return self._one_set("data")
            case "synth", _:
                return self._one_set(synthetic)
            case "finetune", _:
                return self._one_set("data", column.start)
            case "mix", _:
                return self._half_and_half(synthetic, self.copy)
            case "pseudo", False:
                return self._half_and_half(labelled_for(column), "pairs")
        raise NotImplementedError(f"{column.name}: no task trains columns of this kind")

    def job(self) -> tuple[str, SMANetConfig]:
        """What the training is called in the estimate, and its options.

        What is not in two phases has as many updates as training and fine-tuning have together, but for the
        paper's REAL.
        """
        column, scratch, finetune = self.column, self.preset.segmenter, self.preset.finetune
        long = dataclasses.replace(scratch, steps=scratch.steps + finetune.steps)
        name, config = {"finetune": ("fine-tuning", finetune), "synth": ("segmenter", scratch),
                        "mix": ("mixed", long), "real": ("segmenter", long if column.augmented else scratch),
                        }.get(column.kind, (column.kind, long))
        if column.augmented or column.kind in ("mix-real", "pseudo"):
            config = dataclasses.replace(config, augment="strong")
        else:  # how often strong augmentation would change films is no setting of this column
            config = dataclasses.replace(config, augment_factor=1.0)
        if column.kind == "mix-real":
            config = dataclasses.replace(config, cutmix=CUTMIX)
        # As behind the column's kind and method: +augment, +unet.
        name += "".join(re.findall(r"\+\w+", column.name))
        return name, dataclasses.replace(config, network=column.network, seed=self.seed)

    def _one_set(self, source: str, start: str = "") -> Task:
        """On `source`, either from scratch or from column `start`."""
        real = source == "data"
        data = self._path("data", f"{self.copy}-augmented") if real else self._path(source, self.copy)
        how = f"segmenter from {start}, fine-tuned on real films" if start else f"segmenter on {source}"
        # The real pairs have no split to validate on: the last weights stand.
        return self._task(how, (source, start) if start else (source,), data, validation=None if real else data,
                          finetune_from=self._path(start) if start else None)

    def _half_and_half(self, source: str, folder: str) -> Task:
        """From scratch on the pairs of `source` and the real ones; the last weights are kept."""
        return self._task(f"segmenter on {source} and real films in equal parts", (source, "data"),
                          self._path(source, folder), mixed_with=self._path("data", f"{self.copy}-augmented"))

    def _task(self, how: str, reads: tuple[str, ...], data: str, **others: str | None) -> Task:
        _, config = self.job()

        def run(folder: pathlib.Path) -> None:
            largest = largest_organs(config, self.workdir, segmented_table(config, PairStore(data).classes))
            smanet.train(spread(config, self.workers), data, str(folder), largest=largest, **others)

        how += ", strongly augmented" if config.augment == "strong" else ""
        how += f" ({columns.NETWORKS[config.network]})" if config.network != "smanet" else ""
        return Task(self.column.name, how, reads, decisive(config), run,
                    workers=together(config, self.workers))

    def _path(self, *parts: str) -> str:
        return str(self.workdir.joinpath(*parts))


def labelled_for(column: Column) -> str:
    """The task that labels the films of a column of pseudo-labels: "unlabelled", or "unlabelled+unet"."""
    return f"unlabelled{column.name.removeprefix(column.kind)}"


def together(config: EngineConfig, workers: int) -> int:
    """How many of `workers` train a network together."""
    return workers if shared_by(config, workers) else 1


def spread(config: Config, workers: int) -> Config:
    """`config` for as many workers as train together."""
    return dataclasses.replace(config, strategy="multi_worker") if together(config, workers) > 1 else config
