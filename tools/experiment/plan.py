"""The paper's experiment as a list of tasks: data, GANs, synthetic sets, segmenters, evaluations, report.

Columns of the tables (`evaluation.results.columns`): real; and for each method k (1 single, 2 two, 3 three
stages) synth-k, trained on its pairs alone, and finetune-k, that segmenter trained on with the real films.
Baselines that the paper does not have stand behind them where they are asked for:

    mix     mix-k: a segmenter trained from scratch on method k's pairs and the real ones together, half of each,
            for as many updates as synth-k and finetune-k have between them
    shape   synth-shape and finetune-shape: label maps of a statistical shape model (datasets.sources.shape_model)
            in place of the networks that make them; films by the two- and three-stage methods' translator
    warp    synth-warp and finetune-warp: real label maps, deformed (datasets.sources.warp_model), in their place

and at as many updates as synth-k and finetune-k have between them:

    real-2x           real
    augment           real+augment: crops of the films, strongly augmented on the fly, in place of the copies x6
                      (datasets.augmentation.strong_augment)
    mix-real          the same, a rectangle of another film in half of all crops
                      (datasets.augmentation.augmented_crops)
    finetune+augment  synth-k+augment and finetune-k+augment: strong augmentation in both phases
    mix+augment       mix-k+augment: mix-k with strong augmentation
    pseudo            other films, labelled by real+augment (tools.experiment.unlabelled), and the real ones
                      together, half of each, with strong augmentation

A column of another network in SMANet's place has its name behind a plus, e.g. finetune-3+unet.
"""

import dataclasses
import hashlib
import pathlib
from typing import Any

import numpy as np

from datasets.augmentation.augment import OPERATIONS, augment_store
from datasets.common import atomic_files
from datasets.dots import Dot
from datasets.external import External
from datasets.pair_store import PairStore
from datasets.resize import resize_store
from datasets.rules.dot_rules import PLACED, learn_dots, undotted_codes
from datasets.rules.label_rules import LabelRules
from datasets.subsets import choose_subset
from evaluation.report.needs import DIFFERENCES, lacking
from evaluation.report.write_report import write_report
from evaluation.results import columns
from evaluation.results.columns import Column, Method
from evaluation.results.experiment_folder import HELD_OUT, RULES, results_name
from evaluation.results.made_with import MadeWith
from evaluation.synthetic import image_sets
from tools.experiment.data_rules import check_shape_model, film_maps, write_rules
from tools.experiment.estimate import TrainingJob, shared_by
from tools.experiment.scoring import ColumnScoring, kept_pieces, largest_organs, segmented_table
from tools.experiment.segmenters import ColumnTraining, labelled_for, spread, together
from tools.experiment.synthetic_sets import SyntheticSet
from tools.experiment.tasks import Task
from tools.experiment.unlabelled import Unlabelled, labeller
from tools.generation.stages import STAGES
from training import pggan, pix2pixhd
from training.config import PGGANConfig, Pix2PixHDConfig
from training.presets import Preset
from training.run_folder import decisive

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
      methods: which of `columns.PAPER_METHODS` are compared with the real films alone.
      seed: of everything random; TINY's films are drawn by it too.
      workdir: folder of the experiment.
      command: what makes it again, for the report.
      extras: which of `columns.EXTRAS` are compared too; they change none of the other tasks but the report.
      networks: which of `columns.NETWORKS` are trained as segmenters, each in every column.
      externals: pair folders of elsewhere on which every column is scored too; likewise.
      unlabelled: films of the column pseudo, see `tools.experiment.unlabelled.Unlabelled.named`; empty for no such
        column.
      shard_pairs: of a shard of larger synthetic sets; 0: each is made whole.
      workers: of a cluster that train each network together, but for those whose batches they cannot share.
      made_with: names of the preset and of the recipe that changed it, and what tables leave out of the folder;
        they decide tables and captions alone.
      labelled_before: in place of `unlabelled`, what the record of an earlier plan says of its films.
    """

    data: str
    config: str
    preset: Preset
    methods: tuple[str, ...]
    seed: int
    workdir: str
    command: str = ""
    extras: tuple[str, ...] = ()
    networks: tuple[str, ...] = ("smanet",)
    externals: tuple[External, ...] = ()
    unlabelled: str = ""
    shard_pairs: int = 0
    workers: int = 1
    made_with: MadeWith | None = None
    labelled_before: list[str] | str | None = None

    def tasks(self) -> list[Task]:
        """All tasks, in an order in which each finds done what it reads."""
        tasks = [self._data_task()]
        tasks += [self._gan_task(stage) for stage in self._gans()]
        tasks += [task for method in self.makers() for task in SyntheticSet(
            method, self.preset, self.seed, pathlib.Path(self.workdir), self.shard_pairs).tasks()]
        for column in self._columns():
            tasks += [self._unlabelled_task(column)] if column.kind == "pseudo" else []
            tasks.append(self._training(column).task())
        tasks += [self._scoring(column).test_films() for column in self.columns()]
        tasks += [self._scoring(column).elsewhere(external) for external in self.externals
                  for column in self.columns()]
        return [*tasks, self._report_task()]

    def columns(self) -> list[str]:
        """Names of the tables' columns."""
        return [column.name for column in self._columns()]

    def _columns(self) -> list[Column]:
        """The paper's and those of `extras`, as far as their method's pairs are made."""
        asked = {"", *self.extras} - {"pseudo"}
        if "pseudo" in self.extras and (self.unlabelled or self.labelled_before):
            asked |= {"pseudo", "augment"}  # whose segmenter labels the films
        return [column for column in columns.known().values() if column.network in self.networks
                and column.extra in asked and column.method in (None, *self.makers())]

    def makers(self) -> list[Method]:
        """What makes synthetic pairs: the methods, and the models beside them that are asked for."""
        return [method for method in columns.METHODS if method.name in (*self.methods, *self.extras)]

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
            atomic_files.write_json(folder / "subset.json", {
                "config": self.config, "seed": self.seed, "train": ids,
                **({"enlarged_from": store.description.size[0]} if self._enlarged(store) else {})})
            # One entry where the names agree.
            for name, size in {"gan": preset.size, self._segmenter: preset.segmentation_size}.items():
                films = resize_store(store, [*ids, *store.ids("test")], folder / f"{name}-films", size)
                augment_store(films, ids, folder / f"{name}-augmented", self.seed)
            unseen, _ = image_sets.held_out(store, store, ids)
            if unseen:  # what is near to a training film is judged by them
                resize_store(store, unseen, folder / HELD_OUT, preset.size)
            write_rules(PairStore(folder / "gan-augmented"), folder / RULES, preset.check_samples)

        title = f"choose {len(ids)} train films ({self.config.upper()}), augment x6"
        return Task("data", title, (), settings, run, device=False, made_with=self.made_with)

    def notes(self) -> list[str]:
        """What an experiment on this data will lack or stretch, a line each: to be said before its first step.

        Raises UserError for what would stop it in the middle.
        """
        store, preset = PairStore(self.data), self.preset
        ids = choose_subset(store, self.config, self.seed, preset.tiny_films)
        side = store.description.size[0]
        found = [f"pairs of {side} x {side} pixels are enlarged to {size} x {size} for the {part}, which adds no "
                 "detail" for part, size in self._enlarged(store).items()]
        samples = preset.synthetic_train + preset.synthetic_validation
        left_out = image_sets.held_out(store, store, ids)[1]
        if left_out:
            found.append("the held-out train films, which the check for copies judges by, are without the "
                         f"{left_out} of the chosen films' patients")
        lacks = lacking(len(ids), len(store.ids("test")), preset.size, samples)
        if len(self.columns()) < 2:
            lacks.pop(DIFFERENCES, None)
        if not self.makers():
            lacks = {part: needs for part, needs in lacks.items() if part == DIFFERENCES}
        alone = [job.name for job in self.training_jobs() if not shared_by(job.config, self.workers)]
        if alone:
            found.append(f"{self.workers} workers cannot share the batches of {', '.join(alone)} evenly: each is "
                         "trained by one")
        if any(method.name == "shape" for method in self.makers()):
            check_shape_model(store, ids, preset.size)
        return [*found, *(f"the report will have no {part}: needs {needs}" for part, needs in lacks.items())]

    def _enlarged(self, store: PairStore) -> dict[str, int]:
        """What enlarges the pictures of `store` -> to which side."""
        sizes = {"networks that make pairs": self.preset.size, "segmenters": self.preset.segmentation_size}
        return {part: size for part, size in sizes.items() if size > store.description.size[0]}

    def dot_lines(self) -> list[str]:
        """What is known of the dots before training: `LearntDots.lines` of the chosen films, and whether larger
        dot maps would place more."""
        if "dots" not in self._gans():
            return []
        store, config, size = PairStore(self.data), self.preset.dots, self.preset.size
        maps = film_maps(store, choose_subset(store, self.config, self.seed, self.preset.tiny_films), size)
        rules, undotted = LabelRules.learn(maps, store.classes), undotted_codes(config.undotted, store.classes)
        learnt = learn_dots(config.dot, np.stack(maps), rules, undotted)
        lines, least, side = learnt.lines(), learnt.least_share, 2 * config.resolution
        if least < PLACED and side <= size:
            larger = learn_dots(Dot.scaled(side, config.dot_radius), np.stack(maps), rules, undotted).least_share
            if larger > least:
                lines.append(f"    --dot_size={side} would place {100 * larger:.3g} % of the pieces of each class "
                             f"at least, not {100 * least:.3g}")
        return lines

    def training_jobs(self) -> dict[TrainingJob, int]:
        """The networks that are trained, for `tools.experiment.estimate`, and how many runs each has."""
        preset, store = self.preset, PairStore(self.data)
        classes, channels, pairs = store.classes, store.description.channels, self._train_pairs()
        found = {TrainingJob(stage, self._gan_config(stage), preset.size, pairs, classes.num_classes, channels): 1
                 for stage in self._gans()}
        scored = preset.segmenter.classes == "scored"
        segmented = classes.segmented(scored).num_classes
        for column in self._columns():
            job = TrainingJob(*self._training(column).job(), preset.segmentation_size, pairs, segmented, channels)
            found[job] = found.get(job, 0) + 1  # equal jobs are measured once
        return found

    def picture_bytes(self) -> int:
        """About what the pictures take on disk: films barely shrink as PNG, label maps to next to nothing."""
        store, preset = PairStore(self.data), self.preset
        chosen = choose_subset(store, self.config, self.seed, preset.tiny_films)
        unseen, _ = image_sets.held_out(store, store, chosen)
        films = (len(OPERATIONS) + 1) * len(chosen) + len(unseen) + len(store.ids("test"))
        samples = len(self.makers()) * (preset.synthetic_train + preset.synthetic_validation)
        sides = {preset.size, preset.segmentation_size}
        return sum(side**2 for side in sides) * (films + samples) * store.description.channels

    def _gans(self) -> list[str]:
        return [stage for stage in _TITLES if any(stage in STAGES[method.name] for method in self.makers())]

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
            train(spread(config, self.workers), self._path("data", "gan-augmented"), str(folder))

        return Task(stage, _TITLES[stage], ("data",), decisive(config), run,
                    workers=together(config, self.workers))

    def _train_pairs(self) -> int:
        """Pairs that the GANs see: the chosen films, augmented."""
        # x6: the film itself and one copy per operation.
        ids = choose_subset(PairStore(self.data), self.config, self.seed, self.preset.tiny_films)
        return len(OPERATIONS) * len(ids)

    def _training(self, column: Column) -> ColumnTraining:
        return ColumnTraining(column, self.preset, self.seed, pathlib.Path(self.workdir), self._segmenter,
                              self.workers)

    def _unlabelled_task(self, column: Column) -> Task:
        """Films without label maps, labelled by the column real+augment of the same network."""
        teacher = f"real+augment{column.name.removeprefix(column.kind)}"
        size, config, store = self.preset.segmentation_size, self.preset.segmenter, PairStore(self.data)
        chosen = choose_subset(store, self.config, self.seed, self.preset.tiny_films)
        films = Unlabelled(self.unlabelled, store, tuple(chosen))
        settings = {"films": self.labelled_before or films.settings(), "size": size, "window": config.crop,
                    "overlap": config.overlap, "classes": config.classes, **kept_pieces(config)}

        def run(folder: pathlib.Path) -> None:
            organs = largest_organs(config, pathlib.Path(self.workdir), segmented_table(config, store.classes))
            films.write(folder / "pairs", size, labeller(self._path(teacher), config, store.classes, organs))

        return Task(labelled_for(column), f"films without label maps, labelled by {teacher}", ("data", teacher),
                    settings, run)

    def _scoring(self, column: str) -> ColumnScoring:
        return ColumnScoring(column, self.preset.segmenter, pathlib.Path(self.workdir), self._segmenter)

    def evaluations(self) -> tuple[str, ...]:
        """Names of the tasks whose results stand in tables."""
        sets = ("", *(external.name for external in self.externals))
        return tuple(results_name(column, films) for films in sets for column in self.columns())

    def _report_task(self) -> Task:
        def run(folder: pathlib.Path) -> None:
            table = write_report(folder, pathlib.Path(self.workdir), self.command, self.seed)
            print(f"\n{table}\ntable, figures, copies: {folder}/report.html")

        own = self._own_columns()  # a new one calls for a new report
        return Task("report", "tables, figures, realism, copies, page", self.evaluations(),
                    {**({"own": own} if own else {}), **self.told()}, run)

    def told(self) -> dict[str, Any]:
        """What captions say of `made_with`: tables that say otherwise are made again."""
        return self.made_with.settings() if self.made_with else {}

    def _own_columns(self) -> dict[str, str]:
        """Columns that a user evaluated into the folder -> digest of their results; on external sets too."""
        root, found = pathlib.Path(self.workdir), {}
        for prefix in ("evaluate-", "external-"):
            for path in sorted(root.glob(f"{prefix}*/pooled.json")):
                name = path.parent.name.removeprefix(prefix)
                column = name.rpartition(".")[2]  # behind an external set's name
                if columns.NAME.fullmatch(column) and columns.is_own(column):
                    found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


def with_steps(config: Pix2PixHDConfig, steps: int, pairs: int, epochs: int) -> Pix2PixHDConfig:
    """`config` with as many epochs as come nearest to `steps` updates; at least `epochs`, and 2."""
    # Halves: constant rate, then decay.
    half = max(1, epochs // 2, round(steps / 2 / max(1, round(pairs / config.batch))))
    return dataclasses.replace(config, epochs=half, epochs_decay=half)
