"""Lines of long commands: one that renews itself in a terminal, few in a log, named where several tasks run."""

import io
import multiprocessing

from datasets.common import progress
from datasets.common.progress import Passing, say, show_progress
from tools.experiment.engine import line_of
from tools.experiment.task_on_worker import line_event
from tools.experiment.task_process import Lines


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        """The lines a terminal shows after what was written: a return goes back, and writing covers."""
        lines = []
        for written in self.getvalue().split("\n"):
            line = ""
            for part in written.split("\r"):
                line = part + line[len(part):]
            lines.append(line.rstrip())
        return lines


def _run(lines) -> None:
    say("[1/2] dots: PGGAN")
    for step in range(1, lines + 1):
        say(Passing.at(f"{100 * step / lines:5.1f} %  loss 0.{10 ** (step % 4)}", step - 1, step, lines))
    say("    dots took 0:03")


def test_a_terminal_shows_one_line_renewed(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    _run(300)
    assert terminal.screen() == ["[1/2] dots: PGGAN", "100.0 %  loss 0.1", "    dots took 0:03", ""]
    say(Passing.at("x" * 1000, 0, 1, 3))  # one that wraps could not be renewed
    say("after")
    assert terminal.screen()[3:] == ["after", ""] and progress._shown == 0


def test_a_log_gets_few_lines(capsys):
    _run(300)
    found = capsys.readouterr().out.splitlines()
    assert len(found) == 12 and found[1].startswith(" 10.0 %") and found[-2].startswith("100.0 %")
    for done in range(187):
        show_progress("films", done, 186)
    found = capsys.readouterr().out.splitlines()
    assert len(found) == 10 and found[-1] == "films: 186 of 186"


def test_lines_of_several_tasks_have_their_names(monkeypatch):
    heard = []
    for name in ("dots", "real"):
        here, there = multiprocessing.Pipe(duplex=False)
        with here, there, monkeypatch.context() as patched:
            patched.setattr("sys.stdout", Lines(there))
            say(Passing.at(" 50.0 %", 3, 5, 10))
            print("a line")
            heard += [line_of({"task": name, **line_event(here.recv())}, several=True) for _ in range(2)]
    assert heard == ["dots:  50.0 %", "dots: a line", "real:  50.0 %", "real: a line"]
    assert [isinstance(line, Passing) and line.tenth for line in heard] == [True, False, True, False]
