"""Binaries as a user starts them, but in this process: no second interpreter, no second start of TensorFlow."""

import contextlib
import dataclasses
import importlib.util
import io
import pathlib
import runpy
import sys
from collections.abc import Iterator

from absl import flags

from tests.helpers import process_state

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Done:
    """How a binary ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


def run(module: str, *options) -> Done:
    """`python -m MODULE OPTION ...`. An exception that would show the user a stack trace is raised here."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with process_state.kept(), flags_of(module), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.argv[:] = [module, *map(str, options)]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code or 0
    return Done(code, out.getvalue(), err.getvalue())


def told(done: Done, *said) -> None:
    """A mistake: exit code 1, and on stderr one line alone, which holds all of `said`."""
    assert done.code == 1, done
    assert done.err.startswith("error: ") and done.err.count("\n") == 1, done.err
    missing = [text for text in map(str, said) if text not in done.err]
    assert not missing, done.err


def all_binaries() -> list[str]:
    """Modules that can be started."""
    files = (path for folder in ("datasets", "evaluation", "models", "tools", "training")
             for path in (ROOT / folder).rglob("*.py"))
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files
                  if "app.run(" in path.read_text() and 'if __name__ == "__main__":' in path.read_text())


@contextlib.contextmanager
def flags_of(module: str) -> Iterator[None]:
    """Takes away the flags that the binary defines: others have flags of the same names in the one list."""
    file, interspersed = importlib.util.find_spec(module).origin, flags.FLAGS.is_gnu_getopt()
    try:
        yield
    finally:
        for name in (file, module):  # as the main module, and as another one
            for flag in list(flags.FLAGS.flags_by_module_dict().get(name, ())):
                delattr(flags.FLAGS, flag.name)
        flags.FLAGS.set_gnu_getopt(interspersed)
        flags.FLAGS.unparse_flags()
