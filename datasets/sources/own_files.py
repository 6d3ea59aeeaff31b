"""Which of a user's image and label files belong together: by name, by suffix, in folders of folders, in one.

The name of a file is its path below its folder without the format's suffix, in Unicode's normal form C. A pair is
an image and a label map of one base name that differ in how they end, `case1_0000.png` and `case1_mask.png`, or
begin, `image_1.png` and `mask_1.png`. What nobody says is found out where only one way fits the most files.
"""

import dataclasses
import itertools
import os
import pathlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from datasets.common.errors import UserError
from datasets.common.names import to_id
from datasets.formats.find import find_in_folder, picture_suffix
from datasets.formats.parts import Part
from datasets.formats.read import pair_parts, read_label_samples
from datasets.pair_store import describe_ids

_ENDS = re.compile(r"[/_. -]+[^/_. -]*")  # where a suffix may begin
_LABEL_WORDS = re.compile(r"mask|label|seg|truth|manual|annot|contour|roi|(?<![a-z])(gt|lab)(?![a-z])", re.I)
_NEVER_LABELS = (".jpg", ".jpeg", ".webp")  # formats that lose codes
Files = dict[str, pathlib.Path]  # by name


@dataclasses.dataclass(frozen=True)
class OwnFolder:
    """One pair of the user's files.

    Attributes:
      id: of the pair in the store.
      name: what the two names have in common, e.g. patient1/film3.
      image: the film.
      labels: the label map alone, or a mask for each organ in order of codes, None where there is none.
      more: files of the second and third channel, where each channel has one.
      part: the slice of all of them, where they are volumes.
    """

    id: str
    name: str
    image: pathlib.Path
    labels: tuple[pathlib.Path | None, ...]
    more: tuple[pathlib.Path, ...] = ()
    part: Part | None = None

    @property
    def case(self) -> str:
        """The id without the slice."""
        return self.id.removesuffix(self.part.suffix) if self.part else self.id

    @property
    def label(self) -> pathlib.Path:
        """The first label file, for messages."""
        return next(path for path in self.labels if path is not None)


@dataclasses.dataclass(frozen=True)
class Matched:
    """Pairs in order of ids, files without partner, and lines to say about how they were found."""

    sources: list[OwnFolder]
    alone: list[pathlib.Path]
    said: list[str]


def match_files(images: pathlib.Path, labels: pathlib.Path | None = None, image_suffix: str | None = None,
                label_suffix: str | None = None, masks: Mapping[str, str] | None = None,
                pieces: bool = False) -> Matched:
    """Pairs of the pictures below `images` and below `labels`, which may be one folder.

    Args:
      image_suffix, label_suffix: what ends the names of images and label maps ("_0000"), or their files (".tif"),
        or with a * for the base name what is around it ("mask_*"); None to find out.
      masks: organ -> pattern of its files' names below `labels`, * standing for the base name; see
        `mask_patterns`.
      pieces: an image's labels may be all the files in a folder that bears its name, a mask of a piece each.

    Raises UserError where there is no pair, more than one way of pairing, or one id for two pairs.
    """
    labels = images if labels is None else labels
    inside = [path for path in (labels,) if _inside(path, images)]
    found = find_in_folder(images, inside)
    others = found if labels.resolve() == images.resolve() else find_in_folder(
        labels, [images] if _inside(images, labels) else [])
    said = [line for line in dict.fromkeys((found.about_left_out(), others.about_left_out())) if line]
    folders = _match_folders(found.files, labels, others.files) if pieces else {}
    in_pieces = any(len(paths) > 1 for _, paths in folders.values())  # not to be mistaken for suffixes, p1/0 p2/0
    # the same folders on both sides, else names that are unique without their folders; in the end in small letters
    for small, flat in () if in_pieces else itertools.product((False, True), repeat=2):
        sides = [_Side(images, found.files, flat, small),
                 _Side(labels, others.files, flat and masks is None, small)]
        asked = [suffix.casefold() if small and suffix else suffix for suffix in (image_suffix, label_suffix)]
        patterns = {organ: one.casefold() if small else one for organ, one in (masks or {}).items()}
        pairs, used = (_match_maps(*sides, *asked) if masks is None
                       else _match_masks(*sides, asked[0], asked[1] or "", patterns))
        if pairs:
            break
    else:
        pairs, used = folders, ""
        if not pairs:
            sides = [_Side(images, found.files, False, False), _Side(labels, others.files, False, False)]
            raise UserError("; ".join([_no_pairs(*sides, masks), *said]))
    said += [f"names: {used}"] if used else []
    for place, organ in enumerate(masks or ()):
        missing = sum(paths[place] is None for _, paths in pairs.values())
        if missing == len(pairs):
            raise UserError(f"{labels}: found no mask file of {organ} for any of {len(pairs)} images, expected "
                            f"files like {masks[organ]}; mend --masks, or leave {organ} out of it")
        said += [f"{organ}: {missing} of {len(pairs)} images have no mask file; it is taken as absent there"] * (
            missing > 0)
    taken = {path for image, paths in pairs.values() for path in (image, *paths)}
    alone = [path for path in dict.fromkeys([*found.files, *others.files]) if path not in taken]
    return Matched(_with_ids(pairs), sorted(alone), said)


def split_volumes(sources: Sequence[OwnFolder], axis: str = "z", slices: str = "all") -> list[OwnFolder]:
    """A pair for each slice of the sources that are volumes, the others as they are.

    Args:
      axis: across the slices, one of `formats.parts.AXES`.
      slices: one of `formats.parts.SLICES`: "all", those with any "labelled" pixel, or the "middle" one.

    Raises UserError for a volume that cannot be read, or whose label files have other slices, and if no slice is
    labelled.
    """
    split = []
    for source in sources:
        labels = [path for path in source.labels if path is not None]
        for label in labels:  # the same for all, or refused
            parts = pair_parts(source.image, label, axis)
        parts = [parts[len(parts) // 2]] if slices == "middle" else parts
        for part in parts:
            if part is None:
                split.append(source)
            elif slices != "labelled" or any(
                    read_label_samples(label, part, source.image).any() for label in labels):
                split.append(dataclasses.replace(source, id=f"{source.id}{part.suffix}", part=part))
    if not split:
        raise UserError(f"{sources[0].label}: found no labelled slice along {axis} in this and "
                        f"{len(sources) - 1} other volumes; expected one at least, or take all, --slices=all")
    return split


def mask_patterns(masks: Sequence[str], labels: pathlib.Path) -> dict[str, str]:
    """`["disc:*_disc", "cup"]` -> organ -> pattern with one *.

    A pattern without * is a suffix; without a pattern, an organ's files are those in the folder of its name below
    `labels`, or else those that end in _ORGAN.
    """
    patterns: dict[str, str] = {}
    folders = sorted(path.name for path in labels.iterdir() if path.is_dir()) if labels.is_dir() else []
    folders = [unicodedata.normalize("NFC", name) for name in folders]
    for mask in masks:
        organ, colon, pattern = (part.strip() for part in unicodedata.normalize("NFC", mask).partition(":"))
        if not colon:
            pattern = next((f"{name}/*" for name in folders if name.casefold() == organ.casefold()), f"*_{organ}")
        elif "*" not in pattern:
            pattern = f"{pattern}*" if pattern.endswith("/") else f"*{pattern}"
        if not organ or organ in patterns or pattern.count("*") != 1 or pattern == "*":
            raise UserError(f"--masks: found {mask!r}, expected ORGAN:SUFFIX or ORGAN:FOLDER/, perhaps with one * "
                            "for the image's name, each organ once, e.g. --masks=disc:_disc,cup:_cup")
        patterns[organ] = pattern
    return patterns


class _Side:
    """The pictures of one folder by name: `flat` without folders, or in `small` letters."""

    def __init__(self, folder: pathlib.Path, files: Sequence[pathlib.Path], flat: bool, small: bool):
        self.folder, self.files, self.loose = folder, files, flat or small
        self.names = {path: unicodedata.normalize(
            "NFC", path.name if flat else path.relative_to(folder).as_posix()) for path in files}
        if small:
            self.names = {path: name.casefold() for path, name in self.names.items()}

    def by_base(self, suffix: str) -> Files | pathlib.Path:
        """Base name -> file, of the files with `suffix`; a file whose base name another has, if there is one."""
        found: Files = {}
        for path, name in self.names.items():
            kind = picture_suffix(name)
            stem = name[:len(name) - len(kind)] or name
            base = _base(name, stem, suffix)
            if base in found:
                return path
            if base:
                found[base] = path
        return found

    def stems(self) -> list[str]:
        return [name[:len(name) - len(picture_suffix(name))] for name in self.names.values()]

    def suffixes(self, with_formats: bool) -> list[str]:
        """Ends and beginnings (with a *) that at least a third of the names share, "" first.

        Args:
          with_formats: formats too, where there are several.
        """
        counts = Counter(end for stem in self.stems() for end in (*_ends(stem), *_beginnings(stem)))
        least = max(min(2, len(self.names)), len(self.names) / 3)
        shared = sorted(end for end, count in counts.items() if count >= least)
        formats = sorted({picture_suffix(name) for name in self.names.values()} - {""}) if with_formats else []
        return ["", *shared, *(formats if len(formats) > 1 else [])]


def _match_maps(images: _Side, labels: _Side, image_suffix: str | None, label_suffix: str | None):
    """Base name -> (image, (label map,)), and how the names go if that was found out."""
    same = images.folder.resolve() == labels.folder.resolve()
    if not same and image_suffix in ("", None) and label_suffix in ("", None):
        plain = _paired(images, labels, "", "")
        if isinstance(plain, pathlib.Path):
            if images.loose:  # equal only without their folders or capitals
                return {}, ""
            raise UserError(f"{plain}: there is another file of that name; keep one of them, or give "
                            "--image_suffix and --label_suffix")
        if len(plain) == min(len(images.files), len(labels.files)):
            return plain, ""
    ways = [(ours, theirs) for ours in ([image_suffix] if image_suffix is not None else images.suffixes(same))
            for theirs in ([label_suffix] if label_suffix is not None else labels.suffixes(same))
            if not same or _may_be_labels(ours, theirs, image_suffix, label_suffix)]
    paired = {way: pairs for way in ways
              if (pairs := _paired(images, labels, *way)) and not isinstance(pairs, pathlib.Path)}
    if not paired:
        return {}, ""
    most = max(map(len, paired.values()))
    best = {way: pairs for way, pairs in paired.items() if len(pairs) == most}
    if ("", "") in best:  # their names are equal
        return best["", ""], ""
    (ours, theirs), pairs = min(best.items(), key=lambda item: sum(map(len, item[0])))
    for (one, other), rival in best.items():
        if set(rival.values()) != set(pairs.values()):
            raise UserError(f"{labels.folder}: found label maps that end in {theirs or 'nothing'!r} and in "
                            f"{other or 'nothing'!r} for images that end in {ours or 'nothing'!r} and "
                            f"{one or 'nothing'!r}; say which with --image_suffix and --label_suffix")
    found_out = (image_suffix, label_suffix) != (ours, theirs) and (ours or theirs)
    return pairs, f"--image_suffix={ours} --label_suffix={theirs}" if found_out else ""


def _match_masks(images: _Side, labels: _Side, image_suffix: str | None, label_suffix: str,
                 masks: Mapping[str, str]):
    """Base name -> (image, a mask or None for each organ), and how the names go if that was found out."""
    bases: list[Files] = []
    for pattern in masks.values():
        start, end = f"{pattern}{label_suffix}".split("*")
        files = labels.by_base(end)
        if isinstance(files, pathlib.Path):
            raise UserError(f"{files}: there is another file of that name; keep one of them")
        bases.append({base[len(start):]: path for base, path in files.items() if base.startswith(start)})
    for suffix in [image_suffix] if image_suffix is not None else images.suffixes(False):
        films = images.by_base(suffix)
        if isinstance(films, pathlib.Path):
            raise UserError(f"{films}: there is another file of that name; keep one of them")
        films = {base: path for base, path in films.items() if not any(path in organ.values() for organ in bases)}
        pairs = {base: (path, tuple(organ.get(base) for organ in bases)) for base, path in films.items()
                 if any(base in organ for organ in bases)}
        if pairs:
            return pairs, f"--image_suffix={suffix}" if suffix and image_suffix is None else ""
    return {}, ""


def _match_folders(films: Sequence[pathlib.Path], labels: pathlib.Path,
                   files: Sequence[pathlib.Path]) -> dict[str, tuple[pathlib.Path, tuple[pathlib.Path, ...]]]:
    """Base name -> (image, masks of its pieces): those in NAME/ below `labels`, or in NAME/masks/."""
    by_stem = {unicodedata.normalize("NFC", path.name[:len(path.name) - len(picture_suffix(path))]): path
               for path in films}
    found: dict[str, list[pathlib.Path]] = {}
    for path in files:
        folders = unicodedata.normalize("NFC", path.relative_to(labels).parent.as_posix()).split("/")
        stem = next((folder for folder in reversed(folders) if folder in by_stem), None)
        if stem and path != by_stem[stem]:
            found.setdefault(stem, []).append(path)
    return {stem: (by_stem[stem], tuple(paths)) for stem, paths in found.items()}


def _paired(images: _Side, labels: _Side, ours: str, theirs: str):
    """Base name -> (image, (label map,)); a file whose base name another has, if there is one."""
    films, maps = images.by_base(ours), labels.by_base(theirs)
    for side in (films, maps):
        if isinstance(side, pathlib.Path):
            return side
    return {base: (path, (maps[base],)) for base, path in films.items() if base in maps and maps[base] != path}


def _may_be_labels(ours: str, theirs: str, *given: str | None) -> bool:
    """Whether label maps in the folder of their images can end in `theirs`: a word or a format says so."""
    if ours == theirs or theirs.lower() in _NEVER_LABELS:
        return False
    if given[1] is not None:
        return True
    told = theirs.startswith(".") or _LABEL_WORDS.search(theirs)
    return bool(told) and not _LABEL_WORDS.search(ours)


def _with_ids(pairs: Mapping[str, tuple[pathlib.Path, tuple]]) -> list[OwnFolder]:
    """The pairs in order of ids. Raises UserError where two have one id."""
    by_id: dict[str, OwnFolder] = {}
    for name, (image, labels) in pairs.items():
        source = OwnFolder(to_id(name), name, image, labels)
        other = by_id.setdefault(source.id, source)
        if other is not source:
            raise UserError(f"{source.image}: its id {source.id} is that of {other.image} too; rename one")
    return [by_id[id_] for id_ in sorted(by_id)]


def _no_pairs(images: _Side, labels: _Side, masks: Mapping[str, str] | None) -> str:
    ours, theirs = (describe_ids(sorted(side.names.values()), 2) for side in (images, labels))
    wanted = ("name each label map like its image, e.g. a.png and a.tif, or tell how their names end with "
              "--image_suffix and --label_suffix" if masks is None else
              f"check the patterns of --masks: {', '.join(masks.values())}")
    return (f"{images.folder}: found {len(images.files)} images ({ours}), {len(labels.files)} label files in "
            f"{labels.folder} ({theirs}) and no two with the same name; {wanted}")


def _ends(stem: str) -> Iterable[str]:
    """What a name may end with: everything from a separator on, e.g. _b_0000 and _0000 of a_b_0000."""
    return [stem[match.start():] for match in _ENDS.finditer(stem) if match.start()]


def _beginnings(stem: str) -> Iterable[str]:
    """What its last part may begin with, as patterns: image_* of p1/image_7."""
    last = stem.rpartition("/")[2]
    return [f"{last[:match.end()]}*" for match in re.finditer(r"[_. -]+", last) if match.end() < len(last)]


def _base(name: str, stem: str, suffix: str) -> str:
    """The base name of a file's name and stem; "" where they do not end, or begin, as `suffix` says."""
    if "*" in suffix:
        folder, slash, last = stem.rpartition("/")
        start, end = suffix.split("*", 1)
        fits = last.startswith(start) and last.endswith(end) and len(last) > len(start) + len(end)
        return f"{folder}{slash}{last[len(start):len(last) - len(end)]}" if fits else ""
    if suffix.startswith(".") and name.lower().endswith(suffix.lower()):
        return name[:-len(suffix)].rstrip("/")
    return stem[:len(stem) - len(suffix)].rstrip("/") if stem.endswith(suffix) else ""


def _inside(folder: pathlib.Path, other: pathlib.Path) -> bool:
    """Whether `folder` lies in `other` and is not the same."""
    return os.path.abspath(other) in map(os.fspath, pathlib.Path(os.path.abspath(folder)).parents)
