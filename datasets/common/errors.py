"""The one exception that means "the user can mend this", and how binaries report it.

Everything below a binary raises `UserError` with one complete line: which file, what was found, what was
expected, what to do. Every binary ends with `app.run(report_user_errors(main))`.
"""

import functools
import os
import sys
from collections.abc import Callable, Sequence

from datasets.common import progress
from datasets.common.own_settings import expand_home, settle_process

# Binaries import this module first: TensorFlow then keeps its notices to itself unless asked (by 0). 3 hides lines
# marked E too: its optimizer writes some about graphs that it leaves as they are, and real errors are raised.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class UserError(Exception):
    """A mistake in the user's input or surroundings; its text is one line that says how to mend it."""


def report_user_errors(main: Callable[[Sequence[str]], int | None],
                       arguments: bool = False) -> Callable[[Sequence[str]], None]:
    """Wraps a binary's `main(argv)`: a `UserError` or Ctrl-C becomes one line on stderr and a non-zero exit.

    Args:
      arguments: whether `main` takes arguments that are no options.

    Exit codes: what `main` returns (None is 0), 1 after a `UserError`, 130 after Ctrl-C. Other projects' settings
    are put off at once, and `~` in the command line becomes the home folder (`datasets.common.own_settings`).
    """
    settle_process()
    sys.argv[1:] = expand_home(sys.argv[1:])

    @functools.wraps(main)
    def wrapped(argv: Sequence[str]) -> None:
        if len(argv) > 1 and not arguments:
            fail(f"unexpected argument {argv[1]!r}: options are written --name=value; see --help")
        try:
            code = main(argv) or 0
        except UserError as error:
            fail(str(error))
        except KeyboardInterrupt:
            progress.clear()
            print("interrupted; the same command continues", file=sys.stderr)
            code = 130
        sys.exit(code)

    return wrapped


def fail(message: str) -> None:
    """Prints `error: message` as one line on stderr and exits with 1."""
    progress.clear()
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(1)
