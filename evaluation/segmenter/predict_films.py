"""From the film files that a user names to label maps, overlays, areas and DICOM segmentations in a folder."""

import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence

import cv2
import numpy as np

from datasets.class_table import ClassTable
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.names import to_id
from datasets.common.text_files import read_table
from datasets.formats.find import find_named, is_dicom_file, picture_stem, picture_suffix
from datasets.formats.parts import Part
from datasets.formats.raster import Film, white_above
from datasets.formats.read import pictures_in, read_film
from datasets.pair_store import write_png
from evaluation.metrics.anatomy import cardiothoracic_ratio
from evaluation.pictures import colour_labels
from evaluation.results.safe_text import csv_cell

RESULTS = ("labels", "overlays", "segmentations")  # folders in which predictions are kept
_BLEND = 0.3  # share of a class's colour in the overlay


class Predictor:
    """Writes the predictions of films to a folder, beside those of earlier runs with the same classes.

    Args:
      segmenter: from `load_any_segmenter`.
      out: the folder, made if missing.
      dicom_seg: also write DICOM segmentations of DICOM films in which an organ was found.
      invert: films are negatives, with dark bone.

    Attributes:
      rows: of areas.csv by this run so far.
      reduced, spread: how many films in colour the segmenter saw one channel of, and how many grey ones, trained
        on colour, as three equal channels.

    Raises UserError for a folder with predictions of other classes.
    """

    def __init__(self, segmenter, out: str, dicom_seg: bool = True, invert: bool = False):
        self.segmenter, self.dicom_seg, self.invert = segmenter, dicom_seg, invert
        self.out = atomic_files.make_folder(out)
        self.rows: list[dict[str, object]] = []
        self._before = self._rows_before()
        self.reduced = self.spread = 0
        if not (self.out / "areas.csv").is_file():  # from the first film on it tells whose the folder is
            self.write_table()

    def predict(self, name: str, path: str | os.PathLike, part: Part | None = None) -> None:
        """Segments film `path`, or a slice of it; results are called `name`. Raises UserError where it cannot."""
        import tensorflow as tf  # not above: files that are not there are told before it starts

        path = pathlib.Path(path)
        film = read_film(path, part)
        film = film.negative() if self.invert else film
        try:
            codes, _ = self.segmenter.segment(film)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            height, width = film.pixels.shape[:2]
            raise UserError(f"{path}: not enough memory for {width} x {height} pixels; reduce it first") from None
        write_png(atomic_files.make_folder(self.out / "labels") / f"{name}.png", codes)
        picture = overlay(film, codes, len(self.segmenter.class_names))
        write_png(atomic_files.make_folder(self.out / "overlays") / f"{name}.png", picture)
        self._note(name, path, film, codes)
        self.reduced += film.coloured and self.segmenter.channel != "colour"
        self.spread += not film.coloured and self.segmenter.channel == "colour"
        if self.dicom_seg and codes.any() and is_dicom_file(path):
            from evaluation.segmenter.dicom_seg import write_dicom_seg  # for DICOM films alone
            folder = atomic_files.make_folder(self.out / "segmentations")
            write_dicom_seg(path, codes, self.segmenter.class_names, folder / f"{name}.dcm")

    def write_table(self) -> None:
        """Writes areas.csv, earlier runs' rows of other films first; empty cells are what is not known."""
        text = io.StringIO()
        table = csv.DictWriter(text, self._columns(), lineterminator="\n")
        table.writeheader()
        table.writerows([*self.earlier(), *self.rows])
        atomic_files.write_text(self.out / "areas.csv", text.getvalue())

    def earlier(self) -> list[dict[str, str]]:
        """Rows of earlier runs that stay, those of films that this run has not segmented."""
        made = {row["name"] for row in self.rows}
        return [row for row in self._before if row["name"] not in made]

    def replaced(self) -> list[str]:
        """Files of earlier runs' films in whose place this run's films of the same name came from other files."""
        files = {row["name"]: row["file"] for row in self.rows}
        return [row["file"] for row in self._before if files.get(row["name"], row["file"]) != row["file"]]

    def _columns(self) -> list[str]:
        organs = [f"{name} area" for name in self.segmenter.class_names[1:]]
        return ["name", "file", "height", "width", "spacing_mm", "unit", *organs, "cardiothoracic_ratio"]

    def _rows_before(self) -> list[dict[str, str]]:
        """Of the areas.csv that is there."""
        path = self.out / "areas.csv"
        head, *rows = (read_table(path) if path.is_file() else []) or [self._columns()]
        if rows and (head != self._columns() or any(len(row) != len(head) for row in rows)):
            raise UserError(f"{path}: has columns {', '.join(head)}, expected {', '.join(self._columns())} in "
                            "every row: it is of another segmenter's predictions; choose another --out")
        return [dict(zip(head, row, strict=True)) for row in rows]

    def _note(self, name, path, film, codes) -> None:
        measures = measure(codes, self.segmenter.class_names, film.spacing_mm)
        ratio = measures.cardiothoracic_ratio
        areas = {f"{organ} area": f"{area:.10g}" for organ, area in
                 zip(self.segmenter.class_names[1:], measures.areas, strict=True)}
        height, width = codes.shape
        self.rows.append({
            "name": csv_cell(name), "file": csv_cell(str(path)), "height": height, "width": width,
            "spacing_mm": "" if film.spacing_mm is None else f"{film.spacing_mm:.6g}",
            "unit": measures.unit, **areas, "cardiothoracic_ratio": "" if ratio is None else f"{ratio:.4f}"})


@dataclasses.dataclass(frozen=True)
class Measures:
    """Measures of one film.

    Attributes:
      areas: of each organ in order of codes, in mm2 where the spacing is known, else in pixels.
      unit: "mm2" or "pixels".
      cardiothoracic_ratio: None where the classes have no heart and lungs, or one of them was not found.
    """

    areas: tuple[float, ...]
    unit: str
    cardiothoracic_ratio: float | None


def measure(codes: np.ndarray, class_names: Sequence[str], spacing_mm: float | None) -> Measures:
    """Measures of codes [H, W], pixels of side `spacing_mm`.

    Areas count every pixel of a class. In DICOM films without calibration the spacing is that at the detector, so
    that areas at the patient are smaller.
    """
    counts = np.bincount(codes.ravel(), minlength=len(class_names))[1:]
    factor = 1.0 if spacing_mm is None else spacing_mm**2
    return Measures(tuple(float(count) * factor for count in counts), "pixels" if spacing_mm is None else "mm2",
                    cardiothoracic_ratio(codes, ClassTable(tuple(class_names))))


def overlay(film: Film, codes: np.ndarray, num_classes: int) -> np.ndarray:
    """The film in uint8 RGB [H, W, 3] with its classes tinted and outlined."""
    white = film.max_value if film.exact else white_above(int(film.pixels.max()))
    levels = np.clip(film.pixels * np.float32(255 / white), 0, 255)
    levels = levels if film.coloured else levels[..., None]
    colours = colour_labels(codes, num_classes)
    tinted = np.where(codes[..., None] > 0, (1 - _BLEND) * levels + _BLEND * colours, levels)
    picture = np.ascontiguousarray(np.rint(tinted), np.uint8)
    # an outline for each class, its holes included
    thickness = max(1, round(max(codes.shape) / 700))
    for code in range(1, num_classes):
        contours, _ = cv2.findContours((codes == code).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, colour_labels(np.array(code), num_classes).tolist(), thickness)
    return picture


def film_slices(films: Mapping[str, pathlib.Path], axis: str) -> tuple[
        list[tuple[str, pathlib.Path, Part | None]], list[str]]:
    """What to segment: (name, file, slice), volumes along `axis`; and a line for each volume that is not read."""
    found, problems = [], []
    for name, path in films.items():
        try:
            found += [(name + (part.suffix if part else ""), path, part) for part in pictures_in(path, axis)]
        except UserError as error:
            problems.append(str(error))
    return found, problems


def find_films(named: Sequence[str], without: Collection[pathlib.Path] = ()) -> tuple[
        dict[str, pathlib.Path], str]:
    """Name for results -> film file, in the order given, and a line about files left out (or "").

    Folders are searched through, by path, but not `without`; `find_named` says what a film is. A name is the
    file's stem, made safe; films of the same stem get their suffix, then a number.

    Raises UserError for a name, folder or pattern without any film.
    """
    found = find_named(named, without)
    stems = [to_id(picture_stem(path).lstrip(".-") or "film") for path in found.files]
    made: dict[str, pathlib.Path] = {}
    for path, stem in zip(found.files, stems, strict=True):
        longer = f"{stem}-{picture_suffix(path)[1:].replace('.', '-') or 'file'}"
        name = stem if stems.count(stem) == 1 else longer
        number = 2
        while name in made or (name != stem and name in stems):  # a film may be called a-png itself
            name, number = f"{longer}-{number}", number + 1
        made[name] = path
    return made, found.about_left_out()
