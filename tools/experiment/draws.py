"""Experiments over several numbers of films and seeds as one plan: draws, tables of each number, curves over them.

    RUN/films-5/seed-0/ ...   an experiment's folder, as `--films=5 --seed=0 --workdir=RUN/films-5/seed-0` makes it
    RUN/films-5/tables/       its tables over all seeds, mean ± standard deviation
    RUN/curves/               mean J over the number of films

Draws of one seed are nested (the five films are among the eleven). Each seed comes with all numbers before the
next, so that curves are there early. What is finished stays so when numbers, seeds or methods are added.
"""

import dataclasses
import pathlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from evaluation.figures.size_curves import write_curves
from evaluation.results.table_formats import markdown
from evaluation.results.write_tables import Results, write_results
from tools.experiment.earlier_plans import naming_superseded
from tools.experiment.estimate import MEASURED, TrainingJob
from tools.experiment.plan import Experiment
from tools.experiment.tasks import Task
from training.config import Pix2PixHDConfig


@dataclasses.dataclass(frozen=True)
class Draws:
    """What is run.

    Attributes:
      experiment: what all draws have in common; its workdir is the plan's folder.
      films: numbers of train films, rising; none for all films.
      seeds: one draw of each.
    """

    experiment: Experiment
    films: tuple[int, ...]
    seeds: tuple[int, ...]

    def experiments(self) -> dict[str, Experiment]:
        """Folder below the plan's -> the experiment in it, in the order in which they are run."""
        return {f"{group}/seed-{seed}": self._draw(group, films, seed)
                for seed in self.seeds for group, films in self._groups().items()}

    def _groups(self) -> dict[str, int | None]:
        """Folder of each number of films -> that number."""
        return {f"films-{films}": films for films in self.films} or {"all-films": None}

    def _draw(self, group: str, films: int | None, seed: int) -> Experiment:
        preset = self.experiment.preset
        return naming_superseded(dataclasses.replace(
            self.experiment, preset=dataclasses.replace(preset, tiny_films=films) if films else preset, seed=seed,
            workdir=str(pathlib.Path(self.experiment.workdir, group, f"seed-{seed}"))))

    def tasks(self, part: str | None = None) -> list[Task]:
        """The tasks of all draws, then the tables and curves, which read evaluations; or those of `part` alone,
        which takes less time."""
        found = []
        for place, made in self.experiments().items():
            for task in made.tasks() if part in (None, place) else ():
                reads = tuple(f"{place}/{read}" for read in task.reads)
                helps = f"{place}/{task.helps}" if task.helps else ""
                found.append(dataclasses.replace(task, part=place, reads=reads, helps=helps))
        tables = [self._tables_task(group) for group in self._groups() if part in (None, group)]
        curves = [self._curves_task()] if len(self.films) > 1 and part in (None, "") else []
        return [*found, *tables, *curves]

    def _tables_task(self, group: str) -> Task:
        parts = [f"{group}/seed-{seed}" for seed in self.seeds]
        draws = self.experiments()

        def run(folder: pathlib.Path) -> None:
            results = Results([pathlib.Path(self.experiment.workdir, part) for part in parts], shared=True)
            write_results(results, folder, organs=True)
            print(f"{results.caption()}\n\n{markdown(results.main_table())}")

        reads = tuple(f"{part}/{read}" for part in parts for read in self.experiment.evaluations())
        return Task("tables", f"tables over {_count(len(parts), 'draw')}", reads,
                    {"seeds": list(self.seeds), **_told_by([draws[part] for part in parts])}, run, device=False,
                    part=group)

    def _curves_task(self) -> Task:
        def run(folder: pathlib.Path) -> None:
            tables = write_curves(folder, {films: Results([
                pathlib.Path(self.experiment.workdir, group, f"seed-{seed}") for seed in self.seeds], shared=True)
                for group, films in self._groups().items()})
            print("mean J in percent over the number of train films, and its worth in films\n\n"
                  + "\n".join(map(markdown, tables)) + f"\n{folder}/curves.png")

        return Task("curves", f"curves over {_count(len(self.films), 'number')} of films",
                    tuple(f"{group}/tables" for group in self._groups()), self.experiment.told(), run,
                    device=False)

    def notes(self) -> list[str]:
        """See `Experiment.notes`: each with the draws that it is of, unless it is of all."""
        return self._gather(Experiment.notes)

    def dot_lines(self) -> list[str]:
        """See `Experiment.dot_lines`; likewise."""
        return self._gather(Experiment.dot_lines)

    def _gather(self, lines: Callable[[Experiment], list[str]]) -> list[str]:
        said: dict[str, list[str]] = {}  # line -> the draws that say it
        draws = self.experiments()
        for part, made in draws.items():
            for line in dict.fromkeys(lines(made)):
                said.setdefault(line, []).append(part)
        return [line if len(parts) == len(draws) else f"{_some(parts)}: {line}" for line, parts in said.items()]

    def training_jobs(self) -> dict[TrainingJob, int]:
        """See `Experiment.training_jobs`: those of all draws, equal but for their seed or what takes no time."""
        runs: Counter[TrainingJob] = Counter()
        for made in self.experiments().values():
            for job, count in made.training_jobs().items():
                config = dataclasses.replace(job.config, seed=self.seeds[0])
                # The others' schedules count images or steps, whatever the number of pairs.
                by_pairs = isinstance(config, Pix2PixHDConfig)
                name = f"{job.name} ({job.pairs:,} pairs)" if by_pairs and len(self.films) > 1 else job.name
                pairs = job.pairs if by_pairs else MEASURED
                runs[dataclasses.replace(job, config=config, name=name, pairs=pairs)] += count
        return dict(runs)

    def picture_bytes(self) -> int:
        """See `Experiment.picture_bytes`."""
        return sum(made.picture_bytes() for made in self.experiments().values())

    def summary(self, states: Sequence[str]) -> str:
        """A line on the whole plan: draws, tasks, and how many are in each state of `TaskRecords.state`."""
        counts = Counter(states)
        found = ", ".join(f"{counts[state]:,} {state}" for state in ("done", "started", "stale", "to do")
                          if counts[state])
        return f"plan: {_count(len(self.experiments()), 'draw')}, {_count(len(states), 'task')}: {found}"


def _told_by(draws: Sequence[Experiment]) -> dict[str, Any]:
    """What `Experiment.told` says of all or of any of `draws`."""
    told = [made.told() for made in draws]
    superseded = sorted({name for one in told for name in one.get("superseded", ())})
    return {**told[0], **({"superseded": superseded} if superseded else {})}


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _some(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{parts[0]} and {len(parts) - 1:,} more"
