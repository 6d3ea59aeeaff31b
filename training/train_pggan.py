"""Trains a PGGAN that makes dots, label maps, or pairs of label map and film.

    python -m training.train_pggan --target=dots --data=STORE --workdir=RUN --preset=cpu

Trains on the store's train pairs. The same command continues a run that was stopped; a larger --total_kimg
continues a finished one to where a run of that length would stand.

Dots are the paper's, one for each organ, where these suit the label maps; else they are learnt from the maps, and
what they place is said. --undotted=vessel,sky leaves classes without dots; the translator needs the same.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import RUN, check_output
from training import presets
from training.config import PGGANConfig, options_deciding
from training.flags import config_from_flags, define_flags

_DATA = flags.DEFINE_string("data", None, "pair folder", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "run folder; made, or continued", required=True)
_PRESET = flags.DEFINE_string("preset", "paper", f"settings to start from: {', '.join(presets.NAMES)}")
define_flags(PGGANConfig)


def main(argv) -> None:
    preset = presets.load(_PRESET.value)
    target = flags.FLAGS.target or PGGANConfig.target
    config = config_from_flags(getattr(preset, target), flags.FLAGS)
    inputs = options_deciding(config, "input").values()
    check_output(_WORKDIR.value, RUN, [_DATA.value, *inputs])
    from training.pggan import train  # late: --help and a mistake need no TensorFlow

    train(config, _DATA.value, _WORKDIR.value)


if __name__ == "__main__":
    app.run(report_user_errors(main))
