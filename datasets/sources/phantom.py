"""A procedural thorax: five organs with individual variation, and a chest film of them.

The built-in data set of the demo and the tests. Shapes and their spread follow the averages of adult
posteroanterior films; nothing is taken from a patient. As on such films the patient's left is on the picture's
right, and bone is bright. Everything is a function of (seed, index); another size shows the same patient.
"""

import dataclasses
import pathlib

import cv2
import numpy as np

from datasets.class_table import CHEST
from datasets.common import atomic_files
from datasets.pair_store import Description, Entry, PairStore, PairWriter
from datasets.sources.phantom_film import render_film

_CANVAS = 192  # films below this size are drawn at it and reduced
_SIDE_MM = 358.4  # side of a JSRT film

# Outlines as (across, down): across in half-widths of the chest from the midline (picture right positive), down
# in heights of the lung field from the apex to the costophrenic angle.
_LUNG = np.array([
    (0.56, 0.00), (0.74, 0.07), (0.87, 0.22), (0.95, 0.42), (1.00, 0.62), (1.03, 0.82), (1.04, 1.00),
    (0.96, 0.95), (0.80, 0.895), (0.60, 0.87), (0.40, 0.885), (0.22, 0.89), (0.16, 0.74), (0.15, 0.55),
    (0.16, 0.38), (0.18, 0.22), (0.24, 0.10), (0.38, 0.02)])
_LEFT_BASE = np.array([0.0] * 6 + [0.02, 0.03, 0.04, 0.04, 0.03, 0.03] + [0.0] * 6)  # the left dome is lower
_HEART = np.array([
    (0.00, 0.00), (0.22, 0.02), (0.44, 0.15), (0.60, 0.36), (0.74, 0.60), (0.84, 0.84), (0.72, 0.97),
    (0.40, 1.00), (0.05, 0.96), (-0.18, 0.84), (-0.27, 0.62), (-0.28, 0.40), (-0.22, 0.18), (-0.12, 0.04)])
_CLAVICLE = np.array([(0.14, 0.12), (0.14, 0.06), (0.32, 0.04), (0.52, 0.00), (0.66, -0.04), (0.67, 0.00),
                      (0.52, 0.045), (0.34, 0.085), (0.22, 0.115)])


@dataclasses.dataclass(frozen=True)
class Phantom:
    """A patient: film uint8 [size, size] and organ masks bool [size, size, 5] in the order of `CHEST`."""

    image: np.ndarray
    masks: np.ndarray


@dataclasses.dataclass(frozen=True)
class Anatomy:
    """What differs from patient to patient; lengths in sides of the picture.

    Attributes:
      midline, apex: x of the spine and y of the lung apices.
      half_width, height: of the lung field; height grows with the breath taken.
      tilt: rotation of the patient in degrees.
      heart_width: in half-widths of the chest; the cardiothoracic ratio is about half of it.
      heart_top, heart_height: in heights of the lung field.
      dome: how much higher the right half of the diaphragm stands, in heights of the lung field.
      wobble: smooth irregularity of all outlines.
    """

    midline: float
    apex: float
    half_width: float
    height: float
    tilt: float
    heart_width: float
    heart_top: float
    heart_height: float
    dome: float
    wobble: float


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """A random patient; means and spreads as measured on adult films."""

    def normal(mean: float, spread: float) -> float:
        return float(mean + spread * np.clip(rng.standard_normal(), -2.2, 2.2))

    width = normal(0.385, 0.028)
    return Anatomy(
        midline=normal(0.505, 0.012), apex=normal(0.090, 0.024), half_width=width,
        height=normal(0.735, 0.060), tilt=normal(0.0, 1.3), heart_width=normal(0.93, 0.10),
        heart_top=normal(0.47, 0.035), heart_height=normal(0.42, 0.03), dome=normal(0.025, 0.012),
        wobble=normal(0.012, 0.004))


def phantom(seed: int, index: int, size: int) -> Phantom:
    """Patient `index` of `seed` at `size` x `size` pixels.

    Raises ValueError for a size outside 32..1024.
    """
    if not 32 <= size <= 1024:
        raise ValueError(f"size must be 32 to 1024; received {size}")
    rng = np.random.default_rng([seed, index])
    anatomy = draw_anatomy(rng)
    outlines = organ_outlines(anatomy, rng)
    canvas = max(size, _CANVAS)
    film = render_film(anatomy, organ_masks(outlines, canvas), rng)
    if canvas != size:
        film = cv2.resize(film, (size, size), interpolation=cv2.INTER_AREA)
    return Phantom(np.clip(np.rint(film), 0, 255).astype(np.uint8), organ_masks(outlines, size))


def organ_masks(outlines: list[np.ndarray], size: int) -> np.ndarray:
    """Outlines in the order of `CHEST`'s organs -> bool [size, size, 5]; the heart displaces the lungs."""
    masks = np.stack([fill(outline, size) for outline in outlines], -1)
    masks[..., :2] &= ~masks[..., 2:3]
    return masks


def organ_outlines(anatomy: Anatomy, rng: np.random.Generator) -> list[np.ndarray]:
    """Closed outlines [points, 2] as (x, y) in sides of the picture, in the order of `CHEST`'s organs."""
    left = _LUNG + np.stack([np.zeros(len(_LUNG)), _LEFT_BASE], 1)
    right = _LUNG * (-1, 1) - np.stack([np.zeros(len(_LUNG)), (_LEFT_BASE > 0) * anatomy.dome], 1)
    heart = _HEART * (anatomy.heart_width / 1.12, anatomy.heart_height) + (0.03, anatomy.heart_top)
    clavicle_slope = rng.normal(0.0, 0.03)
    clavicles = [_CLAVICLE + np.array([rng.normal(0, 0.01), rng.normal(0.065, 0.018)]) for _ in range(2)]
    for clavicle in clavicles:
        clavicle[:, 1] += clavicle_slope * (clavicle[:, 0] - 0.13)
    shapes = [left, right, heart, clavicles[0], clavicles[1] * (-1, 1)]
    wobbles = [anatomy.wobble] * 3 + [anatomy.wobble / 3] * 2
    return [_place(smooth(shape + wobble * _slow_noise(len(shape), rng)), anatomy)
            for shape, wobble in zip(shapes, wobbles, strict=True)]


def _slow_noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Periodic noise [count, 2] of the three lowest frequencies, of about unit deviation."""
    angles = 2 * np.pi * np.arange(count)[:, None] / count
    waves = np.concatenate([function(angles * k) / k for k in (1, 2, 3) for function in (np.sin, np.cos)], 1)
    return waves @ rng.standard_normal((6, 2)) / 1.2


def smooth(points: np.ndarray, steps: int = 8) -> np.ndarray:
    """A closed Catmull-Rom spline through points [n, 2]: [n x steps, 2]."""
    before, after, beyond = (np.roll(points, shift, 0) for shift in (1, -1, -2))
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (before, points, after, beyond))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
                   + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return curve.reshape(-1, 2)


def _place(points: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Chest coordinates -> sides of the picture, tilted about the middle of the chest."""
    angle = np.deg2rad(anatomy.tilt)
    x, y = points[:, 0] * anatomy.half_width, (points[:, 1] - 0.5) * anatomy.height
    turned = np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], 1)
    return turned + np.array([anatomy.midline, anatomy.apex + 0.5 * anatomy.height])


def fill(outline: np.ndarray, size: int) -> np.ndarray:
    """The inside of a closed outline (x, y in sides of the picture), bool [size, size]."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint((outline * size - 0.5) * 256).astype(np.int32)], 1, shift=8)
    return mask.astype(bool)


def write_phantoms(path: str | pathlib.Path, count: int, test_count: int, size: int, seed: int) -> PairStore:
    """Writes `count` patients, the last `test_count` as test pairs; a complete folder is left as it is.

    Raises UserError if the folder holds more than these.
    """
    path = pathlib.Path(path)
    ids = [f"phantom-{index:06d}" for index in range(count)]
    done = {"count": count, "test_count": test_count, "size": size, "seed": seed}
    if (path / "complete.json").is_file() and atomic_files.read_json(path / "complete.json") == done:
        return PairStore(path)
    description = Description(f"phantoms, seed {seed}", (size, size), CHEST, spacing_mm=_SIDE_MM / size)
    with PairWriter(path, description) as writer:
        writer.refuse_others(ids)
        for index, id_ in enumerate(ids):
            patient = phantom(seed, index, size)
            split = "train" if index < count - test_count else "test"
            writer.add(Entry(id_, split, f"seed {seed}"), patient.image, CHEST.paint(patient.masks),
                       patient.masks)
    atomic_files.write_json(path / "complete.json", done)
    return PairStore(path)
