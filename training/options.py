"""Command-line flags made from a config dataclass, so that each option has one default and one explanation.

This module and the binaries are the only ones that know about flags.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from absl import flags

from datasets.errors import UserError

Config = TypeVar("Config")
_DEFINE = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float,
           str: flags.DEFINE_string}


def define_flags(config_class: type, skip: Sequence[str] = ()) -> None:
    """Defines a flag for every field of `config_class` not in `skip`; unset flags leave the preset's value."""
    for field in dataclasses.fields(config_class):
        if field.name in skip:
            continue
        meaning = f"{field.metadata['help']} (default {field.default!r}, or the preset's)"
        if field.metadata["choices"]:
            flags.DEFINE_enum(field.name, None, list(field.metadata["choices"]), meaning)
        else:
            _DEFINE[field.type if isinstance(field.type, type) else type(field.default)](field.name, None, meaning)


def config_from_flags(base: Config, values: flags.FlagValues, skip: Sequence[str] = ()) -> Config:
    """`base` with every flag the user set. Raises UserError for a number below zero."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(base):
        if field.name in skip or values[field.name].value is None:
            continue
        value = values[field.name].value
        if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
            raise UserError(f"--{field.name}={value}: found a negative number, expected 0 or more")
        changes[field.name] = value
    return dataclasses.replace(base, **changes)
