"""The paper's Table 3: published results on the SCR data set beside this experiment's best column.

The published rows are published.csv, digits as the paper prints them. SCAN stands there under its own
authors; the paper's table cites it under two references. The paper's own heart DSC of 95.36 reads 95.35 in its
Table 1.
"""

import pathlib
from collections.abc import Mapping, Sequence

import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from evaluation.results import table_formats
from evaluation.results.tables import AVERAGE, heading, scores

PUBLISHED = pathlib.Path(__file__).with_name("published.csv")
_COLUMNS = {"method": ("", "Method"), "image_size": ("", "Image size"), "augmentation": ("", "Augmentation"),
            "evaluation": ("", "Evaluation"), "lungs_dsc": ("Lungs", "DSC"), "lungs_j": ("Lungs", "J"),
            "heart_dsc": ("Heart", "DSC"), "heart_j": ("Heart", "J")}
_ORGANS = ("left lung", "right lung", "heart")


def published_rows() -> pd.DataFrame:
    """The rows of published.csv as text: method, cited, ..., citation."""
    return pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)


def our_row(results: Mapping[str, Sequence[Mapping]], size: tuple[int, int], split: str) -> dict[str, str]:
    """Scores of the column with the highest mean J: lungs as the mean of the two, mean ± deviation over runs.

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
    best = max(frames, key=lambda name: frames[name]["J", AVERAGE].mean())
    frame = frames[best]
    row = {"method": f"{' '.join(heading(best)).strip()} (this run)", "augmentation": "Yes",
           "image_size": f"{size[1]} × {size[0]}", "evaluation": split}
    for metric in ("J", "DSC"):
        row[f"lungs_{metric.lower()}"] = _cell((frame[metric, "Left Lung"] + frame[metric, "Right Lung"]) / 2)
        row[f"heart_{metric.lower()}"] = _cell(frame[metric, "Heart"])
    return row


def table3(ours: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Table 3 as text cells under (group, name); `ours` is the last row."""
    rows = published_rows()
    rows["method"] += " (" + rows["cited"] + ")"
    if ours is not None:
        rows = pd.concat([rows, pd.DataFrame([ours])], ignore_index=True)
    table = rows[list(_COLUMNS)].copy()
    table.columns = pd.MultiIndex.from_tuples(_COLUMNS.values())
    return table


def citations() -> list[str]:
    """The cited works, each once, in the order of the rows."""
    return list(dict.fromkeys(published_rows()["citation"]))


def write_table3(table: pd.DataFrame, folder: pathlib.Path, name: str, caption: str) -> None:
    """Writes NAME.md, .csv, .tex and .html, the cited works below the table (in LaTeX as comments)."""
    plain = pd.DataFrame(False, table.index, table.columns)
    works = citations()
    listed = "".join(f"- {work}\n" for work in works)
    atomic_files.write_text(folder / f"{name}.md",
                            f"{caption}\n\n{table_formats.markdown(table, plain)}\n{listed}")
    atomic_files.write_text(folder / f"{name}.csv", table_formats.csv(table))
    comments = "".join(f"% {work}\n" for work in works)
    atomic_files.write_text(folder / f"{name}.tex",
                            comments + table_formats.latex(table, plain, caption, f"tab:{name}"))
    items = "".join(f"<li>{work}</li>" for work in works)
    atomic_files.write_text(folder / f"{name}.html", f"{table_formats.html(table, plain)}\n<ul>{items}</ul>\n")


def _cell(values: pd.Series) -> str:
    spread = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{spread}"
