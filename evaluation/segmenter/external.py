"""Scores segmenters on pair folders of elsewhere, by the path on which they are deployed (tools.predict).

A film of another hospital has its own geometry: it may be larger, squeezed, or have black borders. So it isn't
segmented as pairs of the experiment's size are: `FilmSegmenter` crops the borders, resizes, and brings the
probabilities back; what is scored is the label map in the film's geometry.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from datasets.class_table import ClassTable
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.folder_lock import lock_folder
from datasets.common.progress import show_progress
from datasets.external import External
from datasets.formats.raster import Film
from datasets.pair_store import PairStore
from datasets.sources.own_options import parse_remap
from evaluation.metrics.overlap import overlap_counts
from evaluation.metrics.surface import organ_distances
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.segmenter.evaluate import Result, Segment
from evaluation.segmenter.label_maps import find_label_maps
from evaluation.segmenter.load import LoadedSegmenter, load_any_segmenter
from evaluation.segmenter.network_file import PRODUCT, network_digest, read_facts


def score_segmenter(run: str | pathlib.Path, external: External, ours: ClassTable, scored: bool,
                    folder: pathlib.Path, largest: Sequence[Sequence[str]] | None = None) -> None:
    """Writes per_film.csv and pooled.json of the segmenter of run folder `run` to `folder`, unless they are there.

    Args:
      ours, scored: as in `External.regions`.
      largest: as in `LoadedSegmenter`, in place of what the run says.
    """
    largest = read_facts(run).get("largest", []) if largest is None else [list(organ) for organ in largest]
    facts = {**_facts(external, ours, scored, network_digest(run)), **({"largest": largest} if largest else {})}
    path = folder / "pooled.json"
    if path.is_file() and atomic_files.read_json(path).get("external") == facts:
        return
    segmenter = dataclasses.replace(load_any_segmenter(str(run)), largest=tuple(map(tuple, largest)))
    segment = segment_films(segmenter, external)
    write_scores(score_external(segment, external, ours, scored), facts, folder)


def score_model(model: str, external: External, folder: pathlib.Path, films: PairStore | None,
                scored: bool) -> None:
    """The same of a segmenter of any kind, by its own class names; `films` are an experiment's whose column it is.

    Raises UserError where its classes are not those of `films`.
    """
    segmenter = load_any_segmenter(model)
    ours = ClassTable(segmenter.class_names)
    if films:
        tables = {table.names: table for table in (films.classes, films.classes.scored_table())}
        if ours.names not in tables:
            raise UserError(f"{model}: knows classes {', '.join(ours.names)}, expected those of {films.path}, "
                            f"{' or '.join(', '.join(names) for names in tables)}; name a segmenter of these")
        ours = tables[ours.names]
    external.regions(ours, scored)  # for what it refuses
    write_scores(score_external(segment_films(segmenter, external), external, ours, scored),
                 _facts(external, ours, scored, ""), folder)


def score_label_maps(maps: str, external: External, folder: pathlib.Path, films: PairStore, scored: bool,
                     codes: str, remap: Sequence[str]) -> None:
    """The same of label maps of the films of `external` in folder `maps`, in classes of an experiment's `films`.

    Args:
      codes, remap: as in `LabelMaps`.
    """
    store = external.store()
    found = find_label_maps(maps, store, store.ids(), codes, parse_remap(remap), films.classes)
    found.check(store.ids())
    ours = films.classes.segmented(scored)
    write_scores(score_external(lambda id_: found.read(id_, scored), external, ours, scored),
                 _facts(external, ours, scored, ""), folder)


def segment_films(segmenter: LoadedSegmenter, external: External) -> Segment:
    """What segments the films of `external` in their own geometry."""
    store = external.store()
    return lambda id_: segmenter.segment(Film(store.image(id_), 255, store.description.spacing_mm))[0]


def score_external(segment: Segment, external: External, ours: ClassTable, scored: bool) -> Result:
    """The result of label maps in `ours` on all films of `external`."""
    store, regions = external.store(), external.regions(ours, scored)
    codes_ours, codes_theirs = zip(*regions.values(), strict=True)
    classes = max(ours.num_classes, external.table(scored).num_classes)
    spacing, ids = store.description.spacing_mm, store.ids()
    counts, distances = [], []
    for done, id_ in enumerate(ids):
        show_progress(external.name, done, len(ids))
        predicted, gold = segment(id_), store.segmented_label(id_, scored)
        counts.append(overlap_counts(predicted, gold, classes, codes_ours, codes_theirs))
        distances.append(organ_distances(predicted, gold, codes_ours, spacing or 1.0, codes_theirs))
    show_progress(external.name, len(ids), len(ids))
    return Result(tuple(ids), tuple(regions), tuple(regions), np.array(counts), np.array(distances),
                  "mm" if spacing else "px")


def write_scores(result: Result, facts: dict, folder: pathlib.Path) -> None:
    """Writes per_film.csv and pooled.json, which holds `facts` on what was scored."""
    folder = atomic_files.make_folder(folder)
    atomic_files.write_text(folder / "per_film.csv", result.per_film().to_csv(index=False))
    atomic_files.write_json(folder / "pooled.json", {**result.to_json(), "external": facts})


def _facts(external: External, ours: ClassTable, scored: bool, network: str) -> dict:
    """What decides the scores."""
    regions = {name: [list(codes) for codes in pair] for name, pair in external.regions(ours, scored).items()}
    return {"films": external.fingerprint, "network": network, "classes": regions}


def score_columns(folders: Sequence[str], externals: Sequence[External]) -> None:
    """Scores the columns of finished experiments on `externals`, as far as that isn't done.

    Columns without a network, as a user's own, are passed over. Raises UserError, before any is scored, where
    classes don't fit, and where an experiment is running.
    """
    todo = []
    for root in map(pathlib.Path, folders):
        experiment = ExperimentFolder(root)
        for name in experiment.columns():
            if (root / name / PRODUCT).is_file():
                table = experiment.table(name)
                scored = table == experiment.films().classes.scored_table()
                todo += [(root, name, external, table, scored) for external in externals]
    for _, _, external, table, scored in todo:
        external.regions(table, scored)
    if externals and not todo:
        raise UserError(f"--results={','.join(folders)}: found no trained segmenter (COLUMN/{PRODUCT}) to score "
                        f"on {externals[0].path}; keep the columns' folders")
    for root, name, external, table, scored in todo:
        with lock_folder(root, "running an experiment in this folder"):
            print(f"{root}: {name} on {external.name}")
            folder = ExperimentFolder(root, external.name).results(name)
            score_segmenter(root / name, external, table, scored, folder)
