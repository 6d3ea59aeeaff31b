"""How sure a score or a difference is: the hierarchical bootstrap over draws and films, two tests on it, Holm.

A column has several draws (seeds: other training films, other weights), all tested on the same films. A resample
takes draws with replacement, and films with replacement; its score is the mean over its draws of mean J, pixels
pooled over its films, as in the tables. Every column has the same draws and films in a resample, so that
differences are paired.

Two choices, by simulation (3 draws, 62 films, a difference's deviation 1.0 over films, 1.0 over films in a draw,
0.2 over draws; how often the 95 % interval holds the truth):

- the films of a resample are the same in all its draws, since the draws share them. Drawn anew within each draw,
  they would count as so many test sets: 0.85 in place of 0.96;
- of D draws D - 1 are taken (Rao and Wu 1988), since the deviation of D of them is too small by the root of
  (D - 1) / D: 0.94 in place of 0.96, with two draws 0.92 in place of 0.95.

Where draws differ more than films do, few of them tell little: deviation 0.5 over draws, 0.84, 0.89 and 0.93 with
two, three and five of them. With one draw the interval is that over films alone.
"""

import functools
from collections.abc import Sequence

import numpy as np

from evaluation.metrics.overlap import jaccard, shown

RESAMPLES = 10000


def mean_j(counts: np.ndarray) -> np.ndarray:
    """J in percent of pooled counts [..., organs, 3], averaged over the organs that label maps have; else NaN."""
    there = shown(counts)
    scores = np.where(there, jaccard(counts), 0.0)
    return 100 * scores.sum(-1) / np.where(there.any(-1), there.sum(-1), np.nan)


def resample(draws: Sequence[np.ndarray], resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Mean J of a column in the hierarchical bootstrap, float64 [resamples].

    Args:
      draws: counts int64 [films, organs, 3] of each draw, the same films in the same order.
      seed: columns of one seed, number of draws and number of films have the same resamples.
    """
    films = len(draws[0])
    times = _times(films, films, resamples, seed)
    scores = np.stack([mean_j((times @ counts.reshape(films, -1)).reshape(resamples, *counts.shape[1:]))
                       for counts in draws])  # [draws, resamples]
    taken = max(1, len(draws) - 1)
    return (_times(taken, len(draws), resamples, seed + 1).T * scores).sum(0) / taken


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of a bootstrap's values."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def p_different(values: np.ndarray) -> float:
    """Two-sided p of a bootstrap's differences against zero: 0.05 where zero is an end of the interval."""
    return min(1.0, 2 * _share(values, below=0.0), 2 * _share(-values, below=0.0))


def p_equivalent(values: np.ndarray, margin: float) -> float:
    """p of two one-sided tests (Schuirmann 1987) of a bootstrap's differences against being `margin` or more."""
    return max(_share(values, below=-margin), _share(-values, below=-margin))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjustment for several tests, in the order given."""
    order = np.argsort(p_values)
    # The smallest p x n, the next x n - 1, ....
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)  # never below the one before it
    return adjusted.tolist()


def format_p(p_value: float) -> str:
    """Three decimals, or two figures below 0.001."""
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.1e}"


def _share(values: np.ndarray, below: float) -> float:
    """Share of `values` not above `below`; the one that was seen counts too, so it is never 0."""
    values = values[~np.isnan(values)]
    return (np.sum(values <= below) + 1) / (len(values) + 1)


@functools.lru_cache(maxsize=8)
def _times(drawn: int, among: int, resamples: int, seed: int) -> np.ndarray:
    """How often each of `among` is in a resample of `drawn`, float64 [resamples, among]."""
    shares = np.full(among, 1 / among)
    return np.random.default_rng(seed).multinomial(drawn, shares, resamples).astype(np.float64)
