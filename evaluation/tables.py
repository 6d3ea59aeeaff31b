"""The paper's Tables 1 and 2: J and DSC per organ and their mean, for every way of training the segmenter.

Percent with two decimals, pixels pooled over all test films, best of each row bold. Tables are pandas frames
with rows (metric, organ) and columns (group, name); cells are strings once formatted.
"""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from datasets import files
from datasets.errors import UserError
from evaluation.metrics import dice, jaccard

GROUPS = {"1": "Single-stage", "2": "Two-stage", "3": "Three-stage"}
AVERAGE = "Average"


def read_pooled(path: str | pathlib.Path) -> dict:
    """A pooled.json as `evaluation.segmentation` writes it. Raises UserError if it is something else."""
    value = files.read_json(path)
    if not isinstance(value, dict) or not {"scored", "counts"} <= set(value):
        raise UserError(f"{path}: not pooled counts; expected what evaluation.evaluate_segmentation writes")
    return value


def scores(result: Mapping, organs: Sequence[str] | None = None) -> pd.Series:
    """J and DSC in percent, by (metric, organ), from pooled counts; organs as scored unless named."""
    organs = list(organs or result["scored"])
    missing = [organ for organ in organs if organ not in result["counts"]]
    if missing:
        raise UserError(f"organ {missing[0]!r} was not evaluated; there are {', '.join(result['counts'])}")
    counts = np.array([result["counts"][organ] for organ in organs])
    cells = {}
    for metric, function in (("J", jaccard), ("DSC", dice)):
        values = 100 * function(counts)
        for organ, value in zip([*organs, AVERAGE], [*values, values.mean()], strict=True):
            cells[metric, organ.title()] = value
    return pd.Series(cells)


def comparison(results: Mapping[str, Sequence[Mapping]], organs: Sequence[str] | None = None) -> pd.DataFrame:
    """The formatted table.

    Args:
      results: column ("real", "synth-1", "finetune-1", ...) -> pooled counts of each run (seed) of it.
      organs: rows, instead of the scored organs.
    """
    columns = {}
    for name, runs in results.items():
        frame = pd.DataFrame([scores(run, organs) for run in runs])
        columns[heading(name)] = frame
    means = pd.DataFrame({name: frame.mean() for name, frame in columns.items()})
    spread = pd.DataFrame({name: frame.std(ddof=1) for name, frame in columns.items()})
    cells = means.map(lambda value: f"{value:.2f}")
    if any(len(frame) > 1 for frame in columns.values()):
        cells = cells + " ± " + spread.map(lambda value: f"{value:.2f}")
    cells.columns = pd.MultiIndex.from_tuples(cells.columns)
    cells.index = pd.MultiIndex.from_tuples(cells.index)
    return cells


def heading(column: str) -> tuple[str, str]:
    """Column name -> (group, heading) as the paper prints them."""
    kind, _, number = column.partition("-")
    if number not in GROUPS:
        return "", column.upper()
    return GROUPS[number], f"SYNTH {number}" if kind == "synth" else "FINETUNE"


def best_cells(table: pd.DataFrame) -> pd.DataFrame:
    """True where a cell holds its row's best printed value; equals are all best."""
    values = table.map(lambda cell: float(str(cell).split(" ")[0]))
    return values.eq(values.max(axis=1), axis=0)


def to_markdown(table: pd.DataFrame) -> str:
    """GitHub Markdown with the best cells bold."""
    best = best_cells(table)
    heads = [f"{group} {name}".strip() for group, name in table.columns]
    lines = ["| | | " + " | ".join(heads) + " |", "|---|---|" + "---:|" * len(heads)]
    for (metric, organ), row in table.iterrows():
        cells = [f"**{cell}**" if best.loc[(metric, organ), key] else cell for key, cell in row.items()]
        lines.append(f"| {metric} | {organ} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def to_latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """A table environment for booktabs and multirow."""
    best = best_cells(table)
    bold = table.where(~best, "\\textbf{" + table + "}").replace("±", r"$\\pm$", regex=True)
    style = bold.style
    return style.to_latex(column_format="ll" + "r" * table.shape[1], hrules=True, multirow_align="c",
                          multicol_align="c", clines="skip-last;data", position="tbp",
                          position_float="centering", caption=caption, label=label)


def to_html(table: pd.DataFrame) -> str:
    """An HTML table with the best cells bold."""
    best = best_cells(table)
    return table.where(~best, "<b>" + table + "</b>").to_html(escape=False, border=0)


def write_tables(table: pd.DataFrame, folder: pathlib.Path, name: str, caption: str) -> None:
    """Writes NAME.md, .csv, .tex and .html."""
    files.write_text(folder / f"{name}.md", f"{caption}\n\n{to_markdown(table)}")
    files.write_text(folder / f"{name}.csv", table.to_csv())
    files.write_text(folder / f"{name}.tex", to_latex(table, caption, f"tab:{name}"))
    files.write_text(folder / f"{name}.html", to_html(table))
