"""Lines of long commands: lasting ones, and passing ones, each of which takes the place of the one before.

A terminal shows one passing line, renewed where it stands; a log gets those that reach a further tenth.
"""

import shutil
import sys

_shown = 0  # characters of the passing line that stands in the terminal


class Passing(str):
    """A line about how far something is: `tenth` is whether it reaches a further tenth, `last` whether the end."""

    tenth = last = False

    @classmethod
    def at(cls, text: str, before: int, done: int, total: int) -> "Passing":
        """The line `text` for `done` of `total`, after one for `before`."""
        line = cls(text)
        line.last = done >= total
        line.tenth = line.last or done * 10 // total != before * 10 // total
        return line

    def named(self, name: str) -> "Passing":
        """The same line with a name before it."""
        line = Passing(f"{name}: {self}")
        line.tenth, line.last = self.tenth, self.last
        return line


def say(line: str) -> None:
    """Prints a line to stdout: a `Passing` one as this module says, any other to stay."""
    passing = isinstance(line, Passing)
    if hasattr(sys.stdout, "take_line"):  # of a process that passes its lines on
        sys.stdout.take_line(line)
    elif not sys.stdout.isatty():
        if not passing or line.tenth:
            print(line, flush=True)
    elif passing:
        _renew(line)
    else:
        clear()
        print(line, flush=True)


def clear() -> None:
    """Wipes the passing line off the terminal, so that something else can be written there."""
    global _shown
    if _shown:
        print("\r" + " " * _shown + "\r", end="", flush=True)
        _shown = 0


def show_progress(what: str, done: int, total: int) -> None:
    """Says e.g. `films: 40 of 186`; call with done from 0 to total."""
    line = Passing.at(f"{what}: {done:,} of {total:,}", max(0, done - 1), done, total)
    line.tenth = line.tenth and done > 0
    say(line)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _renew(line: Passing) -> None:
    global _shown
    text = line[:max(20, shutil.get_terminal_size().columns - 1)]  # one that wraps could not be renewed
    print("\r" + text + " " * (_shown - len(text)), end="\n" if line.last else "", flush=True)
    _shown = 0 if line.last else len(text)
