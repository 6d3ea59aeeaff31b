"""Label maps that some other segmenter predicted, as files named by the films' ids."""

import dataclasses
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence

import cv2
import numpy as np

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.common.names import to_id
from datasets.formats.find import find_in_folder, picture_stem
from datasets.formats.read import read_mask
from datasets.pair_store import PairStore, describe_ids


@dataclasses.dataclass(frozen=True)
class LabelMaps:
    """A folder of them; every film has one.

    Attributes:
      store: of the films.
      files: film -> label map.
      others: files that belong to no film.
      codes: what a code means: "all" the classes of the store, or "scored", those of its `scored_table`.
      remap: codes found -> codes; others stay.
      table: all classes of the label maps, where they are not the store's.
    """

    store: PairStore
    files: dict[str, pathlib.Path]
    others: tuple[pathlib.Path, ...]
    codes: str = "all"
    remap: Mapping[int, int] = dataclasses.field(default_factory=dict)
    table: ClassTable | None = None

    @property
    def classes(self) -> ClassTable:
        table = self.table or self.store.classes
        return table.segmented(self.codes == "scored")

    def read(self, id_: str, scored: bool) -> np.ndarray:
        """Codes of the scored classes, or of all: uint8 [H, W] at the film's size, by nearest neighbour.

        Raises UserError for codes that no class has, and for other proportions than the film's.
        """
        path, (height, width) = self.files[id_], self.store.description.size
        stored, highest = read_mask(path), self.classes.num_classes - 1
        table = np.arange(256, dtype=np.uint8)
        for old, new in self.remap.items():
            table[old] = new
        found = table[stored]
        if found.max() > highest:
            codes = describe_ids(map(str, np.unique(stored)), 8)
            codes += f", by --remap {describe_ids(map(str, np.unique(found)), 8)}" if self.remap else ""
            raise UserError(f"{path}: found codes {codes}, expected 0 to {highest} "
                            f"({describe_ids(self.classes.names)}); translate with --remap, e.g. --remap=255:1, "
                            "or see --codes")
        if found.shape[0] * width != found.shape[1] * height:
            raise UserError(f"{path}: found {found.shape[1]} x {found.shape[0]} pixels, expected {width} x "
                            f"{height} or these proportions, as film {id_}; predict films of {self.store.path}")
        if found.shape != (height, width):
            found = cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return self.classes.collapse(found) if scored and self.codes == "all" else found

    def check(self, ids: Sequence[str]) -> int:
        """Reads every map once; how many are of another size than their films. Raises UserError as `read`."""
        resized = 0
        for id_ in ids:
            self.read(id_, scored=False)
            resized += read_mask(self.files[id_]).shape != tuple(self.store.description.size)
        return resized


def find_label_maps(folder: str | os.PathLike, store: PairStore, ids: Collection[str], codes: str = "all",
                    remap: Mapping[int, int] | None = None, table: ClassTable | None = None) -> LabelMaps:
    """The label maps of films `ids` in `folder`, of any format that is read: ID.png, ID.nii.gz; see `LabelMaps`.

    Raises UserError naming the films without one, and for two maps of one film.
    """
    files: dict[str, pathlib.Path] = {}
    others = []
    small = {id_.casefold(): id_ for id_ in ids}
    for path in find_in_folder(folder).files:
        id_ = to_id(picture_stem(path))
        if id_ not in ids and len(small) == len(ids):
            id_ = small.get(id_.casefold(), id_)
        if id_ not in ids:
            others.append(path)
        elif id_ in files:
            raise UserError(f"{path}: is a label map of film {id_}, and so is {files[id_]}; keep one of them")
        else:
            files[id_] = path
    missing = [id_ for id_ in ids if id_ not in files]
    if missing:
        raise UserError(f"{folder}: found no label map of {len(missing)} of {len(ids)} films "
                        f"({describe_ids(missing)}), expected files of these names, e.g. {missing[0]}.png")
    return LabelMaps(store, files, tuple(others), codes, remap or {}, table)
