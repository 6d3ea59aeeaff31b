"""nnU-Net's raw data sets, version 2 (its documentation/dataset_format.md): written, and read as a user's files.

    DatasetNNN_NAME/
      dataset.json        channel_names, labels, numTraining, file_ending
      imagesTr/ID_0000.png, labelsTr/ID.png     pairs that train or validate
      imagesTs/ID_0000.png, labelsTs/ID.png     pairs that test
      splits_final.json   folds [{"train": [ID, ...], "val": [ID, ...]}, ...]

A colour picture is one PNG of three channels, which nnU-Net reads so; with 16 bits it is three grey ones, _0000
to _0002. Pixels of no known class have nnU-Net's label `ignore`, the code after the last class's. Under
"pair_folder", which nnU-Net does not look at, dataset.json keeps what it has no word for, whose films they are
too, so that a data set comes back as it was.
"""

import dataclasses
import json
import pathlib
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datasets.class_table import IGNORED, ClassTable
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.litter import why_litter
from datasets.common.names import to_id
from datasets.exports.joined import JoinedPair, Progress, depths, folds
from datasets.pair_store import Description, describe_ids, write_png
from datasets.sources.own_files import Matched, OwnFolder
from datasets.sources.own_labels import CodeLabels

FOLDER = re.compile(r"Dataset\d{3}_[A-Za-z0-9_.-]+")
OURS, PATIENTS = "pair_folder", "patients"  # keys of dataset.json, and in what is there
_COLOURS = ("R", "G", "B")


def dataset_folder(out: pathlib.Path, number: int, name: str) -> pathlib.Path:
    """`out` itself where it is called as nnU-Net wants it, else DatasetNNN_NAME in it.

    Raises UserError where another data set in `out` has that number.
    """
    if FOLDER.fullmatch(out.name):
        return out
    plain = re.sub(r"[^A-Za-z0-9]+", " ", name).title().replace(" ", "") or "Films"
    made = out / f"Dataset{number:03d}_{plain}"
    if taken := [path for path in sorted(out.glob(f"Dataset{number:03d}_*")) if path != made]:
        raise UserError(f"{taken[0]}: has the number {number} already, by which nnU-Net knows data sets; choose "
                        "another --dataset_id")
    return made


def check_nnunet(pairs: Sequence[JoinedPair]) -> None:
    """Raises UserError for class names that nnU-Net keeps for itself, and without pairs that train."""
    path = pairs[0].store.path
    for name in pairs[0].store.classes.organs:
        if name in ("background", "ignore"):
            raise UserError(f"{path}/description.json: found a class {name!r}, a word of nnU-Net's own; rename it")
    if all(pair.entry.split == "test" for pair in pairs):
        raise UserError(f"{path}: found test pairs alone, expected some that train; see manifest.csv")


def write_nnunet(pairs: Sequence[JoinedPair], folder: pathlib.Path, progress: Progress) -> list[str]:
    """Writes `folder` with pairs that passed `check_nnunet`; returns what to say of it."""
    kinds = depths(pairs)
    flat = len(kinds) > 1
    description = dataclasses.replace(pairs[0].store.description, max_value=255 if flat else max(kinds)[1])
    for place, pair in enumerate(pairs):
        progress("written", place, len(pairs))
        part = "Ts" if pair.entry.split == "test" else "Tr"
        _write_image(pair, flat, atomic_files.make_folder(folder / f"images{part}"))
        _write_label(pair, atomic_files.make_folder(folder / f"labels{part}"))
    progress("written", len(pairs), len(pairs))
    made, text = folds(pairs)
    atomic_files.write_json(folder / "splits_final.json", made)
    channels = _COLOURS if description.channels == 3 else (description.channel,)
    known = {pair.name: pair.entry.patient for pair in pairs if pair.entry.patient}
    atomic_files.write_json(folder / "dataset.json", {
        "name": description.name, "channel_names": dict(zip("012", channels, strict=False)),
        "labels": _label_codes(description.classes),
        "numTraining": sum(pair.entry.split != "test" for pair in pairs),
        "file_ending": ".png",
        OURS: {**description.to_json(), **({PATIENTS: known} if known else {})}})
    overlaps = sum((pair.store.path / "masks" / f"{pair.entry.id}.png").is_file() for pair in pairs)
    return [f"splits_final.json: {text}; nnU-Net reads it in its folder of preprocessed data",
            *(["images of 16 bits written in 8, as others are"] if flat else []),
            *([f"masks/ of {overlaps} pairs left out: label maps hold no overlaps"] if overlaps else [])]


def _label_codes(classes: ClassTable) -> dict[str, int]:
    """dataset.json's labels; the background must be called so."""
    labels = {"background": 0, **{name: code for code, name in enumerate(classes.names) if code}}
    return labels | ({"ignore": classes.num_classes} if classes.ignored else {})


def _write_image(pair: JoinedPair, flat: bool, folder: pathlib.Path) -> None:
    picture = pair.picture(flat)
    if picture.ndim == 3 and picture.dtype == np.uint16:
        for channel in range(3):
            write_png(folder / f"{pair.name}_{channel:04d}.png", picture[..., channel])
    elif flat:
        write_png(folder / f"{pair.name}_0000.png", picture)
    else:
        shutil.copyfile(pair.file, folder / f"{pair.name}_0000.png")  # the same bytes


def _write_label(pair: JoinedPair, folder: pathlib.Path) -> None:
    codes = pair.store.label(pair.entry.id)
    if (codes == IGNORED).any() and pair.store.classes.ignored:
        write_png(folder / f"{pair.name}.png",
                  np.where(codes == IGNORED, pair.store.classes.num_classes, codes).astype(np.uint8))
    else:
        shutil.copyfile(pair.store.path / "labels" / f"{pair.entry.id}.png", folder / f"{pair.name}.png")


@dataclasses.dataclass(frozen=True)
class NnunetDataset:
    """A data set as it was found.

    Attributes:
      reader: of its label maps.
      matched: its pairs, and what belongs to none.
      test, validation: ids of the pairs that test, and of those that a single fold keeps to validate.
      about: what `write_nnunet` kept of the pair folder, None in a data set from elsewhere.
      patients: id -> whose it is, of those of which `write_nnunet` kept it.
    """

    reader: CodeLabels
    matched: Matched
    test: frozenset[str]
    validation: frozenset[str]
    about: Description | None
    patients: Mapping[str, str]


def read_nnunet(path: pathlib.Path, fold: int | None = None, channel: str | None = None) -> NnunetDataset:
    """The data set in `path`, or the only one below it; nothing is read of its pictures yet.

    Args:
      fold: of splits_final.json, whose validation cases test instead of imagesTs; pairs that are not in it,
        those of imagesTs mostly, are left out.
      channel: name or number of the only one that is taken; None takes one or three as they are.

    Raises UserError where files are missing or dataset.json is not one.
    """
    folder = _find(path)
    value = atomic_files.read_json(folder / "dataset.json")
    if not isinstance(value, dict) or not isinstance(value.get("labels"), dict):
        raise UserError(f"{folder}/dataset.json: found no labels, expected nnU-Net's channel_names, labels and "
                        "file_ending")
    about, patients = _read_about(folder / "dataset.json", value)
    classes, ignore = _read_classes(folder / "dataset.json", value)
    if about and about.classes.names[1:] == classes.names[1:] and about.classes.ignored == classes.ignored:
        classes = about.classes
    channels = _read_channels(folder / "dataset.json", value, channel)
    sources, alone = {}, []
    ending = str(value.get("file_ending") or ".nii.gz")  # version 1 has no other
    parts = {part: _read_part(folder, part, ending, channels) for part in ("Tr", "Ts")}
    for found, left in parts.values():
        for source in found:
            if source.id in sources:
                raise UserError(f"{source.label}: its id {source.id} is that of {sources[source.id].label} too; "
                                "rename one")
            sources[source.id] = source
        alone += left
    if not sources:
        raise UserError(f"{folder}/labelsTr: found no map of imagesTr, expected ID{ending}")
    test, validation, left_out = _splits(folder, sources, [source.id for source in parts["Ts"][0]], fold)
    said = [f"channels: {', '.join(channels.values())}"] if len(channels) > 1 or channel else []
    said += [f"left out: {len(left_out)} of {len(sources)} cases, in neither train nor val of fold {fold} "
             f"({describe_ids(sorted(left_out))})"] if left_out else []
    matched = Matched([sources[id_] for id_ in sorted(sources.keys() - left_out)], alone, said)
    whose = {source.id: patients[source.name] for source in matched.sources if source.name in patients}
    return NnunetDataset(CodeLabels(classes, ignore=ignore), matched, test, validation, about, whose)


def _find(path: pathlib.Path) -> pathlib.Path:
    if (path / "dataset.json").is_file():
        return path
    below = sorted(folder.parent for folder in path.glob("*/dataset.json"))
    if len(below) != 1:
        raise UserError(f"{path}: found {len(below)} data sets ({describe_ids(folder.name for folder in below)}), "
                        "expected dataset.json in it or in one folder below; name nnU-Net's DatasetNNN_NAME"
                        if below else f"{path}: found no dataset.json; name nnU-Net's DatasetNNN_NAME")
    return below[0]


def _read_about(path: pathlib.Path, value: Mapping[str, Any]) -> tuple[Description | None, dict[str, str]]:
    """What `write_nnunet` kept: description, and name of a pair -> whose it is."""
    if OURS not in value:
        return None, {}
    try:
        patients = value[OURS].get(PATIENTS, {})
        return Description.from_json(value[OURS]), {name: str(patient) for name, patient in patients.items()}
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: found {OURS!r} that is not as it was written; remove it, and give --max_value, "
                        "--scored and --unions") from None


def _read_classes(path: pathlib.Path, value: Mapping[str, Any]) -> tuple[ClassTable, tuple[int, ...]]:
    """The class table of labels or regions, and the code that is ignored, if any."""
    try:
        labels = value["labels"]
        if all(str(key).isdecimal() and isinstance(name, str) for key, name in labels.items()):  # version 1
            labels = {name: int(key) for key, name in labels.items()}
        regions = {name: codes if isinstance(codes, list) else [codes] for name, codes in labels.items()}
        ignore = regions.pop("ignore", [])
        organs = {name: codes for name, codes in regions.items() if codes != [0]}
        order = value.get("regions_class_order") if any(len(codes) > 1 for codes in organs.values()) else [
            codes[0] for codes in organs.values()]
        ground = next((name for name, codes in regions.items() if codes == [0]), "background")
        named = dict(zip(order, organs, strict=True))
        names = [named[code] for code in range(1, len(named) + 1)]
        unions = {name: [named[code] for code in codes] for name, codes in organs.items() if len(codes) > 1}
        if len(names) != len(organs) or [] in organs.values() or ignore not in ([], [len(names) + 1]):
            raise ValueError
        return ClassTable((ground, *names), unions=unions, ignored=bool(ignore)), tuple(ignore)
    except (IndexError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: found labels {json.dumps(value['labels'])[:200]}, expected background 0, "
                        "classes 1, 2, ... by name, then ignore; regions need a regions_class_order of as many "
                        "codes") from None


def _read_channels(path: pathlib.Path, value: Mapping[str, Any], taken: str | None) -> dict[int, str]:
    """Number of each channel, or of the one that is `taken`, -> its name."""
    try:
        named = value.get("channel_names", value.get("modality", {"0": "grey"}))
        channels = {int(number): str(name) for number, name in named.items()}
    except (AttributeError, TypeError, ValueError):
        raise UserError(f'{path}: found channel_names {str(value.get("channel_names"))[:100]}, expected names by '
                        'number, e.g. {"0": "T1"}') from None
    if taken is None:
        return channels
    found = {number: name for number, name in channels.items()
             if taken.strip().casefold() in (str(number), name.casefold())}
    if len(found) != 1:
        raise UserError(f"--nnunet_channel={taken}: found channels {describe_ids(channels.values())} in {path}, "
                        "expected one of them")
    return found


def _read_part(folder: pathlib.Path, part: str, ending: str,
               channels: Mapping[int, str]) -> tuple[list[OwnFolder], list[pathlib.Path]]:
    """Pairs of images and labels of a part, "Tr" or "Ts", and files without partner.

    Images called like their labels are of the first channel: data sets of the Medical Segmentation Decathlon, from
    which version 1 of dataset.json is, have no other.
    """
    images, maps = ({path.name.removesuffix(ending): path for path in sorted((folder / kind).glob(f"*{ending}"))
                       if not why_litter(path.name)} for kind in (f"images{part}", f"labels{part}"))
    films: dict[str, list[tuple[int, pathlib.Path]]] = {}
    for name, path in images.items():
        numbered = re.fullmatch(r"(.+)_(\d{4})", name)
        if name in maps or numbered:
            name, number = (name, 0) if name in maps else (numbered[1], int(numbered[2]))
            if number in channels:
                films.setdefault(name, []).append((number, path))
    sources = []
    for name in sorted(films.keys() & maps.keys()):
        numbers, (first, *others) = zip(*films[name], strict=True)
        if list(numbers) not in ([0], sorted(channels)) or len(numbers) not in (1, 3):
            raise UserError(f"{first}: found {len(numbers)} files of channels ({describe_ids(channels.values())}"
                            "), expected the first alone, or all three; add what is missing, or choose one with "
                            f"--nnunet_channel={next(iter(channels.values()))}")
        sources.append(OwnFolder(to_id(name), name, first, (maps[name],), tuple(others)))
    known = {source.name for source in sources}
    alone = [path for name, path in maps.items() if name not in known]
    return sources, alone + [path for name, found in films.items() if name not in known for _, path in found]


def _splits(folder: pathlib.Path, sources: Mapping[str, OwnFolder], test: Sequence[str],
            fold: int | None) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Ids that test, that validate, and that `fold` leaves out."""
    path = folder / "splits_final.json"
    if fold is None and not path.is_file():
        return frozenset(test), frozenset(), frozenset()
    value = atomic_files.read_json(path)
    ids = {source.name: source.id for source in sources.values()}
    try:
        held = [frozenset(ids[name] for name in part["val"]) for part in value]
        trains = [frozenset(ids[name] for name in part["train"]) for part in value] if fold is not None else []
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: found {' '.join(str(error).split())[:80]}, expected a list of folds "
                        '{"train": [...], "val": [...]} of cases in labelsTr') from None
    if fold is None:
        return frozenset(test), held[0] if len(held) == 1 else frozenset(), frozenset()
    if fold >= len(held):
        raise UserError(f"--fold={fold}: found {len(held)} folds in {path}, expected one of 0 to {len(held) - 1}")
    if not held[fold]:
        raise UserError(f"--fold={fold}: found no val in it in {path}, expected cases that test; choose another")
    return held[fold], frozenset(), frozenset(sources) - trains[fold] - held[fold]
