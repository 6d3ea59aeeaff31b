"""A procedural thorax: five organs with individual variation, and a chest film of them.

The built-in data set of the demo and the tests. Shapes and their spread follow the averages of adult
posteroanterior films; nothing is taken from a patient. As on such films the patient's left is on the picture's
right, and bone is bright. Everything is a function of (seed, index); another size shows the same patient.
"""

import dataclasses
import math

import cv2
import numpy as np

from datasets.sources.phantoms.parts import CANVAS, blur, bulge, fill, grid, slow_noise, smooth

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


def draw(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A film [C, C] in 0..255, C = max(size, CANVAS), and masks bool [size, size, 5] of the organs of `CHEST`."""
    anatomy = draw_anatomy(rng)
    outlines = organ_outlines(anatomy, rng)
    film = render_film(anatomy, organ_masks(outlines, max(size, CANVAS)), rng)
    return film, organ_masks(outlines, size)


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
    return [_place(smooth(shape + wobble * slow_noise(len(shape), rng)), anatomy)
            for shape, wobble in zip(shapes, wobbles, strict=True)]


def _place(points: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Chest coordinates -> sides of the picture, tilted about the middle of the chest."""
    angle = np.deg2rad(anatomy.tilt)
    x, y = points[:, 0] * anatomy.half_width, (points[:, 1] - 0.5) * anatomy.height
    turned = np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], 1)
    return turned + np.array([anatomy.midline, anatomy.apex + 0.5 * anatomy.height])


# Attenuation of a unit thickness (about 20 cm) relative to soft tissue.
_AIR, _BONE, _VESSEL = -0.62, 0.65, 0.24


def render_film(anatomy, masks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The film of a patient, float32 [size, size] in 0..255.

    Args:
      anatomy: an `Anatomy`.
      masks: bool [size, size, 5]: left lung, right lung, heart, clavicles.
    """
    size = masks.shape[0]
    left, right, heart, left_clavicle, right_clavicle = (masks[..., organ] for organ in range(5))
    lungs = left | right
    depth = _body(anatomy, size, rng)
    depth += _AIR * blur(bulge(left, 0.16) + bulge(right, 0.16), 0.003) * rng.uniform(0.75, 1.05)
    depth += 0.26 * blur(bulge(heart, 0.16), 0.004) * rng.uniform(0.7, 1.1)
    depth += _mediastinum(anatomy, size)
    clavicles = bulge(left_clavicle, 0.006) + bulge(right_clavicle, 0.006)
    depth += _BONE * 0.32 * blur(clavicles, 0.002) * rng.uniform(0.6, 1.1)
    depth += _ribs(anatomy, size, rng)
    depth += _VESSEL * _vessels(anatomy, lungs, rng)
    depth += _shadows(anatomy, size, rng)
    return _expose(depth, rng)


def _hill(values: np.ndarray, power: int = 4) -> np.ndarray:
    """exp(-values^power) for an even power: 1 at 0, flat on top from power 4 on."""
    square = np.square(values)
    return np.exp(-(square if power == 2 else np.square(square)))


def _body(anatomy, size: int, rng: np.random.Generator) -> np.ndarray:
    """Trunk, neck, shoulders and arms: soft tissue, thicker in the belly."""
    x, y = grid(size)
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
    x, y = grid(size)
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
    return 0.085 * strength * blur(_tubes(back, size) + 0.5 * _tubes(front, size), 0.003)


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
    soft = blur(layer.astype(np.float32) / 255, 0.0025)
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
    x, y = grid(size)
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
    noisy = blur(noisy.astype(np.float32), 0.0018)
    density = np.log(np.clip(noisy, 1e-3, None) * rng.uniform(2.3, 3.4))  # optical density of the film, shifted
    film = 255 / (1 + np.exp(rng.uniform(1.2, 1.8) * density))  # a film's S-shaped response
    if rng.random() < 0.25:  # a white name box burnt into a corner
        top, left = int(rng.uniform(0.0, 0.04) * size), int(rng.choice([0.02, 0.72]) * size)
        film[top:top + size // 20, left:left + size // 4] = 250
    return film.astype(np.float32)
