"""Writes a synthetic set of a finished run for others: all of it or nothing.

    OUT/
      README.md               the dataset card
      pairs/                  pair folder of what is published
      nnunet/DatasetNNN_NAME/ the same in nnU-Net's format
      sheets/random.png       pairs drawn at random
      figures.json            figures, thresholds, verdict, settings, versions
      SHA256SUMS              of all other files
"""

import dataclasses
import hashlib
import pathlib
import tempfile
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from datasets.common import atomic_files
from datasets.common.progress import say, show_progress
from datasets.exports.joined import join_stores
from datasets.manifest import SPLITS
from datasets.pair_store import PairStore, write_png
from datasets.sources.nnunet import check_nnunet, dataset_folder, write_nnunet
from datasets.subsets import write_subset
from evaluation.cards.dataset_card import SetFacts, dataset_card
from evaluation.cards.parts import FILL_IN
from evaluation.pictures import colour_labels, film_to_rgb, grid
from evaluation.results.columns import METHODS, Method
from evaluation.results.experiment_folder import ExperimentFolder, set_name
from evaluation.synthetic.copies_report import SHOWN, write_sheet
from evaluation.synthetic.fit_to_share import FIGURES, THRESHOLDS, Figure, read_figures, shortfalls
from evaluation.synthetic.image_sets import ImageSet, draw_ids
from evaluation.synthetic.marked_copies import comparison_size, load_check, set_digest
from tools.generation.stages import STAGES
from tools.publish.chosen_pairs import BOX, COPY, DUPLICATE, ChosenPairs, choose_pairs, left_out_line
from tools.publish.measured import fidelity_figures, privacy_figures, utility_figures
from tools.version import code_version

_SHEET, _SHEET_COLUMNS, _SHEET_HEIGHT = 24, 6, 128  # pairs, pairs in a row, pixels of each


class NotFitError(Exception):
    """The set is not fit to share; `args` are a line for each reason."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is published and how.

    Attributes:
      method: whose pairs.
      license: as the Hub spells it, or FILL_IN.
      name: of the set; empty takes that of its description.
      figures: file of figures measured elsewhere; None takes the one beside the set as made.
      without_boxes: whether films with burnt-in rectangles are left out.
      anyway: whether a set that is not fit to share is written too.
      internal: folder for what shows patients' films, or None.
      dataset_id: NNN of nnU-Net's folder.
      command: for the card.
    """

    method: Method
    license: str = FILL_IN
    name: str = ""
    figures: pathlib.Path | None = None
    without_boxes: bool = False
    anyway: bool = False
    internal: pathlib.Path | None = None
    dataset_id: int = 501
    command: str = ""


def publish(run: ExperimentFolder, out: pathlib.Path, options: Options) -> tuple[ChosenPairs, list[str]]:
    """Writes folder `out`; returns what was chosen, and the reasons why it is not fit to share (none, or anyway).

    Raises NotFitError, and leaves nothing, where there are such reasons and they were not waived.
    """
    elsewhere, source = _figures_elsewhere(run.synthetic(options.method), options)
    with tempfile.TemporaryDirectory() as temporary, atomic_files.replacing_folder(out) as folder:
        scratch = pathlib.Path(temporary)
        chosen = choose_pairs(run, options.method, options.without_boxes, scratch / "marks")
        say(f"{len(chosen.kept):,} of {len(chosen.rows):,} pairs; left out: {left_out_line(chosen.left_out)}")
        store = write_subset(chosen.made, chosen.kept, folder / "pairs", ("images", "labels", "masks"))
        measured = {**privacy_figures(chosen), **fidelity_figures(chosen, store, scratch / "realism"),
                    **utility_figures(run, options.method)}
        figures = {**measured, **elsewhere, **measured}  # what is measured here stands
        lacks = shortfalls(figures, source)
        if options.license == FILL_IN:
            lacks.append("license: not chosen, expected one that those who own the data agreed to, as --license="
                         "cc-by-4.0")
        if lacks and not options.anyway:
            raise NotFitError(*lacks)
        _write_files(folder, run, chosen, store, options, figures, lacks)
        if options.internal:
            _write_internal(options.internal, chosen)
    return chosen, lacks


def _figures_elsewhere(made: PairStore, options: Options) -> tuple[dict[str, Figure], str]:
    """Figures of the set `made` that were not measured here, and where they come from."""
    folder = made.path.parent
    source = "--figures" if options.figures else f"RUN/{folder.name}/{FIGURES}"
    return read_figures(options.figures or folder / FIGURES, set_digest(made)), source


def _write_files(folder: pathlib.Path, run: ExperimentFolder, chosen: ChosenPairs, store: PairStore,
                 options: Options, figures: Mapping[str, Figure], lacks: list[str]) -> None:
    pairs = join_stores([store], {method.source for method in METHODS})
    check_nnunet(pairs)
    nnunet = dataset_folder(folder / "nnunet", options.dataset_id, options.name or store.description.name)
    write_nnunet(pairs, atomic_files.make_folder(nnunet), show_progress)
    _write_random_sheet(atomic_files.make_folder(folder / "sheets") / "random.png", store)
    facts = _facts(run, chosen, store, options, str(nnunet.relative_to(folder)))
    atomic_files.write_json(folder / "figures.json", {
        "fit_to_share": not lacks, "shortfalls": lacks,
        "figures": {name: dataclasses.asdict(figure) for name, figure in figures.items()},
        "thresholds": {name: dataclasses.asdict(threshold) for name, threshold in THRESHOLDS.items()},
        "left_out": dict(facts.left_out), "pairs_made": facts.made, "settings": facts.settings,
        "made_by": facts.made_by, "published_by": facts.version})
    atomic_files.write_text(folder / "README.md", dataset_card(facts, figures, lacks))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files)
    atomic_files.write_text(folder / "SHA256SUMS", "".join(sums))


def _facts(run: ExperimentFolder, chosen: ChosenPairs, store: PairStore, options: Options,
           nnunet: str) -> SetFacts:
    description, splits = store.description, Counter(entry.split for entry in store.entries)
    method = ", ".join(filter(None, [options.method.source, run.recipe]))
    return SetFacts(
        name=options.name or description.name, license=options.license, data=chosen.real.description.name,
        films=chosen.facts["training"], method=method, classes=description.classes.names,
        size=tuple(description.size), channels=description.channels,
        splits={split: splits[split] for split in SPLITS if splits[split]}, made=len(chosen.rows),
        left_out={reason: chosen.count(reason) for reason in (COPY, DUPLICATE, BOX)[:2 + options.without_boxes]},
        calibration=chosen.facts["calibration"], nnunet=nnunet, settings=_settings(run, options.method),
        made_by=chosen.facts.get("version", {}), version=code_version(), command=options.command)


def _settings(run: ExperimentFolder, method: Method) -> dict[str, Any]:
    """Settings of the tasks that made the set, as the run noted them; without the names of films."""
    found = {}
    for name in ("data", *STAGES[method.name], set_name(method)):
        path = run.path / "tasks" / f"{name}.json"
        settings = atomic_files.read_json(path).get("settings") if path.is_file() else None
        if isinstance(settings, dict):
            found[name] = {key: value for key, value in settings.items() if key != "train"}
    return found


def _write_random_sheet(path: pathlib.Path, store: PairStore) -> None:
    count = store.classes.num_classes
    pictures = np.stack([np.concatenate([film_to_rgb(store.image(id_)),
                                         colour_labels(store.filled_label(id_), count)], 1)
                         for id_ in draw_ids(store.ids(), _SHEET, 0)])
    step = max(1, max(store.description.size) // _SHEET_HEIGHT)
    write_png(path, grid(pictures[:, ::step, ::step], _SHEET_COLUMNS, _SHEET_HEIGHT))


def _write_internal(folder: pathlib.Path, chosen: ChosenPairs) -> None:
    """Sheets of the published pairs nearest to training films, these beside them, and what was left out: for those
    who may see patients' films."""
    check, size = load_check(chosen.real, held_out=chosen.held_out), comparison_size(chosen.real)
    atomic_files.make_folder(folder)
    atomic_files.write_text(folder / "DO-NOT-PUBLISH.txt", "Patients' films are shown here, and named.\n")
    for kind in ("film", "label"):
        ids = list(chosen.kept_rows().nsmallest(SHOWN, f"{kind}_distance")["id"])
        nearest = ImageSet.load("published", chosen.made, ids, size)
        write_sheet(folder / f"closest_{kind}.png", check.examine(nearest), nearest, check.training, kind)
    rows = chosen.rows[chosen.rows["id"].isin(set(chosen.left_out))].copy()
    rows.insert(1, "left_out", [chosen.left_out[id_] for id_ in rows["id"]])
    rows.insert(2, "duplicate_of", [chosen.duplicate_of.get(id_, "") for id_ in rows["id"]])
    atomic_files.write_text(folder / "left_out.csv", rows.to_csv(index=False))
