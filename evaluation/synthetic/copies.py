"""Does a synthetic set copy its training films? Nearest training pair of every sample, against the real rate.

Distances to the nearest training film mean nothing alone: chest films resemble one another. They are judged by
the distances that *new* real films keep from the training films: held-out train films, which no network saw, or
without them each training film against the others. Where the data say whose a film is, both are of other patients
than it is compared with. Test films are for the tables alone. If nothing is copied, about 1 % of the samples lie
below the first percentile of these distances, somewhat more where it rests on few films. A copy also stands out
by itself: it is far nearer to its original than to any other patient's training film (Carlini et al. 2023 use the
same for diffusion models). So does a blend of two training patients: it is near to both, and far nearer to these
than to a third.

Distances are of five kinds: of films by pixels and by features, of label maps (`nearest_films`), of films by the
keypoints they share (`keypoints`: 1 / (1 + votes)), and of the organs that are most alike (`organ_patches`: in
multiples of what is usual for the organ). What each finds of planted copies: `evaluation.evaluate_copy_check`.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import pandas as pd

from datasets.burnt_in import Box, find_boxes, same_place
from datasets.class_table import ClassTable
from evaluation.synthetic import nearest_films
from evaluation.synthetic.image_sets import ImageSet
from evaluation.synthetic.keypoints import KeypointIndex
from evaluation.synthetic.organ_patches import organ_distances

MEASURE = 3  # raised with every change of what `CopyCheck.judge` says: marks and figures of an earlier one are old
PERCENTILE = 1.0
COPY_RATIO = {"film": 0.5, "feature": 0.5, "label": 0.4, "keypoint": 0.5, "organ": 0.45}
KINDS = tuple(COPY_RATIO)
BLEND_RATIO = {"film": 0.6, "feature": 0.6, "keypoint": 0.6}  # of the distance to a second patient to a third's
_ALONE = ("keypoint", "organ", "label")  # kinds that flag a copy by themselves
FEWEST_VOTES = 6  # of a film that is close by keypoints, whatever the real ones have
FEW = 20  # real distances: a percentile of fewer is said to rest on few

Named = dict[str, nearest_films.Distances]


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
        return list(self.samples["id"][~is_copy(self.samples)])


def is_copy(samples: pd.DataFrame) -> pd.Series:
    """Whether film or label map of each sample is flagged as a copy."""
    return samples["film_copy"] | samples["label_copy"]


@dataclasses.dataclass(frozen=True)
class CopyCheck:
    """Training films, and how near to them new real films come: what a sample is judged by.

    Attributes:
      training: un-augmented pairs.
      held_out: real pairs the training did not see, or None.
      classes: of both.
      percentile: of the real distances, below which a sample is close.
      reference: kind -> distance of each new real picture to its nearest training picture, float [N].
      index: the training films' keypoints.
      usual: organ -> median of the new real pictures' distances by that organ.
      same: which training films are of one patient or one film by two names, each with itself, bool [M, M].
      left_out: how many unseen train films calibrate nothing, as they are of the training films' patients.
    """

    training: ImageSet
    held_out: ImageSet | None
    classes: ClassTable
    percentile: float
    reference: dict[str, np.ndarray]
    index: KeypointIndex
    usual: dict[str, float]
    same: np.ndarray
    left_out: int = 0

    @classmethod
    def calibrate(cls, training: ImageSet, held_out: ImageSet | None, classes: ClassTable,
                  percentile: float = PERCENTILE, left_out: int = 0) -> "CopyCheck":
        """Measures the real distances; None as `held_out` leaves each training film out against the others, its
        twins and its patient's other films with it.

        Raises ValueError for fewer than 2 training pairs.
        """
        if len(training) < 2:
            raise ValueError(f"expected 2 training pairs or more; received {len(training)}")
        index, real = KeypointIndex(training.films), training if held_out is None else held_out
        same = _same(training)
        found, organs = _distances(real, training, classes, index, same if held_out is None else None)
        usual = {organ: max(float(np.median(distances.min(1))), 1e-6) for organ, (distances, _) in organs.items()}
        found["organ"] = _nearest_organ(organs, usual)
        reference = {kind: found[kind][0].min(1) for kind in KINDS}
        return cls(training, held_out, classes, percentile, reference, index, usual, same, left_out)

    def distances(self, images: ImageSet) -> Named:
        """Kind -> distances [N, M] to the training pairs."""
        found, organs = _distances(images, self.training, self.classes, self.index)
        return {**found, "organ": _nearest_organ(organs, self.usual)}

    def threshold(self, kind: str) -> float:
        """The distance below which a sample is close; where films have few keypoints, a few votes mean nothing."""
        found = float(np.percentile(self.reference[kind], self.percentile))
        return min(found, 1 / FEWEST_VOTES) if kind == "keypoint" else found

    @property
    def expected_share(self) -> float:
        """Chance that one more real picture lies below the interpolated percentile of those measured."""
        count = len(self.reference["film"])
        return (1 + self.percentile / 100 * (count - 1)) / (count + 1)

    @property
    def calibration(self) -> str:
        """What the real distances were measured on, and whether that is little."""
        count = len(self.reference["film"])
        few = f", which are few (under {FEW})" if count < FEW else ""
        few += f"; {self.left_out} more train films are of the same patients, and left out" * bool(self.left_out)
        if self.held_out is not None:
            return f"{count} {self.held_out.name} films against {len(self.training)} training films{few}"
        whose = self.training.same_patient()
        if np.trace(whose) == whose.sum():
            return f"{count} training films, each against the others{few}"
        patients = len(np.unique(whose, axis=0))
        return f"{count} training films of {patients} patients, each against those of the others{few}"

    def judge(self, synthetic: ImageSet) -> pd.DataFrame:
        """One row per sample, each judged by itself; columns as `compare` describes `samples`."""
        columns: dict[str, Any] = {"id": list(synthetic.ids)}
        measured, ids, places, one, two = self.distances(synthetic), np.array(self.training.ids), {}, {}, {}
        for kind in KINDS:
            distances, mirrored = measured[kind]
            places[kind], nearest = _nearest_patients(distances, self.same)
            first, second = places[kind].T
            ratios = nearest[:, :2] / np.maximum(nearest[:, 1:], 1e-6)
            close = nearest[:, :2] < self.threshold(kind)
            one[kind] = close[:, 0] & (ratios[:, 0] < COPY_RATIO[kind])
            two[kind] = close[:, 1] & (ratios[:, 1] < BLEND_RATIO.get(kind, 0)) & np.isfinite(nearest[:, 2])
            columns |= {f"{kind}_distance": nearest[:, 0], f"{kind}_nearest": ids[first],
                        f"{kind}_mirrored": mirrored[np.arange(len(first)), first], f"{kind}_ratio": ratios[:, 0],
                        f"{kind}_close": close[:, 0], f"{kind}_second": ids[second],
                        f"{kind}_blend_ratio": ratios[:, 1]}
        samples = pd.DataFrame(columns)
        alike = self.same[places["film"][:, :, None], places["feature"][:, None]]  # [N, 2, 2]
        both = alike[:, 0, 0] & alike[:, 1, 1] | alike[:, 0, 1] & alike[:, 1, 0]
        flags = {"film": one["film"] & one["feature"] & alike[:, 0, 0] | two["film"] & two["feature"] & both,
                 **{kind: one[kind] | two[kind] for kind in _ALONE}}
        samples["film_copy"] = flags["film"] | flags["keypoint"] | flags["organ"]
        samples["label_copy"] = flags["label"]
        samples["copy_of"] = np.select(list(flags.values()), [samples[f"{kind}_nearest"] for kind in flags], "")
        known = {id_: find_boxes(film) for id_, film in zip(self.training.ids, self.training.films, strict=True)}
        found = [find_boxes(film) for film in synthetic.films]
        samples["boxes"] = [len(boxes) for boxes in found]
        samples["box_source"] = [_source(boxes, known) for boxes in found]
        return samples

    def examine(self, synthetic: ImageSet) -> Memorization:
        """All samples and what they come to together. Raises ValueError without any."""
        if not len(synthetic):
            raise ValueError("expected a sample; received none")
        samples = self.judge(synthetic)
        return Memorization(samples, {
            "synthetic": len(synthetic), "training": len(self.training), "percentile": self.percentile,
            "expected_share": self.expected_share, "calibration": self.calibration,
            "calibrating": len(self.reference["film"]),
            **{kind: _describe(samples[f"{kind}_distance"].to_numpy(), self.reference[kind], self.threshold(kind))
               for kind in KINDS},
            "film_copies": float(samples["film_copy"].mean()),
            "film_copies_mirrored": float((samples["film_copy"] & samples["film_mirrored"]).mean()),
            "label_copies": float(samples["label_copy"].mean()),
            "burnt_in": _box_shares(samples, self.training, self.held_out)})


def compare(synthetic: ImageSet, training: ImageSet, held_out: ImageSet | None, classes: ClassTable,
            percentile: float = PERCENTILE) -> Memorization:
    """Nearest training pair of each synthetic one, by each kind of distance.

    `samples` holds per kind (of KINDS) the columns KIND_distance, KIND_nearest (training id),
    KIND_mirrored, KIND_ratio (distance over that to the nearest of another patient), KIND_close (nearer than
    `percentile` of the real distances), KIND_second (id of that nearest of another patient), KIND_blend_ratio (its
    distance over that to the nearest of a third). `label_copy` is a map that is close and of a small ratio
    (`COPY_RATIO`); `film_copy` a film of which this holds by pixels and by features, for films of one patient, or
    by keypoints, or by one of its organs, or that is close to two patients' films and of a small ratio to a
    third's (`BLEND_RATIO`), by pixels and features or by keypoints; `copy_of` the nearest training film by the
    first of these, "" for no copy. A training film of which nobody says whose it is counts as of a patient of its
    own, and so does one that stands there twice. `boxes` counts the burnt-in rectangles of the film; `box_source`
    is a training film with one at the same place, "" for none.

    `summary` holds per kind the threshold, the share below it and the quantiles of both distances; how it was
    calibrated and the share to expect without copying; the shares of copies and of films with boxes.

    Args:
      training: un-augmented pairs, at least 2.
      held_out: real pairs the training did not see; None calibrates by leave-one-out among the training ones.
      percentile: in (0, 100).
    """
    return CopyCheck.calibrate(training, held_out, classes, percentile).examine(synthetic)


def _distances(images: ImageSet, training: ImageSet, classes: ClassTable, index: KeypointIndex,
               same: np.ndarray | None = None) -> tuple[Named, Named]:
    """By kind but for organs, and by organ. Films are compared as they are and as their keypoints align them.

    `same`: `images` are the training films, infinitely far from themselves and from these.
    """
    votes = index.votes(images.films, None if same is None else same & training.same_patient())
    found = {"label": nearest_films.label_distances(images.labels, training.labels, classes),
             "keypoint": (1 / (1 + votes.counts), votes.mirrored)}
    for kind, measure in (("film", nearest_films.film_distances), ("feature", nearest_films.feature_distances)):
        found[kind] = nearest_films.nearer(measure(images.films, training.films),
                                           measure(votes.aligned, training.films))
    organs = organ_distances(images.films, images.labels, training.films, training.labels, classes)
    if same is not None:
        for distances, _ in (*found.values(), *organs.values()):
            distances[same] = np.inf
    return found, organs


def _nearest_patients(distances: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of distances [N, M]: places of the nearest films of two patients, [N, 2], and distances to those of three,
    [N, 3]; infinite where there are no three."""
    places, nearest = [], []
    for _ in range(3):
        places.append(distances.argmin(1))
        nearest.append(distances.min(1))
        distances = np.where(same[places[-1]], np.inf, distances)
    return np.stack(places[:2], 1), np.stack(nearest, 1)


def _same(training: ImageSet) -> np.ndarray:
    """`CopyCheck.same`; less of it where it would leave no other film to one of them."""
    patients, twins = training.same_patient(), nearest_films.twins(training.films)
    return next(same for same in (patients | twins, patients, np.eye(len(training), dtype=bool))
                if not same.all(1).any())


def _nearest_organ(organs: Named, usual: dict[str, float]) -> nearest_films.Distances:
    """Distances by the organ that is most alike, in multiples of what is usual for it."""
    scaled = ((distances / usual[organ], mirrored) for organ, (distances, mirrored) in organs.items())
    return functools.reduce(nearest_films.nearer, scaled)


def _describe(closest: np.ndarray, reference: np.ndarray, threshold: float) -> dict[str, Any]:
    quantiles = (0, 0.01, 0.1, 0.5, 0.9)
    return {"threshold": threshold, "share_below": float((closest < threshold).mean()),
            "synthetic_quantiles": {str(q): float(np.quantile(closest, q)) for q in quantiles},
            "real_quantiles": {str(q): float(np.quantile(reference, q)) for q in quantiles}}


def _box_shares(samples: pd.DataFrame, training: ImageSet, held_out: ImageSet | None) -> dict[str, float]:
    """Shares of the films with burnt-in boxes, and with one where a training film has one."""
    known = {id_: find_boxes(film) for id_, film in zip(training.ids, training.films, strict=True)}
    shares = {"share_with_box": float((samples["boxes"] > 0).mean()),
              "share_at_training_place": float((samples["box_source"] != "").mean()),
              "training_share_with_box": float(np.mean([bool(boxes) for boxes in known.values()]))}
    if held_out is not None:
        test = [find_boxes(film) for film in held_out.films]
        shares |= {"new_share_with_box": float(np.mean([bool(boxes) for boxes in test])),
                   "new_share_at_training_place": float(np.mean([bool(_source(boxes, known)) for boxes in test]))}
    return shares


def _source(boxes: list[Box], known: dict[str, list[Box]]) -> str:
    return next((id_ for id_, others in known.items() if any(same_place(box, others) for box in boxes)), "")
