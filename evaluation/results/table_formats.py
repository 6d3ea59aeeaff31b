"""Tables of text cells as Markdown, LaTeX, HTML and CSV.

A table is a pandas frame of strings with columns (group, name); equal neighbouring groups are one heading.
Its index is (block, row), blocks kept together, or a plain range, which is not shown. `bold` is a frame of bool.
"""

import html as html_text
import re
from itertools import groupby

import pandas as pd

from evaluation.results import safe_text

_WIDE = 120  # characters of a body row beyond which LaTeX sets the table in small type
_MANY = 10  # columns beyond which their headings alone call for the smallest type


def markdown(table: pd.DataFrame, bold: pd.DataFrame) -> str:
    """GitHub Markdown."""
    indexed = _indexed(table)
    heads = [""] * (2 * indexed) + [_literal(f"{group} {name}".strip()) for group, name in table.columns]
    numbers = _numeric(table)
    lines = [_line(heads), "|" + "---|" * (2 * indexed) + "".join("---:|" if n else "---|" for n in numbers)]
    for place, (key, row) in enumerate(table.iterrows()):
        cells = [f"**{_literal(cell)}**" if mark else _literal(cell)
                 for cell, mark in zip(row, bold.iloc[place], strict=True)]
        lines.append(_line([*(map(_literal, key) if indexed else ()), *cells]))
    return "\n".join(lines) + "\n"


def latex(table: pd.DataFrame, bold: pd.DataFrame, caption: str, label: str) -> str:
    """A table environment that needs booktabs and multirow."""
    indexed = _indexed(table)
    marked = table.map(escape_latex).replace(r" \$\\pm\$ ([\d.]+)", r" {\\tiny$\\pm$\1}", regex=True)
    marked = marked.where(~bold, r"\textbf{" + marked + "}")
    marked.columns = marked.columns.map(lambda key: tuple(map(escape_latex, key)))
    if indexed:
        marked.index = marked.index.map(lambda key: tuple(map(escape_latex, key)))
    style = marked.style if indexed else marked.style.hide(axis="index")
    form = "ll" * indexed + "".join("r" if number else "l" for number in _numeric(table))
    text = style.to_latex(column_format=form, hrules=True, multirow_align="c", multicol_align="c",
                          clines="skip-last;data" if indexed else None, position="tbp",
                          position_float="centering", caption=escape_latex(caption), label=label)
    return _set_type(_rules(text, table, indexed), table)


def html(table: pd.DataFrame, bold: pd.DataFrame) -> str:
    """An HTML table; all text escaped."""
    marked = table.map(html_text.escape)
    marked = marked.where(~bold, "<b>" + marked + "</b>")
    marked.columns = marked.columns.map(lambda key: tuple(map(html_text.escape, key)))
    if _indexed(table):
        marked.index = marked.index.map(lambda key: tuple(map(html_text.escape, key)))
    return marked.to_html(escape=False, border=0, index=_indexed(table))


def csv(table: pd.DataFrame) -> str:
    """Two heading lines, then a line per row; mean ± deviation as two columns under a third heading line."""
    if table.map(lambda cell: "±" in cell).to_numpy().any():
        parts = {}
        for group, name in table.columns:
            split = table[group, name].str.split(" ± ", expand=True).reindex(columns=[0, 1])
            parts[group, name, "mean"], parts[group, name, "std"] = split[0], split[1].fillna("")
        table = pd.DataFrame(parts)
    return table.to_csv(index=_indexed(table))


def escape_latex(text: str) -> str:
    """Text as LaTeX prints it."""
    return re.sub(r"(?<!\S)-(?=\d)", "$-$", safe_text.latex(text))


def _indexed(table: pd.DataFrame) -> bool:
    return table.index.nlevels == 2


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _literal(cell: str) -> str:
    """`cell` as Markdown shows it."""
    return re.sub(r"([\\`*_<>&|\[\]])", r"\\\1", cell)


def _numeric(table: pd.DataFrame) -> list[bool]:
    """For every column, whether its cells are numbers or dashes."""
    return [bool(table.iloc[:, place].str.fullmatch(r"[-+]?\d[\d.]*(e-\d+)?( ± [\d.]+)?|–|-").all())
            for place in range(table.shape[1])]


def _rules(text: str, table: pd.DataFrame, indexed: bool) -> str:
    """booktabs' rules between blocks and below group headings, none before the last rule."""
    text = re.sub(r"\\cline\{[^}]*\}\n(?=\\bottomrule)", "", text)
    text = text.replace(r"\cline", r"\cmidrule")
    below, column = [], 2 * indexed + 1
    for group, members in groupby(table.columns, key=lambda key: key[0]):
        width = len(list(members))
        if group:
            below.append(rf"\cmidrule(lr){{{column}-{column + width - 1}}}")
        column += width
    head, rest = text.split("\\toprule\n", 1)
    first, rest = rest.split("\n", 1)
    return f"{head}\\toprule\n{first}\n" + ("".join(below) + "\n" if below else "") + rest


def _set_type(text: str, table: pd.DataFrame) -> str:
    """Smaller type and closer columns for tables too wide for a page."""
    width = 3 * table.shape[1] + sum(table.iloc[:, n].str.len().max() for n in range(table.shape[1]))
    size, gap = (r"\scriptsize", "2.5pt") if width > _WIDE else (r"\footnotesize", "3pt")
    if table.shape[1] > _MANY:
        size, gap = r"\tiny", "1.5pt"
    return text.replace("\\centering\n", f"\\centering\n{size}\n\\setlength{{\\tabcolsep}}{{{gap}}}\n"
                        "\\setlength{\\belowcaptionskip}{4pt}\n", 1)
