"""Renders a phantom's film: thickness of tissue along the ray, summed as attenuation, through a film curve."""

import math

import cv2
import numpy as np

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
            front.append(np.stack([x, anatomy.apex + down * anatomy.height], 1)[6:])
    return 0.085 * strength * _blur(_tubes(back, size) + 0.5 * _tubes(front, size), 0.003)


def _tubes(lines: list[np.ndarray], size: int) -> np.ndarray:
    """Lines (x, y in sides) as tubes of width 0.026: 1 at the rims, 0.55 inside, 0 elsewhere."""
    drawn = np.zeros((size, size), np.uint8)
    points = [np.rint(line * size * 16).astype(np.int32) for line in lines]
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
    transmitted = np.exp(-2.2 * depth * rng.uniform(0.9, 1.1))
    noisy = transmitted + np.sqrt(transmitted) * rng.normal(0, 0.006, depth.shape)
    noisy = _blur(noisy.astype(np.float32), 0.0018)
    density = np.log(np.clip(noisy, 1e-3, None) * rng.uniform(2.3, 3.4))  # optical density of the film, shifted
    film = 255 / (1 + np.exp(rng.uniform(1.2, 1.8) * density))
    if rng.random() < 0.25:  # a white name box burnt into a corner
        top, left = int(rng.uniform(0.0, 0.04) * size), int(rng.choice([0.02, 0.72]) * size)
        film[top:top + size // 20, left:left + size // 4] = 250
    return film.astype(np.float32)
