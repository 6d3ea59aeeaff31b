"""The page of a running plan: states, places, and the time that is left."""

import re

import pytest

from tools.experiment.plan_page import PlanPage
from tools.experiment.tasks import Task


@pytest.fixture
def page(tmp_path):
    tasks = [Task(name, f"title <{name}>", (), {}, lambda folder: None, part=part)
             for part in ("one", "two", "three") for name in ("dots", "real")]
    return PlanPage(tmp_path, tasks, {"one/dots": 100.0, "one/real": 60.0},
                    {task.id for task in tasks} - {"one/dots", "one/real"})


def _states(text):
    return {task: state for state, task in re.findall(r'<tr class="(\w+)"><td>\w+</td><td>([\w/]+)</td>', text)}


def test_states_and_what_is_left(page, tmp_path, monkeypatch):
    now = 1_000_000.0
    monkeypatch.setattr("tools.experiment.plan_page.time.time", lambda: now)
    assert page.left(now) == (2 * 100 + 2 * 60, 0)
    page.begin("two/dots", "worker-7")
    page.begin("two/real", "worker-8")
    assert page.left(now + 30) == ((70 + 30 + 100 + 60) / 2, 0)
    text = page.page(now + 30)
    assert _states(text) == {"two/dots": "running", "two/real": "running", "three/dots": "waiting",
                             "three/real": "waiting", "one/dots": "done", "one/real": "done"}
    assert "worker-7" in text and "2 of 6 tasks" in text and "title &lt;dots&gt;" in text and "2:10 left" in text
    now += 80
    page.end("two/real", True)
    page.end("two/dots", False)
    assert page.left(now) == (100 + 100 + 70, 0)  # real takes 70 on average now
    page.write(at_once=True)
    assert "3 of 6 tasks" in (tmp_path / "index.html").read_text()


def test_kinds_of_which_none_is_done_are_counted_apart(tmp_path):
    tasks = [Task("dots", "", (), {}, lambda folder: None)]
    page = PlanPage(tmp_path, tasks, {}, {"dots"})
    assert page.left(0.0) == (0.0, 1) and "1 task" in page.page(0.0)
