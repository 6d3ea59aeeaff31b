"""Command-line flags made from a config dataclass, so that each option has one default and one explanation.

This module and the binaries are the only ones that know about flags.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from absl import flags

from datasets.errors import UserError
from training.stage_runs import MADE_BY, STAGES, said

flags.disclaim_key_flags()  # flags belong to the binary that asks for them, and are listed by its --help
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


def define_method_flags(choices: Sequence[str],
                        required: bool) -> tuple[flags.FlagHolder, dict[str, flags.FlagHolder]]:
    """Defines --method and a flag for the run of each stage; returns them, the latter by stage."""
    method = flags.DEFINE_enum("method", None, list(choices), "what makes the pairs, from the runs given",
                               required=required)
    runs = {}
    for stage, made_by in MADE_BY.items():
        users = ", ".join(choice for choice in choices if stage in STAGES[choice])
        runs[stage] = flags.DEFINE_string(stage, None, f"run of {said(made_by)} ({users})")
    return method, runs
