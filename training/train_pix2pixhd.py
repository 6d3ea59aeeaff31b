"""Trains a Pix2PixHD that turns label maps into films, or dots into label maps.

    python -m training.train_pix2pixhd --translate_from=labels --data=STORE --workdir=RUN --preset=cpu

Trains on the store's train pairs. The same command continues a run that was stopped; larger --epochs and
--epochs_decay continue a finished one, at the rate that their schedule has at its position (after a decay, the
rate goes up again). From dots, give it the --undotted, --dot_size and --dot_radius of the PGGAN that makes them.
Coarse to fine:

    ... --network=local --ngf=32 --phase=global_half                  --workdir=RUN1
    ... --network=local --ngf=32 --phase=enhancer    --init_from=RUN1 --workdir=RUN2
    ... --network=local --ngf=32 --phase=both        --init_from=RUN2 --workdir=RUN3
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import RUN, check_output
from training import presets
from training.config import Pix2PixHDConfig, options_deciding
from training.flags import config_from_flags, define_flags

_DATA = flags.DEFINE_string("data", None, "pair folder", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "run folder; made, or continued", required=True)
_PRESET = flags.DEFINE_string("preset", "paper", f"settings to start from: {', '.join(presets.NAMES)}")
define_flags(Pix2PixHDConfig)


def main(argv) -> None:
    preset = presets.load(_PRESET.value)
    base = preset.dots_to_labels if flags.FLAGS.translate_from == "dots" else preset.labels_to_film
    config = config_from_flags(base, flags.FLAGS)
    inputs = options_deciding(config, "input").values()
    check_output(_WORKDIR.value, RUN, [_DATA.value, *inputs])
    from training.pix2pixhd import train  # late: --help and a mistake need no TensorFlow

    train(config, _DATA.value, _WORKDIR.value)


if __name__ == "__main__":
    app.run(report_user_errors(main))
