"""Command-line flags made from a config dataclass, so that each option has one default and one explanation.

This module and the binaries are the only ones that know about flags.
"""

import dataclasses
import math
from typing import Any, TypeVar

from absl import flags

from datasets.common.errors import UserError

flags.disclaim_key_flags()  # flags belong to the binary that asks for them, and are listed by its --help
Config = TypeVar("Config")
_DEFINE = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float,
           str: flags.DEFINE_string}


def define_flags(config_class: type) -> None:
    """Defines a flag for every field of `config_class`; unset flags leave the preset's value."""
    for field in dataclasses.fields(config_class):
        meaning = f"{field.metadata['help']} (default {field.default!r}, or the preset's)"
        choices = field.metadata["choices"]
        if choices and field.type is str:  # absl's enums are of text only
            flags.DEFINE_enum(field.name, None, list(choices), meaning)  # None: not given
        else:
            meaning += f"; one of {', '.join(map(str, choices))}" if choices else ""
            _DEFINE[field.type](field.name, None, meaning)


def config_from_flags(base: Config, values: flags.FlagValues) -> Config:
    """`base` with every flag the user set. Raises UserError for a number that an option does not take."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(base):
        value = values[field.name].value
        if value is not None:
            if field.type in (int, float):
                _check_number(field, value)
            changes[field.name] = value
    return dataclasses.replace(base, **changes)


def _check_number(field: dataclasses.Field, value: float) -> None:
    choices, least, most = (field.metadata[name] for name in ("choices", "least", "most"))
    if choices:
        fits, expected = value in choices, f"one of {', '.join(map(str, choices))}"
    else:
        fits = least <= value <= (math.inf if most is None else most)
        expected = f"{least} or more" if most is None else f"{least} to {most}"
    if not fits or not math.isfinite(value):  # infinity fits where there is no bound
        raise UserError(f"--{field.name}={value}: expected {expected}")
