"""Results on privacy as Markdown."""

import pandas as pd

from evaluation.results.table_formats import Table, markdown


def copy_check_table(table: pd.DataFrame, name: str, options) -> str:
    """A caption and a row for each way of hiding a copy; shares in percent with 95 % intervals (Wilson)."""
    rows = []
    for _, row in table.iterrows():
        way = f"{row['disguise']} {row['strength']}".strip()
        rows.append([way + ("" if row["listed"] or not row["planted"] else " (beside the whole)"),
                     *_shares(row, "recall", "found", "planted"),
                     *_shares(row, "false_alarms", "flagged", "others")])
    columns = pd.MultiIndex.from_tuples([("", "hidden by"), ("copies", "found"), ("copies", "%"),
                                         ("other patients", "flagged"), ("other patients", "%")])
    draws = f"{options.draws} draw{'s' * (options.draws > 1)}"
    caption = (f"Planted copies of {options.films} train films of {name}, {draws}, and films of other patients "
               "hidden alike. Copies of one film are not independent; the intervals (Wilson, 95 %) "
               "take them as if they were.")
    return f"{caption}\n\n{markdown(Table(pd.DataFrame(rows, columns=columns)))}"


def _shares(row: pd.Series, name: str, found: str, of: str) -> tuple[str, str]:
    if not row[of]:
        return "–", "–"
    return (f"{int(row[found])} of {int(row[of])}",
            f"{100 * row[name]:.1f} ({100 * row[name + '_low']:.1f} to {100 * row[name + '_high']:.1f})")


def copying_table(rows: pd.DataFrame) -> str:
    """The rows of `evaluation.privacy.copying`, shares in percent."""
    shares = [name for name in rows if name.endswith("copies") or name.startswith("near_") or name == "expected"]
    cells = rows.assign(**{name: 100 * rows[name] for name in shares})
    shown = {name: (lambda value: f"{value:.2f}") if name in (*shares, "real", "synth", "finetune", "mix") else
             (lambda value: f"{value:.3f}") if name.startswith("membership") else str for name in cells}
    text = pd.DataFrame({name: ["–" if pd.isna(value) else shown[name](value) for value in cells[name]]
                         for name in cells})
    text.columns = pd.MultiIndex.from_tuples([("", name.replace("_", " ")) for name in text])
    return markdown(Table(text))


def marks_table(table: pd.DataFrame, description) -> str:
    """What `evaluation.privacy.planted_marks` measured."""
    rows = [[row["mark"], row["size"], f"{row['found']} of {row['planted']}",
             f"{100 * row['share']:.1f} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"]
            for _, row in table.iterrows()]
    columns = pd.MultiIndex.from_tuples([("", name) for name in ("mark", "size", "found", "%")])
    height, width = description.size
    caption = (f"Marks planted in films of {description.name}, {width} x {height} pixels, whose own were painted "
               "over (95 % intervals: Wilson).")
    return f"{caption}\n\n{markdown(Table(pd.DataFrame(rows, columns=columns)))}"
