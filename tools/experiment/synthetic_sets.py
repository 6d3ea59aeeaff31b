"""Tasks that make a synthetic set of an experiment: whole, or in shards on several workers, then joined.

    RUN/synthetic-3-shard-1-of-4/   a shard (`datasets.synthetic.synthetic_shards`), while the set is not done
    RUN/synthetic-3/                the set, which is the same either way
"""

import dataclasses
import math
import pathlib
import shutil

from datasets.pair_store import PairStore
from datasets.resize import resize_store
from datasets.synthetic.synthetic_shards import MARK, Shard
from evaluation.results.columns import Method
from evaluation.results.experiment_folder import ExperimentFolder, set_name
from evaluation.synthetic.marked_copies import mark_copies
from tools.experiment.tasks import Task
from tools.generation.method_from_runs import MODEL_SETTINGS, Assembly
from tools.generation.stages import STAGES
from tools.version import code_version
from training.presets import Preset


@dataclasses.dataclass(frozen=True)
class SyntheticSet:
    """The pairs of one method.

    Attributes:
      workdir: the experiment's.
      shard_pairs: how many pairs a shard has at most, about; 0 for a set that is made whole.
    """

    method: Method
    preset: Preset
    seed: int
    workdir: pathlib.Path
    shard_pairs: int = 0

    @property
    def name(self) -> str:
        return set_name(self.method)

    @property
    def count(self) -> int:
        return self.preset.synthetic_train + self.preset.synthetic_validation

    def tasks(self) -> list[Task]:
        """Those of the shards, if any, and that of the set."""
        return [*(self._shard_task(shard) for shard in self._shards()), self._set_task()]

    def _shards(self) -> list[Shard]:
        of = math.ceil(self.count / self.shard_pairs) if self.shard_pairs else 1
        return [Shard(number, of) for number in range(1, of + 1)] if of > 1 else []

    def _shard_name(self, shard: Shard) -> str:
        return f"{self.name}-shard-{shard.number}-of-{shard.of}"

    def _settings(self) -> dict:
        return {"count": self.count, "validation": self.preset.synthetic_validation, "seed": self.seed,
                "check": self.preset.check_samples, **MODEL_SETTINGS.get(self.method.name, {}),
                **({"smooth_labels": True} if self._smooth else {}),
                **({"expose": self.preset.expose} if self.preset.expose else {})}

    @property
    def _smooth(self) -> bool:
        """Whether label maps are smoothed."""
        return self.preset.smooth_labels and "dots_to_labels" in STAGES[self.method.name]

    def _reads(self) -> tuple[str, ...]:
        return "data", *STAGES[self.method.name]

    def _assembly(self) -> Assembly:
        runs = {stage: str(self.workdir / stage) for stage in STAGES[self.method.name]}
        return Assembly(self.method.name, runs, PairStore(self.workdir / "data" / "gan-augmented"),
                        smooth_labels=self._smooth, expose=self.preset.expose)

    def _shard_task(self, shard: Shard) -> Task:
        def run(folder: pathlib.Path) -> None:
            self._assembly().write_shard(str(folder), shard, self.count, self.seed, self.preset.check_samples)

        title = f"shard {shard.number} of {shard.of} of {self.count:,} {self.method.source} pairs"
        return Task(self._shard_name(shard), title, self._reads(), self._settings(), run, helps=self.name)

    def _set_task(self) -> Task:
        preset = self.preset

        def run(folder: pathlib.Path) -> None:
            made, shards = folder / "gan", [self.workdir / self._shard_name(shard) for shard in self._shards()]
            there = all((shard / MARK).is_file() for shard in shards)  # not so where they were joined before
            self._assembly().write(str(made), self.count, preset.synthetic_validation, self.seed,
                                   preset.check_samples, shards=[str(shard) for shard in shards] if there else ())
            mark_copies(PairStore(made), PairStore(self.workdir / "data" / "gan-films"), version=code_version(),
                        held_out=ExperimentFolder(self.workdir).held_out())
            if preset.segmentation_size != preset.size:  # the segmenter's size is its own
                store = PairStore(made)
                resize_store(store, store.ids(), folder / "segmenter", preset.segmentation_size)
            for shard in self.workdir.glob(f"{self.name}-shard-*"):
                shutil.rmtree(shard)

        title = f"{self.count:,} {self.method.source} pairs"
        return Task(self.name, title, self._reads(), self._settings(), run)
