"""Results of earlier plans in an experiment's folder, with other methods, extras or networks.

They stay in tables and figures as long as the present plan would make them alike; `MadeWith.superseded` names the
others.
"""

import dataclasses
import pathlib
from collections.abc import Iterable

from evaluation.results import columns
from evaluation.results.columns import METHODS, Method
from evaluation.results.experiment_folder import results_name, set_name
from tools.experiment.plan import Experiment
from tools.experiment.tasks import read_record, task_keys


def naming_superseded(experiment: Experiment) -> Experiment:
    """The same, whose `made_with` names what is superseded in its folder.

    Raises UserError for a task's record that is none.
    """
    made_with = experiment.made_with
    return dataclasses.replace(experiment, made_with=made_with and dataclasses.replace(
        made_with, superseded=superseded(experiment)))


def superseded(experiment: Experiment) -> tuple[str, ...]:
    """Names of tasks of earlier plans whose results in the folder are of other settings or data than its own."""
    root = pathlib.Path(experiment.workdir)
    there = {path.stem for path in (root / "tasks").glob("*.json")}
    if not there & (_shown(columns.known(), METHODS) - _shown(experiment.columns(), experiment.makers())):
        return ()
    planned, widest = {task.name for task in experiment.tasks()}, _widest(experiment).tasks()
    keys = task_keys(widest)
    records = {task.name: read_record(root, task.name) for task in widest if not task.helps}
    return tuple(name for name, record in records.items()
                 if name not in planned and record and record["key"] != keys[name])


def _shown(names: Iterable[str], methods: Iterable[Method]) -> set[str]:
    """Tasks whose results tables and figures show."""
    return {*map(results_name, names), *map(set_name, methods)}


def _widest(experiment: Experiment) -> Experiment:
    """The same with all columns. Films without label maps that it does not name are those of before."""
    films, root = None, pathlib.Path(experiment.workdir)
    if not experiment.unlabelled:
        records = (read_record(root, f"unlabelled{network}") for network in ("", "+unet"))
        films = next((record["settings"]["films"] for record in records if record), None)
    return dataclasses.replace(experiment, methods=columns.PAPER_METHODS, extras=columns.EXTRAS,
                               networks=tuple(columns.NETWORKS), labelled_before=films)
