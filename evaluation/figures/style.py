"""How figures are set and saved: sizes of a journal's column, type that stays readable there, PDF and PNG."""

import contextlib
import logging
import pathlib
from collections.abc import Iterator, Sequence

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from datasets.common import atomic_files
from evaluation.figures.fonts import families, spell_out
from evaluation.pictures import colour_labels

COLUMN = 3.5  # inches: one column of a two-column page
PAGE = 7.16  # both columns
_DPI = 300  # of PNGs
_LEGEND, _LEGEND_ROWS = 0.45, 2  # inches below a picture grid, and the rows of a legend that fit there
_SIDE = 600  # pixels at most of a picture inside a figure, per side

# Font type 42: text stays text in a PDF.
_STYLE = {"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "legend.fontsize": 7, "xtick.labelsize": 7,
          "ytick.labelsize": 7, "pdf.fonttype": 42, "axes.spines.top": False, "axes.spines.right": False,
          "axes.linewidth": 0.6, "lines.linewidth": 1.2, "text.parse_math": False,  # $ in a name is no formula
          "svg.hashsalt": "figures"}  # without a salt, names in an SVG are drawn at random
logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every glyph that it embeds


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Figures made inside have the project's type and lines."""
    with mpl.rc_context({**_STYLE, "font.family": list(families())}):
        yield


def save_figure(figure: Figure, folder: pathlib.Path, name: str, kinds: Sequence[str] = ("pdf", "png")) -> None:
    """Writes NAME.pdf (embedded fonts, lines as vectors) and NAME.png (300 dpi), or NAME.svg, without dates."""
    spell_out(figure)
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}  # two runs make equal files
    for kind in kinds:
        with style(), atomic_files.replacing(folder / f"{name}.{kind}") as temporary:
            figure.savefig(temporary, dpi=_DPI, format=kind, metadata=dates.get(kind))


def show(axis: Axes, picture: np.ndarray) -> None:
    """Fills `axis` with uint8 [H, W] or [H, W, 3], kept smaller if large; data coordinates stay its pixels."""
    height, width = picture.shape[:2]
    factor = _SIDE / max(height, width)
    if factor < 1:
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    # Pixels as before the reduction: borders are drawn in them.
    axis.imshow(picture, cmap="gray", vmin=0, vmax=255, extent=(-0.5, width - 0.5, height - 0.5, -0.5),
                interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def picture_grid(rows: int, columns: int, width: float, aspect: float, left: float = 0.0, below: float = 0.0,
                 above: float = 0.0) -> tuple[Figure, np.ndarray]:
    """A figure of `width` inches with rows x columns of pictures of height / width `aspect`, and its axes.

    Args:
      left: inches kept for the rows' labels; below: for those under each picture; above: for titles.
    """
    cell = (width - left) / columns  # inches
    figure = Figure(figsize=(width, rows * (cell * aspect + below) + above + _LEGEND), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.0)
    return figure, figure.subplots(rows, columns, squeeze=False)


def organ_colours(names: tuple[str, ...]) -> list[tuple[float, ...]]:
    """A colour in [0, 1] for every class name, background first: those of label maps."""
    return [tuple(row / 255) for row in colour_labels(np.arange(len(names)), len(names))]


def colour_legend(figure: Figure, colours: dict[str, tuple[float, ...]]) -> None:
    """A legend of patches below the figure."""
    patches = [Patch(facecolor=colour, label=name) for name, colour in colours.items()]
    columns = 3 if figure.get_figwidth() < PAGE else 6  # legends of a narrow figure
    more = -(-len(patches) // columns) - _LEGEND_ROWS
    if more > 0:  # lest many classes leave no room for the pictures
        figure.set_figheight(figure.get_figheight() + 0.16 * more)
    figure.legend(handles=patches, loc="outside lower center", ncols=min(len(patches), columns), frameon=False,
                  handlelength=1.0, columnspacing=1.2)
