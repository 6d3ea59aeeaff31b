"""Copies of known films in known disguises, to measure what a check of copies finds.

A disguise comes in strengths, mildest first. Those of films change the film and, where pixels move, the label map
with it; `pasted organ` puts one organ of the film into another patient's; `copied map` and `warped map` keep the
label map and fill it with another patient's look; `blended patients` lays two patients' films over each other, and
`blended members` those of two that are both known. The same disguises on films of other patients tell how often a
check errs.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from datasets.class_table import ClassTable

_SEAM = 0.012  # of the side: standard deviation of a pasted organ's soft edge
_WAVE = 0.08  # of the side: how far a warp's displacements reach


class Pair(NamedTuple):
    """Film uint8 [H, W] or [H, W, 3] and label map uint8 [H, W]."""

    film: np.ndarray
    label: np.ndarray


class Disguise(NamedTuple):
    """A way to hide a copy.

    Attributes:
      kind: "film" where the film is copied, "label" where only the label map is.
      listed: whether it counts in the whole; warped maps and blends, the less a copy the stronger, do not.
      strengths: what is shown of a strength -> its value, mildest first.
      apply: (pair, another patient's pair, value, generator) -> the copy; None where the film has no such organ.
      of_two: whether that other patient's film is a known one, too, so that two are copied.
    """

    kind: str
    listed: bool
    strengths: Mapping[str, object]
    apply: Callable[[Pair, Pair, object, np.random.Generator], Pair | None]
    of_two: bool = False


def disguises(classes: ClassTable) -> dict[str, Disguise]:
    """All of them by name, in a fixed order. Lengths are shares of the side, grey levels of 255."""
    organs = {organ: classes.code(organ) for organ in classes.organs}
    moved = {"as it is": {}, "shift 3 %": {"shift": 0.03}, "rotation 2°": {"degrees": 2.0},
             "scaling 5 %": {"scale": 1.05}, "mirrored": {"mirror": True}}
    warped = {f"{value:g} %": {"warp": value / 100} for value in (0.5, 1, 2)}
    return {
        "none": Disguise("film", True, {"": {}}, _move),
        "shift": Disguise("film", True, {f"{value:g} %": {"shift": value / 100} for value in (3, 6, 10)}, _move),
        "rotation": Disguise("film", True, {f"{value:g}°": {"degrees": value} for value in (2, 5, 10)}, _move),
        "scaling": Disguise("film", True, {f"{value:g} %": {"scale": 1 + value / 100} for value in (5, 10, 20)},
                            _move),
        "crop": Disguise("film", True, {f"to {value} %": value / 100 for value in (95, 85, 70)}, _crop),
        "mirror": Disguise("film", True, {"": {"mirror": True}}, _move),
        "gamma": Disguise("film", True, {f"{value:g}": value for value in (1.25, 1.6, 2.2)}, _gamma),
        "blur": Disguise("film", True, {f"{value:g} %": value / 100 for value in (0.8, 1.6, 2.4)}, _blur),
        "noise": Disguise("film", True, {f"{value}": value for value in (5, 10, 20)}, _noise),
        "all at once": Disguise("film", True, {"mild": {"shift": 0.02, "degrees": 1.5, "scale": 1.02},
                                         "strong": {"shift": 0.04, "degrees": 4.0, "scale": 1.08, "mirror": True}},
                                _everything),
        "pasted organ": Disguise("film", True, organs, _paste),
        "copied map": Disguise("label", True, moved, _new_film),
        "warped map": Disguise("label", False, warped, _new_film),
        "blended patients": Disguise("film", False, {f"{value} %": value / 100 for value in (70, 50, 30)}, _blend),
        "blended members": Disguise("film", False, {f"{value} %": value / 100 for value in (70, 60, 50)}, _blend,
                                    of_two=True),
    }


def _move(pair: Pair, other: Pair, value: Mapping, rng: np.random.Generator) -> Pair:
    """Moved by these amounts in a random direction; what comes in at an edge repeats it."""
    del other
    side, (height, width) = max(pair.label.shape), pair.label.shape
    angle, sign = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), sign * value.get("degrees", 0),
                                     value.get("scale", 1) ** rng.choice([-1.0, 1.0]))
    matrix[:, 2] += value.get("shift", 0) * side * np.array([np.cos(angle), np.sin(angle)])
    if value.get("mirror"):
        pair = Pair(*(np.ascontiguousarray(array[:, ::-1]) for array in pair))
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    places = np.stack([columns, rows, np.ones_like(rows)], -1) @ cv2.invertAffineTransform(matrix).T
    if value.get("warp"):
        field = ndimage.gaussian_filter(rng.normal(size=(height, width, 2)), (_WAVE * side, _WAVE * side, 0))
        places = places + field * (value["warp"] * side / np.hypot(*np.moveaxis(field, -1, 0)).mean())
    return _sampled(pair, places)


def _crop(pair: Pair, other: Pair, kept: float, rng: np.random.Generator) -> Pair:
    """A window of `kept` of either side, at a random place, enlarged to the whole."""
    del other
    height, width = pair.label.shape
    top, left = rng.uniform(0, 1 - kept, 2) * pair.label.shape
    columns, rows = np.meshgrid(left + kept * np.arange(width), top + kept * np.arange(height))
    return _sampled(pair, np.stack([columns, rows], -1))


def _gamma(pair: Pair, other: Pair, value: float, rng: np.random.Generator) -> Pair:
    """Darker or brighter."""
    del other
    return Pair(_levels(255 * (pair.film / 255) ** (value ** rng.choice([-1.0, 1.0]))), pair.label)


def _blur(pair: Pair, other: Pair, value: float, rng: np.random.Generator) -> Pair:
    del other, rng
    return Pair(cv2.GaussianBlur(pair.film, (0, 0), value * max(pair.label.shape)), pair.label)


def _noise(pair: Pair, other: Pair, value: float, rng: np.random.Generator) -> Pair:
    del other
    return Pair(_levels(pair.film + rng.normal(0, value, pair.film.shape)), pair.label)


def _everything(pair: Pair, other: Pair, value: Mapping, rng: np.random.Generator) -> Pair:
    return _noise(_gamma(_move(pair, other, value, rng), other, 1.25, rng), other, 5, rng)


def _paste(pair: Pair, other: Pair, code: int, rng: np.random.Generator) -> Pair | None:
    """The organ in the other film in place of that one's own, with a soft edge."""
    del rng
    places = [np.argwhere(label == code) for label in (pair.label, other.label)]
    if not all(map(len, places)):
        return None
    down, right = places[1].mean(0) - places[0].mean(0)
    columns, rows = np.meshgrid(np.arange(pair.label.shape[1]) - right, np.arange(pair.label.shape[0]) - down)
    moved = _sampled(pair, np.stack([columns, rows], -1))
    inside = moved.label == code
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), _SEAM * max(pair.label.shape))
    soft = soft if pair.film.ndim == 2 else soft[..., None]
    around = ndimage.distance_transform_edt(other.label == code, return_distances=False, return_indices=True)
    label = np.where(inside, np.uint8(code), other.label[tuple(around)])
    return Pair(_levels(soft * moved.film + (1 - soft) * other.film), label)


def _new_film(pair: Pair, other: Pair, value: Mapping, rng: np.random.Generator) -> Pair:
    """The label map moved, each class filled with what the other film shows of it, stretched to its extent."""
    label = _move(pair, other, value, rng).label
    film = np.zeros(other.film.shape, np.float32)
    for code in np.unique(label):
        theirs, ours = other.label == code, label == code
        if not theirs.any():
            theirs = np.ones_like(theirs)
        nearest = ndimage.distance_transform_edt(~theirs, return_distances=False, return_indices=True)
        texture = other.film[tuple(nearest)]  # the class' own pixels continued to all sides
        axes = []
        for axis in (0, 1):
            here, there = (np.flatnonzero(mask.any(1 - axis))[[0, -1]] for mask in (ours, theirs))
            axes.append(np.interp(np.arange(label.shape[axis]), [here[0], here[1] + 1e-3], there))
        columns, rows = np.meshgrid(axes[1], axes[0])
        drawn = cv2.remap(texture, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
        film[ours] = drawn[ours]
    return Pair(_levels(cv2.GaussianBlur(film, (0, 0), 0.005 * max(label.shape))), label)


def _blend(pair: Pair, other: Pair, share: float, rng: np.random.Generator) -> Pair:
    """The mean of both films, of which `share` is the pair's, with organs whose outlines lie between both."""
    del rng
    codes = np.union1d(pair.label, other.label)
    depths = [np.stack([_depth(label == code) for code in codes]) for label in (pair.label, other.label)]
    label = codes[(share * depths[0] + (1 - share) * depths[1]).argmax(0)]
    return Pair(_levels(share * pair.film.astype(np.float32) + (1 - share) * other.film), label)


def _depth(region: np.ndarray) -> np.ndarray:
    """Distance to the region's outline in pixels, negative outside; -side all over where there is no region."""
    if not region.any():
        return np.full(region.shape, -max(region.shape), np.float64)
    return ndimage.distance_transform_edt(region) - ndimage.distance_transform_edt(~region)


def _sampled(pair: Pair, places: np.ndarray) -> Pair:
    """The pair at places [H, W, 2] as (x, y) in pixels."""
    columns, rows = np.moveaxis(places.astype(np.float32), -1, 0)
    film = cv2.remap(pair.film, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    label = cv2.remap(pair.label, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return Pair(film, label)


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
