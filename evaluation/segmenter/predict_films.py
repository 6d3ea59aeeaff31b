"""Segments films one after another and keeps what is found."""

import csv
import io
import os
import pathlib

import tensorflow as tf

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.formats.read import read_film
from datasets.pair_store import write_png
from evaluation.results.safe_text import csv_cell
from evaluation.segmenter.load import LoadedSegmenter
from evaluation.segmenter.overlay import measure, overlay


class Predictor:
    """Writes the predictions of films to a folder.

    Args:
      segmenter: from `load_any_segmenter`.
      out: the folder, made if missing.
      dicom_seg: also write DICOM segmentations of DICOM films in which an organ was found.

    Attributes:
      rows: of areas.csv so far.
    """

    def __init__(self, segmenter: LoadedSegmenter, out: str, dicom_seg: bool = True):
        self.segmenter, self.dicom_seg = segmenter, dicom_seg
        self.out = atomic_files.make_folder(out)
        self.rows: list[dict[str, object]] = []

    def predict(self, name: str, path: str | os.PathLike) -> None:
        """Segments film `path`; results are called `name`. Raises UserError where it cannot."""
        path = pathlib.Path(path)
        film = read_film(path)
        try:
            codes, _ = self.segmenter.segment(film)
        except (MemoryError, tf.errors.ResourceExhaustedError):
            height, width = film.pixels.shape
            raise UserError(f"{path}: not enough memory for {width} x {height} pixels; reduce it first") from None
        write_png(atomic_files.make_folder(self.out / "labels") / f"{name}.png", codes)
        picture = overlay(film, codes, len(self.segmenter.class_names))
        write_png(atomic_files.make_folder(self.out / "overlays") / f"{name}.png", picture[..., ::-1])
        self._note(name, path, film, codes)
        if self.dicom_seg:
            self._write_segmentation(name, path, codes)

    def write_table(self) -> None:
        """Writes areas.csv; empty cells are what is not known."""
        organs = [f"{name} area" for name in self.segmenter.class_names[1:]]
        columns = ["name", "file", "height", "width", "spacing_mm", "unit", *organs, "cardiothoracic_ratio"]
        text = io.StringIO()
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        atomic_files.write_text(self.out / "areas.csv", text.getvalue())

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

    def _write_segmentation(self, name, path, codes) -> None:
        from evaluation.segmenter.dicom_seg import is_dicom, write_dicom_seg
        if is_dicom(path) and codes.any():
            folder = atomic_files.make_folder(self.out / "segmentations")
            write_dicom_seg(path, codes, self.segmenter.class_names, folder / f"{name}.dcm")
