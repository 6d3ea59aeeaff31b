"""Several whole numbers in one option: 5,11,20 or 0-4."""

import re

from datasets.common.errors import UserError

_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_MOST = 1000


def numbers(flag: str, text: str, least: int) -> list[int]:
    """The numbers of `--flag=text`, rising, each once.

    Raises UserError for anything but numbers of `least` or more and ranges of them, for a number named twice, and
    for more than some hundred.
    """
    found: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if last < first or first < least or last - first >= _MOST:
            raise UserError(f"--{flag}={text}: found {part.strip()!r}, expected numbers from {least} on, as 5,11, "
                            "or a range of them, as 0-4")
        found += range(first, last + 1)
    twice = next((number for number in found if found.count(number) > 1), None)
    if twice is not None:
        raise UserError(f"--{flag}={text}: found {twice} more than once; name each number once")
    return sorted(found)
