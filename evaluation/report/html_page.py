"""A self-contained HTML page: text, tables and embedded pictures, for a screen, a phone and paper."""

import base64
import html
import pathlib
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from datasets.common import atomic_files

LARGEST = 2**19  # bytes of a picture that is embedded as it is; larger ones, of many films, as JPEG
# A figure that is a link's target fills the window, in its own pixels; going back, or its cross, closes it.
_STYLE = """
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:#222;max-width:66em;margin:2em auto;padding:0 1em;
overflow-wrap:anywhere}
h1{font-size:1.6em;line-height:1.25;margin-bottom:.4em}
h2{font-size:1.2em;border-bottom:2px solid #0072b2;padding-bottom:.2em;margin-top:2.2em}
.lead{font-size:1.15em;margin:.4em 0 1em}
table{border-collapse:collapse;font-size:.9em;margin:1em 0;display:block;overflow-x:auto;
overflow-wrap:normal;font-variant-numeric:tabular-nums}
th,td{padding:.25em .7em;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th{font-weight:600}thead th[colspan]{text-align:center}tbody th,td:first-child{text-align:left}
table.facts td{white-space:normal;text-align:left;vertical-align:top;overflow-wrap:anywhere}
table.facts td:first-child{white-space:nowrap;font-weight:600;overflow-wrap:normal}
figure{margin:1.5em 0;break-inside:avoid}img{max-width:100%;height:auto;display:block}
figcaption,.note{color:#555;font-size:.9em}
.close{display:none}
figure:target{position:fixed;inset:0;margin:0;padding:1em;background:#fff;overflow:auto;z-index:1}
figure:target img{max-width:none}
figure:target .close{display:block;position:fixed;top:.3em;right:.6em;font-size:1.6em;line-height:1.4;width:1.4em;
text-align:center;text-decoration:none;color:#fff;background:#333;border-radius:50%}
summary{cursor:pointer;font-weight:600}
pre{background:#f5f5f5;padding:.8em;overflow-x:auto;white-space:pre-wrap;font-size:.85em}
nav{display:flex;flex-wrap:wrap;gap:.2em 1em}nav a{padding:.2em 0}
@media(max-width:40em){body{margin:1em auto;padding:0 .8em}h1{font-size:1.35em}h2{margin-top:1.6em}
th,td{padding:.3em .45em}}
@media print{body{max-width:none;margin:0;padding:0;font-size:10pt}nav,details:not([open]){display:none}
h2{break-after:avoid}a{color:inherit;text-decoration:none}table{display:table;font-size:7.5pt;max-width:100%}
th,td{white-space:normal;padding:.15em .3em}tr,img{break-inside:avoid}thead{display:table-header-group}
img{max-height:22cm;width:auto;max-width:100%}pre{border:1px solid #ccc}
figure:target{position:static;padding:0}figure:target img{max-width:100%}figure:target .close{display:none}}
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
        self._lead, self._figures = "", 0

    def section(self, title: str) -> None:
        """Starts a section."""
        self._sections.append(title)
        self._body.append(f'<h2 id="s{len(self._sections)}">{html.escape(title)}</h2>')

    def lead(self, words: str) -> None:
        """The sentence that says it all: in larger type, above the links to the sections."""
        self._lead = f'<p class="lead">{html.escape(words)}</p>'

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
        self._body.append(f"<table><thead><tr>{head}</tr></thead>{_body(rows)}</table>")

    def facts(self, facts: Mapping[str, str]) -> None:
        """A table of names and values."""
        self._body.append(_facts(facts))

    def folded(self, title: str, facts: Mapping[str, str]) -> None:
        """Names and values of which only `title` is seen until it is clicked; not on paper."""
        self._body.append(f"<details><summary>{html.escape(title)}</summary>{_facts(facts)}</details>")

    def figure(self, png: bytes, caption: str) -> None:
        """A picture, embedded; one of more than LARGEST bytes as JPEG, since films compress badly."""
        kind, shown = ("png", png) if len(png) <= LARGEST else ("jpeg", _as_jpeg(png))
        data = base64.b64encode(shown).decode("ascii")
        words = html.escape(caption)
        self._figures += 1
        here, place = f"f{self._figures}", f"p{self._figures}"  # the figure, and where it stands on the page
        self._body.append(f'<div id="{place}"><figure id="{here}"><a href="#{here}" title="open large">'
                          f'<img alt="{words}" src="data:image/{kind};base64,{data}"></a>'
                          f'<a class="close" href="#{place}" title="close">×</a>'
                          f"<figcaption>{words}</figcaption></figure></div>")

    def write(self, path: pathlib.Path) -> None:
        """Writes the page."""
        links = "".join(f'<a href="#s{number}">{html.escape(title)}</a>'
                        for number, title in enumerate(self._sections, 1))  # as `section` counts
        title = html.escape(self.title)
        text = (f'<!doctype html><html lang="en"><meta charset="utf-8">'
                f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
                f"<style>{_STYLE}</style><h1>{title}</h1>{self._lead}<nav>{links}</nav>"
                f"{''.join(self._body)}</html>\n")
        atomic_files.write_text(path, text)


def _facts(facts: Mapping[str, str]) -> str:
    return f'<table class="facts">{_body(list(facts.items()))}</table>'


def _body(rows: Sequence[Sequence[str]]) -> str:
    cells = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows)
    return f"<tbody>{''.join(f'<tr>{row}</tr>' for row in cells)}</tbody>"


def _as_jpeg(png: bytes) -> bytes:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
