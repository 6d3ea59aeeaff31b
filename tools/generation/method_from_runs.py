"""Puts the networks of finished runs together as one of the paper's methods, or as the baseline beside them."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from datasets import label_cleaning
from datasets.common.errors import UserError
from datasets.pair_store import PairStore
from datasets.sample_checks import dot_check, label_check
from datasets.sources import shape_model
from datasets.sources.shape_model import ShapeModel
from datasets.synthetic_store import write_synthetic
from evaluation.segmenter.saved_network import Product, load_product
from models import methods
from models.methods import Method
from tools.generation.stages import MADE_BY, STAGES, command_line

_PIXELS_AT_ONCE = 2**20  # the released translators take some 3.5 GiB for them (docs/performance.md)
# What decides the shape model besides the label maps it is fitted to.
SHAPE_SETTINGS = {"points": shape_model.POINTS, "variance": shape_model.VARIANCE, "reach": shape_model.REACH}


def source_name(method: str) -> str:
    """What a method's pairs are called: "three-stage", "shape-model"."""
    return "shape-model" if method == "shape" else f"{method}-stage"


class Assembly:
    """The networks of one method, loaded once.

    Args:
      method: "single", "two", "three" or "shape".
      runs: run folder of every stage of the method, by the names in STAGES.
      store: pairs the networks were trained on; says the classes and which organ areas are plausible. The shape
        model is fitted to its train label maps.
      snapshots: stage -> position of the snapshot to use instead of the run's choice.

    Raises UserError for a missing or unfinished run, or one trained on other classes, and where too few label
    maps show every organ for a shape model.
    """

    def __init__(self, method: str, runs: Mapping[str, str], store: PairStore,
                 snapshots: Mapping[str, int | None] | None = None):
        missing = [stage for stage in STAGES[method] if not runs.get(stage)]
        if missing:
            raise UserError(f"--method={method} needs --{missing[0]}, the run folder of that stage")
        self.method_name, self.description = method, store.description
        self.classes = store.classes
        self.num_classes = self.classes.num_classes
        if not store.ids("train"):
            raise UserError(f"{store.path}: found no train pairs; name the pair folder the networks were "
                            "trained on")
        self.bounds = label_cleaning.AreaBounds.from_maps(
            [store.label(id_) for id_ in store.ids("train")], self.num_classes)
        self.products = {stage: load_product(runs[stage], (snapshots or {}).get(stage))
                         for stage in STAGES[method]}
        self._check_products(runs)
        self.size = self.products[STAGES[method][-1]].facts["size"]
        self._shape, self._fitted_to = None, ""
        if method == "shape":
            self._shape, self._fitted_to = _fit_shape(store), store.fingerprint()

    def write(self, path: str, count: int, validation: int, seed: int, checked: bool = True,
              say: Callable[[str], None] = print) -> dict[str, Any]:
        """Writes a synthetic pair folder, as many at a time as memory allows; see `write_synthetic`."""
        spacing = self.description.spacing_mm
        if spacing is not None:
            spacing *= self.description.size[0] / self.size
        source = source_name(self.method_name)
        description = dataclasses.replace(
            self.description, name=f"{self.description.name}, {source} synthetic",
            size=(self.size, self.size), max_value=255, spacing_mm=spacing)
        unchecked = self.method(checked=False)
        return write_synthetic(path, description, self.method(checked=True) if checked else unchecked, unchecked,
                               count, validation, seed, source, self.batch_size, say, self._maker())

    @property
    def batch_size(self) -> int:
        """Pairs made at a time: as many as take the memory of one of 1024 pixels, at most 16."""
        return min(16, max(1, _PIXELS_AT_ONCE // self.size**2))

    def method(self, checked: bool) -> Method:
        """The method; `checked` rejects invalid dots and label maps, else they are only cleaned."""
        labels = label_check(self.classes, self.bounds, self._has_rims(), checked)
        if self.method_name == "single":
            pairs = self.products["pairs"]
            return methods.single_stage(methods.pair_sampler(pairs.network, _coding(pairs)), labels)
        to_film = methods.film_translator(self.products["labels_to_film"].network, self.num_classes)
        if self.method_name == "shape":
            return methods.two_stage(lambda indices, seed: self._shape.sample(indices, seed, self.size), to_film,
                                     labels)
        if self.method_name == "two":
            maps = self.products["labels"]
            return methods.two_stage(methods.code_sampler(maps.network, _coding(maps)), to_film, labels)
        dots, to_labels = self.products["dots"], self.products["dots_to_labels"]
        return methods.three_stage(
            methods.code_sampler(dots.network, _coding(dots)),
            methods.label_translator(to_labels.network, self.size, _coding(to_labels)),
            to_film, dot_check(self.num_classes, checked), labels)

    def _has_rims(self) -> bool:
        """Whether label maps come in grey coding, with false rims between two codes."""
        if self.method_name == "shape":
            return False
        maker = self.products[STAGES[self.method_name][-2 if len(self.products) > 1 else -1]]
        return _coding(maker).kind == "grey"

    def _maker(self) -> str:
        """Digest of what decides a sample besides its seed: weights, and the areas that are plausible."""
        digest = hashlib.sha256(repr((self.size, self.bounds)).encode())
        if self._shape:
            digest.update(repr((SHAPE_SETTINGS, self._fitted_to)).encode())
        for stage, product in self.products.items():
            digest.update(stage.encode())
            for weights in product.network.get_weights():
                digest.update(weights.tobytes())
        return digest.hexdigest()[:16]

    def _check_products(self, runs: Mapping[str, str]) -> None:
        """Each run must have made what its stage needs, on classes as many as the data set's."""
        for stage, product in self.products.items():
            facts, wanted = product.facts, MADE_BY[stage]
            made = {name: facts.get(name) for name in wanted}
            if made != wanted:
                raise UserError(f"{runs[stage]}: found a run of {command_line(made)}, expected one of "
                                f"{command_line(wanted)} for --{stage}")
            if type(facts.get("size")) is not int:
                raise UserError(f"{runs[stage]}/product.json: found size {facts.get('size')!r}, expected a number "
                                "of pixels; train again")
            found = product.coding.num_classes if product.coding else facts.get("num_classes")
            if found != self.num_classes:
                raise UserError(f"{runs[stage]}: trained on {found} classes, but the data set has "
                                f"{self.num_classes}; use runs trained on this data")


def _fit_shape(store: PairStore) -> ShapeModel:
    return ShapeModel.fit((store.label(id_) for id_ in store.ids("train")), store.classes)


def _coding(product: Product):
    if product.coding is None:
        raise UserError("product.json: this run makes no label maps; name the run of the right target or source")
    return product.coding
