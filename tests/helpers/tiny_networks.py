"""Small random networks in finished run folders, for tests of what uses them."""

import json
import pathlib

import keras

from datasets.class_table import CHEST
from datasets.pair_store import Description, Entry, PairStore, PairWriter
from datasets.sources.phantom import phantom
from models.pggan import Generator
from models.pix2pixhd import GlobalGenerator
from models.smanet import SMANet
from tools.generation.stages import MADE_BY

SIZE, DOTS = 32, 16
GREY, ONE_HOT = ({"kind": kind, "order": order} for kind, order in
                 (("grey", [1, 2, 0, 5, 4, 3]), ("one_hot", [0, 1, 2, 3, 4, 5])))


def phantom_store(path: pathlib.Path, size: int = SIZE, count: int = 3) -> PairStore:
    """A pair folder of train phantoms."""
    with PairWriter(path, Description("phantoms", (size, size), CHEST, spacing_mm=358.4 / size)) as writer:
        for index in range(count):
            made = phantom(0, index, size)
            writer.add(Entry(f"p{index}", "train", "phantoms"), made.image, CHEST.paint(made.masks))
    return PairStore(path)


def segmenter(seed: int = 0, dtype: str = "float32") -> SMANet:
    """A segmenter of the four scored classes."""
    keras.utils.set_random_seed(seed)
    network = SMANet(4, depth=14, width=8, dtype=dtype)
    network.build((None, None, None, 1))
    return network


def write_run(path: pathlib.Path, network: keras.Model, **facts) -> pathlib.Path:
    """A run folder with `network` as its product."""
    path.mkdir(parents=True)
    network.save(path / "last.keras")
    (path / "product.json").write_text(json.dumps({"network": "last.keras", "coding": None, **facts}))
    return path


def segmenter_run(path: pathlib.Path, window: int = 20, size: int = SIZE) -> pathlib.Path:
    return write_run(path, segmenter(), task="train_smanet", num_classes=4, size=size, crop=window, overlap=1 / 3,
                     class_names=list(CHEST.scored_table().names))


def method_runs(path: pathlib.Path) -> dict[str, str]:
    """A run folder for every stage of the three methods."""
    keras.utils.set_random_seed(1)
    pggan = {"fmap_base": 64, "fmap_max": 8}
    generators = {"pairs": Generator(SIZE, 2, **pggan), "labels": Generator(SIZE, 1, **pggan),
                  "dots": Generator(DOTS, 1, **pggan)}
    for generator in generators.values():
        generator.build((None, 8))
    translators = {"dots_to_labels": GlobalGenerator(6, ngf=4, n_downsampling=2, n_blocks=1),
                   "labels_to_film": GlobalGenerator(1, ngf=4, n_downsampling=2, n_blocks=1)}
    for translator in translators.values():
        translator.build((None, None, None, 6))
    runs = {}
    for stage, network in {**generators, **translators}.items():
        coding = {"pairs": GREY, "labels": GREY, "dots": GREY, "dots_to_labels": ONE_HOT}.get(stage)
        size = DOTS if stage == "dots" else SIZE
        facts = {**MADE_BY[stage], "coding": coding, "size": size, "num_classes": 6}
        runs[stage] = str(write_run(path / stage, network, **facts))
    return runs
