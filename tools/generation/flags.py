"""Flags of the binaries that put a method together from finished runs."""

from collections.abc import Sequence

from absl import flags

from tools.generation.stages import MADE_BY, STAGES, command_line

flags.disclaim_key_flags()  # they belong to the binary that asks for them


def define_method_flags(choices: Sequence[str],
                          required: bool) -> tuple[flags.FlagHolder, dict[str, flags.FlagHolder]]:
    """Defines --method and a flag for the run of each stage; returns them, the latter by stage."""
    method = flags.DEFINE_enum("method", None, list(choices), "what makes the pairs, from the runs given",
                               required=required)
    runs = {}
    for stage, made_by in MADE_BY.items():
        users = ", ".join(choice for choice in choices if stage in STAGES[choice])
        runs[stage] = flags.DEFINE_string(stage, None, f"run of {command_line(made_by)} ({users})")
    return method, runs
