"""Several numbers of films and seeds as one plan: each draw as it is alone, tables and curves over all of them."""

import dataclasses
import json
import pathlib

import pandas as pd
import pytest

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import PairStore
from datasets.sources.phantom import write_phantoms
from datasets.subsets import choose_subset
from evaluation.results.tables import read_pooled, scores
from tests.helpers import binaries
from tests.helpers.patients import with_patients
from tests.helpers.result_folders import write_column, write_experiment
from tests.helpers.tiny_experiment import experiment
from tools.experiment.draws import Draws
from tools.experiment.numbers import numbers
from tools.experiment.tasks import TaskRecords, run_tasks


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("draws") / "data"
    write_phantoms(str(path), 17, 3, 32, 0)
    return str(path)


def _draws(data, root, films=(3, 5), seeds=(0, 1), extras="") -> Draws:
    return Draws(experiment(data, str(root), "two", extras), films, seeds)


def _records(draws) -> TaskRecords:
    return TaskRecords(draws.tasks(), draws.experiment.workdir, print)


def test_each_draw_is_what_it_is_alone(data, tmp_path):
    draws = _draws(data, tmp_path)
    records, tasks = _records(draws), {task.id: task for task in draws.tasks()}
    assert list(draws.experiments()) == ["films-3/seed-0", "films-5/seed-0", "films-3/seed-1", "films-5/seed-1"]
    for part, made in draws.experiments().items():
        alone = TaskRecords(made.tasks(), made.workdir, print)
        assert pathlib.Path(made.workdir) == tmp_path / part
        for task in made.tasks():
            assert alone.key(task) == records.key(tasks[f"{part}/{task.name}"])
    for part in {task.part for task in draws.tasks()}:
        assert [task.id for task in draws.tasks(part)] == [id_ for id_ in tasks if tasks[id_].part == part]
    assert set(tasks["films-5/tables"].reads) == {
        f"films-5/seed-{seed}/evaluate-{name}" for seed in (0, 1) for name in ("real", "synth-2", "finetune-2")}
    assert set(tasks["curves"].reads) == {"films-3/tables", "films-5/tables"}
    for task in draws.tasks():  # each finds done what it reads
        assert all(list(tasks).index(read) < list(tasks).index(task.id) for read in task.reads)


def test_held_out_films_are_of_other_patients_and_the_draw_stays(data, tmp_path):
    store = write_phantoms(tmp_path / "data", 17, 3, 32, 0)
    chosen = choose_subset(store, "tiny", 0)
    unseen = sorted(set(store.ids("train")) - set(chosen))
    store = with_patients(store, {chosen[3]: "a", unseen[0]: "a", unseen[1]: "b"})
    made = experiment(str(store.path), str(tmp_path / "run"), "two")
    assert any("without the 1 of" in note for note in made.notes())
    task = next(task for task in made.tasks() if task.name == "data")
    assert task.settings["train"] == chosen
    task.run(atomic_files.make_folder(tmp_path / "run" / "data"))
    assert PairStore(tmp_path / "run" / "data" / "held-out").ids() == unseen[1:]
    assert not any("held-out" in note for note in experiment(data, str(tmp_path / "other"), "two").notes())


def test_draws_of_a_seed_are_nested(data, tmp_path):
    chosen = {part: set(next(task for task in made.tasks() if task.name == "data").settings["train"])
              for part, made in _draws(data, tmp_path).experiments().items()}
    for seed in (0, 1):
        assert chosen[f"films-3/seed-{seed}"] < chosen[f"films-5/seed-{seed}"]
    assert chosen["films-5/seed-0"] != chosen["films-5/seed-1"]
    assert chosen["films-5/seed-0"] == set(choose_subset(PairStore(data), "tiny", 0, 5))


def test_tables_and_curves_tell_means_over_draws(data, tmp_path):
    draws, shifts = _draws(data, tmp_path), {}
    for part, made in draws.experiments().items():  # more films, nearer maps
        shift = 8 - made.preset.tiny_films + made.seed
        write_experiment(tmp_path / part, {"real": shift, "synth-2": shift + 2, "finetune-2": shift - 1}, films=3)
        (tmp_path / part / "data" / "subset.json").write_text(json.dumps(
            {"config": "tiny", "seed": made.seed, "train": ["film"] * made.preset.tiny_films}))
        shifts[part] = read_pooled(tmp_path / part / "evaluate-real" / "pooled.json")
    early = tmp_path / "films-3" / "seed-0"  # by a plan that had one more column
    write_column(early / "evaluate-mix-2", PairStore(early / "data" / "gan-films"), 1)
    lines = []
    run_tasks([dataclasses.replace(task, reads=()) for task in draws.tasks() if task.name in ("tables", "curves")],
              str(tmp_path), say=lines.append)
    values = pd.read_csv(tmp_path / "curves" / "curves.csv").set_index(["films", "column", "draw"])["J"]
    values = values.sort_index()
    assert len(values) == 2 * 3 * 2
    for part, pooled in shifts.items():
        films, draw = part.split("/")
        assert values[int(films.removeprefix("films-")), "real", draw] == pytest.approx(
            scores(pooled)["J", "Average"], abs=1e-4)
    means = values.groupby(["films", "column"]).mean()
    assert means[5, "real"] > means[3, "real"] and means[5, "finetune-2"] > means[5, "synth-2"]
    table = (tmp_path / "curves" / "films.md").read_text()
    assert f"{means[5, 'real']:.2f} ± {values[5, 'real'].std():.2f}" in table and "2 draws" in table
    assert (tmp_path / "curves" / "curves.png").stat().st_size > 1000
    main = (tmp_path / "films-3" / "tables" / "table2.md").read_text()
    assert f"{means[3, 'real']:.2f} ± " in main and "3 films" in main
    assert "Not in every run, and left out: Two-stage MIX." in main and "| MIX" not in main


def test_what_is_finished_stays_so_when_more_is_asked_for(data, tmp_path):
    first = _draws(data, tmp_path)
    for task in first.tasks():
        for name in ("tasks", task.name):
            (tmp_path / task.part / name).mkdir(parents=True, exist_ok=True)
        atomic_files.write_json(tmp_path / task.part / "tasks" / f"{task.name}.json", {
            "key": _records(first).key(task), "done": True, "seconds": 1.0})
    count = len(first.tasks())
    assert f"4 draws, {count} tasks: {count} done" in first.summary(list(_states(first).values()))
    for more in ({"seeds": (0, 1, 2)}, {"films": (3, 4, 5)}, {"extras": "mix"}):
        states = _states(_draws(data, tmp_path, **more))
        known = {task.id for task in first.tasks()}
        assert {id_ for id_ in known if states[id_] != "done"} <= {
            *(id_ for id_ in known if id_.endswith(("/tables", "/report"))), "curves"}
        assert all(states[id_] == "to do" for id_ in states.keys() - known)


def _states(draws) -> dict[str, str]:
    records = _records(draws)
    return {task.id: records.state(task) for task in draws.tasks()}


def test_equal_networks_are_measured_once(data, tmp_path):
    jobs = _draws(data, tmp_path, extras="mix").training_jobs()
    counts = {job.name: count for job, count in jobs.items()}
    assert counts["labels"] == 4 and counts["segmenter"] == 8 and counts["fine-tuning"] == 4
    assert {name: count for name, count in counts.items() if name.startswith("labels_to_film")} == {
        "labels_to_film (18 pairs)": 2, "labels_to_film (30 pairs)": 2}
    assert sum(counts.values()) == sum(sum(made.training_jobs().values())
                                       for made in _draws(data, tmp_path, extras="mix").experiments().values())


@pytest.mark.parametrize(("text", "found"), [("5", [5]), ("20,5,11", [5, 11, 20]), ("0-4", [0, 1, 2, 3, 4]),
                                             ("3, 0-1", [0, 1, 3]), ("7-7", [7])])
def test_numbers(text, found):
    assert numbers("seeds", text, 0) == found


@pytest.mark.parametrize("text", ["", "a", "5,", "4-0", "-1", "1.5", "0-4,3", "1-2-3", "0-99999", "٣", "5,,6"])
def test_what_is_no_list_of_numbers(text):
    with pytest.raises(UserError, match="--seeds=" + text.replace(".", r"\.")):
        numbers("seeds", text, 0)
    with pytest.raises(UserError):
        numbers("films", "0", 1)


def test_a_plan_on_the_command_line(data, tmp_path):
    options = (f"--data={data}", "--preset=demo", "--methods=two", f"--workdir={tmp_path}/run")
    done = binaries.run("tools.run_experiment", "--films=3,5", "--seeds=0-2", "--dry_run", *options)
    assert done.code == 0 and "6 draws" in done.out and "films-5/seed-2/evaluate-real" in done.out, done.err
    assert not (tmp_path / "run").exists()
    done = binaries.run("tools.run_experiment", "--films=3", "--extras=all", "--dry_run", *options)
    assert done.code == 0 and "] mix-2: " in done.out and "] synth-shape: " in done.out
    assert "plan: " not in done.out  # one number: an experiment alone
    for wrong, said in ((("--films=3,3",), "--films=3,3"), (("--films=3,15",), "at least 15"),
                        (("--seeds=x",), "--seeds=x"), (("--seeds=0-1", "--seed=2"), "--seed=2"),
                        (("--films=3,5", "--config=full"), "--config=full")):
        binaries.told(binaries.run("tools.run_experiment", *wrong, *options), said)
    assert not (tmp_path / "run").exists()
