"""Films that share a part, wherever it lies: keypoints of one that agree with keypoints of the other.

SIFT keypoints (Lowe 2004) with square-rooted descriptors (Arandjelovic and Zisserman 2012). Each match of two
keypoints proposes a similarity (place, angle, scale); a film's votes for another are the largest number of matches
that agree on one, as in Hough's transform. Large shifts, turns, scales and crops leave votes, and so does a pasted
part; much noise or blur takes them away.
"""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from datasets.common.machine import usable_cores
from datasets.formats.channels import luminance
from datasets.resize import resize_film

SIDE = 128  # pixels of the longer side, to which films are brought
KEYPOINTS = 160  # of a film, at most
RATIO = 0.9  # of the distances to the best and the second best descriptor of a film, at most
MAX_ANGLE, MAX_OCTAVES = 0.4, 0.6  # radians and log2 of the scale between the films, at most
AGREED_ANGLE, AGREED_OCTAVES = 0.26, 0.35  # between two matches that agree
AGREED_PLACE = (0.015, 0.12)  # of the side, and of the distance between the two keypoints
LEAST = 4  # votes, to align a film
LOOKED = 24  # films or mirror images whose votes are counted, those of most matches; others have none


@dataclasses.dataclass(frozen=True)
class Votes:
    """What `KeypointIndex.votes` found.

    Attributes:
      counts: int [N, M], for each film and each indexed one, or its mirror image.
      mirrored: bool [N, M], the mirror image had more.
      aligned: each film moved onto the indexed film of most votes; as it was below LEAST votes.
    """

    counts: np.ndarray
    mirrored: np.ndarray
    aligned: np.ndarray


class KeypointIndex:
    """Keypoints of films uint8 [M, H, W] or [M, H, W, 3] and of their mirror images, to compare others with."""

    def __init__(self, films: np.ndarray):
        variants = [variant for film in films for variant in (film, np.ascontiguousarray(film[:, ::-1]))]
        found = _in_threads(_keypoints, variants)
        self._places = np.zeros((len(variants), KEYPOINTS, 4), np.float32)
        self._descriptors = np.zeros((len(variants), KEYPOINTS, 128), np.float32)
        for row, (places, descriptors) in enumerate(found):
            self._places[row, :len(places)], self._descriptors[row, :len(places)] = places, descriptors

    def votes(self, films: np.ndarray, left_out: np.ndarray | None = None) -> Votes:
        """Of each of `films` for each indexed one but those `left_out` for it, bool [films, indexed]."""
        rows = _in_threads(lambda row: self._vote(films[row], None if left_out is None else left_out[row]),
                           range(len(films)))
        counts = np.array([row[0] for row in rows]).reshape(len(films), -1, 2)
        return Votes(counts.max(2), counts[..., 1] > counts[..., 0], np.stack([row[1] for row in rows]))

    def _vote(self, film: np.ndarray, left_out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Votes for all variants, and the aligned film."""
        counts, best = np.zeros(len(self._places), int), None
        places, descriptors = _keypoints(film)
        if len(places):
            ours, variants, theirs = self._matches(places, descriptors)
            matches = np.bincount(variants, minlength=len(counts))
            if left_out is not None:
                matches[np.repeat(left_out, 2)] = 0  # a film, and its mirror image
            for variant in np.argsort(-matches, kind="stable")[:LOOKED]:
                if not matches[variant]:
                    break
                chosen = variants == variant
                agreeing = _agreeing(ours[chosen], theirs[chosen])
                counts[variant] = agreeing.sum()
                if counts[variant] >= max(LEAST, counts.max()):
                    best = ours[chosen][agreeing], theirs[chosen][agreeing]
        return counts, film if best is None else _moved(film, *best)

    def _matches(self, places: np.ndarray, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places of both keypoints of each match [K, 4], and the variant [K] that the second is of."""
        likeness = descriptors @ self._descriptors.reshape(-1, 128).T
        likeness = likeness.reshape(len(places), *self._places.shape[:2])
        best = likeness.argmax(2)[..., None]
        first = np.take_along_axis(likeness, best, 2)[..., 0]
        np.put_along_axis(likeness, best, -1, 2)
        # of unit vectors: squared distance = 2 - 2 cosine
        rows, variants = np.nonzero(1 - first < RATIO**2 * (1 - likeness.max(2)))
        ours, theirs = places[rows], self._places[variants, best[rows, variants, 0]]
        angle, octaves = _turns(ours, theirs).T
        near = (np.abs(angle) < MAX_ANGLE) & (np.abs(octaves) < MAX_OCTAVES)
        return ours[near], variants[near], theirs[near]


def _keypoints(film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places [K, 4] (x, y as shares of the longer side, log2 of the size, angle) and descriptors [K, 128]."""
    grey = luminance(film) if film.ndim == 3 else film
    scale = SIDE / max(grey.shape)
    size = tuple(max(8, round(side * scale)) for side in grey.shape)
    grey = resize_film(grey, size) if scale < 1 else cv2.resize(grey, size[::-1], interpolation=cv2.INTER_CUBIC)
    grey = cv2.createCLAHE(2.0, (4, 4)).apply(grey)
    sift = cv2.SIFT_create(nfeatures=KEYPOINTS, contrastThreshold=0.01, edgeThreshold=20)
    points, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None:
        return np.zeros((0, 4), np.float32), np.zeros((0, 128), np.float32)
    descriptors = descriptors[:KEYPOINTS]  # more than asked for where the last ones are equally strong
    roots = np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-6))
    places = [(*(np.array(point.pt) / SIDE), np.log2(point.size), np.radians(point.angle))
              for point in points[:KEYPOINTS]]
    return np.array(places, np.float32), roots.astype(np.float32)


def _turns(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Angle in (-pi, pi] and log2 of the scale from our keypoints [K, 4] to theirs: [K, 2]."""
    angle = (theirs[:, 3] - ours[:, 3] + np.pi) % (2 * np.pi) - np.pi
    return np.stack([angle, theirs[:, 2] - ours[:, 2]], 1)


def _agreeing(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Which matches agree with that one with which most do, bool [K]."""
    turns = _turns(ours, theirs)
    here, there = (places[:, 0] + 1j * places[:, 1] for places in (ours, theirs))
    factor = 2.0 ** turns[:, 1] * np.exp(1j * turns[:, 0])
    gaps = here[None] - here[:, None]
    missed = np.abs(there[:, None] + factor[:, None] * gaps - there[None])  # of row i's similarity at column j
    agree = missed < AGREED_PLACE[0] + AGREED_PLACE[1] * np.abs(gaps)
    apart = np.abs(turns[:, None] - turns[None])
    agree &= agree.T & (apart[..., 0] < AGREED_ANGLE) & (apart[..., 1] < AGREED_OCTAVES)
    return agree[agree.sum(1).argmax()]


def _moved(film: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The film under the similarity that least squares fit to the matches."""
    here, there = (places[:, 0] + 1j * places[:, 1] for places in (ours, theirs))
    centred = here - here.mean()
    factor = (centred.conj() @ (there - there.mean())) / max(float(np.square(np.abs(centred)).sum()), 1e-9)
    if not 0.5 < abs(factor) < 2:  # all at one place
        return film
    offset = (there.mean() - factor * here.mean()) * max(film.shape[:2])
    matrix = np.array([[factor.real, -factor.imag, offset.real], [factor.imag, factor.real, offset.imag]])
    return cv2.warpAffine(film, matrix, film.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


def _in_threads(function: Callable, items) -> list:
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(function, items))
