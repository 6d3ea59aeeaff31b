"""The head of the optic nerve in the back of an eye: a bright disc with a paler cup inside, vessels across both.

Codes are painted: `disc` is the rim around the cup, `cup` lies inside it; the disc is scored with its cup. Eyes
differ in side, pigment, light and in how much of the disc the cup takes; vessels hide parts of both rims.
"""

import numpy as np

from datasets.class_table import ClassTable
from datasets.sources.phantoms.parts import CANVAS, blob, blur, clouds, fill, grain, grid, soft

CLASSES = ClassTable(("background", "disc", "cup"), unions={"disc": ("disc", "cup")})
_RETINA, _DISC, _CUP, _BLOOD = (np.array(colour, np.float32) for colour in (
    (176, 84, 40), (226, 166, 96), (246, 222, 168), (118, 34, 24)))


def draw(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A colour picture [C, C, 3] of C = max(size, CANVAS) pixels in 0..255, and masks bool [size, size, 2].

    Masks are of the rim and the cup, which do not overlap.
    """
    centre, radius = rng.uniform(0.38, 0.62, 2), rng.uniform(0.15, 0.22)
    ratio, tilt = rng.uniform(0.3, 0.75), rng.uniform(-0.3, 0.3)
    disc = blob(centre, (radius * rng.uniform(0.86, 0.98), radius), tilt, 0.02, rng)
    shift = 0.4 * radius * (1 - ratio) * rng.uniform(-1, 1, 2)
    cup = blob(centre + shift, (radius * ratio * rng.uniform(0.85, 1.0), radius * ratio), tilt, 0.03, rng)
    picture = _picture(disc, cup, centre, radius, max(size, CANVAS), rng)
    whole, inner = fill(disc, size), fill(cup, size)
    return picture, np.stack([whole & ~inner, whole & inner], -1)


def _picture(disc: np.ndarray, cup: np.ndarray, centre: np.ndarray, radius: float, size: int,
             rng: np.random.Generator) -> np.ndarray:
    x, y = grid(size)
    pigment = rng.uniform(0.75, 1.15, 3) * (1.0, rng.uniform(0.85, 1.1), 1.0)
    texture = 1 + 0.06 * clouds(size, 5, rng) + 0.03 * clouds(size, 28, rng)
    picture = _RETINA * pigment * texture[..., None]
    halo = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * (1.6 * radius) ** 2))
    picture += rng.uniform(0, 22) * halo[..., None] * np.array((1, 0.7, 0.3), np.float32)
    pale = rng.uniform(0.55, 1.0), rng.uniform(0.45, 1.0)
    for outline, colour, strength, edge in ((disc, _DISC, pale[0], 0.008), (cup, _CUP, pale[1], 0.014)):
        layer = (strength * soft(fill(outline, size), edge))[..., None]
        picture = (1 - layer) * picture + layer * colour * rng.uniform(0.9, 1.05)
    vessels = (rng.uniform(0.55, 0.9) * _vessels(centre, radius, size, rng))[..., None]
    picture = (1 - vessels) * picture + vessels * _BLOOD
    lit = rng.uniform(0.3, 0.7, 2)
    light = rng.uniform(0.75, 1.05) - rng.uniform(0.2, 0.7) * ((x - lit[0]) ** 2 + (y - lit[1]) ** 2)
    return picture * light[..., None] + grain(size, 3, rng.uniform(3, 7), rng)


def _vessels(centre: np.ndarray, radius: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """Vessels that leave the disc upwards and downwards and bend to one side, float32 [size, size] in 0..1."""
    layer = np.zeros((size, size), bool)
    bend, t = rng.choice([-1, 1]), np.linspace(0, 1, 20)
    for number in range(int(rng.integers(6, 10))):
        up, reach = (-1) ** number, rng.uniform(0.1, 0.6) * rng.choice([bend, bend, -0.5 * bend])
        x = centre[0] + rng.normal(0, 0.15) * radius + reach * t**1.5 + 0.02 * np.sin(9 * t + rng.uniform(0, 6))
        y = centre[1] + up * (0.75 * t) + rng.normal(0, 0.1) * radius
        half = rng.uniform(0.006, 0.012) * (1 - 0.5 * t)
        edge = np.concatenate([np.stack([x - half, y], 1), np.stack([x + half, y], 1)[::-1]])
        layer |= fill(edge, size)
    return blur(layer.astype(np.float32), 0.003)
