"""Two CPU cores and some hours: 128 pixels, dots at 32, narrow networks, short schedules.

Command:  python -m tools.run_experiment --data=STORE --config=tiny --preset=cpu --workdir=RUN
Hardware: 2 cores, 8 GiB.
Expected: see docs/experiments.md for what was measured.
"""

from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.presets import Preset

_GAN = {"max_batch": 16, "average_decay": 0.99}
_GROWTH = {"resolution": 128, "start_resolution": 8, "fmap_base": 1024, "total_kimg": 80.0, "train_kimg": 6.0,
           "fade_kimg": 6.0, "learning_rate": 2e-3}
_TRANSLATOR = {"ngf": 16, "ndf": 16, "n_downsampling": 3, "n_blocks": 6, "batch": 4, "dot_size": 32,
               "epochs": 60, "epochs_decay": 60}
_SEGMENTER = {"width": 16, "batch": 8, "steps": 1000, "learning_rate": 3e-4, "validate_every": 100,
              "bn_momentum": 0.9}

PRESET = Preset(
    size=128,
    segmentation_size=128,
    dots=PGGANConfig(target="dots", resolution=32, start_resolution=8, fmap_base=256, total_kimg=48.0,
                     train_kimg=2.0, fade_kimg=2.0, learning_rate=3e-3, **_GAN),
    labels=PGGANConfig(target="labels", **_GROWTH, **_GAN),
    pairs=PGGANConfig(target="pairs", **_GROWTH, **_GAN),
    dots_to_labels=Pix2PixHDConfig(source="dots", **_TRANSLATOR),
    labels_to_film=Pix2PixHDConfig(source="labels", **_TRANSLATOR),
    segmenter=SMANetConfig(**_SEGMENTER),
    finetune=SMANetConfig(**_SEGMENTER),
    synthetic_train=1500,
    synthetic_validation=100,
)
