"""What readers' preferences say: a sign test, and agreement between readers."""

import numpy as np
from scipy.stats import binomtest


def sign_test(wins: int, losses: int) -> dict[str, float]:
    """Exact two-sided sign test that wins and losses are equally likely; ties are left out beforehand.

    Returns share (wins / both), low and high (its exact 95 % interval) and p; all NaN where there is neither.
    """
    if wins + losses == 0:
        return dict.fromkeys(("share", "low", "high", "p"), float("nan"))
    test = binomtest(wins, wins + losses)
    interval = test.proportion_ci(0.95, method="exact")
    return {"share": wins / (wins + losses), "low": float(interval.low), "high": float(interval.high),
            "p": float(test.pvalue)}


def fleiss_kappa(counts: np.ndarray) -> float:
    """Agreement of several raters beyond chance (Fleiss 1971, equations 1 to 7): 1 whole, 0 as by chance.

    Args:
      counts: [items, categories], how many raters put an item into a category; the same number of raters, at
        least two, for every item.

    Returns NaN where it is undefined: no items, or all answers in one category. Raises ValueError for counts of
    unequal sums.
    """
    counts = np.asarray(counts, np.float64)
    if len(counts) == 0:
        return float("nan")
    raters = counts[0].sum()
    if raters < 2 or not np.all(counts.sum(1) == raters):
        raise ValueError(f"expected two or more raters, as many for every item; received {counts.sum(1)}")
    by_chance = np.square(counts.sum(0) / counts.sum()).sum()
    observed = np.mean((np.square(counts).sum(1) - raters) / (raters * (raters - 1)))
    return float((observed - by_chance) / (1 - by_chance)) if by_chance < 1 else float("nan")
