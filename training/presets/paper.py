"""The paper's settings (Ciano et al. 2021): 1024-pixel GANs, 64-pixel dots, SMANet on 512-pixel films.

Command:  python -m tools.run_experiment --data=STORE --config=full --preset=paper --workdir=RUN
Hardware: GPUs; on a CPU this is out of reach. The time is estimated in docs/performance.md.
Expected: the paper's Tables 1 and 2 (mean J 94.71 with FULL, 92.89 with TINY, three stages, fine-tuned).
"""

from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.presets import Preset

# Whatever is not set here is a default of training/config.py.
PRESET = Preset(
    size=1024,
    segmentation_size=512,
    dots=PGGANConfig(target="dots", resolution=64),
    labels=PGGANConfig(target="labels", resolution=1024),
    pairs=PGGANConfig(target="pairs", resolution=1024),
    dots_to_labels=Pix2PixHDConfig(translate_from="dots"),
    labels_to_film=Pix2PixHDConfig(translate_from="labels"),
    segmenter=SMANetConfig(),
    finetune=SMANetConfig(),
)
