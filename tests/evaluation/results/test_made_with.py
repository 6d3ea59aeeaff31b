"""A recipe has its name in the folder's record and beside every table; the paper's leaves all as it was."""

import json
import re

import pytest

from datasets.common.errors import UserError
from evaluation.figures.catalogue import experiment_figures
from evaluation.figures.size_curves import write_curves
from evaluation.report.write_report import write_report
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.made_with import MadeWith, read_made_with, recipe_of
from evaluation.results.write_tables import Results, write_results
from tests.helpers.result_folders import write_experiment
from tools.experiment.tasks import Task, TaskRecords
from training.presets.recipes import RECIPES

BEST = MadeWith("cpu", "best", RECIPES["best"].to_json())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture(autouse=True)
def unsaid(folder):
    (folder / "experiment.json").unlink(missing_ok=True)


def _texts(folder, out):
    names = write_results(Results([folder]), out, organs=True, with_table3=True)
    return {path.name: path.read_text() for name in names for path in out.glob(f"{name}.*")}


def test_captions_name_the_recipe_and_nothing_else_changes(folder, tmp_path):
    plain = _texts(folder, tmp_path / "plain")
    MadeWith("cpu").write(folder)
    assert _texts(folder, tmp_path / "paper") == plain
    BEST.write(folder)
    best = _texts(folder, tmp_path / "best")
    for name, text in best.items():
        captioned = name.endswith((".md", ".tex"))
        assert len(re.findall("[Rr]ecipe best", text)) == captioned, name
        assert text.count(" keep the largest piece alone.") == captioned, name
        text = re.sub(" Of organs that [^.]* keep the largest piece alone[.]", "", text)
        assert re.sub(r",? [Rr]ecipe best\.?(?=[:\n}])", "", text) == plain[name], name
    assert len([name for name in best if name.endswith(".tex")]) == 5
    assert all("ecipe best." in figure.caption or ", recipe best:" in figure.caption
               for figure in experiment_figures(ExperimentFolder(folder)))


def test_the_report_says_recipe_and_what_it_changes(folder, tmp_path, monkeypatch):
    BEST.write(folder)
    monkeypatch.setattr("evaluation.report.write_report._add_figures", lambda *_: None)
    write_report(tmp_path, folder, "again")
    page = (tmp_path / "report.html").read_text()
    assert ", recipe best</h1>" in page and "average_decay" in page and "<td>cpu</td>" in page


def test_runs_of_several_recipes_are_not_averaged_nor_compared(folder, tmp_path):
    other = write_experiment(tmp_path / "other")
    BEST.write(other)
    with pytest.raises(UserError, match=r"other: is TINY .*, recipe best with"):
        Results([folder, other])
    with pytest.raises(UserError, match="different recipes"):
        write_curves(tmp_path / "curves", {2: Results([folder]), 3: Results([other])})
    # The recipe as it was before: without averaged weights, and with columns that no table compares.
    former = {**BEST.changes, "segmenters": {"keep_largest": "auto"}, "extras": []}
    MadeWith("cpu", "best", former).write(folder)
    for compared in (lambda: Results([folder, other]),
                     lambda: write_curves(tmp_path / "curves", {2: Results([folder]), 3: Results([other])})):
        with pytest.raises(UserError, match=r"recipe changed segmenters by .*average_decay.* by "):
            compared()
    MadeWith("cpu", "best", {**BEST.changes, "extras": []}).write(folder)
    assert len(Results([folder, other]).experiments) == 2


def test_a_folder_keeps_to_its_recipe(tmp_path):
    def records(made_with, say=print):
        task = Task("data", "", (), {}, lambda folder: None, part="seed-0", made_with=made_with)
        return TaskRecords([task], str(tmp_path), say)

    with records(BEST) as held:
        assert not (tmp_path / "seed-0" / "experiment.json").exists()
        held.prepare()
    assert read_made_with(tmp_path / "seed-0") == BEST
    assert json.loads((tmp_path / "seed-0" / "experiment.json").read_text())["changes"]["extras"]
    said = []
    with records(MadeWith("cpu", "best"), said.append) as held:  # a recipe that has changed since
        held.prepare()
    assert any("seed-0: --recipe=best had {" in line and "average_decay" in line for line in said)
    BEST.write(tmp_path / "seed-0")
    records(MadeWith("demo", "best"))  # what another preset changes is made again
    with pytest.raises(UserError, match="seed-0: was made with --recipe=best, found --recipe=paper"):
        records(MadeWith("cpu"))
    (tmp_path / "seed-0" / "experiment.json").write_text("[]")
    with pytest.raises(UserError, match=r"experiment\.json"):
        records(BEST)


def test_a_folder_older_than_recipes_is_the_papers(tmp_path):
    def records(made_with):
        task = Task("data", "", (), {}, lambda folder: None, made_with=made_with)
        return TaskRecords([task], str(tmp_path), print)

    record = {"key": "0", "done": False, "seconds": 0.0}
    for done in (False, True):  # before anything was finished, it is anybody's
        records(BEST)
        (tmp_path / "tasks").mkdir(exist_ok=True)
        (tmp_path / "tasks" / "dots.json").write_text(json.dumps({**record, "done": done}))
    with pytest.raises(UserError, match="was made with --recipe=paper, found --recipe=best"):
        records(BEST)
    with records(MadeWith("cpu")) as held:
        held.prepare()
    assert read_made_with(tmp_path) == MadeWith("cpu")


@pytest.mark.parametrize(("part", "recipe"), [
    ("", "paper"), ("films-5/seed-1", "paper"), ("films-5/seed-1", "best")])
def test_a_plan_s_recipe_is_that_of_its_draws(tmp_path, part, recipe):
    """Which may be older than recipes themselves; draws that were not begun say nothing."""
    (tmp_path / "films-5" / "seed-0" / "tasks").mkdir(parents=True)
    assert recipe_of(tmp_path) is None
    (tmp_path / part / "tasks").mkdir(parents=True)
    if recipe == "best":
        BEST.write(tmp_path / part)
    else:
        (tmp_path / part / "tasks" / "data.json").write_text('{"key": "0", "done": true, "seconds": 0.0}')
    assert recipe_of(tmp_path) == recipe


def test_a_recipe_is_of_the_captions_alone():
    assert MadeWith("cpu").settings() == {} and BEST.settings() == {"recipe": "best"}
