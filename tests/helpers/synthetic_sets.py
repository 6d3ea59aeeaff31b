"""Synthetic sets without networks: new phantoms, with copies of real pairs planted among them."""

import pathlib
from collections.abc import Mapping

import numpy as np

from datasets.manifest import Entry
from datasets.pair_store import PairStore, PairWriter
from datasets.sources.phantom import phantom


def write_synthetic_set(path: pathlib.Path, real: PairStore, copies: Mapping[int, str], count: int,
                        source: str = "three-stage", seed: int = 50) -> PairStore:
    """`count` pairs, a quarter of which validate; that at each place in `copies` is a noisy copy of a real one."""
    draw = np.random.default_rng(seed)
    with PairWriter(path, real.description) as writer:
        for place in range(count):
            new = phantom(seed, place, real.description.size[0])
            image, label = new.image, real.classes.paint(new.masks)
            if place in copies:
                noise = draw.normal(0, 3, image.shape)
                image = np.clip(real.image(copies[place]) + noise, 0, 255).astype(np.uint8)
                label = real.label(copies[place])
            split = "validation" if place >= count - count // 4 else "train"
            writer.add(Entry(f"synthetic-{place:06d}", split, source), image, label)
    return PairStore(path)
