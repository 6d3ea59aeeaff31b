"""What is told of a segmented film: the areas of its organs, the cardiothoracic ratio, and an overlay."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from datasets.formats.raster import Film
from evaluation.metrics.anatomy import cardiothoracic_ratio
from evaluation.pictures import colour_labels

RESULTS = ("labels", "overlays", "segmentations")  # folders in which predictions are kept
_BLEND = 0.3  # share of a class's colour in the overlay


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
                    cardiothoracic_ratio(codes, class_names))


def overlay(film: Film, codes: np.ndarray, num_classes: int) -> np.ndarray:
    """The film in uint8 RGB [H, W, 3] with its classes tinted and outlined."""
    white = film.max_value if film.exact else 2 ** max(8, int(film.pixels.max()).bit_length()) - 1
    grey = np.clip(film.pixels * np.float32(255 / white), 0, 255)[..., None]
    colours = colour_labels(codes, num_classes)
    tinted = np.where(codes[..., None] > 0, (1 - _BLEND) * grey + _BLEND * colours, grey)
    picture = np.ascontiguousarray(np.rint(tinted), np.uint8)
    thickness = max(1, round(max(codes.shape) / 700))
    for code in range(1, num_classes):
        contours, _ = cv2.findContours((codes == code).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, colour_labels(np.array(code), num_classes).tolist(), thickness)
    return picture
