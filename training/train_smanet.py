"""Trains the segmenter SMANet on pairs, real or synthetic, or fine-tunes a trained one.

    python -m training.train_smanet --data=SYNTHETIC --validation=SYNTHETIC --workdir=RUN1 --preset=cpu
    python -m training.train_smanet --data=REAL --finetune_from=RUN1 --workdir=RUN2 --preset=cpu
    python -m training.train_smanet --data=SYNTHETIC --mixed_with=REAL --workdir=RUN3 --preset=cpu
    python -m training.train_smanet --data=REAL --augment=strong --workdir=RUN4 --preset=cpu

Trains on the train pairs of --data; keeps the weights with the best mean J on the validation pairs of
--validation, or the last ones without it. The same command continues a run that was stopped; a larger --steps
continues a finished one to where a run of that length would stand.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import RUN, check_output
from training import presets
from training.config import SMANetConfig, options_deciding
from training.flags import config_from_flags, define_flags

_DATA = flags.DEFINE_string("data", None, "pair folder", required=True)
_VALIDATION = flags.DEFINE_string("validation", None, "pair folder whose validation pairs choose the weights")
_FINETUNE_FROM = flags.DEFINE_string("finetune_from", None, "run folder or .keras file to start from")
_MIXED_WITH = flags.DEFINE_string("mixed_with", None, "pair folder whose train pairs give half of all crops")
_WORKDIR = flags.DEFINE_string("workdir", None, "run folder; made, or continued", required=True)
_PRESET = flags.DEFINE_string("preset", "paper", f"settings to start from: {', '.join(presets.NAMES)}")
define_flags(SMANetConfig)


def main(argv) -> None:
    preset = presets.load(_PRESET.value)
    base = preset.finetune if _FINETUNE_FROM.value else preset.segmenter
    config = config_from_flags(base, flags.FLAGS)
    inputs = options_deciding(config, "input").values()
    reads = [_DATA.value, _VALIDATION.value, _FINETUNE_FROM.value, _MIXED_WITH.value]
    check_output(_WORKDIR.value, RUN, [*reads, *inputs])
    from training.smanet import train  # late: --help and a mistake need no TensorFlow

    train(config, _DATA.value, _WORKDIR.value,
          validation=_VALIDATION.value, finetune_from=_FINETUNE_FROM.value,
          mixed_with=_MIXED_WITH.value)


if __name__ == "__main__":
    app.run(report_user_errors(main))
