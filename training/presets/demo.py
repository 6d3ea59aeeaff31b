"""Some minutes on a laptop: 64 pixels, small networks, short schedules; shows every stage, settles nothing.

Command:  make demo
Hardware: 2 cores, 4 GiB, no GPU.
"""

from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.presets import Preset

_GAN = {"fmap_base": 256, "fmap_max": 32, "learning_rate": 4e-3, "average_decay": 0.98, "log_lines": 10,
        "grids": 5, "snapshots": 5, "score_images": 64}
_GROWTH = {"resolution": 64, "start_resolution": 16, "total_kimg": 2.8, "train_kimg": 0.6, "fade_kimg": 0.3,
           "max_batch": 8, **_GAN}
_TRANSLATOR = {"ngf": 16, "ndf": 16, "n_downsampling": 2, "n_blocks": 3, "n_layers": 2, "batch": 4,
               "dot_size": 16, "epochs": 6, "epochs_decay": 6, "log_lines": 10, "grids": 5}
_SEGMENTER = {"depth": 14, "width": 16, "batch": 8, "steps": 80, "learning_rate": 1e-3, "bn_momentum": 0.9,
              "validate_every": 40, "log_lines": 5, "grids": 1, "standardize": True}

PRESET = Preset(
    size=64,
    segmentation_size=64,
    dots=PGGANConfig(target="dots", resolution=16, start_resolution=8, total_kimg=20.0, train_kimg=1.0,
                     fade_kimg=1.0, max_batch=16, **_GAN),
    labels=PGGANConfig(target="labels", **_GROWTH),
    pairs=PGGANConfig(target="pairs", **_GROWTH),
    dots_to_labels=Pix2PixHDConfig(translate_from="dots", **_TRANSLATOR),
    labels_to_film=Pix2PixHDConfig(translate_from="labels", **_TRANSLATOR),
    segmenter=SMANetConfig(**_SEGMENTER),
    finetune=SMANetConfig(**_SEGMENTER),
    synthetic_train=160,
    synthetic_validation=24,
    check_samples=True,
    recipe="best",
)
