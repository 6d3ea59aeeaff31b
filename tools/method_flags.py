"""The flags by which binaries are told a trained method: its name and the runs of its stages."""

from absl import flags

flags.disclaim_key_flags()  # they belong to the binary, and are listed by its --help
_RUNS = {
    "pairs": "run of train_pggan --target=pairs (single)",
    "labels": "run of train_pggan --target=labels (two)",
    "dots": "run of train_pggan --target=dots (three)",
    "dots_to_labels": "run of train_pix2pixhd --source=dots (three)",
    "labels_to_film": "run of train_pix2pixhd --source=labels (two, three)",
}


def define_method_flags(required: bool) -> tuple[flags.FlagHolder, dict[str, flags.FlagHolder]]:
    """Defines --method and one flag per stage; returns them, the latter by stage."""
    method = flags.DEFINE_enum("method", None, ["single", "two", "three"], "the paper's method, made of the runs "
                               "given", required=required)
    return method, {stage: flags.DEFINE_string(stage, None, meaning) for stage, meaning in _RUNS.items()}
