"""Figures made of films: synthetic samples, stages, and test films with what was predicted on them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from datasets.common.errors import UserError
from datasets.formats.png import PngFile
from datasets.formats.raster import read_bytes
from datasets.pair_store import PairStore, read_png
from datasets.resize import enlarge
from datasets.subsets import evenly
from evaluation.figures.style import COLUMN, PAGE, colour_legend, organ_colours, picture_grid, show, style
from evaluation.pictures import ERRORS, colour_labels, error_overlay
from evaluation.results import columns
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.per_film import film_scores
from evaluation.results.tables import printed

_GOLD = (1.0, 1.0, 1.0)  # gold borders on error overlays
_SAMPLES, _ROWS = 9, 4  # pairs on a sheet of samples, and on one of stages


def sample_sheet(store: PairStore, title: str) -> Figure:
    """Label map beside film for nine pairs spread over the store, three pairs a row (paper, Figures 5, 6)."""
    ids = _spread(store.ids(), _SAMPLES)
    aspect, names = _aspect(store), store.classes.names
    with style():
        # A row holds three pairs of pictures.
        figure, axes = picture_grid(-(-len(ids) // 3), 6, PAGE, aspect, above=0.2)
        for axis in axes.ravel():
            axis.set_axis_off()
        for place, id_ in enumerate(ids):
            row, column = place // 3, 2 * (place % 3)
            show(axes[row, column], colour_labels(store.label(id_), len(names)))
            show(axes[row, column + 1], store.image(id_))
        figure.suptitle(title, fontsize=9)
        colour_legend(figure, dict(zip(names[1:], organ_colours(names)[1:], strict=True)))
    return figure


def stage_sheet(store: PairStore, title: str) -> Figure:
    """Dots -> label map -> film, a row for each of four samples of the three-stage method (paper, section 3.3).

    Raises UserError for a store without dots.
    """
    ids = _spread([id_ for id_ in store.ids() if (store.path / "dots" / f"{id_}.png").is_file()], _ROWS)
    if not ids:
        raise UserError(f"{store.path}/dots: found no dots; expected pairs of the three-stage method")
    names = store.classes.names
    with style():
        figure, axes = picture_grid(len(ids), 3, COLUMN, _aspect(store), above=0.35)
        for row, id_ in zip(axes, ids, strict=True):
            show(row[0], colour_labels(read_dots_map(store, id_), len(names)))
            show(row[1], colour_labels(store.label(id_), len(names)))
            show(row[2], store.image(id_))
        for axis, text in zip(axes[0], ("dots", "→ label map", "→ film"), strict=True):
            axis.set_title(text)
        figure.suptitle(title, fontsize=9)
        colour_legend(figure, dict(zip(names[1:], organ_colours(names)[1:], strict=True)))
    return figure


def comparison_rows(experiment: ExperimentFolder, column: str) -> Figure:
    """Film, gold borders, predicted borders and errors, a row per film (paper, Figures 7 and 8).

    Films are the two of lowest mean J, that in the middle, and the best.
    """
    scores = film_scores(experiment.per_film(column), experiment.pooled(column)["scored"])["average"]
    ids, store = _typical(scores), experiment.films()
    with style():
        figure, axes = picture_grid(len(ids), 4, PAGE, _aspect(store), 0.35, above=0.15)
        for row, id_ in zip(axes, ids, strict=True):
            film, gold = store.image(id_), experiment.gold(column, id_)
            predicted = experiment.prediction(column, id_)
            show(row[0], film)
            row[0].set_ylabel(f"{id_}\nmean J {printed(scores[id_], 1)}")
            for axis, codes in ((row[1], gold), (row[2], predicted)):
                show(axis, film)
                _draw_borders(axis, codes, _colours(experiment, column))
            show(row[3], error_overlay(film, predicted, gold))
            _draw_borders(row[3], gold, [_GOLD] * experiment.table(column).num_classes, 0.5)
        _set_titles(axes[0], ("film", "gold", columns.title(column), "errors, gold border"))
        colour_legend(figure, _legend(experiment, column))
    return figure


def column_rows(experiment: ExperimentFolder, names: Sequence[str]) -> Figure:
    """A row per film: the film with gold borders, then the errors of every column with its mean J.

    Films are chosen as in `comparison_rows`, by mean J over the columns.
    """
    scores = [film_scores(experiment.per_film(name), experiment.pooled(name)["scored"])["average"]
              for name in names]
    ids, store = _typical(pd.concat(scores, axis=1).mean(axis=1)), experiment.films()
    # "+ AUG" on a line of its own: long headings meet where columns are many.
    titles = ["film, gold", *("\n".join(columns.heading(name)).strip().replace(" + ", "\n+ ") for name in names)]
    lines = 1 + max(title.count("\n") for title in titles)
    with style():
        figure, axes = picture_grid(len(ids), 1 + len(names), PAGE, _aspect(store), 0.2, 0.14, 0.15 * lines)
        for row, id_ in zip(axes, ids, strict=True):
            film = store.image(id_)
            show(row[0], film)
            _draw_borders(row[0], experiment.gold(names[0], id_), _colours(experiment, names[0]), 0.8)
            row[0].set_ylabel(id_, fontsize=6)
            for axis, name, score in zip(row[1:], names, scores, strict=True):
                gold = experiment.gold(name, id_)
                show(axis, error_overlay(film, experiment.prediction(name, id_), gold))
                axis.set_xlabel(f"J {printed(score[id_], 1)}", labelpad=1)
        _set_titles(axes[0], titles)
        colour_legend(figure, _legend(experiment, names[0]))
    return figure


def read_dots_map(store: PairStore, id_: str) -> np.ndarray:
    """Dots of a synthetic pair enlarged to its size by nearest neighbour: codes uint8 [H, W].

    Raises UserError for a missing file, and for one that is no grey PNG.
    """
    path = store.path / "dots" / f"{id_}.png"
    png = PngFile(read_bytes(path), path)
    return enlarge(read_png(path, (png.height, png.width)), store.description.size)


def _typical(scores) -> list[str]:
    """The two films of lowest score, that in the middle, and the best; fewer of fewer films."""
    scored = scores.dropna()  # a film that shows nothing and of which nothing was predicted has no score
    order = (scores if scored.empty else scored).sort_values(kind="stable").index  # stable: equals by name
    places = [0, 1, len(order) // 2, len(order) - 1]
    return list(dict.fromkeys(order[min(place, len(order) - 1)] for place in places))  # fewer films: none twice


def _spread(ids: Sequence[str], count: int) -> list[str]:
    return [ids[place] for place in evenly(len(ids), count)]


def _aspect(store: PairStore) -> float:
    height, width = store.description.size
    return height / width


def _colours(experiment: ExperimentFolder, column: str) -> list[tuple[float, ...]]:
    """By code of `column`'s maps, each organ in its colour of the full class table."""
    names = experiment.films().classes.names
    every = organ_colours(names)
    return [every[0], *(every[names.index(organ)] for organ in experiment.table(column).organs)]


def _draw_borders(axis: Axes, codes: np.ndarray, colours: Sequence[tuple[float, ...]], width: float = 1.0) -> None:
    for code in range(1, len(colours)):
        mask = codes == code
        if mask.any() and not mask.all():  # else there is no border
            # Level 0.5: between pixels.
            axis.contour(mask.astype(np.float32), levels=[0.5], colors=[colours[code]],
                         linewidths=width)


def _set_titles(axes: Sequence[Axes], titles: Sequence[str]) -> None:
    """Titles in smaller type where more than 9 pictures stand side by side."""
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, fontsize=8 * min(1, 9 / len(axes)))


def _legend(experiment: ExperimentFolder, column: str) -> dict[str, tuple[float, ...]]:
    colours = dict(zip(experiment.table(column).organs, _colours(experiment, column)[1:], strict=True))
    return {**colours, **{f"error: {name}": tuple(np.array(colour) / 255) for name, colour in ERRORS.items()}}
