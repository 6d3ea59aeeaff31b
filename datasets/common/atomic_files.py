"""Writing files so that a killed process leaves the old file or the new one, never a part.

Of folders it leaves no part either, but may leave neither in its place: see `replacing_folder`.
"""

import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

from datasets.common import text_files
from datasets.common.errors import UserError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`; on a clean exit it is flushed to disk and renamed over `path`.

    The temporary name keeps the suffix, since image writers choose the format by it. Raises UserError where the
    system refuses, e.g. on a full disk; `path` is then as it was.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())  # a name must not reach the disk before its content
        os.replace(temporary, path)
    except OSError as error:
        raise _refused(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a path beside `path` for a folder to make; on a clean exit it takes the place of `path`.

    Its parent is scratch space, removed in the end. Raises UserError where the system refuses; `path` is then as
    it was. A folder that is there is renamed first, as few systems exchange two in one step: a process killed
    just then leaves nothing at `path`, where whoever continues makes it anew, and both whole in the scratch space
    .NAME.*, as old and made.
    """
    path = pathlib.Path(path)
    make_folder(path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        made, old = pathlib.Path(scratch, "made"), pathlib.Path(scratch, "old")
        try:
            yield made
            if path.exists():
                os.replace(path, old)
            os.replace(made, path)
        except BaseException as error:
            if old.exists() and not path.exists():  # failed between the two renames: the old one back
                os.replace(old, path)
            if not isinstance(error, OSError):
                raise
            raise _refused(path, error) from None


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replaces `path` by `text` in UTF-8; bytes of file names that are no text come out as \\udcxx."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def append_text(path: str | os.PathLike, text: str) -> None:
    """Adds `text` to the end of `path`, as `write_text`; a kill may cut it short. UserError as `replacing`."""
    path = pathlib.Path(path)
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise _refused(path, error) from None


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Replaces `path` by `value` as indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def _refused(path: pathlib.Path, error: OSError) -> UserError:
    return UserError(f"{path}: could not be written ({error.strerror or error}); make room, or choose another "
                     "folder")


def read_json(path: str | os.PathLike) -> Any:
    """The JSON value in `path`. Raises UserError naming the file if it is missing or not JSON."""
    path = pathlib.Path(path)
    try:
        return json.loads(text_files.read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None


def make_folder(path: str | os.PathLike) -> pathlib.Path:
    """Creates `path` with its parents and checks that it can be written to; returns it as a Path."""
    if not os.fspath(path):
        raise UserError("found an empty name of a folder to write to; name one")
    path = pathlib.Path(path)
    probe = path / f".writable.{os.getpid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{path}: cannot write there ({error.strerror}); choose another folder") from None
    return path
