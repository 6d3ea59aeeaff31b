"""Two CPU cores: 128 pixels, dots at 32, narrow networks, short schedules.

Command:  python -m tools.run_experiment --data=STORE --config=tiny --preset=cpu --jobs=2 --workdir=RUN
Hardware: 2 cores, 8 GiB.
Expected: see results/README.md for what was measured.
"""

from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.presets import Preset

# float32: at these widths bfloat16 is slower without AMX, and results should not depend on the processor.
# One channel per class: after so few images, in one draw dots in grey coding passed the check in 1 of 20 tries.
_GAN = {"precision": "float32", "label_coding": "one_hot", "average_decay": 0.99, "log_lines": 50, "grids": 10,
        "snapshots": 10, "score_images": 128}
_GROWTH = {"resolution": 128, "start_resolution": 16, "fmap_base": 512, "total_kimg": 30.0, "train_kimg": 3.0,
           "fade_kimg": 3.0, "max_batch": 8, "learning_rate": 2e-3, **_GAN}
_TRANSLATOR = {"precision": "float32", "ngf": 16, "ndf": 16, "n_downsampling": 3, "n_blocks": 4, "batch": 4,
               "dot_size": 32, "learning_rate": 6e-4, "log_lines": 50, "grids": 10}
# Crops of 97 to films of 128, as the paper's 377 to 512.
_SEGMENTER = {"precision": "float32", "depth": 14, "width": 16, "crop": 97, "batch": 8, "steps": 1000,
              "learning_rate": 1e-3, "validate_every": 200, "bn_momentum": 0.9, "log_lines": 20, "grids": 2,
              "standardize": True}

PRESET = Preset(
    size=128,
    segmentation_size=128,
    dots=PGGANConfig(target="dots", resolution=32, start_resolution=8, fmap_base=256, total_kimg=32.0,
                     train_kimg=2.0, fade_kimg=2.0, max_batch=16, learning_rate=4e-3, **_GAN),
    labels=PGGANConfig(target="labels", **_GROWTH),
    pairs=PGGANConfig(target="pairs", **_GROWTH),
    dots_to_labels=Pix2PixHDConfig(translate_from="dots", **_TRANSLATOR),
    labels_to_film=Pix2PixHDConfig(translate_from="labels", **_TRANSLATOR),
    translator_steps=1500,
    translator_epochs=16,  # 2,976 updates with the 744 pairs of FULL: half left three-stage pairs worse
    segmenter=SMANetConfig(**_SEGMENTER),
    finetune=SMANetConfig(**_SEGMENTER),
    synthetic_train=1000,
    synthetic_validation=100,
    check_samples=True,
    recipe="best",
)
