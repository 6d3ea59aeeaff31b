"""The experiment shrunk to seconds: 32 pixels, a few steps of every network. As a program it runs it.

    python -m tests.helpers.tiny_experiment STORE WORKDIR [METHODS [EXTRAS]]
"""

import sys

from tools.experiment.plan import Experiment
from tools.experiment.tasks import run_tasks
from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.presets import Preset

# Tracing graphs is what costs: PGGAN does not grow and SMANet attends to nothing (tests/reliability has both).
_GAN = {"fmap_base": 64, "fmap_max": 8, "total_kimg": 0.032, "max_batch": 8, "log_lines": 4, "grids": 2,
        "snapshots": 2, "score_images": 8, "deterministic": True}
_TRANSLATOR = {"ngf": 4, "ndf": 4, "n_downsampling": 1, "n_blocks": 1, "n_layers": 1, "num_D": 1, "batch": 16,
               "dot_size": 16, "epochs": 1, "epochs_decay": 1, "log_lines": 4, "grids": 1, "deterministic": True}
_SEGMENTER = {"depth": 14, "width": 8, "attention": "none", "batch": 4, "steps": 4, "validate_every": 2,
              "log_lines": 2, "grids": 1, "bn_momentum": 0.5, "standardize": True, "deterministic": True}

PRESET = Preset(
    size=32,
    segmentation_size=32,
    dots=PGGANConfig(target="dots", resolution=16, start_resolution=16, **_GAN),
    labels=PGGANConfig(target="labels", resolution=32, start_resolution=32, **_GAN),
    pairs=PGGANConfig(target="pairs", resolution=32, start_resolution=32, **_GAN),
    dots_to_labels=Pix2PixHDConfig(translate_from="dots", **_TRANSLATOR),
    labels_to_film=Pix2PixHDConfig(translate_from="labels", **_TRANSLATOR),
    segmenter=SMANetConfig(**_SEGMENTER),
    finetune=SMANetConfig(**_SEGMENTER),
    synthetic_train=8,
    synthetic_validation=4,
    check_samples=True,
)


def experiment(data: str, workdir: str, methods: str = "single,two,three", extras: str = "") -> Experiment:
    command = f"python -m tests.helpers.tiny_experiment {data} --workdir={workdir}"
    return Experiment(data, "tiny", PRESET, tuple(methods.split(",")), 0, workdir, command,
                      tuple(extras.split(",")))


if __name__ == "__main__":
    run_tasks(experiment(*sys.argv[1:]).tasks(), sys.argv[2])
