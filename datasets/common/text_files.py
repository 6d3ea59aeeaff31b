"""Text files as people have them: UTF-8 or UTF-16 with or without a byte order mark, lines ended in any way, names
in either normal form; lists and tables of them."""

import csv
import io
import os
import pathlib
import unicodedata

from datasets.common.errors import UserError

MAX_TEXT = 2**26  # bytes
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_DELIMITERS = ",;\t"


def read_text(path: str | os.PathLike, limit: int = MAX_TEXT) -> str:
    """The text of a file in Unicode's normal form C. Raises UserError where it cannot be read or is no text."""
    path = pathlib.Path(path)
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder, expected a text file")
        if path.stat().st_size > limit:
            raise UserError(f"{path}: found {path.stat().st_size:,} bytes, expected at most {limit:,}")
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return decode(data, path)


def decode(data: bytes, path: str | os.PathLike) -> str:
    """`read_text` of the content of a file; lines end in a newline alone."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    if encoding is None:
        # UTF-16 without a mark: every second byte of Latin letters, commas and line ends is null
        zeros = [data[:4096][first::2].count(0) for first in (0, 1)]
        encoding = "utf-8" if not any(zeros) else "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: found bytes at {error.start:,} that are not {encoding.upper()}; save it as text "
                        "in UTF-8") from None
    if "\0" in text:
        raise UserError(f"{path}: found null characters, expected text; save it as text in UTF-8")
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines that hold something, without spaces around, quotes around, or comments (#)."""
    lines = [line.strip().strip("\"'").strip() for line in read_text(path).split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


def read_table(path: str | os.PathLike, text: str | None = None) -> list[list[str]]:
    """The rows of a CSV file, cells without spaces around; its delimiter is a comma, a semicolon or a tab.

    Args:
      text: the content, where it is known already.
    """
    text = read_text(path) if text is None else text
    first = next((line for line in text.split("\n") if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise UserError(f"{path}: cannot be read ({error}); expected a CSV file") from None
    return [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
