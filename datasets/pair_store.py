"""The one on-disk format of image and label-map pairs: real, phantom, synthetic and the user's own data.

    STORE/
      description.json  format, name, size [height, width], max_value, spacing_mm, classes, and channel where the
                        images are not simply grey
      manifest.csv      a line for each pair, see `datasets.manifest`
      images/ID.png     grey, or RGB where channel is "colour"; 8 or 16 bit
      labels/ID.png     8-bit class codes
      masks/ID.png      optional: bit k (value 2^k) of a 16-bit pixel is organ k+1, where organs overlap
"""

import contextlib
import dataclasses
import hashlib
import math
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from datasets.class_table import IGNORED, ClassTable
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.output_folders import PAIRS, refuse_foreign
from datasets.formats.channels import CHANNELS
from datasets.formats.png import GREY, RGB, PngFile
from datasets.formats.raster import MAX_SIDE, read_bytes
from datasets.manifest import MAX_NAME, Entry, check_entry, manifest_text, read_manifest

FORMAT = 1
MAX_DESCRIPTION = 2**20  # bytes
MAX_MASKS = 16  # organs with a bit each


@dataclasses.dataclass(frozen=True)
class Description:
    """What every pair of a store has in common.

    Attributes:
      name: what the data set is called in tables and pictures.
      size: height and width in pixels of every image and label map.
      classes: the class table of the label maps.
      max_value: grey value shown as white: 255 for 8 bits, up to 65535 for 16 bits.
      spacing_mm: side of a pixel in millimetres, None where unknown.
      channel: what the images show of the films they were made from, one of `formats.channels.CHANNELS`.

    Raises ValueError for values that no store can have.
    """

    name: str
    size: tuple[int, int]
    classes: ClassTable
    max_value: int = 255
    spacing_mm: float | None = None
    channel: str = "grey"

    @property
    def channels(self) -> int:
        """Of every image: 3 where it is RGB, else 1."""
        return 3 if self.channel == "colour" else 1

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of every image as an array: (height, width) or (height, width, 3)."""
        return (*self.size, 3) if self.channels == 3 else tuple(self.size)

    def __post_init__(self):
        if not all(8 <= side <= MAX_SIDE for side in self.size):
            raise ValueError(f"size {self.size[0]} x {self.size[1]}, expected sides of 8 to {MAX_SIDE}")
        if not 1 <= self.max_value <= 65535:
            raise ValueError(f"max_value {self.max_value}, expected 1 to 65535")
        if self.spacing_mm is not None and not 0.0 < self.spacing_mm < math.inf:
            raise ValueError(f"spacing_mm {self.spacing_mm}, expected millimetres per pixel")
        if self.channel not in CHANNELS:
            raise ValueError(f"channel {self.channel!r}, expected one of {', '.join(CHANNELS)}")
        for name in (self.name, self.classes.names[0], *self.classes.regions):
            if not (isinstance(name, str) and name.isprintable() and len(name) <= MAX_NAME):
                raise ValueError(f"name {name!r}, expected up to {MAX_NAME} printable characters")

    def renamed(self, suffix: str, **changes: Any) -> "Description":
        """With `suffix` after the name, which is cut short with "..." where both are too long, and `changes`."""
        name = self.name if len(self.name + suffix) <= MAX_NAME else f"{self.name[:MAX_NAME - 3 - len(suffix)]}..."
        return dataclasses.replace(self, name=name + suffix, **changes)

    def to_json(self) -> dict:
        value = {"format": FORMAT, "name": self.name, "size": list(self.size), "max_value": self.max_value,
                 "spacing_mm": self.spacing_mm, "classes": self.classes.to_json()}
        return value if self.channel == "grey" else {**value, "channel": self.channel}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Description":
        """Raises KeyError, TypeError, ValueError or OverflowError where `value` is not what `to_json` gives."""
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']!r}, expected {FORMAT}")
        height, width = (int(side) for side in value["size"])
        spacing = value.get("spacing_mm")
        return cls(value["name"], (height, width), ClassTable.from_json(value["classes"]), int(value["max_value"]),
                   None if spacing is None else float(spacing), value.get("channel", "grey"))


class PairStore:
    """A pair folder opened for reading.

    Raises UserError naming the file, what was found and what was expected, on opening (description and
    manifest) and on reading a pair.
    """

    def __init__(self, path: str | os.PathLike):
        if not os.fspath(path):
            raise UserError("found an empty name of a pair folder; name one")
        self.path = pathlib.Path(path)
        if not (self.path / "description.json").is_file():
            raise UserError(f"{self.path}: not a pair folder (no description.json); make one with "
                            "tools.prepare_jsrt, tools.import_dataset or tools.make_phantoms")
        self.description = _read_description(self.path / "description.json")
        self.entries = read_manifest(self.path / "manifest.csv", self.description.name)

    @property
    def classes(self) -> ClassTable:
        return self.description.classes

    def ids(self, split: str | None = None) -> list[str]:
        """Ids in manifest order, of one split or of all."""
        return [entry.id for entry in self.entries if split in (None, entry.split)]

    def films(self, split: str) -> list[str]:
        """Ids of a split without augmented copies."""
        return [entry.id for entry in self.entries if entry.split == split and not entry.is_copy]

    def image(self, id_: str) -> np.ndarray:
        """Film, uint8 [height, width], or RGB [height, width, 3]; 16-bit films are scaled by `max_value`."""
        image = read_png(self._file("images", id_), self.description.size, self.description.channels)
        if image.dtype == np.uint16:
            image = np.clip(image * (255.0 / self.description.max_value), 0, 255).round().astype(np.uint8)
        return image

    def label(self, id_: str) -> np.ndarray:
        """Class codes, uint8 [height, width]; IGNORED where the class table has it and nobody knows the class."""
        label = self._read("labels", id_)
        highest = self.classes.num_classes - 1
        known = label[label != IGNORED] if self.classes.ignored else label
        if label.dtype != np.uint8 or known.max(initial=0) > highest:
            expected = f"0 to {highest}" + (f" and {IGNORED}, ignored," if self.classes.ignored else "")
            raise UserError(f"{self._file('labels', id_)}: found codes {_codes(label)}, expected {expected} "
                            "in 8 bits; write class codes, or import with --remap")
        return label

    def filled_label(self, id_: str) -> np.ndarray:
        """`label` with a class everywhere, as generators need it: ignored pixels take the nearest one."""
        label = self.label(id_)
        unknown = label == IGNORED  # never without `classes.ignored`
        if not unknown.any():
            return label
        if unknown.all():
            return np.zeros_like(label)
        from scipy import ndimage  # half a second that stores without such pixels do without

        return label[tuple(ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True))]

    def masks(self, id_: str) -> np.ndarray | None:
        """Organ masks with their overlaps, bool [height, width, organs]; None where the store keeps none."""
        if not self._file("masks", id_).is_file():
            return None
        bits = self._read("masks", id_).astype(np.uint16)
        return (bits[..., None] >> np.arange(len(self.classes.organs)) & 1).astype(bool)  # bit k is organ k + 1

    def scored_label(self, id_: str) -> np.ndarray:
        """Codes of `classes.scored_table()`, uint8 [height, width]: exact from masks, else the collapsed map."""
        masks = self.masks(id_)
        if masks is None:
            return self.classes.collapse(self.label(id_))
        painted = self.classes.paint_scored(masks)
        return np.where(self.label(id_) == IGNORED, IGNORED, painted) if self.classes.ignored else painted

    def segmented_label(self, id_: str, scored: bool) -> np.ndarray:
        """Codes of `classes.segmented(scored)`, uint8 [height, width]: `scored_label`, or `label`."""
        return self.scored_label(id_) if scored else self.label(id_)

    def fingerprint(self) -> str:
        """Digest of the description, the manifest, and each pair file's name and content."""
        digest = hashlib.sha256()
        names = ["description.json", "manifest.csv"]
        names += [f"{kind}/{id_}.png" for id_ in self.ids() for kind in ("images", "labels", "masks")]
        for name in names:
            file = self.path / name
            if file.is_file():
                # a null byte ends the name: no other names and contents give the same bytes in a row
                digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def _file(self, kind: str, id_: str) -> pathlib.Path:
        return self.path / kind / f"{id_}.png"

    def _read(self, kind: str, id_: str) -> np.ndarray:
        return read_png(self._file(kind, id_), self.description.size)


class PairWriter:
    """Writes a pair folder. Each file appears whole; `close` (or a clean `with`) writes the manifest last.

    Opening an existing folder of the same description adds to it; another description is a UserError, and so is
    anything in a folder without one, which is somebody's own. What a killed writer left unfinished is removed, so
    one process may write at a time.
    """

    def __init__(self, path: str | os.PathLike, description: Description):
        refuse_foreign(path, PAIRS)
        self.path = atomic_files.make_folder(path)
        self.description = description
        self.entries: dict[str, Entry] = {}
        existing = self.path / "description.json"
        if existing.is_file():
            if _read_description(existing) != description:
                raise UserError(f"{existing}: describes another data set; choose another folder")
            if (self.path / "manifest.csv").is_file():
                entries = read_manifest(self.path / "manifest.csv", description.name)
                self.entries = {entry.id: entry for entry in entries}
        for kind in ("images", "labels"):
            atomic_files.make_folder(self.path / kind)
        # temporary names of atomic_files.replacing, which a killed process leaves
        for partial in (*self.path.glob(".*.partial.*"), *self.path.glob("*/.*.partial.png")):
            partial.unlink(missing_ok=True)
        atomic_files.write_json(existing, description.to_json())

    def __enter__(self) -> "PairWriter":
        return self

    def __exit__(self, kind, value, trace) -> None:
        if kind is None:
            self.close()

    def refuse_others(self, ids: Iterable[str]) -> None:
        """Raises UserError if the folder holds pairs besides `ids`."""
        if others := self.entries.keys() - set(ids):
            raise UserError(f"{self.path}: holds other pairs ({describe_ids(sorted(others))}); choose another "
                            "folder")

    def add(self, entry: Entry, image: np.ndarray, label: np.ndarray, masks: np.ndarray | None = None) -> None:
        """Writes one pair.

        Args:
          image: uint8 or uint16 [height, width], or RGB [height, width, 3] where the description's channel is
            "colour".
          label: uint8 codes [height, width].
          masks: bool [height, width, organs] in order of codes, where organs overlap; at most MAX_MASKS organs.
            None takes away those of an earlier pair of this id.
        """
        size, shape = tuple(self.description.size), self.description.image_shape
        if image.shape != shape or label.shape != size:
            raise ValueError(f"{entry.id}: image {image.shape} and label {label.shape} must be {shape} and {size}")
        check_entry(entry, self.path)
        if masks is None:  # before all else: an earlier pair's would be scored in place of the new label map
            (self.path / "masks" / f"{entry.id}.png").unlink(missing_ok=True)
        elif masks.shape != (*size, len(self.description.classes.organs)) or masks.shape[-1] > MAX_MASKS:
            raise ValueError(f"{entry.id}: masks {masks.shape} must be {size} with a channel for each organ, "
                             f"at most {MAX_MASKS}")
        write_png(self.path / "images" / f"{entry.id}.png", image)
        write_png(self.path / "labels" / f"{entry.id}.png", label)
        if masks is not None:
            atomic_files.make_folder(self.path / "masks")
            bits = (masks.astype(np.uint16) << np.arange(masks.shape[-1], dtype=np.uint16)).sum(-1)
            write_png(self.path / "masks" / f"{entry.id}.png", bits.astype(np.uint16))
        self.entries[entry.id] = entry

    def close(self) -> None:
        """Writes the manifest, sorted by id."""
        with contextlib.suppress(OSError):
            (self.path / "masks").rmdir()  # where it is empty: no pair has masks any more
        atomic_files.write_text(self.path / "manifest.csv", manifest_text(self.entries.values()))


def read_png(path: str | os.PathLike, size: tuple[int, int], channels: int = 1) -> np.ndarray:
    """An 8- or 16-bit PNG of `size` (height, width): grey [H, W] for 1 channel, RGB [H, W, 3] for 3.

    Raises UserError for any other.
    """
    path = pathlib.Path(path)
    png = PngFile(read_bytes(path), path)
    if (png.height, png.width) != tuple(size):
        raise UserError(f"{path}: found {png.width} x {png.height} pixels, expected {size[1]} x {size[0]} as in "
                        "description.json; resize it, or import the folder again")
    if png.colour != (GREY if channels == 1 else RGB) or png.depth < 8:
        expected = "one grey channel" if channels == 1 else "red, green and blue"
        found = {GREY: "a grey PNG", RGB: "a colour PNG"}.get(png.colour, "a PNG with a palette or transparency")
        found = f"{png.depth} bits" if png.depth < 8 and png.colour == GREY else found
        raise UserError(f"{path}: found {found}, expected {expected} of 8 or 16 bits")
    return png.decode().values  # OpenCV would decode as well, but tells stderr of damage


def write_png(path: str | os.PathLike, array: np.ndarray) -> None:
    """Writes uint8 or uint16 [height, width] or RGB [height, width, 3] as PNG, whole or not at all."""
    array = array[..., ::-1] if array.ndim == 3 else array  # OpenCV writes blue first
    with atomic_files.replacing(path) as temporary:
        if not cv2.imwrite(str(temporary), array, [cv2.IMWRITE_PNG_COMPRESSION, 3]):
            raise UserError(f"{path}: could not be written; is the disk full?")


def split_ids(store: PairStore, split: str) -> list[str]:
    """Ids of a split that must not be empty. Raises UserError where it is."""
    ids = store.ids(split)
    if not ids:
        raise UserError(f"{store.path}/manifest.csv: found no pair with split {split}, expected at least one")
    return ids


def check_square(store: PairStore, size: int) -> None:
    """Raises UserError unless the store's pictures are `size` x `size`."""
    if tuple(store.description.size) != (size, size):
        height, width = store.description.size
        raise UserError(f"{store.path}: found pictures of {width} x {height}, expected {size} x {size}; set "
                        "--resolution, or prepare the data at that size (a power of two)")


def film_names(store: PairStore, ids: Sequence[str]) -> list[str]:
    """The film of each pair, see `Entry.film`."""
    films = {entry.id: entry.film for entry in store.entries}
    return [films[id_] for id_ in ids]


def _read_description(path: pathlib.Path) -> Description:
    read_bytes(path, MAX_DESCRIPTION)
    try:
        return Description.from_json(atomic_files.read_json(path))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
        raise UserError(f"{path}: not a data set description ({' '.join(reason.split())[:300]})") from None


def _codes(label: np.ndarray) -> str:
    values = np.unique(label)
    return ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")


def describe_ids(ids: Iterable[str], most: int = 5) -> str:
    """`a, b, c and 9 more`, for messages."""
    ids = list(ids)
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")
