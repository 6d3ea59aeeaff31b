"""The JSRT films with their SCR masks, as a pair folder; the only module that knows either.

Films: Shiraishi et al., AJR 174:71-74, 2000. 247 chest films JPCLN001-154 and JPCNN001-093, each a raw .IMG of
2048 x 2048 pixels (12 bits, low values bright) or a PNG made of one.
Masks: van Ginneken et al., Medical Image Analysis 10:19-40, 2006: [scratch/]fold1|fold2/masks/ORGAN/ID.gif. The
benchmark trains on fold 1, the 124 odd-numbered films, and tests on fold 2, the 123 even-numbered.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable
from fnmatch import fnmatch

import numpy as np

from datasets.class_table import CHEST
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.formats.channels import with_channel
from datasets.formats.contrast import stretch_film
from datasets.formats.read import IMG_SIDE, IMG_SPACING_MM, read_film, read_mask
from datasets.manifest import Entry
from datasets.pair_store import Description, PairWriter, write_png
from datasets.resize import resize_film, resize_masks

NAME = "JSRT/SCR"
MaskPaths = dict[str, dict[str, pathlib.Path]]  # organ -> id -> mask
IDS = (*(f"JPCLN{number:03d}" for number in range(1, 155)), *(f"JPCNN{number:03d}" for number in range(1, 94)))
_BIT_DEPTH_MAX = 4095  # the films' 12 bits
_MASK_SUFFIXES = (".gif", ".png")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What `prepare` wrote and what it did without.

    Attributes:
      written: ids of the pairs written.
      missing: ids without a film.
      without_masks: id -> organs whose mask is missing, of films that are there.
      observed: ids for which the second observer's map was written.
    """

    written: tuple[str, ...]
    missing: tuple[str, ...]
    without_masks: dict[str, tuple[str, ...]]
    observed: tuple[str, ...]


def split_of(id_: str) -> str:
    """The official fold by the film's number: odd is fold 1, train; even is fold 2, test."""
    return "train" if int(id_[-3:]) % 2 else "test"


def find_films(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Id -> film in `folder` or one folder below, in any case; the .IMG where there is a PNG too."""
    found: dict[str, pathlib.Path] = {}
    for path in sorted([*_listing(folder), *(path for sub in _listing(folder) for path in _listing(sub))]):
        id_ = path.stem.upper()
        if id_ in IDS and (path.suffix.lower() == ".img" or (path.suffix.lower() == ".png" and id_ not in found)):
            found[id_] = path
    if not found:
        raise UserError(f"{folder}: found no JSRT film, expected JPCLN001.IMG or .png and so on; give the folder "
                        "All247images as --jsrt_dir")
    return {id_: found[id_] for id_ in IDS if id_ in found}


def find_masks(folder: pathlib.Path, masks: str = "masks") -> MaskPaths:
    """Organ -> id -> mask, from [scratch/]fold1|fold2/MASKS/ORGAN/ID.gif in any case.

    MASKS is a folder whose name matches the pattern `masks`. `folder` may also be MASKS, or hold the organs'
    folders.
    """
    roots = [folder, *_below([folder], "scratch")]
    folds = [*roots, *_below(roots, "fold1"), *_below(roots, "fold2")]
    tops = [*folds, *(path for fold in folds for path in _listing(fold) if fnmatch(path.name.lower(), masks))]
    found = {organ: {path.stem.upper(): path for sub in _below(tops, organ) for path in _listing(sub)
                     if path.suffix.lower() in _MASK_SUFFIXES} for organ in CHEST.organs}
    if not any(found.values()):
        raise UserError(f"{folder}: found no SCR mask, expected fold1/masks/heart/JPCLN001.gif and so on; give "
                        "the folder scratch as --scr_dir")
    return found


def prepare(jsrt_dir: str, scr_dir: str, out: str, size: int, observer2: str | None = None,
            bits: int | None = None, stretch: bool = True,
            progress: Callable[[int, int], None] = lambda done, total: None) -> Prepared:
    """Writes the films that have all five masks as a pair folder of `size` x `size` pixels.

    Films are reduced by area averaging; a mask pixel is set where at least half of it is covered. Label maps are
    painted in order of codes (clavicles last), and the masks are kept with their overlaps.

    Args:
      observer2: folder of the second observer's masks; their scored organs go to OUT/observer2/ID.png.
      bits: 8, 16 (white is 4095), or None for 16 if there is any .IMG.
      stretch: brings every film to the whole grey scale, see `stretch_film`.
      progress: called with films done and in all.

    Raises UserError naming the file for one that cannot be read or is not what SCR has.
    """
    films, masks = find_films(pathlib.Path(jsrt_dir)), find_masks(pathlib.Path(scr_dir))
    second = None if observer2 is None else _find_second(pathlib.Path(observer2), masks)
    lacking = {id_: tuple(organ for organ in CHEST.organs if id_ not in masks[organ]) for id_ in films}
    ids = [id_ for id_ in films if not lacking[id_]]
    if not ids:
        raise UserError(f"{scr_dir}: found masks for none of the {len(films)} films in {jsrt_dir}")
    raw = any(films[id_].suffix.lower() == ".img" for id_ in ids)
    max_value = _BIT_DEPTH_MAX if (bits or (16 if raw else 8)) == 16 else 255
    spacing = IMG_SPACING_MM * IMG_SIDE / size
    observed = []
    with PairWriter(out, Description(NAME, (size, size), CHEST, max_value, spacing)) as writer:
        for done, id_ in enumerate(ids):
            progress(done, len(ids))
            organs = _read_masks(id_, CHEST.organs, masks, size)
            writer.add(Entry(id_, split_of(id_), NAME), _reduced_film(films[id_], size, max_value, stretch),
                       CHEST.paint(organs), organs)
            if second and all(id_ in second[organ] for organ in CHEST.scored):
                _write_observer(writer.path, id_, second, size)
                observed.append(id_)
    progress(len(ids), len(ids))
    return Prepared(tuple(ids), tuple(id_ for id_ in IDS if id_ not in films),
                    {id_: organs for id_, organs in lacking.items() if organs}, tuple(observed))


def _find_second(folder: pathlib.Path, first: MaskPaths) -> MaskPaths:
    second = find_masks(folder, "masks*")
    for organ, paths in second.items():
        for id_, path in paths.items():
            if id_ in first[organ] and path.samefile(first[organ][id_]):
                raise UserError(f"{path}: is the first observer's mask; give the folder of the second "
                                "observer's as --observer2")
    return second


def _reduced_film(path: pathlib.Path, size: int, max_value: int, stretch: bool) -> np.ndarray:
    """The film at `size`, white being `max_value`: uint8 for 255, else uint16."""
    film = with_channel(read_film(path), "grey")
    if film.pixels.shape[0] != film.pixels.shape[1]:
        raise UserError(f"{path}: found {film.pixels.shape[1]} x {film.pixels.shape[0]} pixels, expected a square "
                        "film; the originals are 2048 x 2048")
    white = film.max_value
    if not film.exact and film.pixels.max() <= _BIT_DEPTH_MAX:
        white = _BIT_DEPTH_MAX  # a 16-bit PNG of a JSRT film may hold its 12 bits as they are
    scaled = resize_film(film.pixels.astype(np.float32), (size, size)) * np.float32(max_value / white)
    scaled = stretch_film(scaled, max_value) if stretch else scaled
    return np.clip(np.rint(scaled), 0, max_value).astype(np.uint8 if max_value == 255 else np.uint16)


def _read_masks(id_: str, organs: Iterable[str], found: MaskPaths, size: int) -> np.ndarray:
    """The organs' masks of a film at `size`, bool [size, size, organs]."""
    masks = []
    for organ in organs:
        path = found[organ][id_]
        mask = read_mask(path)
        values = np.unique(mask)
        if len(values) != 2 or values[0] != 0:
            raise UserError(f"{path}: found values {', '.join(map(str, values[:8]))}, expected a mask of 0 and "
                            "one other value; copy it again")
        if masks and mask.shape != masks[0].shape:
            expected = f"{masks[0].shape[1]} x {masks[0].shape[0]}"
            raise UserError(f"{path}: found {mask.shape[1]} x {mask.shape[0]} pixels, expected {expected} as in "
                            "the film's other masks")
        masks.append(mask > 0)
    return resize_masks(np.stack(masks, -1), (size, size))


def _write_observer(path: pathlib.Path, id_: str, masks: MaskPaths, size: int) -> None:
    table = CHEST.scored_table()
    atomic_files.make_folder(path / "observer2")
    write_png(path / "observer2" / f"{id_}.png", table.paint(_read_masks(id_, table.organs, masks, size)))


def _listing(folder: pathlib.Path) -> list[pathlib.Path]:
    """What `folder` holds, hidden files apart; nothing where it is not a folder."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _below(folders: Iterable[pathlib.Path], name: str) -> list[pathlib.Path]:
    return [path for folder in folders for path in _listing(folder) if path.name.lower() == name]
