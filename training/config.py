"""Every option of the three trainers: name, default, meaning and source, in one place.

The defaults are the paper's (Ciano et al. 2021) or, where it is silent, those of the networks' authors.
Binaries make their flags from these fields; presets replace some of them; each run folder keeps them.
"""

import dataclasses
from typing import Any

from datasets.dots import Dot


def option(default: Any, meaning: str, choices: tuple = (), least: float = 0, most: float | None = None,
           decides: str = "result", later: bool = False) -> Any:
    """A field with its help text, what values it takes (`choices`, or numbers from `least` to `most`), and what it
    decides:

        result   what a run becomes
        input    likewise, by the content of the file or run folder that it names
        length   how far a run goes: its folder continues under another value, an experiment's task is done again
        nothing  how a run is watched, saved and spread over devices, and how its network is used

    `later` is an option that came when experiments had been run: at its default their records do without it.
    """
    return dataclasses.field(default=default, metadata={"help": meaning, "choices": choices, "least": least,
                                                        "most": most, "decides": decides, "later": later})


MOST_SEED = 2**31 - 1  # draws inside a step take it as int32


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Options common to every training run."""

    seed: int = option(0, "every random draw is a function of this seed and the step", most=MOST_SEED)
    precision: str = option(
        "auto", "number format of the networks; auto takes bfloat16 where the device is faster in it",
        ("auto", "float32", "mixed_bfloat16", "mixed_float16"))
    strategy: str = option(
        "auto", "how the work is spread over devices; auto is mirrored with several GPUs, else one_device",
        ("auto", "one_device", "mirrored", "multi_worker"), decides="nothing")
    deterministic: bool = option(False, "bit-identical results from run to run (slower)")
    xla: str = option("auto", "whether XLA compiles the steps; auto: a translator's on one GPU",
                      ("auto", "on", "off"))
    steps_per_call: int = option(0, "steps that the device is given at once; 0: ten on one GPU, else one",
                                 decides="nothing")
    checkpoint_minutes: float = option(10.0, "time between checkpoints; what a killed run can lose",
                                       decides="nothing")
    log_lines: int = option(100, "how many lines of metrics the whole run writes", decides="nothing")
    grids: int = option(20, "how many fixed-seed picture grids the whole run draws", decides="nothing")


_POWERS = tuple(2**level for level in range(2, 13))  # 4 to 4096: the sides a PGGAN may have
DIFF_AUGMENT = ("none", "translation", "cutout", "both")
_DIFF_AUGMENT = "differentiable augmentation of what the discriminator sees (not in the paper; Zhao et al. 2020)"

_DOT_RADIUS = "radius of a dot in pixels at 64 x 64; less where the training maps' pieces are closer"
_UNDOTTED = "classes without dots, with commas between them: the translator of dots places them"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PGGANConfig(EngineConfig):
    """PGGAN with WGAN-GP. Defaults: Karras et al. 2018 as released; 64 maps at most as in the paper."""

    # What is made, by which networks.
    target: str = option("labels", "what is made: dots, label maps, or pairs of label map and film",
                         ("dots", "labels", "pairs"))
    resolution: int = option(1024, "side of the full-grown pictures in pixels (the paper's dots: 64)", _POWERS)
    start_resolution: int = option(4, "side at which growing starts", _POWERS)
    fmap_base: int = option(8192, "feature maps at resolution 2^r are fmap_base / 2^(r-1) ...", least=1)
    fmap_max: int = option(64, "... but never more than this; also the size of the latent vector (paper: 64)",
                           least=1)
    label_coding: str = option("grey", "label maps as one grey channel or one channel per class",
                               ("grey", "one_hot"))
    # How long, and how it grows.
    total_kimg: float = option(0.0, "thousands of real images shown in all; 0: until 2400 after full growth",
                               decides="length")
    train_kimg: float = option(600.0, "thousands of images at each resolution before the next fades in")
    fade_kimg: float = option(600.0, "thousands of images over which a resolution fades in")
    max_batch: int = option(128, "upper bound on the images per step (by resolution: 128 ... 4)", least=1)
    # Losses and updates.
    learning_rate: float = option(1e-3, "Adam's rate for both networks (beta1 0, beta2 0.99)")
    penalty_weight: float = option(10.0, "weight of the gradient penalty")
    drift_weight: float = option(1e-3, "weight of score(real)^2")
    average_decay: float = option(0.999, "decay per step of the averaged generator that makes the samples", most=1)
    dot_radius: float = option(2.0, _DOT_RADIUS, least=1)
    undotted: str = option("", _UNDOTTED)
    # Which snapshot stands for the run.
    snapshots: int = option(20, "how many snapshots the whole run keeps once full-grown, each with a score; the "
                                "best stands for the run (0: the last)")
    score_images: int = option(256, "generated pictures per snapshot score (sliced Wasserstein); 0 for none")
    diff_augment: str = option("none", _DIFF_AUGMENT, DIFF_AUGMENT)

    @property
    def dot(self) -> Dot | None:
        """The paper's, of the dot maps it makes; None where it makes others. See `datasets.rules.dot_rules`."""
        return Dot.scaled(self.resolution, self.dot_radius) if self.target == "dots" else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pix2PixHDConfig(EngineConfig):
    """Pix2PixHD. Defaults: Wang et al. 2018 as released for square images, without instance maps."""

    # What is translated, in which phase of coarse to fine.
    translate_from: str = option("labels", "what is translated: label maps to films, or dots to label maps",
                                 ("labels", "dots"))
    network: str = option("global", "global generator, or the local enhancer around it", ("global", "local"))
    phase: str = option("both", "coarse to fine: the global generator at half size, the enhancer alone, or both",
                        ("both", "global_half", "enhancer"))
    init_from: str = option("", "run folder or .keras file whose weights this phase starts from; empty for none",
                            decides="input")
    # Networks.
    ngf: int = option(64, "feature maps of the generator's first layer (local enhancer: 32)", least=1)
    n_downsampling: int = option(4, "stride-2 convolutions of the global generator")
    n_blocks: int = option(9, "residual blocks of the global generator")
    n_local_blocks: int = option(3, "residual blocks of the local enhancer")
    upsampling: str = option("transposed", "how the generator doubles sides: transposed convolutions, as "
                             "released, or resize and convolve, without checkerboards",
                             ("transposed", "resize"), later=True)
    ndf: int = option(64, "feature maps of a discriminator's first layer", least=1)
    n_layers: int = option(3, "stride-2 convolutions of a discriminator")
    num_D: int = option(2, "discriminators at halved sizes (paper: 3, released default: 2)", least=1)  # noqa: N815
    # Codes and dots.
    label_coding: str = option("one_hot", "output of dots to labels: one channel per class or one grey channel",
                               ("one_hot", "grey"))
    dot_size: int = option(64, "side in pixels of the dot maps it is trained on (paper: 64)", least=4)
    dot_radius: float = option(2.0, _DOT_RADIUS, least=1)
    undotted: str = option("", _UNDOTTED)
    # How long.
    epochs: int = option(100, "passes over the data at the constant rate", decides="length")
    epochs_decay: int = option(100, "passes over which the rate then falls linearly to zero", decides="length")
    batch: int = option(1, "images per step", least=1)
    learning_rate: float = option(2e-4, "Adam's rate for both networks (beta1 0.5)")
    average_decay: float = option(0.0, "decay per step of an averaged generator that then stands for the run (0: "
                                  "none, as released)", most=1, later=True)
    # Few films: others made of them while it trains.
    deform: float = option(0.0, "share of the pairs that are deformed as they are shown, both alike (ours, not in "
                                "the paper)", most=1, later=True)
    expose: float = option(0.0, "share of the films whose exposure is changed as they are shown (ours)", most=1,
                           later=True)
    # Losses.
    feature_weight: float = option(10.0, "weight of feature matching; 0 switches it off")
    perceptual_weight: float = option(10.0, "weight of the VGG19 term, used only with vgg_weights")
    vgg_weights: str = option("", "Keras VGG19 weight file without top (.h5); empty switches the term off",
                              decides="input")
    pool_size: int = option(0, "history of generated images shown to the discriminators; 0 for none")
    diff_augment: str = option("none", _DIFF_AUGMENT, DIFF_AUGMENT)

    @property
    def dot(self) -> Dot | None:
        """The paper's, of the dot maps it translates; None where it translates label maps."""
        return Dot.scaled(self.dot_size, self.dot_radius) if self.translate_from == "dots" else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SMANetConfig(EngineConfig):
    """The segmenter. Defaults: the paper's protocol; details are in models/smanet.py and models/unet.py."""

    # Network.
    network: str = option("smanet", "SMANet, or a plain U-Net with --width maps on its first level; depth, "
                                    "attention and encoder_weights are SMANet's", ("smanet", "unet"), later=True)
    depth: int = option(50, "layers of the ResNet encoder; 14 and 26 for small presets", (14, 26, 50, 101))
    width: int = option(64, "maps of the encoder's stem; every other width scales with it", least=1)
    attention: str = option("multiscale", "multi-scale attention (SMANet), pyramid pooling (PSPNet) or neither",
                            ("multiscale", "psp", "none"))
    dropout: float = option(0.1, "dropout before the decoder", most=0.95)
    bn_momentum: float = option(0.99, "decay of the batch-normalisation statistics", most=1)
    encoder_weights: str = option("", "ImageNet weights of keras.applications.ResNet50/101 (.h5); empty for none",
                                  decides="input")
    standardize: bool = option(False, "bring every picture to one mean and deviation, as films differ in exposure "
                                      "(ours, not in the paper)")
    # What it sees.
    classes: str = option("scored", "segment the organs the tables score, or all", ("scored", "all"))
    crop: int = option(377, "side of the random training crops in pixels; shrinks to small images", least=16)
    batch: int = option(17, "crops per step", least=1)
    augment: str = option("none", "strong: the crops are augmented on the fly as nnU-Net does, but not mirrored, "
                                  "and cut from the films alone, not from copies that --data augments", later=True,
                          choices=("none", "strong"))
    augment_factor: float = option(1.0, "factor of the probabilities of strong augmentation, none of which rises "
                                        "above a half (1: nnU-Net's); elastic stays", least=1, later=True)
    elastic: float = option(0.0, "share of strongly augmented crops that are deformed elastically too", most=1,
                            later=True)
    cutmix: float = option(0.0, "share of crops into which a rectangle of another film is set (CutMix)", most=1,
                           later=True)
    # What becomes of its label maps.
    keep_largest: str = option("", "classes of which the finished segmenter keeps the largest piece alone, as "
                                   "'heart,left lung'; auto: those in one piece in all label maps it was trained "
                                   "on (ours, not in the paper)", decides="nothing")
    # How long.
    steps: int = option(20000, "updates in all (the paper does not say)", least=1, decides="length")
    learning_rate: float = option(1e-4, "Adam's constant rate")
    average_decay: float = option(0.0, "decay per step of averaged weights, which then stand for the run, running "
                                       "statistics included; less in the first updates (0: none; ours)", most=1,
                                  later=True)
    # Which weights are kept.
    validate_every: int = option(500, "updates between validations; the best mean J is kept", least=1)
    overlap: float = option(1 / 3, "share of a window that the next one covers in validation", most=0.95)


def options_deciding(config: EngineConfig, *what: str) -> dict[str, Any]:
    """Name -> value of the options that decide one of `what`, as in `option`."""
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)
            if field.metadata["decides"] in what}


def total_kimg(config: PGGANConfig, grown_kimg: float) -> float:
    """`config.total_kimg`, or 2400 beyond full growth: the released 12,000 at 1024 pixels."""
    return config.total_kimg or grown_kimg + 2400.0
