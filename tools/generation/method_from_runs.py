"""Puts the networks of finished runs together as one of the paper's methods, or as a baseline beside them."""

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from datasets.augmentation.deform import Deformation
from datasets.augmentation.exposure import Exposure, change_exposure
from datasets.common.errors import UserError
from datasets.common.progress import say as say_line
from datasets.pair_store import PairStore, film_names
from datasets.rules.label_rules import LabelRules
from datasets.rules.sample_checks import dot_check, label_check
from datasets.sources import piece_model, shape_model
from datasets.sources.piece_model import PieceModel, fit_label_model
from datasets.sources.shape_model import ShapeModel
from datasets.sources.warp_model import WarpModel
from datasets.subsets import evenly
from datasets.synthetic.made_ahead import processes, spread
from datasets.synthetic.synthetic_shards import Shard, joined, write_shard
from datasets.synthetic.synthetic_store import write_synthetic
from evaluation.results.columns import method_named
from evaluation.segmenter.saved_network import Product, load_keras, read_product
from models import methods
from models.methods import Check, Method, Stage
from tools.generation.pipeline import cpu_batch, pipeline, with_less_memory
from tools.generation.stages import MADE_BY, NEEDED, STAGES, command_line

_EXPOSURE = 3  # of draws by seed and index, beside those of label maps
_REAL = 100  # real maps that are checked where candidates fail
# Methods that draw label maps without a network -> what decides these, besides the real maps they come from.
MODEL_SETTINGS = {
    "shape": {"points": shape_model.POINTS, "variance": shape_model.VARIANCE, "reach": shape_model.REACH},
    "warp": dataclasses.asdict(Deformation()),
}


class Assembly:
    """A method and what it is made of, loaded once.

    Args:
      method: "single", "two", "three", "shape" or "warp".
      runs: run folder of every stage of the method, by the names in STAGES.
      store: pairs the networks were trained on. Rules are learnt from its train label maps, the shape model
        is fitted to them, and they are what is warped.
      snapshots: stage -> position of the snapshot to use instead of the run's choice.
      smooth_labels: whether dots become label maps by several looks at them, see `methods.label_translator`.
      expose: share of the films whose exposure is changed (`datasets.augmentation.exposure`).

    Attributes:
      method_name, store, classes: as given.
      products: stage -> what its run says of itself.
      networks: stage -> its network.
      size: side in pixels of label maps and films.
      dot: what the dots look like; None without them.
      rules: what the train label maps are like.

    Raises UserError for a missing or unfinished run, one trained on other classes, those that do not fit each
    other or what is asked of them, and where a shape model cannot give the label maps back.
    """

    def __init__(self, method: str, runs: Mapping[str, str], store: PairStore,
                 snapshots: Mapping[str, int | None] | None = None, smooth_labels: bool = False,
                 expose: float = 0.0):
        missing = [stage for stage in STAGES[method] if not runs.get(stage)]
        if missing:
            raise UserError(f"--method={method} needs --{missing[0]}, the run folder of that stage")
        if not store.ids("train"):
            raise UserError(f"{store.path}: found no train pairs; name the pair folder the networks were "
                            "trained on")
        self.method_name, self.store, self.classes = method, store, store.classes
        self.products = {stage: read_product(runs[stage], (snapshots or {}).get(stage))
                         for stage in STAGES[method]}
        for stage, product in self.products.items():
            _check_run(stage, runs[stage], product, self.classes.num_classes)
        if method == "three":
            _check_dots(runs, self.products, self.classes.names)
        if smooth_labels:
            _check_smooth(method, runs, self.products)
        self._smooth, self._expose = smooth_labels, expose
        self.networks = {stage: load_keras(product.network) for stage, product in self.products.items()}
        self._check_channels(runs[STAGES[method][-1]])
        self.size = self.products[STAGES[method][-1]].facts["size"]  # the last stage's pictures
        self.dot = self.products["dots"].dot if method == "three" else None
        ids = store.ids("train")  # of the training films, augmented
        maps = [store.filled_label(id_) for id_ in ids]
        self.rules = LabelRules.learn(maps, self.classes, len(set(film_names(store, ids))))
        self._model = self._label_model(maps) if method in MODEL_SETTINGS else None
        self._turn = threading.Lock()

    def _label_model(self, maps: Sequence[np.ndarray]) -> ShapeModel | PieceModel | WarpModel:
        """What draws label maps in place of a network, from the train label maps [H, W]."""
        return fit_label_model(maps, self.rules) if self.method_name == "shape" else WarpModel(maps)

    def _check_channels(self, path: str) -> None:
        """Raises UserError unless the last stage, of run `path`, makes films of the store's number of channels."""
        stage, wanted = STAGES[self.method_name][-1], self.store.description.channels
        network, coding = self.networks[stage], self.products[stage].coding
        found = network.channels - coding.channels if stage == "pairs" else network.output_channels
        if found != wanted:
            raise UserError(f"{path}: makes {found}-channel films, expected {wanted} as {self.store.path} has; "
                            "use runs trained on this data")

    def method(self, checked: bool, mended: bool = True, menders: Executor | None = None) -> Method:
        """The method on arrays; `checked` rejects invalid dots and label maps, else they are only mended.

        Without `mended` too, label maps stay as they are made, and dots too unless they are the paper's. They are
        mended by `menders`, if given. Several threads may call it: its networks work in turn.
        """
        check_dots = dot_check(self.dot, self.classes.num_classes, checked) if self.dot else methods.accept_all
        check_labels = methods.accept_all
        if checked or mended:
            check_labels = spread(label_check(self.rules, self.has_rims, checked), menders)
        elif self.dot and self.dot.classes:
            check_dots = methods.accept_all
        made = self.compose(self._in_turn, check_dots, check_labels)
        return exposed(made, self._expose) if self._expose else made

    def _in_turn(self, stage: Stage) -> Callable:
        """`stage` on arrays, one call of any stage at a time, so that memory holds one batch."""
        call = methods.on_arrays(stage)

        def wait(*arrays):
            with self._turn:
                return call(*arrays)

        return wait

    def compose(self, wrap: Callable[[Stage], Callable], check_dots: Check, check_labels: Check) -> Method:
        """The method of its networks, each passed through `wrap`, with these checks between them."""
        stages = {stage: wrap(self._stage(stage)) for stage in self.products}
        if self.method_name == "single":
            return methods.single_stage(stages["pairs"], check_labels)
        if self.method_name == "two":
            return methods.two_stage(stages["labels"], stages["labels_to_film"], check_labels)
        if self.method_name == "three":
            return methods.three_stage(stages["dots"], stages["dots_to_labels"], stages["labels_to_film"],
                                       check_dots, check_labels)
        return methods.two_stage(lambda indices, seed: self._model.sample(indices, seed, self.size),
                                 stages["labels_to_film"], check_labels)

    def _stage(self, stage: str) -> Stage:
        network, coding = self.networks[stage], self.products[stage].coding
        if stage == "pairs":
            return methods.pair_sampler(network, coding)
        if stage in ("labels", "dots"):
            return methods.code_sampler(network, coding)
        if stage == "dots_to_labels":
            return methods.label_translator(network, self.size, coding, self._smooth)
        return methods.film_translator(network, self.classes.num_classes)

    @property
    def has_rims(self) -> bool:
        """Whether label maps come in grey coding, with false rims between two codes that can be taken out."""
        codings = [product.coding for product in self.products.values() if product.coding]
        # label maps are the last codes that a network makes
        return bool(codings) and codings[-1].kind == "grey" and self.rules.rims_between(codings[-1].order)

    def write(self, path: str, count: int, validation: int, seed: int, checked: bool = True,
              say: Callable[[str], None] = say_line, shards: Sequence[str] = (), batch: int | None = None,
              workers: int | None = None) -> dict[str, Any]:
        """Writes a synthetic pair folder; see `write_synthetic`.

        What `shards` made is joined; see `datasets.synthetic.synthetic_shards`. `batch` pairs are made at a time
        and label maps mended by `workers` processes; None as `tools.generation.pipeline` says.
        """
        real = self.store.description
        source = method_named(self.method_name).source
        # At the size that is made.
        spacing = None if real.spacing_mm is None else real.spacing_mm * (real.size[0] / self.size)
        description = real.renamed(f", {source} synthetic", size=(self.size, self.size), max_value=255,
                                   spacing_mm=spacing)
        how = pipeline(self.size, batch or (cpu_batch(self.size) if shards else None), workers)
        with processes(how.workers) as menders:
            method = self._first_method(checked, menders)
            if shards:
                method = joined(shards, method, self._set(count, seed, checked, how.batch))
            # Where the check refuses too many, the rest is made unchecked.
            rest = self.method(checked=False, menders=menders) if checked else method
            return with_less_memory(lambda batch: write_synthetic(
                path, description, method, rest, count, validation, seed, source, batch, say, self.maker(),
                self.rules.shares(), self.real_reasons, how.ahead, self.ranges()), how.batch, path, say)

    def write_shard(self, path: str, shard: Shard, count: int, seed: int, checked: bool = True,
                    say: Callable[[str], None] = say_line, batch: int | None = None,
                    workers: int | None = None) -> int:
        """Writes a shard of a set of `count` pairs; see `datasets.synthetic.synthetic_shards` and `write`. Batches
        are the same on every machine unless `batch` says."""
        how = pipeline(self.size, batch or cpu_batch(self.size), workers)
        with processes(how.workers) as menders:
            return write_shard(path, shard, self._first_method(checked, menders),
                               self._set(count, seed, checked, how.batch), say, how.ahead)

    def _first_method(self, checked: bool, menders: Executor | None) -> Method:
        """What makes a set's candidates, until checks are lifted."""
        return self.method(True, menders=menders) if checked else self.method(checked=False, mended=False)

    def _set(self, count: int, seed: int, checked: bool, batch: int) -> dict[str, Any]:
        """What decides a set's candidates."""
        return {"method": self.method_name, "count": count, "seed": seed, "checks": checked, "maker": self.maker(),
                "batch": batch, **({"ranges": self.ranges()} if self.ranges() else {})}

    def ranges(self) -> dict[str, Any]:
        """Values of the code that decide a film, by what they are of; they are no part of `maker`."""
        return {"exposure": dataclasses.asdict(Exposure())} if self._expose else {}

    def real_reasons(self) -> list[str | None]:
        """Why each of the train pairs, as many as _REAL of them, would fail the checks; None where it passes."""
        ids = self.store.ids("train")
        maps = np.stack([self.store.filled_label(ids[place]) for place in evenly(len(ids), _REAL)])
        _, reasons = label_check(self.rules, self.has_rims)(maps)
        if self.dot:
            number = self.classes.num_classes
            dots = np.stack([self.dot.draw(labels, number, self.rules.find_pieces) for labels in maps])
            _, of_dots = dot_check(self.dot, number)(dots)
            reasons = [one or other for one, other in zip(of_dots, reasons, strict=True)]
        return reasons

    def maker(self) -> str:
        """Digest of what decides a sample besides its seed: weights, dots, and the rules of label maps."""
        digest = hashlib.sha256(repr((self.size, self.rules.to_json())).encode())  # `repr` tells every digit
        if self.dot:
            digest.update(repr(self.dot).encode())  # the paper's
            digest.update(repr(self.dot.classes).encode() if self.dot.classes else b"")
        if self._model:
            pieces = piece_model.SETTINGS if isinstance(self._model, PieceModel) else {}
            settings = MODEL_SETTINGS[self.method_name] | pieces
            digest.update(repr((settings, self.store.fingerprint())).encode())
        options = {"smooth_labels": self._smooth, "expose": self._expose}
        digest.update(repr(options).encode() if any(options.values()) else b"")
        for stage, network in self.networks.items():
            digest.update(stage.encode())  # a stage's name parts it from the one before
            for weights in network.get_weights():
                digest.update(weights.tobytes())
        return digest.hexdigest()[:16]


def exposed(method: Method, share: float) -> Method:
    """`method` on arrays with the exposure of a `share` of its films changed; film i depends on (seed, i)."""

    def generate(indices: np.ndarray, seed: int) -> methods.Pairs:
        pairs = method(indices, seed)
        films = pairs.films.copy()  # [N, H, W, C] in [-1, 1]
        for film, index in zip(films, pairs.indices, strict=True):
            rng = np.random.default_rng([seed, int(index), _EXPOSURE])
            if rng.random() < share:
                film[:] = 2.0 * change_exposure((film + 1.0) / 2.0, rng) - 1.0
        return dataclasses.replace(pairs, films=films)

    return generate


def _check_smooth(method: str, runs: Mapping[str, str], products: Mapping[str, Product]) -> None:
    """Raises UserError unless label maps are translated from dots, one channel for each class."""
    if "dots_to_labels" not in products:
        raise UserError(f"--smooth_labels: found --method={method}, expected three, which translates dots to "
                        "label maps; leave it out")
    coding = products["dots_to_labels"].coding
    if coding and coding.kind != "one_hot":
        raise UserError(f"--smooth_labels: found --label_coding={coding.kind} in {runs['dots_to_labels']}, "
                        "expected one_hot, whose channels have a mean; leave it out")


def _check_run(stage: str, path: str, product: Product, num_classes: int) -> None:
    """Raises UserError unless a run made what its stage needs, on classes as many as the data set's."""
    facts, wanted = product.facts, MADE_BY[stage]
    made = {name: facts.get(name) for name in wanted}
    if made != wanted:
        raise UserError(f"{path}: found a run of {command_line(made)}, expected one of {command_line(wanted)} for "
                        f"--{stage}")
    unknown = [name for name in NEEDED[stage] if not facts.get(name)]
    if unknown:
        raise UserError(f"{path}/product.json: found no {unknown[0]}, expected one, as runs of "
                        f"{command_line(wanted)} keep it; train again in another folder")
    if type(facts["size"]) is not int:
        raise UserError(f"{path}/product.json: found size {facts['size']!r}, expected a number of pixels; train "
                        "again")
    if facts.get("phase") == "global_half":
        raise UserError(f"{path}: found --phase=global_half, a translator of pictures of half the size, expected "
                        f"a whole one for --{stage}; train it on with --phase=enhancer --init_from={path}")
    found = product.coding.num_classes if product.coding else facts["num_classes"]
    if found != num_classes:
        raise UserError(f"{path}: trained on {found} classes, but the data set has {num_classes}; use runs "
                        "trained on this data")


def _check_dots(runs: Mapping[str, str], products: Mapping[str, Product], names: Sequence[str]) -> None:
    """Raises UserError unless the dots that are made are those the translator was trained on."""
    made, known = products["dots"].dot, products["dots_to_labels"].dot
    if (made.size, made.radius) != (known.size, known.radius):
        raise UserError(
            f"{runs['dots_to_labels']}: found dots of radius {known.radius:g} on {known.size} pixels, expected "
            # Options are for 64 x 64 (`Dot.scaled`).
            f"radius {made.radius:g} on {made.size} as {runs['dots']} makes them; train it with "
            f"--dot_size={made.size} --dot_radius={made.radius * 64 / made.size}")
    for code, name in enumerate(names[1:], 1):
        if made.of_class(code) != known.of_class(code):
            raise UserError(f"{runs['dots_to_labels']}: found dots of {name}: {known.of_class(code)}; expected "
                            f"{made.of_class(code)} as {runs['dots']} makes them; train both on one pair folder, "
                            "with the same --undotted")
