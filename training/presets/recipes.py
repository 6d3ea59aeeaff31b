"""Recipes: what `--recipe` of tools.run_experiment changes of any preset, and which columns it adds.

`paper` is the paper's protocol and changes nothing. `best` is a set of levers, to be changed by what is measured;
docs/experiments.md tells what each of them did.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from training.presets import Preset


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Changes of a preset.

    Attributes:
      translators: options of both Pix2PixHDs.
      pairs: fields of `Preset` that say how synthetic pairs are made.
      segmenters: options of all segmenters.
      extras: columns it adds to those that are asked for (`--extras`).
    """

    translators: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pairs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    segmenters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    extras: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What it changes and adds."""
        changes = {"translators": dict(self.translators), "pairs": dict(self.pairs),
                   "segmenters": dict(self.segmenters), "extras": list(self.extras)}
        return {name: found for name, found in changes.items() if found}

    def applied(self, preset: Preset) -> Preset:
        translators = {name: dataclasses.replace(getattr(preset, name), **self.translators)
                       for name in ("dots_to_labels", "labels_to_film")}
        segmenters = {name: dataclasses.replace(getattr(preset, name), **self.segmenters)
                      for name in ("segmenter", "finetune")}
        return dataclasses.replace(preset, **translators, **segmenters, **self.pairs)


RECIPES = {
    "paper": Recipe(),
    "best": Recipe(
        translators={
            "average_decay": 0.995,  # averaged weights make the pairs
            "upsampling": "resize",  # no checkerboards
        },
        segmenters={
            "average_decay": 0.995,  # steadier than the last step's weights, most of all where exposure differs
            "augment_factor": 2.5,  # of the probabilities of strong augmentation, a half at most
            "keep_largest": "auto",  # an organ that comes in one piece is segmented in one
        },
        extras=(
            "augment",  # REAL with strong augmentation
            "mix+augment",  # synthetic and real pairs, half of each, with strong augmentation
        ),
    ),
}
