"""The task runner: done tasks are skipped, stale ones redone with their former result kept."""

import dataclasses
import errno
import os
import shutil

import pytest

from datasets.common.errors import UserError
from datasets.common.folder_lock import lock_folder
from tools.experiment.tasks import Task, do_task, run_tasks


def _tasks(log, settings=1, fail=False):
    def work(name):
        def run(folder):
            log.append(name)
            (folder / "result").write_text(name)
            if fail and name == "b":
                raise RuntimeError("stopped")
        return run

    return [Task("a", "first", (), {"x": settings}, work("a")), Task("b", "second", ("a",), {}, work("b")),
            Task("c", "apart", (), {}, work("c"))]


def stop(folder):
    raise RuntimeError("stopped")


def test_each_task_runs_once(tmp_path):
    log = []
    run_tasks(_tasks(log), tmp_path)
    run_tasks(_tasks(log), tmp_path)
    assert log == ["a", "b", "c"]


def test_a_change_redoes_the_task_and_what_reads_it_and_keeps_the_old(tmp_path):
    log = []
    run_tasks(_tasks(log), tmp_path)
    run_tasks(_tasks(log, settings=2), tmp_path)
    assert log == ["a", "b", "c", "a", "b"]
    assert (tmp_path / "old" / "a-1" / "result").read_text() == "a"


def test_settings_that_were_tried_and_taken_back_redo_what_was_set_aside(tmp_path):
    log = []
    run_tasks(_tasks(log), tmp_path)
    for settings in (2, 1):
        with pytest.raises(RuntimeError):
            run_tasks([dataclasses.replace(task, run=stop) for task in _tasks(log, settings)], tmp_path)
        assert not (tmp_path / "b").exists()  # not begun, its result is in old/
    run_tasks(_tasks(log), tmp_path)
    assert log == ["a", "b", "c", "a", "b"] and (tmp_path / "b" / "result").is_file()


def test_a_task_whose_folder_is_gone_is_done_again(tmp_path):
    log = []
    run_tasks(_tasks(log), tmp_path)
    shutil.rmtree(tmp_path / "b")
    run_tasks(_tasks(log), tmp_path)
    assert log == ["a", "b", "c", "b"]


def test_a_failed_task_is_tried_again_in_its_folder(tmp_path):
    log = []
    with pytest.raises(RuntimeError):
        run_tasks(_tasks(log, fail=True), tmp_path)
    run_tasks(_tasks(log), tmp_path)
    assert log == ["a", "b", "b", "c"]
    assert not (tmp_path / "old").exists()


def test_dry_run_does_nothing(tmp_path, capsys):
    log = []
    run_tasks(_tasks(log), tmp_path, dry_run=True)
    assert log == [] and list(tmp_path.iterdir()) == []
    assert "[2/3] b: second (to do)" in capsys.readouterr().out


def test_a_part_of_a_plan_is_what_it_is_alone(tmp_path):
    log = []
    plan = [dataclasses.replace(task, part=part, reads=tuple(f"{part}/{read}" for read in task.reads))
            for part in ("one/x", "two/x") for task in _tasks(log)]
    seconds = run_tasks(plan, tmp_path)
    assert log == ["a", "b", "c"] * 2
    assert set(seconds) == {f"{part}/x/{name}" for part in ("one", "two") for name in "abc"}
    run_tasks(_tasks(log), tmp_path / "one" / "x")
    assert len(log) == 6  # each is done
    with lock_folder(tmp_path / "two" / "x", "busy"), pytest.raises(UserError, match="two/x"):
        run_tasks(plan, tmp_path)


def test_what_is_done_by_a_lost_worker_is_not_done_again(tmp_path):
    log = []
    task = _tasks(log)[0]
    (tmp_path / "tasks").mkdir()
    for _ in range(2):
        do_task(task, tmp_path, "key")
    assert log == ["a"]
    do_task(task, tmp_path, "another")
    assert log == ["a", "a"]


def test_a_file_system_without_locks_is_no_other_process(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("datasets.common.folder_lock.fcntl.flock", refuse)
    with pytest.raises(UserError, match=os.strerror(errno.ENOLCK)):
        lock_folder(tmp_path, "busy")
