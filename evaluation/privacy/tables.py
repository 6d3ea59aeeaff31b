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
    caption = (f"Planted copies of {options.films} train films of {name}, {options.draws} draws, and films of "
               "other patients hidden alike. Copies of one film are not independent; the intervals (Wilson, 95 %) "
               "take them as if they were.")
    return f"{caption}\n\n{markdown(Table(pd.DataFrame(rows, columns=columns)))}"


def _shares(row: pd.Series, name: str, found: str, of: str) -> tuple[str, str]:
    if not row[of]:
        return "–", "–"
    return (f"{int(row[found])} of {int(row[of])}",
            f"{100 * row[name]:.1f} ({100 * row[name + '_low']:.1f} to {100 * row[name + '_high']:.1f})")
