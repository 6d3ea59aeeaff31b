"""The task runner: done tasks are skipped, stale ones redone with their former result kept."""

import pytest

from tools.experiment.tasks import Task, run_tasks


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
