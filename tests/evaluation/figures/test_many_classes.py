"""Thirty classes: colours that can be told apart, errors that are no organ's, figures that can be read."""

import numpy as np
import pandas as pd
import pytest
from skimage import color

from evaluation.figures import chart_figures
from evaluation.figures.style import COLUMN, PAGE, colour_legend, organ_colours, picture_grid
from evaluation.pictures import ERRORS, colour_labels

CHEST = [(0, 0, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (240, 228, 66), (204, 121, 167), (0, 114, 178),
         (230, 159, 0)]


def _lab(colours) -> np.ndarray:
    return color.rgb2lab(np.array(colours, np.uint8))


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one[:, None] - other, axis=-1)


@pytest.mark.parametrize("count", [2, 6, 8, 9, 31, 60])
def test_first_colours_stay_and_all_differ(count):
    colours = colour_labels(np.arange(count), count)
    assert [tuple(row) for row in colours[:8].tolist()] == CHEST[:count]
    organs = _lab(colours[1:])
    distances = _apart(organs, organs) + 1e3 * np.eye(count - 1)
    assert distances.min() > (25 if count <= 31 else 20)  # 2.3 is what can just be told apart
    assert organs[:, 0].min() > 38  # on black
    assert _apart(organs, _lab(list(ERRORS.values()))).min() > 20
    assert _apart(organs, _lab([(255, 255, 255), (96, 96, 96)])).min() > 15
    np.testing.assert_array_equal(colour_labels(np.arange(count), 60), colours)  # a class keeps its colour


def test_every_code_has_a_colour_of_its_own():
    colours = colour_labels(np.arange(254), 254)
    assert len(np.unique(colours, axis=0)) == 254


class _Folder:
    """What box plots read of an experiment: `organs` organs, four films."""

    def __init__(self, organs: int):
        self.names = [f"structure number {place}" for place in range(organs)]

    def pooled(self, column: str) -> dict:
        return {"scored": self.names}

    def per_film(self, column: str) -> pd.DataFrame:
        index = pd.MultiIndex.from_product([list("abcd"), self.names], names=["film", "organ"])
        draw = np.random.default_rng(0)
        return pd.DataFrame({"tp": 1, "fp": 1, "fn": 1, "j": draw.random(len(index))}, index).reset_index()


@pytest.mark.parametrize("organs", [1, 3, 6, 7, 30])
def test_box_plots_can_be_read(organs):
    figure = chart_figures.box_plots(_Folder(organs), ["real", "synth-3", "finetune-3"])
    figure.canvas.draw()
    boxes = [axis for axis in figure.axes if axis.patches]
    assert len(boxes) == organs and figure.get_figheight() < 10  # inches: a page
    width = min(axis.get_window_extent().width for axis in boxes) / figure.dpi
    assert width > 0.75  # inches for three boxes
    titles = [axis.title.get_window_extent() for axis in boxes]
    side_by_side = [(one, other) for place, one in enumerate(titles) for other in titles[place + 1:]]
    assert not any(one.overlaps(other) for one, other in side_by_side)
    names = ["REAL", "Three-stage SYNTH 3", "Three-stage FINETUNE"]
    labelled = [axis for axis in boxes if axis.xaxis.get_tick_params()["labelbottom"] is not False]
    if organs <= 6:
        assert labelled == boxes and [text.get_text() for text in boxes[0].get_xticklabels()] == names
    else:
        assert not labelled and [text.get_text() for text in figure.legends[0].get_texts()] == names


@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_a_legend_of_many_classes_leaves_the_pictures_their_room(width):
    sizes = []
    for count in (4, 31):
        figure, axes = picture_grid(2, 3, width, 1.0)
        for axis in axes.ravel():
            axis.imshow(np.zeros((8, 8)))
            axis.set_axis_off()
        names = tuple(f"organ {place}" for place in range(count))
        colour_legend(figure, dict(zip(names[1:], organ_colours(names)[1:], strict=True)))
        figure.canvas.draw()
        sizes.append(axes[0, 0].get_window_extent().width / figure.dpi)
    assert sizes[1] > 0.85 * sizes[0]
