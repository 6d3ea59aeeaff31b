"""Does a synthetic set copy its training films? Nearest training pair of every sample, against the real rate.

Distances to the nearest training film mean nothing alone: chest films resemble one another. They are judged by
the distances that *new* real films (the test films; without them, each training film against the others) keep
from the training films. If nothing is copied, about 1 % of the samples lie below their first percentile, somewhat
more where it rests on few films. A copy also stands out by itself: it is far nearer to its original than to any
other training film (Carlini et al. 2023 use the same for diffusion models).
"""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from datasets.class_table import ClassTable
from evaluation.synthetic import nearest_films
from evaluation.synthetic.image_sets import ImageSet
from evaluation.synthetic.name_boxes import Box, find_boxes, same_place

PERCENTILE = 1.0
COPY_RATIO = {"film": 0.5, "feature": 0.5, "label": 0.35}  # new JSRT pairs stay above 0.56, 0.67 and 0.70
KINDS = ("film", "feature", "label")


@dataclasses.dataclass(frozen=True)
class Memorization:
    """What `compare` found.

    Attributes:
      samples: one row per synthetic sample, see `compare`.
      summary: JSON values, see `compare`.
    """

    samples: pd.DataFrame
    summary: dict[str, Any]

    @property
    def no_copies(self) -> list[str]:
        """Ids of the samples of which neither film nor label map is flagged as a copy."""
        return list(self.samples["id"][~(self.samples["film_copy"] | self.samples["label_copy"])])


def compare(synthetic: ImageSet, training: ImageSet, held_out: ImageSet | None, classes: ClassTable,
            percentile: float = PERCENTILE) -> Memorization:
    """Nearest training pair of each synthetic one, by film pixels, film features and label map.

    `samples` holds per kind ("film", "feature", "label") the columns KIND_distance, KIND_nearest (training id),
    KIND_mirrored, KIND_ratio (distance over that to the second nearest), KIND_close (nearer than `percentile` of
    the real distances). `label_copy` is a map that is close and of a small ratio (`COPY_RATIO`); `film_copy` a
    film of which this holds by pixels and by features, for the same training film. A training film that stands
    there twice hides its copies from this rule, not from the shares. `boxes` counts the burnt-in rectangles of
    the film; `box_source` is a training film with one at the same place.

    `summary` holds per kind the threshold, the share below it and the quantiles of both distances; how it was
    calibrated and the share to expect without copying; the shares of copies and of films with boxes.

    Args:
      training: un-augmented pairs, at least 2 (3 without held-out ones).
      held_out: real pairs the training did not see; None calibrates by leave-one-out among the training ones.
      percentile: in (0, 100).
    """
    if len(training) < (3 if held_out is None else 2) or not len(synthetic):
        raise ValueError("expected a sample and 3 training pairs (2 with held-out ones); received "
                         f"{len(synthetic)} samples and {len(training)} training pairs")
    columns, kinds = {"id": list(synthetic.ids)}, {}
    for kind in KINDS:
        distances, mirrored = _distances(kind, synthetic, training, classes)
        reference = _real_distances(kind, training, held_out, classes)
        threshold = float(np.percentile(reference, percentile))
        place = distances.argmin(1)
        closest, second = np.partition(distances, 1)[:, :2].T  # the two smallest of each row
        columns |= {f"{kind}_distance": closest, f"{kind}_nearest": [training.ids[index] for index in place],
                    f"{kind}_mirrored": mirrored[np.arange(len(place)), place],
                    f"{kind}_ratio": closest / np.maximum(second, 1e-6), f"{kind}_close": closest < threshold}
        kinds[kind] = _describe(closest, reference, threshold)
    samples = pd.DataFrame(columns)
    clear = {kind: samples[f"{kind}_close"] & (samples[f"{kind}_ratio"] < COPY_RATIO[kind]) for kind in KINDS}
    same = samples["film_nearest"] == samples["feature_nearest"]
    samples["film_copy"], samples["label_copy"] = clear["film"] & clear["feature"] & same, clear["label"]
    # Chance that one more real picture lies below the interpolated percentile of those measured.
    expected = (1 + percentile / 100 * (len(reference) - 1)) / (len(reference) + 1)
    if held_out is None:
        calibration = f"{len(training)} training films, each against the others (no test films given)"
    else:
        calibration = f"{len(held_out)} test films against {len(training)} training films"
    boxes, source, burnt_in = _compare_boxes(synthetic, training, held_out)
    samples["boxes"], samples["box_source"] = boxes, source
    return Memorization(samples, {
        "synthetic": len(synthetic), "training": len(training), "percentile": percentile,
        "expected_share": expected, "calibration": calibration, **kinds,
        "film_copies": float(samples["film_copy"].mean()),
        "film_copies_mirrored": float((samples["film_copy"] & samples["film_mirrored"]).mean()),
        "label_copies": float(samples["label_copy"].mean()),
        "burnt_in": burnt_in})


def _distances(kind: str, images: ImageSet, training: ImageSet, classes: ClassTable) -> nearest_films.Distances:
    if kind == "film":
        return nearest_films.film_distances(images.films, training.films)
    if kind == "feature":
        return nearest_films.feature_distances(images.films, training.films)
    return nearest_films.label_distances(images.labels, training.labels, classes)


def _real_distances(kind: str, training: ImageSet, held_out: ImageSet | None, classes: ClassTable) -> np.ndarray:
    """Distance of each new real picture to its nearest training picture."""
    if held_out is not None:
        return _distances(kind, held_out, training, classes)[0].min(1)
    distances = _distances(kind, training, training, classes)[0].copy()
    np.fill_diagonal(distances, np.inf)  # a film is its own nearest
    return distances.min(1)


def _describe(closest: np.ndarray, reference: np.ndarray, threshold: float) -> dict[str, Any]:
    quantiles = (0, 0.01, 0.1, 0.5, 0.9)
    return {"threshold": threshold, "share_below": float((closest < threshold).mean()),
            "synthetic_quantiles": {str(q): float(np.quantile(closest, q)) for q in quantiles},
            "real_quantiles": {str(q): float(np.quantile(reference, q)) for q in quantiles}}


def _compare_boxes(synthetic: ImageSet, training: ImageSet,
                   held_out: ImageSet | None) -> tuple[list[int], list[str], dict[str, float]]:
    """Boxes of each synthetic film, the training film that has one at the same place ("" for none), and shares."""
    known = {id_: find_boxes(film) for id_, film in zip(training.ids, training.films, strict=True)}
    found = [find_boxes(film) for film in synthetic.films]
    sources = [_source(boxes, known) for boxes in found]
    shares = {"share_with_box": float(np.mean([bool(boxes) for boxes in found])),
              "share_at_training_place": float(np.mean([bool(source) for source in sources])),
              "training_share_with_box": float(np.mean([bool(boxes) for boxes in known.values()]))}
    if held_out is not None:
        test = [find_boxes(film) for film in held_out.films]
        shares |= {"test_share_with_box": float(np.mean([bool(boxes) for boxes in test])),
                   "test_share_at_training_place": float(np.mean([bool(_source(boxes, known)) for boxes in test]))}
    return [len(boxes) for boxes in found], sources, shares


def _source(boxes: list[Box], known: dict[str, list[Box]]) -> str:
    return next((id_ for id_, others in known.items() if any(same_place(box, others) for box in boxes)), "")
