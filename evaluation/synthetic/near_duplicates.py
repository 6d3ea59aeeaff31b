"""Synthetic films that are nearly the same as one another: a set's size without them is what it holds."""

from collections.abc import Callable, Sequence

import numpy as np

from evaluation.synthetic.nearest_films import TWIN, film_vectors, twins

SHARE = 0.25  # of the least distance between two real films; with JSRT's and phantoms' a correlation of 0.97
_CHUNK = 512

Load = Callable[[Sequence[str]], np.ndarray]  # ids -> films uint8 [N, H, W] or [N, H, W, 3]


def duplicate_distance(real: np.ndarray, same: np.ndarray) -> float:
    """The distance below which two films are one: SHARE of the least between two of `real` that are of different
    patients and no twins; TWIN where there are none. It is 1 - correlation of what is finer than 1/16 of the side,
    not shifted.

    Args:
      real: films uint8 [N, H, W(, 3)], N >= 2.
      same: which are of one patient, bool [N, N].
    """
    vectors = film_vectors(real)
    distances = np.where(twins(real) | same, np.inf, 1 - vectors @ vectors.T)
    least = float(distances.min())
    return SHARE * max(0.0, least) if np.isfinite(least) else TWIN


def near_duplicates(ids: Sequence[str], load: Load, distance: float,
                    progress: Callable[[str, int, int], None]) -> dict[str, str]:
    """Each film that is nearer than `distance` to one before it that stays -> that one.

    The first of its kind stays, so that the result does not depend on how many are loaded at a time.
    """
    found: dict[str, str] = {}
    kept: list[str] = []
    vectors = np.empty((0, 0), np.float32)
    for start in range(0, len(ids), _CHUNK):
        progress("compared with one another", start, len(ids))
        chunk = ids[start:start + _CHUNK]
        new = film_vectors(load(chunk))
        known = vectors if vectors.size else np.empty((0, new.shape[1]), np.float32)
        # The nearest of those that stay from earlier chunks, then of this one's, as they are let in.
        if len(known):
            to_known = 1 - new @ known.T
            places = to_known.argmin(1)
        to_new = 1 - new @ new.T
        stay: list[int] = []
        for row, id_ in enumerate(chunk):
            other = stay[int(to_new[row, stay].argmin())] if stay else None
            if len(known) and to_known[row, places[row]] < distance:
                found[id_] = kept[places[row]]
            elif other is not None and to_new[row, other] < distance:
                found[id_] = chunk[other]
            else:
                stay.append(row)
        kept += [chunk[row] for row in stay]
        vectors = np.concatenate([known, new[stay]])
    progress("compared with one another", len(ids), len(ids))
    return found
