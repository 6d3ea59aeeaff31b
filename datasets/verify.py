"""Checks every file of a pair folder, and says what is wrong in one line each."""

import dataclasses
import hashlib
import os
import pathlib
from collections import Counter
from collections.abc import Iterator

import numpy as np

from datasets.class_table import IGNORED
from datasets.common.errors import UserError
from datasets.common.litter import why_litter
from datasets.manifest import SPLITS
from datasets.pair_store import PairStore, describe_ids, read_png

KINDS = ("images", "labels", "masks", "observer2", "dots")
RARE = 0.1  # of the maps that may lack a class before that is taken for its nature
MASK_TOLERANCE = 0.05  # share of the organs' pixels in which masks and label map may differ (resized stores)
LEAST_USED = 0.1  # share of the grey scale that a film uses at least
_MOST_PATIENTS = 3  # that are named


@dataclasses.dataclass(frozen=True)
class Finding:
    """A line that names the file, what was found and what was expected; warnings leave the folder usable."""

    text: str
    warning: bool = False


def verify_store(path: str | os.PathLike) -> Iterator[Finding]:
    """Everything wrong with the pair folder, in manifest order. Raises UserError if it cannot even be opened."""
    store = PairStore(path)
    if not store.entries:
        yield Finding(f"{store.path / 'manifest.csv'}: found no pairs, expected at least one")
    seen: dict[bytes, tuple[str, str]] = {}
    absent: dict[pathlib.Path, list[str]] = {}  # label map -> classes that it lacks
    with_masks = (store.path / "masks").is_dir()
    for entry in store.entries:
        yield from _check_image(store, entry.id)
        yield from _check_twins(store, entry.id, entry.split, seen)
        yield from _check_label(store, entry.id, absent)
        if with_masks:
            yield from _check_masks(store, entry.id)
        yield from _check_observer(store, entry.id)
    yield from _check_absences(absent)
    yield from _check_patients(store)
    yield from _check_orphans(store)


def summarize(store: PairStore) -> str:
    """One line: name, counts by split, classes, size, channel where it is not grey, pixel spacing and white."""
    counts = Counter(entry.split for entry in store.entries)
    description = store.description
    splits = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    spacing = "unknown spacing" if description.spacing_mm is None else f"{description.spacing_mm:.4g} mm"
    channel = {"grey": "", "colour": "colour, "}.get(description.channel, f"{description.channel} channel, ")
    return (f"{description.name}: {len(store.entries)} pairs ({splits}), {store.classes.num_classes} classes "
            f"({describe_ids(store.classes.names, 8)}), {description.size[1]} x {description.size[0]} pixels of "
            f"{spacing}, {channel}white {description.max_value}")


def _check_image(store: PairStore, id_: str) -> Iterator[Finding]:
    path = _file(store, "images", id_)
    image = _read(store, path, store.description.channels)
    if isinstance(image, Finding):
        yield image
        return
    white, bits = store.description.max_value, 8 * image.dtype.itemsize
    expected = 8 if white <= 255 else 16
    if bits != expected:
        yield Finding(f"{path}: found {bits} bits, expected {expected} as description.json has max_value {white}")
    elif image.max() > white:
        yield Finding(f"{path}: found grey values up to {image.max()}, expected at most {white}")
    if (image == image[0, 0]).all():
        yield Finding(f"{path}: found {image[0, 0].tolist()} everywhere, expected a picture")
        return
    low, high = _shown_greys(image, white)
    if high - low < LEAST_USED * white:
        yield Finding(f"{path}: found nearly all grey values within {low} to {high} of {white}, expected "
                      f"{LEAST_USED:.0%} of the scale at least; import with --contrast=stretch or --max_value",
                      warning=True)


def _shown_greys(image: np.ndarray, white: int) -> tuple[int, int]:
    """Least and largest value but for 1 % at either end; black and white pixels, as of borders, are left out."""
    inside = (image > 0) & (image < white)
    values = image[inside.any(-1) if image.ndim == 3 else inside]  # a pure colour is neither
    low, high = np.percentile(values if values.size > 0.1 * image.size else image, (1, 99))
    return int(low), int(high)


def _check_twins(store: PairStore, id_: str, split: str, seen: dict[bytes, tuple[str, str]]) -> Iterator[Finding]:
    """The same image in two splits would make a test worthless."""
    path = _file(store, "images", id_)
    if path.is_file():
        digest = hashlib.sha256(path.read_bytes()).digest()
        twin, other = seen.setdefault(digest, (id_, split))  # the first pair with this image, maybe this one
        if other != split:
            yield Finding(f"{path}: found the same image as {twin}, expected none in both {other} and {split}")


def _check_label(store: PairStore, id_: str, absent: dict[pathlib.Path, list[str]]) -> Iterator[Finding]:
    """Adds the classes that the map lacks to `absent`."""
    path = _file(store, "labels", id_)
    try:
        label = store.label(id_)
    except UserError as error:
        yield Finding(str(error))
        return
    lacking = [name for code, name in enumerate(store.classes.names) if code and not (label == code).any()]
    if len(lacking) == len(store.classes.organs):
        yield Finding(f"{path}: found background alone, expected {describe_ids(lacking)}", warning=True)
    else:
        absent[path] = lacking


def _check_absences(absent: dict[pathlib.Path, list[str]]) -> Iterator[Finding]:
    """A class that some maps lack and most have may have been forgotten there; one that comes and goes was not."""
    times = Counter(name for names in absent.values() for name in names)
    for path, names in absent.items():
        rare = [name for name in names if times[name] <= max(1, RARE * len(absent))]
        if rare:
            yield Finding(f"{path}: found no {', '.join(rare)}, expected what nearly all other maps have",
                          warning=True)


def _check_patients(store: PairStore) -> Iterator[Finding]:
    """Films of one patient are more alike than those of two: where they train, the test flatters."""
    films: dict[str, dict[str, list[str]]] = {}  # patient -> split -> ids
    for entry in store.entries:
        if entry.patient:
            films.setdefault(entry.patient, {}).setdefault(entry.split, []).append(entry.id)
    both = {patient: splits for patient, splits in films.items() if {"train", "test"} <= splits.keys()}
    if both:
        named = [f"{patient}: {describe_ids(splits['train'], 2)} train, {describe_ids(splits['test'], 2)} test"
                 for patient, splits in both.items()]
        more = f"; and {len(both) - _MOST_PATIENTS} more" if len(both) > _MOST_PATIENTS else ""
        listed, path = "; ".join(named[:_MOST_PATIENTS]), store.path / "manifest.csv"
        yield Finding(f"{path}: found films of {len(both)} of {len(films)} patients in both train and test "
                      f"({listed}{more}), expected each patient in one, else the test flatters; import again with "
                      "--group_by and --test_fraction", warning=True)


def _check_masks(store: PairStore, id_: str) -> Iterator[Finding]:
    path, organs = _file(store, "masks", id_), len(store.classes.organs)
    bits = _read(store, path)
    if isinstance(bits, Finding):
        yield bits
        return
    if bits.max() >> organs:
        yield Finding(f"{path}: found values up to {bits.max()}, expected one bit for each of {organs} organs, so "
                      f"below {2**organs}")
        return
    try:
        label, painted = store.label(id_), store.classes.paint(store.masks(id_))
    except UserError:
        return  # told by the label's own check
    known = label != IGNORED
    covered = known & (np.maximum(label, painted) > 0)
    share = np.count_nonzero(known & (label != painted)) / max(1, np.count_nonzero(covered))
    if share > MASK_TOLERANCE:
        yield Finding(f"{path}: found {share:.1%} of the organs' pixels to differ from the label map, expected at "
                      f"most {MASK_TOLERANCE:.0%}")


def _check_observer(store: PairStore, id_: str) -> Iterator[Finding]:
    path, highest = _file(store, "observer2", id_), store.classes.scored_table().num_classes - 1
    if path.is_file():
        codes = _read(store, path)
        if isinstance(codes, Finding):
            yield codes
        elif codes.max() > highest:
            yield Finding(f"{path}: found codes up to {codes.max()}, expected 0 to {highest}, the scored classes")


def _check_orphans(store: PairStore) -> Iterator[Finding]:
    expected = {f"{id_}.png" for id_ in store.ids()}
    for kind in KINDS:
        folder = store.path / kind
        for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
            if name not in expected and not why_litter(name):
                yield Finding(f"{folder}: found {name!a}, expected only files of ids in manifest.csv; remove it")


def _file(store: PairStore, kind: str, id_: str) -> pathlib.Path:
    return store.path / kind / f"{id_}.png"


def _read(store: PairStore, path: pathlib.Path, channels: int = 1) -> np.ndarray | Finding:
    try:
        return read_png(path, store.description.size, channels)
    except UserError as error:
        return Finding(str(error))
