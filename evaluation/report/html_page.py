"""A self-contained HTML page: text, tables and embedded pictures, for the screen and for paper."""

import base64
import html
import pathlib
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from datasets.common import atomic_files

LARGEST = 2**19  # bytes of a picture that is embedded as it is; larger ones, of many films, as JPEG
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#222;max-width:66em;margin:2em auto;padding:0 1em}
h1{font-size:1.6em}h2{font-size:1.2em;border-bottom:2px solid #0072b2;padding-bottom:.2em;margin-top:2.2em}
table{border-collapse:collapse;font-size:.9em;margin:1em 0;display:block;overflow-x:auto}
th,td{padding:.25em .7em;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th{font-weight:600}tbody th,td:first-child{text-align:left}
figure{margin:1.5em 0;break-inside:avoid}img{max-width:100%;height:auto}
figcaption,.note{color:#555;font-size:.9em}
pre{background:#f5f5f5;padding:.8em;overflow-x:auto;white-space:pre-wrap;font-size:.85em}
nav a{margin-right:1em}
@media print{body{max-width:none;margin:0;font-size:10pt}nav{display:none}h2{break-after:avoid}
pre{border:1px solid #ccc}}
"""


class Page:
    """Sections in the order in which they are added.

    Args:
      title: of the page.
    """

    def __init__(self, title: str):
        self.title = title
        self._body: list[str] = []
        self._sections: list[str] = []

    def section(self, title: str) -> None:
        """Starts a section."""
        self._sections.append(title)
        self._body.append(f'<h2 id="s{len(self._sections)}">{html.escape(title)}</h2>')

    def text(self, words: str) -> None:
        """A paragraph."""
        self._body.append(f"<p>{html.escape(words)}</p>")

    def note(self, words: str) -> None:
        """A paragraph in small grey type."""
        self._body.append(f'<p class="note">{html.escape(words)}</p>')

    def code(self, words: str) -> None:
        """Commands or settings as they are typed."""
        self._body.append(f"<pre>{html.escape(words)}</pre>")

    def table_html(self, table: str) -> None:
        """A table that is HTML already, its text escaped."""
        self._body.append(table)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of text cells."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in heads)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
                       for row in rows)
        self._body.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")

    def facts(self, facts: Mapping[str, str]) -> None:
        """A table of names and values."""
        self.table(("", ""), list(facts.items()))

    def figure(self, png: bytes, caption: str) -> None:
        """A picture, embedded; one of more than LARGEST bytes as JPEG, since films compress badly."""
        kind, shown = ("png", png) if len(png) <= LARGEST else ("jpeg", _as_jpeg(png))
        data = base64.b64encode(shown).decode("ascii")
        words = html.escape(caption)
        self._body.append(f'<figure><img alt="{words}" src="data:image/{kind};base64,{data}">'
                          f"<figcaption>{words}</figcaption></figure>")

    def write(self, path: pathlib.Path) -> None:
        """Writes the page."""
        links = "".join(f'<a href="#s{number}">{html.escape(title)}</a>'
                        for number, title in enumerate(self._sections, 1))  # as `section` counts
        title = html.escape(self.title)
        text = (f'<!doctype html><html lang="en"><meta charset="utf-8">'
                f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
                f"<style>{_STYLE}</style><h1>{title}</h1><nav>{links}</nav>{''.join(self._body)}</html>\n")
        atomic_files.write_text(path, text)


def _as_jpeg(png: bytes) -> bytes:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
