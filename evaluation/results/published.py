"""The paper's Table 3: published results on the SCR data set beside this experiment's best column.

The published rows are published.csv, digits as the paper prints them. SCAN stands there under its own
authors; the paper's table cites it under two references. The paper's own heart DSC of 95.36 reads 95.35 in its
Table 1.
"""

import pathlib
from collections.abc import Mapping, Sequence

import pandas as pd

from datasets.common.errors import UserError
from evaluation.results import columns
from evaluation.results.table_formats import Table
from evaluation.results.tables import AVERAGE, printed, scores

PUBLISHED = pathlib.Path(__file__).with_name("published.csv")
_COLUMNS = {"method": ("", "Method"), "image_size": ("", "Image size"), "augmentation": ("", "Augmentation"),
            "evaluation": ("", "Evaluation"), "lungs_dsc": ("Lungs", "DSC"), "lungs_j": ("Lungs", "J"),
            "heart_dsc": ("Heart", "DSC"), "heart_j": ("Heart", "J")}
_ORGANS = ("left lung", "right lung", "heart")


def published_rows() -> pd.DataFrame:
    """The rows of published.csv as text: method, cited, ..., citation."""
    return pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)


def table3(results: Mapping[str, Sequence[Mapping]], size: tuple[int, int], split: str) -> Table:
    """The published rows, then the column of `results` with the highest mean J; see `our_row` for the rest."""
    rows = published_rows()
    works = tuple(dict.fromkeys(rows["citation"]))  # each work once, in the rows' order
    rows["method"] += " (" + rows["cited"] + ")"
    ours, deviations = our_row(results, size, split)
    cells = pd.concat([rows, pd.DataFrame([ours])], ignore_index=True)[list(_COLUMNS)]
    spread = cells.map(lambda _: "")  # the published have none
    spread.iloc[-1] = [deviations.get(name, "") for name in _COLUMNS]
    for frame in (cells, spread):
        frame.columns = pd.MultiIndex.from_tuples(_COLUMNS.values())
    return Table(cells, spread, works=works)


def our_row(results: Mapping[str, Sequence[Mapping]], size: tuple[int, int],
            split: str) -> tuple[dict[str, str], dict[str, str]]:
    """Scores of the column with the highest mean J, lungs as the mean of the two, and their deviations over runs.

    Args:
      results: as in `evaluation.results.tables.comparison`.
      size: height and width of the films.
      split: how the films were divided, e.g. "124 / 123 films".

    Raises UserError where the two lungs and the heart were not evaluated.
    """
    evaluated = [set(run["counts"]) for runs in results.values() for run in runs]
    missing = [organ for organ in _ORGANS if not all(organ in found for found in evaluated)]
    if missing:
        raise UserError(f"Table 3 compares lungs and heart, but organ {missing[0]!r} was not evaluated")
    frames = {name: pd.DataFrame([scores(run, _ORGANS) for run in runs]) for name, runs in results.items()}
    trained = [name for name in frames if not columns.is_own(name)] or list(frames)  # this run made them
    best = max(trained, key=lambda name: frames[name]["J", AVERAGE].mean())  # mean over runs
    row = {"method": f"{columns.title(best)} (this run)", "augmentation": "Yes",
           "image_size": f"{size[1]} × {size[0]}", "evaluation": split}  # width first, as the paper
    deviations = {}
    for metric in ("J", "DSC"):
        found = frames[best][metric]
        # The mean of both lungs.
        for part, values in (("lungs", (found["Left Lung"] + found["Right Lung"]) / 2), ("heart", found["Heart"])):
            row[f"{part}_{metric.lower()}"] = printed(values.mean())
            if len(values) > 1:
                deviations[f"{part}_{metric.lower()}"] = f"{values.std(ddof=1):.2f}"  # over runs: sample deviation
    return row, deviations
