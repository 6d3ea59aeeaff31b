"""A user's own folders of images and label maps, as a pair folder.

Everything is read and checked once before the first pair is written. Pictures keep their aspect ratio: the longer
side becomes `size`, and the rest of the square is black ground of class 0, shared out to both sides.
"""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.formats.channels import CHANNELS, with_channel
from datasets.formats.contrast import stretch_film
from datasets.formats.find import find_in_folder, picture_stem
from datasets.formats.raster import read_bytes, white_above
from datasets.formats.read import Film, read_film, read_mask
from datasets.pair_store import Description, Entry, PairWriter, describe_ids
from datasets.resize import resize_film, resize_labels

Progress = Callable[[str, int, int], None]  # what, done, total
_SPACING_TOLERANCE = 0.01
_MAX_LIST = 2**26  # bytes of a list of ids


@dataclasses.dataclass(frozen=True)
class OwnFolder:
    """One pair of the user's files."""

    id: str
    image: pathlib.Path
    label: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a first reading of all films tells.

    Attributes:
      deep: whether any film has more than 8 bits.
      white: grey value shown as white in the 16-bit films that do not say, the least 2^n - 1 that none exceeds;
        None if there are no such films.
      spacing_mm: of the pairs to be written; None unless all films agree.
      films: how many there are.
      coloured: how many of them have channels that differ.
      alpha: how many hold transparency, which is dropped.
    """

    deep: bool
    white: int | None
    spacing_mm: float | None
    films: int = 0
    coloured: int = 0
    alpha: int = 0

    def channel(self, asked: str) -> str:
        """The channel of the pairs to be written: `asked`, where that is "auto" colour if any film has it."""
        return ("colour" if self.coloured else "grey") if asked == "auto" else asked

    def about_channels(self, asked: str) -> str:
        """What becomes of colour and transparency, in a line; empty where films have neither."""
        taken = {"colour": f"all are written as RGB (--channel={', '.join(CHANNELS[:-1])} takes one channel)",
                 "grey": "their luminance is taken"}
        channel = self.channel(asked)
        said = [f"{self.coloured} of {self.films} images are in colour, "
                + taken.get(channel, f"their {channel} channel is taken")] if self.coloured else []
        return "; ".join([*said, *([f"transparency dropped in {self.alpha} images"] if self.alpha else [])])


def match_files(images: pathlib.Path, labels: pathlib.Path) -> tuple[list[OwnFolder], list[pathlib.Path]]:
    """Pairs by file stem, in order of ids, and the files that have no partner.

    An id is the stem with every character other than letters, digits, '.', '_' and '-' replaced by '_'.
    """
    films, maps = _by_stem(images, labels), _by_stem(labels, images)
    sources = [OwnFolder(_to_id(stem), films[stem], maps[stem]) for stem in sorted(films.keys() & maps.keys())]
    if not sources:
        raise UserError(f"{images}: found {len(films)} images, {len(maps)} label maps in {labels} and no two with "
                        "the same name; name each label map like its image, e.g. a.png and a.tif")
    by_id: dict[str, OwnFolder] = {}
    for source in sources:
        other = by_id.setdefault(source.id, source)
        if other is not source:
            raise UserError(f"{source.image}: its id {source.id} is that of {other.image} too; rename one")
    alone = [path for stem, path in sorted({**maps, **films}.items()) if stem not in films.keys() & maps.keys()]
    return [by_id[id_] for id_ in sorted(by_id)], alone


def parse_remap(pairs: Sequence[str]) -> dict[int, int]:
    """`["0:0", "255:1"]` -> {0: 0, 255: 1}. Raises UserError for anything else."""
    remap: dict[int, int] = {}
    for pair in pairs:
        match = re.fullmatch(r"\s*(\d{1,3})\s*:\s*(\d{1,3})\s*", pair)
        old, new = (int(part) for part in match.groups()) if match else (256, 256)
        if max(old, new) > 255 or old in remap:
            raise UserError(f"--remap: found {pair!r}, expected FOUND:CODE with codes of 0 to 255, each found one "
                            "once, e.g. --remap=0:0,255:1")
        remap[old] = new
    return remap


def choose_test(ids: Sequence[str], fraction: float, seed: int) -> set[str]:
    """`fraction` of the ids, drawn by seed, rounded to the nearest count and at least one if it is not zero."""
    count = max(1, round(fraction * len(ids))) if fraction > 0 else 0
    return set(np.random.default_rng(seed).permutation(sorted(ids))[:count].tolist())


def read_test_ids(path: pathlib.Path, ids: Sequence[str]) -> set[str]:
    """The ids or file stems in a text file, one a line. Raises UserError for one that no pair has."""
    lines = read_bytes(path, _MAX_LIST).decode("utf-8", "replace").splitlines()
    named = {line.strip(): _to_id(line.strip()) for line in lines if line.strip()}
    unknown = sorted(line for line, id_ in named.items() if id_ not in ids)
    if unknown:
        raise UserError(f"{path}: found {describe_ids(ascii(line[:80]) for line in unknown)}, which no pair is "
                        f"called; expected names such as {describe_ids(ids, 3)}")
    return set(named.values())


def read_label(path: pathlib.Path, classes: ClassTable, remap: Mapping[int, int]) -> np.ndarray:
    """Class codes, uint8 [H, W]; codes outside `remap` stay as they are. Raises UserError for unknown codes."""
    table = np.arange(256, dtype=np.uint8)
    for old, new in remap.items():
        table[old] = new
    found = read_mask(path)
    label = table[found]
    if label.max() >= classes.num_classes:
        codes = describe_ids(map(str, np.unique(found)), 8)
        expected = f"0 to {classes.num_classes - 1} ({describe_ids(classes.names)})"
        raise UserError(f"{path}: found codes {codes}, expected {expected}; name every class, or translate with "
                        "--remap, e.g. --remap=0:0,255:1")
    return label


def survey(sources: Sequence[OwnFolder], classes: ClassTable, remap: Mapping[int, int], size: int,
           progress: Progress) -> Survey:
    """Reads and checks every pair; nothing is written."""
    brightest, deep, coloured, alpha, spacings = 0, False, 0, 0, []
    for done, source in enumerate(sources):
        progress("checked", done, len(sources))
        film, label = read_film(source.image), read_label(source.label, classes, remap)
        if film.pixels.shape[:2] != label.shape:
            raise UserError(f"{source.label}: found {label.shape[1]} x {label.shape[0]} pixels, expected "
                            f"{film.pixels.shape[1]} x {film.pixels.shape[0]} as in {source.image}")
        deep |= film.max_value > 255
        coloured, alpha = coloured + film.coloured, alpha + film.alpha
        if not film.exact:
            brightest = max(brightest, int(film.pixels.max()), 1)
        spacings.append(film.spacing_mm and film.spacing_mm * max(label.shape) / size)  # None stays None
    progress("checked", len(sources), len(sources))
    return Survey(deep, white_above(brightest) if brightest else None, _common(spacings), len(sources), coloured,
                  alpha)


def import_pairs(sources: Sequence[OwnFolder], out: str, description: Description, test: Collection[str],
                 remap: Mapping[int, int], white: int | None, progress: Progress, stretch: bool = False) -> None:
    """Writes the pairs, films of `description.channel` scaled to its `max_value`; ids in `test` test, the others
    train.

    Args:
      white: grey value shown as white in 16-bit films that do not say.
      stretch: brings every film to the whole grey scale, see `stretch_film`.

    Raises UserError if the folder holds other pairs, or the sources themselves.
    """
    size = description.size[0]
    written = {pathlib.Path(out, kind).resolve() for kind in ("images", "labels", "masks")}
    for source in sources:
        for path in (source.image, source.label):
            if path.parent.resolve() in written:
                raise UserError(f"{path}: would be written over; choose another --out than {out}")
    with PairWriter(out, description) as writer:
        writer.refuse_others(source.id for source in sources)
        for done, source in enumerate(sources):
            progress("written", done, len(sources))
            film = with_channel(read_film(source.image), description.channel)
            film = _scaled(film, white, description.max_value)
            label = read_label(source.label, description.classes, remap)
            small = resize_film(film, _fit(film.shape, size))
            if stretch:
                small = np.rint(stretch_film(small, description.max_value)).astype(small.dtype)
            codes = resize_labels(label, small.shape[:2], description.classes.num_classes)
            split = "test" if source.id in test else "train"
            writer.add(Entry(source.id, split, description.name), _pad(small, size), _pad(codes, size))
    progress("written", len(sources), len(sources))


def _by_stem(folder: pathlib.Path, other: pathlib.Path) -> dict[str, pathlib.Path]:
    """Stem -> picture in `folder`, but not in the folder `other` where that lies within."""
    found: dict[str, pathlib.Path] = {}
    for path in find_in_folder(folder, {other} - {folder}).files:
        stem = picture_stem(path)
        if stem in found:
            raise UserError(f"{path}: there is {found[stem].name} too; keep one of them")
        found[stem] = path
    return found


def _to_id(stem: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", stem)
    return (safe if safe[0].isalnum() else f"x{safe}")[:128]


def _common(spacings: Sequence[float | None]) -> float | None:
    if not spacings or None in spacings:
        return None
    low, high = min(spacings), max(spacings)
    return float(np.median(spacings)) if high - low <= _SPACING_TOLERANCE * low else None


def _scaled(film: Film, white: int | None, max_value: int) -> np.ndarray:
    """The film's pixels with white at `max_value`: uint8 for 255, else uint16."""
    scale = max_value / (film.max_value if film.exact else white)
    if scale == 1.0:
        return film.pixels
    scaled = np.clip(np.rint(film.pixels * np.float32(scale)), 0, max_value)
    return scaled.astype(np.uint8 if max_value == 255 else np.uint16)


def _fit(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Height and width (the first two of `shape`) with the longer side at `size`."""
    height, width = (max(1, round(side * size / max(shape[:2]))) for side in shape[:2])
    return height, width


def _pad(array: np.ndarray, size: int) -> np.ndarray:
    """Zeros around [h, w] or [h, w, 3], as many on either side, to [size, size] or [size, size, 3]."""
    height, width = array.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    around = ((top, size - height - top), (left, size - width - left), (0, 0))
    return np.pad(array, around[:array.ndim])
