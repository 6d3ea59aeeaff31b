"""A phantom's film, and films with a box burnt in."""

import numpy as np

from datasets.sources.phantom import phantom


def plain_film() -> np.ndarray:
    """A phantom without a name box, its greys off both ends."""
    return np.clip(phantom(1, 0, 96).image, 40, 215)


def with_box(film: np.ndarray, grey: int, top=2, left=4, tall=10, wide=24, written: bool = False) -> np.ndarray:
    film = film.copy()
    film[top:top + tall, left:left + wide] = grey
    if written:
        film[top + 3:top + 7, left + 3:left + wide - 3:3] = 255 - grey
    return film
