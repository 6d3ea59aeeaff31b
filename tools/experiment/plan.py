"""The paper's experiment as a list of tasks: data, GANs, synthetic sets, segmenters, evaluations, report.

Columns of the tables: real; and for each method k (1 single, 2 two, 3 three stages) synth-k, trained on its
pairs alone, and finetune-k, that segmenter trained on with the real films. Two baselines that the paper does not
have stand behind them where they are asked for:

    mix     mix-k: a segmenter trained from scratch on method k's pairs and the real ones together, half of each,
            for as many updates as synth-k and finetune-k have between them
    shape   synth-shape and finetune-shape: label maps of a statistical shape model (datasets.sources.shape_model)
            in place of the networks that make them; films by the two- and three-stage methods' translator
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from datasets.augment import OPERATIONS, augment_store
from datasets.common import atomic_files
from datasets.pair_store import PairStore
from datasets.resize import resize_store
from datasets.subsets import choose_subset
from evaluation.report.write_report import write_report
from evaluation.segmenter.evaluate import evaluate_to_folder
from evaluation.segmenter.saved_network import load_network
from evaluation.segmenter.sliding_window import probabilities_of
from tools.experiment.estimate import TrainingJob
from tools.experiment.tasks import Task
from tools.generation.method_from_runs import SHAPE_SETTINGS, Assembly, source_name
from tools.generation.stages import STAGES
from training import pggan, pix2pixhd, smanet
from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.presets import Preset
from training.run_folder import decisive

METHODS = {"single": 1, "two": 2, "three": 3}  # method -> its number in the tables
EXTRAS = ("mix", "shape")
_SUFFIXES = {**METHODS, "shape": "shape"}  # method, the shape model included -> what its tasks' names end with
_TITLES = {"pairs": "PGGAN of label maps and films together", "labels": "PGGAN of label maps",
           "dots": "PGGAN of dots", "dots_to_labels": "Pix2PixHD from dots to label maps",
           "labels_to_film": "Pix2PixHD from label maps to films"}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is run.

    Attributes:
      data: pair folder of real films with splits train and test.
      config: "full" or "tiny".
      preset: settings of every stage.
      methods: which of METHODS are compared with the real films alone.
      seed: of everything random; TINY's films are drawn by it too.
      workdir: folder of the experiment.
      command: what makes it again, for the report.
      extras: which of EXTRAS are compared too; they change none of the other tasks but the report.
    """

    data: str
    config: str
    preset: Preset
    methods: tuple[str, ...]
    seed: int
    workdir: str
    command: str = ""
    extras: tuple[str, ...] = ()

    def tasks(self) -> list[Task]:
        """All tasks in order."""
        tasks = [self._data_task()]
        tasks += [self._gan_task(stage) for stage in self._gans()]
        tasks += [self._synthetic_task(method) for method in self._makers()]
        tasks.append(self._segmenter_task("real", "data"))
        for suffix in [_SUFFIXES[method] for method in self._makers()]:
            tasks.append(self._segmenter_task(f"synth-{suffix}", f"synthetic-{suffix}"))
            tasks.append(self._segmenter_task(f"finetune-{suffix}", "data", f"synth-{suffix}"))
        tasks += [self._mixed_task(number) for number in self._mixed()]
        tasks += [self._evaluation_task(column) for column in self.columns()]
        return [*tasks, self._report_task()]

    def columns(self) -> list[str]:
        """Names of the tables' columns."""
        numbers = [METHODS[method] for method in self.methods]
        names = ["real", *(f"{kind}-{number}" for number in numbers for kind in ("synth", "finetune"))]
        names += [f"mix-{number}" for number in self._mixed()]
        return [*names, *(["synth-shape", "finetune-shape"] if "shape" in self.extras else ())]

    def _makers(self) -> list[str]:
        """What makes synthetic pairs: the methods, and the shape model if asked for."""
        return [*self.methods, *(["shape"] if "shape" in self.extras else ())]

    def _mixed(self) -> list[int]:
        """Numbers of the methods whose pairs are mixed with real ones."""
        return [METHODS[method] for method in self.methods] if "mix" in self.extras else []

    @property
    def _segmenter(self) -> str:
        """Which copy of the pairs the segmenter reads: the GANs' own where the sizes agree."""
        return "gan" if self.preset.segmentation_size == self.preset.size else "segmenter"

    def _path(self, *parts: str) -> str:
        return str(pathlib.Path(self.workdir, *parts))

    def _data_task(self) -> Task:
        preset = self.preset
        store = PairStore(self.data)
        ids = choose_subset(store, self.config, self.seed, preset.tiny_films)
        settings = {"data": store.fingerprint(), "config": self.config, "train": ids, "seed": self.seed,
                    "size": preset.size, "segmentation_size": preset.segmentation_size}

        def run(folder: pathlib.Path) -> None:
            atomic_files.write_json(folder / "subset.json",
                                    {"config": self.config, "seed": self.seed, "train": ids})
            for name, size in {"gan": preset.size, self._segmenter: preset.segmentation_size}.items():
                films = resize_store(store, [*ids, *store.ids("test")], folder / f"{name}-films", size)
                augment_store(films, ids, folder / f"{name}-augmented", self.seed)

        title = f"choose {len(ids)} train films ({self.config.upper()}), augment x6"
        return Task("data", title, (), settings, run)

    def training_jobs(self) -> dict[TrainingJob, int]:
        """The networks that are trained, for `tools.experiment.estimate`, and how many runs each has."""
        preset, classes = self.preset, PairStore(self.data).classes
        pairs = self._train_pairs()
        found = {TrainingJob(stage, self._gan_config(stage), preset.size, pairs, classes.num_classes): 1
                 for stage in self._gans()}
        scored = preset.segmenter.classes == "scored"
        segmented = classes.scored_table().num_classes if scored else classes.num_classes
        makers, mixed = len(self._makers()), len(self._mixed())
        segmenters = [("segmenter", preset.segmenter, 1 + makers), ("fine-tuning", preset.finetune, makers)]
        segmenters += [("mixed", self._mixed_config(), mixed)] if mixed else []
        for name, config, runs in segmenters:
            found[TrainingJob(name, config, preset.segmentation_size, pairs, segmented)] = runs
        return found

    def _gans(self) -> list[str]:
        return [stage for stage in _TITLES if any(stage in STAGES[method] for method in self._makers())]

    def _gan_config(self, stage: str) -> PGGANConfig | Pix2PixHDConfig:
        config = dataclasses.replace(getattr(self.preset, stage), seed=self.seed)
        if isinstance(config, Pix2PixHDConfig) and self.preset.translator_steps:
            return with_steps(config, self.preset.translator_steps, self._train_pairs(),
                              self.preset.translator_epochs)
        return config

    def _gan_task(self, stage: str) -> Task:
        config = self._gan_config(stage)
        train = pix2pixhd.train if isinstance(config, Pix2PixHDConfig) else pggan.train

        def run(folder: pathlib.Path) -> None:
            train(config, self._path("data", "gan-augmented"), str(folder))

        return Task(stage, _TITLES[stage], ("data",), decisive(config), run)

    def _train_pairs(self) -> int:
        """Pairs that the GANs see: the chosen films, augmented."""
        ids = choose_subset(PairStore(self.data), self.config, self.seed, self.preset.tiny_films)
        return len(OPERATIONS) * len(ids)

    def _synthetic_task(self, method: str) -> Task:
        preset = self.preset
        settings = {"count": preset.synthetic_train + preset.synthetic_validation,
                    "validation": preset.synthetic_validation, "seed": self.seed, "check": preset.check_samples,
                    **(SHAPE_SETTINGS if method == "shape" else {})}

        def run(folder: pathlib.Path) -> None:
            real = PairStore(self._path("data", "gan-augmented"))
            runs = {stage: self._path(stage) for stage in STAGES[method]}
            made = folder / "gan"
            Assembly(method, runs, real).write(
                str(made), settings["count"], settings["validation"], self.seed, preset.check_samples)
            if preset.segmentation_size != preset.size:
                store = PairStore(made)
                resize_store(store, store.ids(), folder / "segmenter", preset.segmentation_size)

        title = f"{settings['count']:,} {source_name(method)} pairs"
        return Task(f"synthetic-{_SUFFIXES[method]}", title, ("data", *STAGES[method]), settings, run)

    def _segmenter_task(self, column: str, source: str, start: str | None = None) -> Task:
        """A segmenter on `source`, either from scratch or from column `start`."""
        config = dataclasses.replace(self.preset.finetune if start else self.preset.segmenter, seed=self.seed)
        real = source == "data"
        data = self._path("data", f"{self._segmenter}-augmented") if real else self._path(source, self._segmenter)

        def run(folder: pathlib.Path) -> None:
            smanet.train(config, data, str(folder), validation=None if real else data,
                                 finetune_from=self._path(start) if start else None)

        title = f"segmenter from {start}, fine-tuned on real films" if start else f"segmenter on {source}"
        return Task(column, title, (source, start) if start else (source,), decisive(config), run)

    def _mixed_config(self) -> SMANetConfig:
        """The segmenter's options for as many updates as its training and its fine-tuning have together."""
        steps = self.preset.segmenter.steps + self.preset.finetune.steps
        return dataclasses.replace(self.preset.segmenter, steps=steps, seed=self.seed)

    def _mixed_task(self, number: int) -> Task:
        """A segmenter from scratch on method `number`'s pairs and the real ones; the last weights are kept."""
        config, source = self._mixed_config(), f"synthetic-{number}"

        def run(folder: pathlib.Path) -> None:
            smanet.train(config, self._path(source, self._segmenter), str(folder),
                                 mixed_with=self._path("data", f"{self._segmenter}-augmented"))

        return Task(f"mix-{number}", f"segmenter on {source} and real films in equal parts", (source, "data"),
                    decisive(config), run)

    def _evaluation_task(self, column: str) -> Task:
        config = self.preset.segmenter
        settings = {"window": config.crop, "overlap": config.overlap, "classes": config.classes}

        def run(folder: pathlib.Path) -> None:
            network = load_network(self._path(column))
            store = PairStore(self._path("data", f"{self._segmenter}-films"))
            evaluate_to_folder(probabilities_of(network), store, store.ids("test"), folder,
                               scored=config.classes == "scored", window=config.crop, overlap=config.overlap)

        return Task(f"evaluate-{column}", f"test films through {column}", ("data", column), settings, run)

    def _report_task(self) -> Task:
        def run(folder: pathlib.Path) -> None:
            table = write_report(folder, pathlib.Path(self.workdir), self.command, self.seed)
            print(f"\n{table}\ntable, figures, copies: {folder}/report.html")

        reads = tuple(f"evaluate-{column}" for column in self.columns())
        return Task("report", "tables, figures, realism, copies, page", reads, {}, run)


def with_steps(config: Pix2PixHDConfig, steps: int, pairs: int, epochs: int = 0) -> Pix2PixHDConfig:
    """`config` with as many epochs as come nearest to `steps` updates; at least `epochs`, and 2."""
    half = max(1, epochs // 2, round(steps / 2 / max(1, round(pairs / config.batch))))
    return dataclasses.replace(config, epochs=half, epochs_decay=half)


def load_methods(names: Sequence[str]) -> tuple[str, ...]:
    """Methods in the tables' order."""
    return tuple(name for name in METHODS if name in names)


def load_extras(names: Sequence[str]) -> tuple[str, ...]:
    """Baselines beyond the paper in the tables' order."""
    return tuple(name for name in EXTRAS if name in names)
