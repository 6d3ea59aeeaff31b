"""Are the anatomies of synthetic label maps plausible, and as varied as the real ones?

Each label map is measured (organ areas, centroids, cardiothoracic ratio), and the measures of a synthetic set are
laid beside the distribution of the real ones.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from datasets.class_table import ClassTable
from datasets.rules.label_filters import components

RATIO = "cardiothoracic ratio"
_COLUMNS = ("real_mean", "real_std", "synthetic_mean", "synthetic_std", "z", "abs_z", "outside", "missing", "ks",
            "ks_p")
_CONSTANT = 1e-9  # deviations below are rounding


def measure_maps(labels: np.ndarray, classes: ClassTable) -> pd.DataFrame:
    """Measures of each label map, one row per map.

    Columns per organ, or union of organs as in `ClassTable.regions`: "<organ> area" (share of the picture; 0 where
    absent), "<organ> x" and "<organ> y" (centroid as a share of width and height, from the top left; NaN where
    absent). With a heart and two lungs in the class table also "cardiothoracic ratio" (`cardiothoracic_ratio`; NaN
    where one of them is absent).

    Args:
      labels: uint8 codes [N, H, W].
    """
    if labels.ndim != 3 or labels.dtype != np.uint8:
        raise ValueError(f"labels must be uint8 [N, H, W]; received {labels.dtype} {labels.shape}")
    table = pd.DataFrame([_measure(label, classes) for label in labels])
    return table if len(table) else pd.DataFrame(columns=list(_measure(np.zeros((8, 8), np.uint8), classes)))


def cardiothoracic_ratio(codes: np.ndarray, classes: ClassTable) -> float | None:
    """Greatest width of the heart over that of the thorax, from lung to lung, in codes [H, W] of an upright film.

    Widths are those of the largest components: a stray pixel does not count. None where the table has no heart and
    two lungs (names with "lung" in them), or one of the three was not found.
    """
    extents = [_extent(codes, classes.codes_within(code)) for code in _heart_and_lungs(classes)]
    if not extents or None in extents:
        return None
    heart, *lungs = extents
    return (heart[1] - heart[0]) / (max(right for _, right in lungs) - min(left for left, _ in lungs))


def plausibility(real: pd.DataFrame, synthetic: pd.DataFrame) -> pd.DataFrame:
    """Synthetic measures against the real distribution, one row per measure.

    Columns: mean and standard deviation of both sets; `z` the mean and `abs_z` the mean absolute deviation of
    the synthetic values from the real mean, in real standard deviations; `outside` their share beyond the real
    minimum or maximum; `missing` the share of maps without the measure (absent organs); `ks` and `ks_p` the
    two-sample Kolmogorov-Smirnov distance and its p-value, by which the set as a whole differs.

    Args:
      real, synthetic: tables of `measure_maps`.
    """
    rows = {name: _compare(real[name].dropna(), synthetic[name]) for name in real.columns}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(_COLUMNS))


def method_table(real: pd.DataFrame, synthetic: Mapping[str, pd.DataFrame],
                 shares: Mapping[str, Mapping[str, float]] | None = None) -> pd.DataFrame:
    """One row per set, the real one first.

    Columns: maps; `complete` the share with every organ that all real maps have; `outside` the share with any
    measure beyond the real range, or missing though all real maps have it; `abs_z` averaged over the measures;
    `spread` the mean over measures of synthetic over real standard deviation (under 1: less varied than real);
    `ks` the mean Kolmogorov-Smirnov distance; mean and standard deviation of the cardiothoracic ratio if
    measured; and what `shares` holds of each set (see `evaluation.synthetic.realism_report.generation_shares`).
    """
    rows = {"real": _summarise(real, real)}
    for name, measures in synthetic.items():
        rows[name] = _summarise(real, measures) | dict((shares or {}).get(name, {}))
    return pd.DataFrame.from_dict(rows, orient="index")


def _measure(label: np.ndarray, classes: ClassTable) -> dict[str, float]:
    height, width = label.shape
    masks = {name: np.isin(label, codes) for name, codes in classes.regions.items()}
    values = {}
    for name, mask in masks.items():
        values |= {f"{name} area": float(mask.mean()),
                   f"{name} x": _centre(mask.sum(0)) / width, f"{name} y": _centre(mask.sum(1)) / height}
    if _heart_and_lungs(classes):
        ratio = cardiothoracic_ratio(label, classes)
        values[RATIO] = np.nan if ratio is None else ratio
    return values


def _centre(profile: np.ndarray) -> float:
    """Mean place of the pixels counted in `profile`, in pixels from the outer edge; NaN where there are none."""
    total = profile.sum()  # profile: pixels of each row or column
    return float(profile @ (np.arange(len(profile)) + 0.5) / total) if total else np.nan


def _heart_and_lungs(classes: ClassTable) -> list[int]:
    """Codes of the heart and both lungs; none where the table holds something else."""
    hearts = [code for code, name in enumerate(classes.names) if name.lower() == "heart"]
    lungs = [code for code, name in enumerate(classes.names) if "lung" in name.lower()]
    return hearts + lungs if len(hearts) == 1 and len(lungs) == 2 else []


def _extent(codes: np.ndarray, organ: Sequence[int]) -> tuple[int, int] | None:
    """First column of the largest of an organ's `components` and the one after the last; None without any."""
    parts, areas = components(codes, organ)
    if not areas.any():
        return None
    columns = np.flatnonzero(((codes == organ[0]) & (parts == 1 + np.argmax(areas))).any(0))
    return int(columns[0]), int(columns[-1]) + 1


def _compare(real: pd.Series, synthetic: pd.Series) -> dict[str, float]:
    present = synthetic.dropna()
    row = dict.fromkeys(_COLUMNS, np.nan) | {"real_mean": real.mean(), "real_std": real.std(ddof=0),
                                            "missing": synthetic.isna().mean()}
    if len(real) and len(present):
        deviations = (present - real.mean()) / max(row["real_std"], _CONSTANT)
        test = stats.ks_2samp(real, present)
        row |= {"synthetic_mean": present.mean(), "synthetic_std": present.std(ddof=0), "z": deviations.mean(),
                "abs_z": deviations.abs().mean(), "outside": _outside(real, present).mean(),
                "ks": test.statistic, "ks_p": test.pvalue}
    return row


def _outside(real: pd.Series, values: pd.Series) -> pd.Series:
    return (values < real.min()) | (values > real.max())


def _summarise(real: pd.DataFrame, measures: pd.DataFrame) -> dict[str, float]:
    table = plausibility(real, measures)
    outside = pd.DataFrame({name: _outside(real[name], measures[name]) for name in real.columns})
    always = real.notna().all()
    areas = measures[[name for name in measures.columns if name.endswith(" area") and (real[name] > 0).all()]]
    row = {"maps": len(measures), "complete": (areas > 0).all(axis=1).mean(),
           "outside": (outside | measures.isna() & always).any(axis=1).mean(), "abs_z": table["abs_z"].mean(),
           "spread": (table["synthetic_std"] / table["real_std"].where(table["real_std"] > _CONSTANT)).mean(),
           "ks": table["ks"].mean()}
    if RATIO in measures:
        row |= {"ratio_mean": measures[RATIO].mean(), "ratio_std": measures[RATIO].std(ddof=0)}
    return row
