"""What an experiment ends with: the table, sheets of pictures, and a page that shows them."""

import html
import pathlib
from collections.abc import Sequence

import numpy as np

from datasets import files
from datasets.store import PairStore, read_png, write_png
from evaluation.pictures import colour_labels, grid, outline_labels
from evaluation.tables import GROUPS, comparison, read_pooled, to_html, to_markdown, write_tables

_SAMPLES = 8  # pairs on a sample sheet
_FILMS = 4  # test films on the comparison sheet
_HEIGHT = 128  # pixels to which small pictures are enlarged


def write_report(folder: pathlib.Path, root: pathlib.Path, columns: Sequence[str], films: str,
                 title: str) -> str:
    """Writes table.md/.csv/.tex/.html, sheets and index.html to `folder`; returns the table as Markdown.

    Args:
      root: the experiment's folder.
      columns: of the table, e.g. "real", "synth-3".
      films: pair folder of the test films, below `root`.
      title: of the table and the page.
    """
    results = {column: [read_pooled(root / f"evaluate-{column}" / "pooled.json")] for column in columns}
    table = comparison(results)
    tested = results[columns[0]][0]["films"]
    caption = f"{title}: J and DSC in percent, pixels pooled over {tested} test films."
    write_tables(table, folder, "table", caption)
    sheets = [("comparison.png", "Test films: film, gold, and the prediction of each column: "
               + ", ".join(columns))]
    _write_sheet(folder / "comparison.png", *_comparison(root, columns, PairStore(root / films)))
    for number in sorted({column[-1] for column in columns} & set(GROUPS)):
        name = f"samples-{number}.png"
        _write_sheet(folder / name, *_samples(root / f"synthetic-{number}" / "gan"))
        journal = files.read_json(root / f"synthetic-{number}" / "gan" / "generation.json")
        sheets.append((name, f"{GROUPS[number]}: synthetic pairs. {_rejections(journal)}"))
    files.write_text(folder / "index.html", _page(title, caption, to_html(table), sheets, root))
    return to_markdown(table)


def _write_sheet(path: pathlib.Path, cells: np.ndarray, columns: int) -> None:
    write_png(path, grid(cells, columns, _HEIGHT)[..., ::-1])


def _samples(path: pathlib.Path) -> tuple[np.ndarray, int]:
    """Rows of pictures of the first pairs: dots where there are any, label map, film."""
    store = PairStore(path)
    size, classes = store.description.size, store.classes.num_classes
    rows = []
    for id_ in store.ids()[:_SAMPLES]:
        label, film = store.label(id_), store.image(id_)
        dots = path / "dots" / f"{id_}.png"
        if dots.is_file():
            small = read_png(dots, _png_size(dots))
            places = [np.arange(side) * len(small) // side for side in size]
            rows.append(colour_labels(small[np.ix_(*places)], classes))
        rows += [colour_labels(label, classes), np.repeat(film[..., None], 3, -1)]
    return np.stack(rows), 2 * len(rows) // min(_SAMPLES, len(store.ids()))


def _png_size(path: pathlib.Path) -> tuple[int, int]:
    header = path.read_bytes()[:24]
    return int.from_bytes(header[20:24], "big"), int.from_bytes(header[16:20], "big")


def _comparison(root: pathlib.Path, columns: Sequence[str], store: PairStore) -> tuple[np.ndarray, int]:
    """A row per test film: film, gold outlines, and the outlines that each column predicts."""
    cells = []
    for id_ in store.ids("test")[:_FILMS]:
        film, classes = store.image(id_), store.classes.scored_table().num_classes
        cells += [np.repeat(film[..., None], 3, -1), outline_labels(film, store.scored_label(id_), classes)]
        for column in columns:
            codes = read_png(root / f"evaluate-{column}" / "predictions" / f"{id_}.png", film.shape)
            cells.append(outline_labels(film, codes, classes))
    return np.stack(cells), 2 + len(columns)


def _rejections(journal: dict) -> str:
    text = f"{sum(journal['rejected'].values()):,} of {journal['candidates']:,} candidates rejected"
    if journal["rejected"]:
        worst = sorted(journal["rejected"].items(), key=lambda item: -item[1])[:3]
        text += " (" + ", ".join(f"{reason}: {count:,}" for reason, count in worst) + ")"
    if journal["unchecked"]:
        text += f"; {journal['unchecked']:,} pairs taken unchecked, since too few passed"
    return text + "."


def _page(title: str, caption: str, table: str, sheets: Sequence[tuple[str, str]], root: pathlib.Path) -> str:
    figures = "".join(f'<figure><img src="{name}"><figcaption>{html.escape(text)}</figcaption></figure>'
                      for name, text in sheets)
    records = [(path.stem, files.read_json(path)) for path in sorted((root / "steps").glob("*.json"))]
    times = "".join(f"<tr><td><a href='../{name}'>{name}</a></td><td>{record['seconds']:.0f} s</td></tr>"
                    for name, record in records if record["done"])
    return f"""<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}}
table{{border-collapse:collapse}}td,th{{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}}
img{{max-width:100%;image-rendering:pixelated}}figure{{margin:2em 0}}</style>
<h1>{html.escape(title)}</h1><p>{html.escape(caption)} Files: <a href="table.tex">LaTeX</a>,
<a href="table.csv">CSV</a>, <a href="table.md">Markdown</a>.</p>{table}{figures}
<h2>Steps</h2><table>{times}</table>
"""
