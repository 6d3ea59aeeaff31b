"""A procedural thorax: five organs with individual variation, and a chest film of them.

The built-in data set of the demo and the tests. Shapes and their spread follow the averages of adult
posteroanterior films; nothing is taken from a patient. As on such films the patient's left is on the picture's
right, and bone is bright. Everything is a function of (seed, index); another size shows the same patient.
"""

import dataclasses
import math
import pathlib

import cv2
import numpy as np

from datasets.class_table import CHEST
from datasets.common import atomic_files
from datasets.pair_store import Description, Entry, PairStore, PairWriter

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
    canvas = max(size, _CANVAS)  # vessels and ribs would be less than a pixel wide
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
    shapes = [left, right, heart, clavicles[0], clavicles[1] * (-1, 1)]  # right ones are mirrored
    wobbles = [anatomy.wobble] * 3 + [anatomy.wobble / 3] * 2
    return [_place(smooth(shape + wobble * _slow_noise(len(shape), rng)), anatomy)
            for shape, wobble in zip(shapes, wobbles, strict=True)]


def _slow_noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Periodic noise [count, 2] of the three lowest frequencies, of about unit deviation."""
    angles = 2 * np.pi * np.arange(count)[:, None] / count
    waves = np.concatenate([function(angles * k) / k for k in (1, 2, 3) for function in (np.sin, np.cos)], 1)
    return waves @ rng.standard_normal((6, 2)) / 1.2


def smooth(points: np.ndarray) -> np.ndarray:
    """A closed Catmull-Rom spline through points [n, 2]: [8 n, 2]."""
    before, after, beyond = (np.roll(points, shift, 0) for shift in (1, -1, -2))
    t = (np.arange(8) / 8)[None, :, None]
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


# Attenuation of a unit thickness (about 20 cm) relative to soft tissue.
_AIR, _BONE, _VESSEL = -0.62, 0.65, 0.24


def render_film(anatomy, masks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The film of a patient, float32 [size, size] in 0..255.

    Args:
      anatomy: a `datasets.sources.phantom.Anatomy`.
      masks: bool [size, size, 5]: left lung, right lung, heart, clavicles.
    """
    size = masks.shape[0]
    left, right, heart, left_clavicle, right_clavicle = (masks[..., organ] for organ in range(5))
    lungs = left | right
    depth = _body(anatomy, size, rng)
    depth += _AIR * _blur(_bulge(left, 0.16) + _bulge(right, 0.16), 0.003) * rng.uniform(0.75, 1.05)
    depth += 0.26 * _blur(_bulge(heart, 0.16), 0.004) * rng.uniform(0.7, 1.1)
    depth += _mediastinum(anatomy, size)
    clavicles = _bulge(left_clavicle, 0.006) + _bulge(right_clavicle, 0.006)
    depth += _BONE * 0.32 * _blur(clavicles, 0.002) * rng.uniform(0.6, 1.1)
    depth += _ribs(anatomy, size, rng)
    depth += _VESSEL * _vessels(anatomy, lungs, rng)
    depth += _shadows(anatomy, size, rng)
    return _expose(depth, rng)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x [1, size] and y [size, 1] of the pixel centres in sides of the picture."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return centres[None, :], centres[:, None]


def _hill(values: np.ndarray, power: int = 4) -> np.ndarray:
    """exp(-values^power) for an even power: 1 at 0, flat on top from power 4 on."""
    square = np.square(values)
    return np.exp(-(square if power == 2 else np.square(square)))


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur with `sigma` in sides of the picture."""
    return cv2.GaussianBlur(image, (0, 0), max(0.3, sigma * image.shape[0]))


def _bulge(mask: np.ndarray, depth: float) -> np.ndarray:
    """A rounded thickness in 0..1 that rises from the rim of the mask over about `depth`."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3) / (depth * mask.shape[0])
    # a quarter of a circle: thickness sqrt(d (2 - d)) at distance d from the rim, 1 from d = 1 on
    return np.sqrt(np.clip(distance * (2 - np.minimum(distance, 1)), 0, 1)).astype(np.float32)


def _body(anatomy, size: int, rng: np.random.Generator) -> np.ndarray:
    """Trunk, neck, shoulders and arms: soft tissue, thicker in the belly."""
    x, y = _grid(size)
    across = (x - anatomy.midline) / (anatomy.half_width * rng.uniform(1.18, 1.32))
    shoulder = np.clip((y - anatomy.apex + 0.03 - 0.10 * across**2) / 0.07, 0, 1)
    inside = np.sqrt(np.clip(1.02 - np.abs(across) ** 3, 0, 1))
    neck = np.sqrt(np.clip(1 - ((x - anatomy.midline) / 0.16) ** 2, 0, 1))
    base = anatomy.apex + 0.84 * anatomy.height
    belly = 0.25 / (1 + np.exp(-(y - base) / 0.03))
    trunk = inside * shoulder + neck * (1 - shoulder)
    arms = 0.45 * np.clip(1 - np.abs(np.abs(across) - 1.25) / 0.2, 0, 1) * rng.uniform(0.3, 1)
    return (trunk * (0.78 + belly) + arms * shoulder).astype(np.float32)


def _mediastinum(anatomy, size: int) -> np.ndarray:
    """Spine with its vertebrae, great vessels with the aortic knob, and the trachea's dark band."""
    x, y = _grid(size)
    across = (x - anatomy.midline) / anatomy.half_width
    down = (y - anatomy.apex) / anatomy.height
    spine = _hill(across / 0.13) * (0.13 + 0.025 * np.cos(2 * np.pi * down * 13))
    vessels = 0.16 * _hill((across - 0.02) / 0.20) * (down > 0.05)
    knob = 0.10 * _hill((across - 0.20) / 0.09, 2) * _hill((down - 0.27) / 0.06, 2)
    trachea = -0.13 * _hill(across / 0.055) * np.clip((0.36 - down) / 0.05, 0, 1)
    return (spine + vessels + knob + trachea).astype(np.float32)


def _ribs(anatomy, size: int, rng: np.random.Generator) -> np.ndarray:
    """Nine pairs: posterior parts slope down and out, anterior ones down and in; rims are denser than cores."""
    t = np.linspace(0, 1, 24)
    strength, spread = rng.uniform(0.6, 1.2), rng.uniform(0.95, 1.08)
    back, front = [], []
    for number in range(9):
        level = 0.02 + 0.098 * spread * number
        reach = 0.80 + 0.24 * np.sin(np.pi * min(1.0, (number + 2) / 9) / 2)
        for side in (-1, 1):
            x = anatomy.midline + side * (0.10 + (reach - 0.10) * t) * anatomy.half_width
            down = level - 0.05 * np.sin(np.pi * t * 0.7) + 0.10 * t**2 + rng.normal(0, 0.004)
            back.append(np.stack([x, anatomy.apex + down * anatomy.height], 1))
            down = level + 0.06 + 0.10 * (1 - t) ** 0.7 + 0.06 * t
            front.append(np.stack([x, anatomy.apex + down * anatomy.height], 1)[6:])  # cartilage is not seen
    return 0.085 * strength * _blur(_tubes(back, size) + 0.5 * _tubes(front, size), 0.003)


def _tubes(lines: list[np.ndarray], size: int) -> np.ndarray:
    """Lines (x, y in sides) as tubes of width 0.026: 1 at the rims, 0.55 inside, 0 elsewhere."""
    drawn = np.zeros((size, size), np.uint8)
    points = [np.rint(line * size * 16).astype(np.int32) for line in lines]  # sixteenths of a pixel
    for width, value in ((0.026, 255), (0.015, 140)):
        cv2.polylines(drawn, points, False, value, max(1, round(width * size)), cv2.LINE_AA, shift=4)
    return drawn.astype(np.float32) / 255


def _vessels(anatomy, lungs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hila and vessels that branch out from them, thinning towards the chest wall."""
    size = lungs.shape[0]
    layer = np.zeros((size, size), np.uint8)
    for side in (-1, 1):
        hilum = np.array([anatomy.midline + side * 0.27 * anatomy.half_width,
                          anatomy.apex + (0.42 - 0.02 * side) * anatomy.height])
        for angle in np.linspace(-1.25, 1.25, 9) + rng.normal(0, 0.12, 9):
            x, y = hilum + rng.normal(0, 0.008, 2)
            _branch(layer, float(x), float(y), side, float(angle), 0.013, rng)
    soft = _blur(layer.astype(np.float32) / 255, 0.0025)
    return soft * lungs + 0.35 * soft * ~lungs


def _branch(layer: np.ndarray, x: float, y: float, side: int, angle: float, width: float,
            rng: np.random.Generator) -> None:
    """A vessel of up to four pieces from (x, y), thinner and bent at each, with thinner branches."""
    scale = layer.shape[0] * 16  # sixteenths of a pixel
    for _ in range(4):
        length = rng.uniform(0.03, 0.06)
        next_x, next_y = x + length * side * math.cos(angle), y + length * math.sin(angle)
        cv2.line(layer, (round(x * scale), round(y * scale)), (round(next_x * scale), round(next_y * scale)),
                 int(60 + 195 * width / 0.013), max(1, round(width * layer.shape[0])), cv2.LINE_AA, 4)
        if width < 0.003:
            return
        if rng.random() < 0.55:
            _branch(layer, next_x, next_y, side, angle + rng.normal(0, 0.7), width * 0.6, rng)
        x, y, angle, width = next_x, next_y, angle + rng.normal(0, 0.25), width * 0.72


def _shadows(anatomy, size: int, rng: np.random.Generator) -> np.ndarray:
    """Shoulder blades, breasts, the stomach's gas bubble and faint clouds in the lungs."""
    x, y = _grid(size)
    layer = np.zeros((size, size), np.float32)
    for side in (-1, 1):
        across = side * (x - anatomy.midline) / anatomy.half_width
        down = (y - anatomy.apex) / anatomy.height
        edge = 0.5 + 0.5 * np.tanh((across - 0.92 - 0.25 * np.square(down - 0.25)) / 0.04)
        layer += rng.uniform(0.03, 0.09) * edge * _hill((down - 0.2) / 0.24)
        layer += rng.uniform(0, 0.10) * _hill((across - 0.6) / 0.33) * _hill((down - 0.82) / 0.2)
    bubble = ((x - anatomy.midline) / anatomy.half_width - rng.uniform(0.4, 0.6)) / 0.16
    level = ((y - anatomy.apex) / anatomy.height - rng.uniform(1.02, 1.08)) / 0.06
    layer -= rng.uniform(0, 0.22) * _hill(np.hypot(bubble, level))
    clouds = rng.standard_normal((7, 7)).astype(np.float32)
    return layer + 0.03 * cv2.resize(clouds, (size, size), interpolation=cv2.INTER_CUBIC)


def _expose(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Attenuation -> film: exposure and contrast vary, quantum noise grows where few rays arrive."""
    size = depth.shape[0]
    transmitted = np.exp(-2.2 * depth * rng.uniform(0.9, 1.1))  # Beer-Lambert
    noisy = transmitted + np.sqrt(transmitted) * rng.normal(0, 0.006, depth.shape)
    noisy = _blur(noisy.astype(np.float32), 0.0018)
    density = np.log(np.clip(noisy, 1e-3, None) * rng.uniform(2.3, 3.4))  # optical density of the film, shifted
    film = 255 / (1 + np.exp(rng.uniform(1.2, 1.8) * density))  # a film's S-shaped response
    if rng.random() < 0.25:  # a white name box burnt into a corner
        top, left = int(rng.uniform(0.0, 0.04) * size), int(rng.choice([0.02, 0.72]) * size)
        film[top:top + size // 20, left:left + size // 4] = 250
    return film.astype(np.float32)
