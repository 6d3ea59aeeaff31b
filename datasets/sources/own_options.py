"""What users write on the command line about their label maps, as values."""

import re
from collections.abc import Sequence

from datasets.common.errors import UserError
from datasets.pair_store import describe_ids


def parse_remap(pairs: Sequence[str], names: Sequence[str] | None = None) -> dict[int, int]:
    """`["0:0", "255:1"]` -> {0: 0, 255: 1}. Raises UserError for anything else, and codes that no class has.

    Args:
      names: of the classes in order of codes, where nothing else may be translated to.
    """
    remap: dict[int, int] = {}
    for pair in pairs:
        match = re.fullmatch(r"\s*(\d{1,3})\s*:\s*(\d{1,3})\s*", pair)
        old, new = (int(part) for part in match.groups()) if match else (256, 256)
        if max(old, new) > 255 or old in remap:
            raise UserError(f"--remap: found {pair!r}, expected FOUND:CODE with codes of 0 to 255, each found one "
                            "once, e.g. --remap=0:0,255:1")
        if names and new >= len(names):
            raise UserError(f"--remap: found {pair!r}, expected a code of 0 to {len(names) - 1} "
                            f"({describe_ids(names)}) behind the colon; --ignore takes codes without a class")
        remap[old] = new
    return remap


def parse_ignore(codes: Sequence[str], highest: int) -> tuple[int, ...]:
    """`["11", "255"]` -> (11, 255). Raises UserError for what is no code from 0 to `highest`."""
    for code in codes:
        if not re.fullmatch(r"\s*\d{1,10}\s*", code) or int(code) > highest:
            raise UserError(f"--ignore: found {code!r}, expected codes of 0 to {highest} in the label maps, e.g. "
                            "--ignore=255, or with --colours names of its classes")
    return tuple(int(code) for code in codes)


def parse_unions(unions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`["disc:rim+cup"]` -> {"disc": ("rim", "cup")}. Raises UserError for anything else."""
    found: dict[str, tuple[str, ...]] = {}
    for union in unions:
        name, colon, members = (part.strip() for part in union.partition(":"))
        parts = tuple(member.strip() for member in members.split("+"))
        if not colon or not name or name in found or not all(parts):
            raise UserError(f"--unions: found {union!r}, expected NAME:CLASS+CLASS, each name once, e.g. "
                            "--unions=disc:rim+cup")
        found[name] = parts
    return found
