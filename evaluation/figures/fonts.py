"""Names of any script in figures: drawn in a font that has their letters, else spelt in Latin ones."""

import functools
import unicodedata

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from evaluation.results.safe_text import in_latin, told_apart

_FIRST = "DejaVu Sans"  # comes with Matplotlib
# Fonts of systems that have what it lacks, the first that is there.
_OTHERS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
           "Microsoft YaHei", "PingFang SC", "Hiragino Sans", "Yu Gothic", "Malgun Gothic", "Arial Unicode MS")


@functools.lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """The fonts of figures, each for what the ones before lack."""
    there = {font.name for font in font_manager.fontManager.ttflist}
    return (_FIRST, *[name for name in _OTHERS if name in there][:1])


def spell_out(figure: Figure) -> None:
    """Rewrites what no font of `families` can draw, each text unlike the others, in all of a figure."""
    ticks = {axis: axis.get_major_formatter().format_ticks(axis.get_majorticklocs())
             for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
             if isinstance(axis.get_major_locator(), FixedLocator)}
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    names = [text.get_text() for text in texts] + [name for labels in ticks.values() for name in labels]
    shown = told_apart(names, lambda name: name if _can_draw(name) else in_latin(name).strip() or "?")
    for text in texts:
        text.set_text(shown[text.get_text()])
    for axis, labels in ticks.items():
        if any(shown[name] != name for name in labels):
            axis.set_ticklabels([shown[name] for name in labels])


def _can_draw(text: str) -> bool:
    """Whether the fonts have every letter, and Matplotlib can set them: it joins none, nor runs from the right."""
    return text.isascii() or all(
        char.isspace() or (ord(char) in _letters() and unicodedata.bidirectional(char) not in ("R", "AL", "AN"))
        for char in text)


@functools.lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    paths = [font_manager.findfont(name) for name in families()]
    return frozenset(code for path in paths for code in font_manager.get_font(path).get_charmap())
