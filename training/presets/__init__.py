"""Named settings of the whole experiment; each is a small file that says command, hardware, time and score."""

import dataclasses
import importlib

from datasets.common.errors import UserError
from datasets.subsets import TINY_FILMS
from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig

NAMES = ("paper", "cpu", "demo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings of every stage.

    Attributes:
      size: side in pixels of films and label maps made by the GANs; data of another size is resized.
      segmentation_size: side in pixels at which the segmenter works.
      tiny_films: how many real films the TINY configuration may see.
      dots, labels, pairs: the PGGANs of the three-, two- and single-stage method.
      dots_to_labels, labels_to_film: the translators.
      translator_steps: updates of each translator however many films there are, in whole epochs, half of them at
        the constant rate; 0: the epochs of the translators' settings.
      translator_epochs: more updates than those where the films are so many that they would be fewer epochs.
      segmenter: training on real or synthetic pairs.
      finetune: continued training on real pairs.
      synthetic_train, synthetic_validation: pairs made by each method.
      check_samples: whether generated label maps are mended and invalid ones rejected (and counted): ours. The
        paper keeps every sample as it is.
      smooth_labels: whether the three-stage method's label maps are means of several looks at the dots: ours.
      expose: share of the synthetic films whose exposure is changed: ours.
      recipe: of `training.presets.recipes`, that an experiment takes where none is asked for.
    """

    size: int
    segmentation_size: int
    tiny_films: int = TINY_FILMS
    dots: PGGANConfig
    labels: PGGANConfig
    pairs: PGGANConfig
    dots_to_labels: Pix2PixHDConfig
    labels_to_film: Pix2PixHDConfig
    translator_steps: int = 0
    translator_epochs: int = 0
    segmenter: SMANetConfig
    finetune: SMANetConfig
    synthetic_train: int = 7500
    synthetic_validation: int = 2500
    check_samples: bool = False
    smooth_labels: bool = False
    expose: float = 0.0
    recipe: str = "paper"


def load(name: str) -> Preset:
    """The preset called `name`. Raises UserError listing the names for an unknown one."""
    if name not in NAMES:
        raise UserError(f"--preset={name}: no such preset; there are {', '.join(NAMES)}")
    return importlib.import_module(f"training.presets.{name}").PRESET
