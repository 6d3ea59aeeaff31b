"""Two CPU cores and some hours: 128 pixels, narrow networks, short schedules.

Command:  python -m tools.run_experiment --data=STORE --config=tiny --preset=cpu --workdir=RUN
Hardware: 2 cores, 8 GiB. A first guess: neither time nor score is measured yet.
"""

from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.presets import Preset

_GROWTH = {"start_resolution": 8, "total_kimg": 120.0, "train_kimg": 10.0, "fade_kimg": 10.0, "max_batch": 16}
_TRANSLATOR = {"ngf": 16, "ndf": 16, "n_downsampling": 3, "n_blocks": 6, "batch": 4, "epochs": 100,
               "epochs_decay": 100}

PRESET = Preset(
    size=128,
    segmentation_size=128,
    dots=PGGANConfig(target="dots", resolution=64, fmap_base=1024, **_GROWTH),
    labels=PGGANConfig(target="labels", resolution=128, fmap_base=1024, **_GROWTH),
    pairs=PGGANConfig(target="pairs", resolution=128, fmap_base=1024, **_GROWTH),
    dots_to_labels=Pix2PixHDConfig(source="dots", **_TRANSLATOR),
    labels_to_film=Pix2PixHDConfig(source="labels", **_TRANSLATOR),
    segmenter=SMANetConfig(width=16, batch=8, steps=1500, learning_rate=3e-4, validate_every=100,
                           bn_momentum=0.9),
    finetune=SMANetConfig(width=16, batch=8, steps=1500, learning_rate=3e-4, validate_every=100,
                          bn_momentum=0.9),
    synthetic_train=1500,
    synthetic_validation=100,
)
