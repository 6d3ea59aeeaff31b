"""Small random networks in finished run folders, for tests of what uses them."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from datasets.class_table import CHEST
from datasets.dots import Dot
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.rules.dot_rules import LearntDots, learn_dots
from datasets.rules.label_rules import LabelRules
from datasets.sources.phantom import phantom, write_phantoms
from evaluation.segmenter.saved_network import write_product
from models.label_coding import LabelCoding
from models.pggan import Generator
from models.pix2pixhd import GlobalGenerator
from models.smanet import SMANet
from tools.generation.stages import MADE_BY

SIZE = 32
DOT = Dot(16, 1.0)
GREY, ONE_HOT = ({"kind": kind, "order": order} for kind, order in
                 (("grey", [1, 2, 0, 5, 4, 3]), ("one_hot", [0, 1, 2, 3, 4, 5])))


def phantom_store(path: pathlib.Path, size: int = SIZE, count: int = 3) -> PairStore:
    """A pair folder of train phantoms."""
    with PairWriter(path, Description("phantoms", (size, size), CHEST, spacing_mm=358.4 / size)) as writer:
        for index in range(count):
            made = phantom(0, index, size)
            writer.add(Entry(f"p{index}", "train", "phantoms"), made.image, CHEST.paint(made.masks))
    return PairStore(path)


def segmenter(seed: int = 0, dtype: str = "float32", attention: str = "multiscale") -> SMANet:
    """A segmenter of the four scored classes."""
    keras.utils.set_random_seed(seed)
    network = SMANet(4, depth=14, width=8, attention=attention, dtype=dtype)
    network.build((None, None, None, 1))
    return network


def write_run(path: pathlib.Path, network: keras.Model, **facts) -> pathlib.Path:
    """A run folder with `network` as its product."""
    path.mkdir(parents=True)
    network.save(path / "last.keras")
    write_product(path, {"network": "last.keras", "coding": None, "position": 1, **facts})
    return path


def segmenter_run(path: pathlib.Path, window: int = 20, size: int = SIZE) -> pathlib.Path:
    return write_run(path, segmenter(), task="train_smanet", num_classes=4, size=size, crop=window, overlap=1 / 3,
                     class_names=list(CHEST.scored_table().names))


def method_runs(path: pathlib.Path, channels: int = 1) -> dict[str, str]:
    """A run folder for every stage of the three methods, whose films have so many channels."""
    keras.utils.set_random_seed(1)
    pggan = {"fmap_base": 64, "fmap_max": 8}
    generators = {"pairs": Generator(SIZE, 1 + channels, **pggan), "labels": Generator(SIZE, 1, **pggan),
                  "dots": Generator(DOT.size, 1, **pggan)}
    for generator in generators.values():
        generator.build((None, 8))
    networks = {**generators, "dots_to_labels": _translator(6), "labels_to_film": _translator(channels)}
    return {stage: stage_run(path / stage, stage, network) for stage, network in networks.items()}


def stage_run(path: pathlib.Path, stage: str, network: keras.Model, **facts) -> str:
    """A run folder of a method's stage; `facts` replace what its product.json says."""
    coding = {"dots_to_labels": ONE_HOT, "labels_to_film": None}.get(stage, GREY)
    dot = DOT.to_json() if "dots" in stage else None
    said = {"coding": coding, "size": DOT.size if stage == "dots" else SIZE, "num_classes": 6, "phase": "both",
            "dot": dot}
    return str(write_run(path, network, **{**MADE_BY[stage], **said, **facts}))


def dot_runs(path: pathlib.Path, dot: Dot) -> tuple[dict[str, str], np.ndarray]:
    """Runs of the first two stages for such dots, and the map that the first makes of half of all latents: rough,
    as it has to be drawn anew. It makes an empty one of the others."""
    rough = Dot(dot.size, 2 * dot.radius).draw(CHEST.paint(phantom(0, 0, 64).masks), 6)
    network = ByHeart(dot.size)
    network.build((None, 8))
    network.set_weights([LabelCoding.from_json(GREY).encode(np.stack([rough, np.zeros_like(rough)]))])
    facts = {"dot": dot.to_json()}
    return {"dots": stage_run(path / "dots", "dots", network, size=dot.size, **facts),
            "dots_to_labels": stage_run(path / "dots_to_labels", "dots_to_labels", _translator(6), **facts)}, rough


def dots_of_kind(path: pathlib.Path, kind: str, base: Dot) -> tuple[dict[str, str], LearntDots, PairStore]:
    """Runs of the three-stage method for phantoms of a kind, whose dots are learnt: the first makes the first
    phantom's of half of all latents, and empty maps of the others. And what was learnt, and the phantoms."""
    store = write_phantoms(path / "data", 8, 1, 2 * SIZE, 0, kind)
    maps, num_classes = np.stack([store.label(id_) for id_ in store.ids("train")]), store.classes.num_classes
    learnt = learn_dots(base, maps, LabelRules.learn(maps, store.classes))
    coding = LabelCoding("grey", tuple(range(num_classes)))
    network = ByHeart(base.size)
    network.build((None, 8))
    network.set_weights([coding.encode(np.stack([learnt.drawn[0], np.zeros_like(learnt.drawn[0])]))])
    one_hot = LabelCoding("one_hot", coding.order).to_json()
    facts = {"num_classes": num_classes, "dot": learnt.dot.to_json()}
    return {"dots": stage_run(path / "dots", "dots", network, size=base.size, coding=coding.to_json(), **facts),
            "dots_to_labels": stage_run(path / "dots_to_labels", "dots_to_labels",
                                        _translator(num_classes, num_classes), coding=one_hot, size=2 * SIZE,
                                        **facts),
            "labels_to_film": stage_run(path / "labels_to_film", "labels_to_film",
                                        _translator(store.description.channels, num_classes),
                                        size=2 * SIZE, num_classes=num_classes)}, learnt, store


@keras.saving.register_keras_serializable(package="tests")
class ByHeart(keras.Model):
    """A PGGAN that knows two grey pictures by heart: latents [N, 8] -> [N, size, size, 1]."""

    latent_size = 8

    def __init__(self, size: int, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def build(self, input_shape):
        self.pictures = self.add_weight(shape=(2, self.size, self.size, 1))
        self.built = True

    def call(self, latents):
        return tf.gather(self.pictures, tf.cast(latents[:, 0] > 0, tf.int32))

    def get_config(self):
        return {**super().get_config(), "size": self.size}


def _translator(channels: int, num_classes: int = 6) -> GlobalGenerator:
    translator = GlobalGenerator(channels, ngf=4, n_downsampling=2, n_blocks=1)
    translator.build((None, None, None, num_classes))
    return translator
