"""A user's own folders of images and label maps, as a pair folder.

Everything is read and checked once before the first pair is written. Pictures keep their aspect ratio: the longer
side becomes `size`, and the rest of the square is black ground of class 0, shared out to both sides.
"""

import dataclasses
import pathlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from datasets.common.errors import UserError
from datasets.formats.channels import CHANNELS, with_channel
from datasets.formats.contrast import stretch_film
from datasets.formats.raster import white_above
from datasets.formats.read import Film, read_film
from datasets.manifest import Entry
from datasets.pair_store import MAX_MASKS, Description, PairWriter, describe_ids
from datasets.resize import resize_film
from datasets.sources.negatives import coarse_picture, find_negatives
from datasets.sources.own_files import OwnFolder
from datasets.sources.own_labels import LabelReader
from datasets.sources.own_report import ImportReport, ShareTally, nested_masks

Progress = Callable[[str, int, int], None]  # what, done, total
_SPACING_TOLERANCE = 0.01


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
      shares: of the classes in the label files.
      turned: how many their file says to turn.
      negatives: ids of those that look like negatives of the others.
    """

    deep: bool
    white: int | None
    spacing_mm: float | None
    films: int = 0
    coloured: int = 0
    alpha: int = 0
    shares: ShareTally | None = None
    turned: int = 0
    negatives: tuple[str, ...] = ()

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

    def about_looks(self) -> list[str]:
        """Lines about films that were turned, and that look like negatives."""
        said = []
        if self.turned:
            said.append(f"{self.turned} of {self.films} images are turned as their files say (EXIF orientation); "
                        "label maps must fit the turned picture")
        if self.negatives:
            said.append(f"{len(self.negatives)} of {self.films} images look like negatives of the others "
                        f"({describe_ids(self.negatives)}); if they are, name them for --invert_ids=FILE")
        return said


def survey(sources: Sequence[OwnFolder], labels: LabelReader, size: int, progress: Progress) -> Survey:
    """Reads and checks every pair; nothing is written."""
    brightest, deep, coloured, alpha, turned, spacings, coarse = 0, False, 0, 0, 0, [], []
    shares = ShareTally(labels.classes)
    for done, source in enumerate(sources):
        progress("checked", done, len(sources))
        film, found = read_source(source), labels.read(source)
        shape = found.codes.shape
        if film.pixels.shape[:2] != shape:
            why = ", which its EXIF orientation turns" * film.turned
            raise UserError(f"{source.label}: found {shape[1]} x {shape[0]} pixels, expected "
                            f"{film.pixels.shape[1]} x {film.pixels.shape[0]} as in {source.image}{why}")
        deep |= film.max_value > 255
        coloured, alpha, turned = coloured + film.coloured, alpha + film.alpha, turned + film.turned
        coarse.append(coarse_picture(film.pixels))
        if not film.exact:
            brightest = max(brightest, int(film.pixels.max()), 1)
        spacings.append(film.spacing_mm and film.spacing_mm * max(shape) / size)  # None stays None
        shares.add(found.shares(labels.classes.num_classes))
    progress("checked", len(sources), len(sources))
    return Survey(deep, white_above(brightest) if brightest else None, _common(spacings), len(sources), coloured,
                  alpha, shares, turned, tuple(sources[place].id for place in find_negatives(coarse)))


def read_source(source: OwnFolder) -> Film:
    """The film of a pair, its channels put together. Raises UserError where they differ in size or bits."""
    film = read_film(source.image, source.part)
    planes = [film.pixels]
    for path in source.more:
        other = read_film(path, source.part)
        if other.pixels.shape != film.pixels.shape or other.max_value != film.max_value or film.coloured:
            found, expected = (f"{one.pixels.shape[1]} x {one.pixels.shape[0]} pixels up to {one.max_value}"
                               for one in (other, film))
            raise UserError(f"{path}: found {found}, expected {expected} of one channel as in {source.image}")
        planes.append(other.pixels)
    return dataclasses.replace(film, pixels=np.stack(planes, -1)) if source.more else film


@dataclasses.dataclass(frozen=True)
class PairFilms:
    """How films become those of a store.

    Attributes:
      white: grey value shown as white in 16-bit films that do not say.
      stretch: brings every film to the whole grey scale, see `stretch_film`.
      negatives: ids of the films that are turned from negative to positive.
    """

    white: int | None = None
    stretch: bool = False
    negatives: Collection[str] = ()

    def read(self, source: OwnFolder, description: Description) -> np.ndarray:
        """The film of `description.channel` with white at its `max_value` and its longer side at its size."""
        film = with_channel(read_source(source), description.channel)
        pixels = _scaled(film, self.white, description.max_value)
        if source.id in self.negatives:
            pixels = (description.max_value - pixels.astype(np.int32)).astype(pixels.dtype)
        small = resize_film(pixels, _fit(pixels.shape, description.size[0]))
        return np.rint(stretch_film(small, description.max_value)).astype(small.dtype) if self.stretch else small


def import_pairs(sources: Sequence[OwnFolder], out: str, description: Description, test: Collection[str],
                 labels: LabelReader, films: PairFilms, progress: Progress,
                 validation: Collection[str] = (), patients: Mapping[str, str] | None = None) -> ImportReport:
    """Writes the pairs; ids in `test` test, those in `validation` validate, the others train.

    Args:
      patients: id -> whose pair it is; None where nobody says, and the manifest doesn't.

    Returns what became of the classes.

    Raises UserError if the folder holds other pairs, or the sources themselves.
    """
    size, classes = description.size[0], description.classes
    _refuse_written_over(sources, out)
    after, padded, gap, labelled, nested = ShareTally(classes), 0, 0, 0, Counter()
    with PairWriter(out, description) as writer:
        writer.refuse_others(source.id for source in sources)
        for done, source in enumerate(sources):
            progress("written", done, len(sources))
            film = films.read(source, description)
            small = labels.resize(labels.read(source), film.shape[:2])
            masks = small.masks if small.masks is not None and small.masks.shape[-1] <= MAX_MASKS else None
            split = "test" if source.id in test else "validation" if source.id in validation else "train"
            writer.add(Entry(source.id, split, description.name, patient=(patients or {}).get(source.id, "")),
                       pad_square(film, size), pad_square(small.codes, size),
                       None if masks is None else pad_square(masks, size))
            nested.update([] if masks is None else nested_masks(masks, classes.organs))
            after.add(small.shares(classes.num_classes))
            padded += size**2 - small.codes.size
            gap, labelled = gap + small.gap, labelled + small.gap + int(np.count_nonzero(small.codes == 1))
    progress("written", len(sources), len(sources))
    return ImportReport(after, padded / (size**2 * max(1, len(sources))), gap, labelled, nested)


def _refuse_written_over(sources: Sequence[OwnFolder], out: str) -> None:
    written = {pathlib.Path(out, kind).resolve() for kind in ("images", "labels", "masks")}
    for source in sources:
        for path in (source.image, *source.labels):
            if path is not None and written & set(path.resolve().parents):
                raise UserError(f"{path}: would be written over; choose another --out than {out}")


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


def pad_square(array: np.ndarray, size: int) -> np.ndarray:
    """Zeros around [h, w] or [h, w, C], as many on either side, to [size, size] or [size, size, C]."""
    height, width = array.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    around = ((top, size - height - top), (left, size - width - left), (0, 0))
    return np.pad(array, around[:array.ndim])
