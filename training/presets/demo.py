"""A few minutes on a laptop: 64 pixels, small networks, short schedules; shows every stage, settles nothing.

Command:  make demo
Hardware: 2 cores, 4 GiB, no GPU.
"""

from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.presets import Preset

_GROWTH = {"start_resolution": 16, "total_kimg": 12.0, "train_kimg": 1.5, "fade_kimg": 1.5, "max_batch": 16,
           "log_lines": 20, "grids": 6, "score_images": 128}
_TRANSLATOR = {"ngf": 16, "ndf": 16, "n_downsampling": 2, "n_blocks": 3, "n_layers": 2, "batch": 4, "epochs": 8,
               "epochs_decay": 8, "log_lines": 20, "grids": 6}
_SEGMENTER = {"depth": 14, "width": 16, "batch": 8, "learning_rate": 1e-3, "bn_momentum": 0.9, "log_lines": 10,
              "grids": 2}

PRESET = Preset(
    size=64,
    segmentation_size=64,
    dots=PGGANConfig(target="dots", resolution=64, fmap_base=512, fmap_max=32, **_GROWTH),
    labels=PGGANConfig(target="labels", resolution=64, fmap_base=512, fmap_max=32, **_GROWTH),
    pairs=PGGANConfig(target="pairs", resolution=64, fmap_base=512, fmap_max=32, **_GROWTH),
    dots_to_labels=Pix2PixHDConfig(source="dots", **_TRANSLATOR),
    labels_to_film=Pix2PixHDConfig(source="labels", **_TRANSLATOR),
    segmenter=SMANetConfig(steps=100, validate_every=50, **_SEGMENTER),
    finetune=SMANetConfig(steps=100, validate_every=50, **_SEGMENTER),
    synthetic_train=200,
    synthetic_validation=40,
)
