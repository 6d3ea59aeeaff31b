"""Tables of text cells as Markdown, LaTeX, HTML and CSV."""

import dataclasses
import html as html_text
import pathlib
import re
from itertools import groupby

import pandas as pd

from datasets.common import atomic_files
from evaluation.results import safe_text

_WIDE = 120  # characters of a body row beyond which LaTeX sets the table in small type
_MANY = 10  # columns beyond which their headings alone call for the smallest type
_NUMBER = re.compile(r"[-+]?\d[\d.]*(e-\d+)?|–|-")  # or the dash of a missing one


@dataclasses.dataclass(frozen=True)
class Table:
    """A table as it is printed.

    Attributes:
      cells: frame of str; columns are (group, name), equal neighbouring groups being one heading. The index is
        (block, row), blocks kept together, or a plain range, which is not shown.
      spread: frame of str, what stands behind ± in each cell, "" for nothing; None where no cell has any.
      bold: frame of bool, the cells in bold type; None for none.
      works: cited works, listed below the table.
    """

    cells: pd.DataFrame
    spread: pd.DataFrame | None = None
    bold: pd.DataFrame | None = None
    works: tuple[str, ...] = ()

    @property
    def indexed(self) -> bool:
        """Whether (block, row) is shown."""
        return self.cells.index.nlevels == 2

    def filled(self, form: str = "{} ± {}") -> pd.DataFrame:
        """The cells, with their spread in `form` where they have any."""
        if self.spread is None:
            return self.cells
        both = [[form.format(cell, spread) if spread else cell for cell, spread in zip(*rows, strict=True)]
                for rows in zip(self.cells.to_numpy(), self.spread.to_numpy(), strict=True)]
        return pd.DataFrame(both, self.cells.index, self.cells.columns)

    def marked(self, cells: pd.DataFrame, before: str, after: str) -> pd.DataFrame:
        """`cells`, the bold ones between `before` and `after`."""
        return cells if self.bold is None else cells.where(~self.bold, before + cells + after)

    def numeric(self) -> list[bool]:
        """For every column, whether it holds numbers or dashes alone."""
        return [all(_NUMBER.fullmatch(cell) for cell in self.cells.iloc[:, place])
                for place in range(self.cells.shape[1])]


def write_table(table: Table, folder: pathlib.Path, name: str, caption: str) -> None:
    """Writes NAME.md, .csv, .tex and .html; cited works below the table (in LaTeX as comments, not in the CSV)."""
    listed = "".join(f"- {work}\n" for work in table.works)
    items = "".join(f"<li>{html_text.escape(work)}</li>" for work in table.works)
    texts = {"md": f"{caption}\n\n{markdown(table)}" + (f"\n{listed}" if listed else ""),
             "csv": csv(table),
             "tex": "".join(f"% {work}\n" for work in table.works) + latex(table, caption, f"tab:{name}"),
             "html": html(table) + (f"\n<ul>{items}</ul>\n" if items else "")}
    for kind, text in texts.items():
        atomic_files.write_text(folder / f"{name}.{kind}", text)


def markdown(table: Table) -> str:
    """GitHub Markdown."""
    first = ["", ""] if table.indexed else []
    heads = [_literal(f"{group} {name}".strip()) for group, name in table.cells.columns]
    marks = ["---"] * len(first) + ["---:" if number else "---" for number in table.numeric()]  # to the right
    rows = [[*(map(_literal, key) if table.indexed else ()), *row]
            for key, row in table.marked(table.filled().map(_literal), "**", "**").iterrows()]
    lines = ["| " + " | ".join(row) + " |" for row in ([*first, *heads], *rows)]
    return "\n".join([lines[0], f"|{'|'.join(marks)}|", *lines[1:]]) + "\n"


def latex(table: Table, caption: str, label: str) -> str:
    """A table environment that needs booktabs and multirow; smaller type where it is too wide for a page."""
    width = 2 * table.indexed + table.cells.shape[1]  # block and row stand before the cells
    size, gap = _type_size(table)
    form = "ll" * table.indexed + "".join("r" if number else "l" for number in table.numeric())
    return "\n".join([
        *_latex_spellings(table), r"\begin{table}[tbp]", r"\centering", size,
        rf"\setlength{{\tabcolsep}}{{{gap}}}", r"\setlength{\belowcaptionskip}{4pt}",
        rf"\caption{{{_latex(caption)}}}", rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{form}}}", r"\toprule", *_latex_heads(table), r"\midrule",
        f"\n\\cmidrule{{1-{width}}}\n".join("\n".join(rows) for rows in _latex_blocks(table)),
        r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def html(table: Table) -> str:
    # Escaped here, since bold marks must stay.
    """An HTML table; all text escaped."""
    marked = table.marked(table.filled().map(html_text.escape), "<b>", "</b>")
    marked.columns = marked.columns.map(lambda key: tuple(map(html_text.escape, key)))
    if table.indexed:
        marked.index = marked.index.map(lambda key: tuple(map(html_text.escape, key)))
    return marked.to_html(escape=False, border=0, index=table.indexed)  # it would escape those


def csv(table: Table) -> str:
    """Two heading lines, then a line per row; mean ± deviation as two columns under a third heading line."""
    cells = table.cells.set_axis(pd.MultiIndex.from_tuples(table.cells.columns), axis=1)
    if table.spread is not None and (table.spread != "").to_numpy().any():
        cells = pd.DataFrame({(*key, kind): frame[key] for key in cells.columns  # one heading line more
                              for kind, frame in (("mean", cells), ("std", table.spread))})
    return cells.to_csv(index=table.indexed)


def _literal(cell: str) -> str:
    """`cell` as Markdown shows it."""
    return re.sub(r"([\\`*_<>&|~\[\]])", r"\\\1", cell).replace("$", "&#36;")  # two of them are a formula


def _latex(text: str) -> str:
    """`text` as LaTeX prints it, with minus signs in place of hyphens before numbers."""
    return " ".join("$-$" + safe_text.latex(word[1:]) if word[0:1] == "-" and word[1:2].isdecimal()
                    else safe_text.latex(word) for word in text.split(" "))


def _latex_heads(table: Table) -> list[str]:
    """Groups over their columns, a rule below each, and the columns' names."""
    groups, rules, place = [""] * (2 * table.indexed), "", 1 + 2 * table.indexed  # columns are counted from 1
    for group, members in groupby(table.cells.columns, key=lambda key: key[0]):
        width = len(list(members))
        groups.append(rf"\multicolumn{{{width}}}{{c}}{{{_latex(group)}}}" if width > 1 else _latex(group))
        if group:  # below its columns only
            rules += rf"\cmidrule(lr){{{place}-{place + width - 1}}}"
        place += width
    shown = safe_text.told_apart((name for _, name in table.cells.columns), _latex)
    names = [""] * (2 * table.indexed) + [shown[name] for _, name in table.cells.columns]
    return [_latex_row(groups), *([rules] if rules else []), _latex_row(names)]


def _latex_blocks(table: Table) -> list[list[str]]:
    """The body's lines, block by block; a plain range is one block."""
    escaped = Table(table.cells.map(_latex), table.spread).filled(r"{} {{\tiny$\pm${}}}")  # smaller, to fit
    rows = list(table.marked(escaped, r"\textbf{", "}").iterrows())
    if not table.indexed:
        return [[_latex_row(row) for _, row in rows]]
    blocks, shown = [], safe_text.told_apart((key[1] for key, _ in rows), _latex)
    for block, found in groupby(rows, key=lambda row: row[0][0]):
        members = list(found)
        many = rf"\multirow[c]{{{len(members)}}}{{*}}{{{_latex(block)}}}"  # one cell down the block
        heads = [many if len(members) > 1 else _latex(block)] + [""] * (len(members) - 1)
        blocks.append([_latex_row([head, shown[name], *row])
                       for head, ((_, name), row) in zip(heads, members, strict=True)])
    return blocks


def _latex_spellings(table: Table) -> list[str]:
    """Comments that tell how names of other scripts are spelt."""
    names = [*(name for _, name in table.cells.columns), *(key[1] for key in table.cells.index if table.indexed)]
    return [f"% {text}: {name}" for name, text in safe_text.told_apart(names, _latex).items()
            if safe_text.in_latin(name) != name and not text.isspace() and text.isascii()]


def _latex_row(cells) -> str:
    return " & ".join(cells) + r" \\"


def _type_size(table: Table) -> tuple[str, str]:
    """Command for the size of type, and the gap between columns."""
    if table.cells.shape[1] > _MANY:
        return r"\tiny", "1.5pt"
    width = sum(3 + max(map(len, cells), default=0) for _, cells in table.filled().items())  # 3: the gap
    return (r"\scriptsize", "2.5pt") if width > _WIDE else (r"\footnotesize", "3pt")
