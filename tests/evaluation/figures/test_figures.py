"""Figures hold what they should: films, colours, borders, numbers; files are PDF and PNG of the stated size."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from datasets.common.errors import UserError
from datasets.pair_store import PairStore
from evaluation.figures.catalogue import experiment_figures
from evaluation.figures.chart_figures import box_plots, training_curves
from evaluation.figures.film_figures import column_rows, comparison_rows, read_dots_map, sample_sheet, stage_sheet
from evaluation.figures.style import COLUMN, PAGE, save_figure
from evaluation.pictures import ERRORS, colour_labels, error_overlay
from evaluation.results import columns
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.per_film import film_scores
from tests.helpers.result_folders import SHIFTS, write_experiment


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return ExperimentFolder(write_experiment(tmp_path_factory.mktemp("figures") / "run"))


def _curves(figure):
    """Title of every panel with lines -> what is drawn in it, label -> x, y; marks of best values have none."""
    return {axis.get_title(): {line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist())
                               for line in axis.lines if not line.get_label().startswith("_")}
            for axis in figure.axes if axis.get_title()}


def _pictures(figure):
    """What every axis shows, row by row; None for an empty one."""
    return [axis.images[0].get_array() if axis.images else None for axis in figure.axes]


def test_errors_are_tinted_by_kind():
    film = np.full((1, 5), 100, np.uint8)
    gold, predicted = np.array([[0, 1, 1, 0, 1]], np.uint8), np.array([[0, 1, 0, 1, 2]], np.uint8)
    row = error_overlay(film, predicted, gold)[0]
    assert row[0].tolist() == row[1].tolist() == [100, 100, 100]
    for pixel, colour in zip(row[2:], ERRORS.values(), strict=True):
        np.testing.assert_allclose(pixel, 25 + 0.75 * np.array(colour), atol=1)


def test_sample_sheet_shows_label_maps_beside_films(experiment):
    store = experiment.synthetic(experiment.methods()[0])
    figure = sample_sheet(store, "Three-stage")
    shown = _pictures(figure)
    assert len(store.ids()) == 8 and shown[-2:] == [None, None]
    for place, id_ in enumerate(store.ids()):
        np.testing.assert_array_equal(shown[2 * place], colour_labels(store.label(id_), store.classes.num_classes))
        np.testing.assert_array_equal(shown[2 * place + 1], store.image(id_))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(store.classes.organs)


def test_stage_sheet_shows_dots_label_map_and_film(experiment):
    store = experiment.synthetic(experiment.methods()[0])
    shown, first = _pictures(stage_sheet(store, "Stages")), store.ids()[0]
    dots = read_dots_map(store, first)
    assert dots.shape == (32, 32) and set(np.unique(dots)) == set(range(6))
    for picture, expected in zip(shown, (colour_labels(dots, 6), colour_labels(store.label(first), 6),
                                         store.image(first)), strict=False):
        np.testing.assert_array_equal(picture, expected)
    with pytest.raises(UserError, match="found no dots"):
        stage_sheet(experiment.films(), "None")


def test_dots_that_are_no_picture_are_told(experiment, tmp_path):
    store = PairStore(shutil.copytree(experiment.synthetic(experiment.methods()[0]).path, tmp_path / "set"))
    (store.path / "dots" / f"{store.ids()[0]}.png").write_bytes(b"GIF89a")
    with pytest.raises(UserError, match=f"{store.ids()[0]}.png: not a PNG"):
        read_dots_map(store, store.ids()[0])


def test_comparison_rows_show_the_worst_the_middle_and_the_best(experiment):
    figure = comparison_rows(experiment, "real")
    scores = film_scores(experiment.per_film("real"), ["left lung", "heart", "right lung"])["average"]
    order = scores.sort_values().index
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == [f"{order[place]}\nmean J {scores[order[place]]:.1f}" for place in (0, 1, 3, 5)]
    film, gold, predicted, errors = figure.axes[:4]
    store, id_ = experiment.films(), order[0]
    np.testing.assert_array_equal(film.images[0].get_array(), store.image(id_))
    overlay = error_overlay(store.image(id_), experiment.prediction("real", id_), experiment.gold("real", id_))
    np.testing.assert_array_equal(errors.images[0].get_array(), overlay)
    for axis, codes in ((gold, experiment.gold("real", id_)), (predicted, experiment.prediction("real", id_))):
        for contour, code in zip(axis.collections, (1, 2, 3), strict=True):
            rows, columns = np.nonzero(codes == code)
            outline = contour.get_paths()[0].get_extents()
            assert [outline.x0, outline.x1] == pytest.approx([columns.min() - 0.5, columns.max() + 0.5])
            assert [outline.y0, outline.y1] == pytest.approx([rows.min() - 0.5, rows.max() + 0.5])


def test_borders_have_the_colours_of_the_full_class_table(experiment):
    """Heart is code 3 in both tables here, but organs are found by name."""
    figure = comparison_rows(experiment, "real")
    colours = colour_labels(np.arange(6), 6)[[1, 2, 3]] / 255
    drawn = [contour.get_edgecolor()[0, :3] for contour in figure.axes[1].collections]
    np.testing.assert_allclose(drawn, colours)


def test_column_rows_hold_every_columns_errors_and_score(experiment):
    figure = column_rows(experiment, list(SHIFTS))
    assert len(figure.axes) == 4 * (1 + len(SHIFTS))
    scores = film_scores(experiment.per_film("synth-3"), ["left lung", "heart", "right lung"])["average"]
    shown = figure.axes[0].get_ylabel(), figure.axes[2].get_xlabel()
    assert shown == (shown[0], f"J {scores[shown[0]]:.1f}")


def test_boxes_are_the_films_quartiles(experiment):
    figure = box_plots(experiment, ["real", "synth-3"])
    table = experiment.per_film("synth-3")
    values = 100 * table.loc[table["organ"] == "heart", "j"]
    box = figure.axes[1].patches[1].get_path().get_extents()
    assert [axis.get_title() for axis in figure.axes] == ["left lung", "heart", "right lung"]
    assert [box.y0, box.y1] == pytest.approx(np.percentile(values, [25, 75]).tolist())
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["REAL", "Three-stage SYNTH 3"]


def test_baselines_are_told_apart_from_the_papers_methods(tmp_path):
    names = ["synth-3", "finetune-3", "mix-3", "synth-shape", "finetune-shape"]
    folder = write_experiment(tmp_path / "run", dict.fromkeys(names, 1))
    (folder / "synthetic-3").rename(folder / "synthetic-shape")
    made = ExperimentFolder(folder)
    assert [method.suffix for method in made.methods()] == ["shape"]
    assert experiment_figures(made)[0].name == "samples-shape"
    boxes = [(patch.get_facecolor(), patch.get_hatch()) for patch in box_plots(made, names).axes[0].patches]
    logs = {name: rows for name, rows in made.logs().items() if name in names}
    lines = [(line.get_color(), line.get_linestyle(), line.get_label())
             for line in training_curves(logs, "steps").axes[1].lines]
    assert len(set(boxes)) == len(set(lines)) == len(names)
    assert len({colour for colour, _ in boxes}) == len({colour for colour, *_ in lines}) == 2
    assert lines[2][2] == "Three-stage MIX" and lines[4][2] == "Shape model FINETUNE"


def test_curves_of_one_run_are_its_log_in_a_panel_per_kind(experiment):
    dots = training_curves({"dots": experiment.logs()["dots"]}, "images")
    steps = [10, 20, 30]
    assert _curves(dots) == {
        "Sliced Wasserstein distance × 10³": {"swd": ([30], [50.0])},
        "Losses": {"d_loss": (steps, [2.0, 3.0, 4.0]), "g_loss": (steps, [2.0, 3.0, 4.0])},
        "Growth": {"level": (steps, [2.0, 3.0, 4.0])}}
    assert {axis.get_xlabel() for axis in dots.axes} == {"images"}


def test_curves_of_several_runs_stand_in_the_same_panels(experiment):
    logs = {name: rows for name, rows in experiment.logs().items() if name in SHIFTS}
    curves = _curves(training_curves(logs, "steps"))
    assert {title: list(lines) for title, lines in curves.items()} == {
        "Validation J": ["Three-stage SYNTH 3"], "Losses": [columns.title(name) for name in SHIFTS]}
    assert training_curves({}, "steps") is None and training_curves({"real": []}, "steps") is None


def test_the_best_value_is_marked_and_a_score_that_is_no_number_left_out():
    rows = [{"position": place, "swd": value} for place, value in enumerate([9.0, 4.0, float("nan"), 6.0])]
    rows += [{"position": 9, "score_real": 3.0, "score_fake": 2.5}]
    figure = training_curves({"dots": rows}, "images")
    line, mark = figure.axes[0].lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([0, 1, 3], [9.0, 4.0, 6.0])
    assert (mark.get_xdata(), mark.get_ydata()) == ([1], [4.0])
    assert _curves(figure)["Critic gap"] == {"critic gap": ([9], [0.5])}


def test_large_pictures_are_kept_small_and_in_place(tmp_path):
    folder = ExperimentFolder(write_experiment(tmp_path / "run", {"real": 1}, films=1, size=640))
    figure = comparison_rows(folder, "real")
    image = figure.axes[1].images[0]
    assert image.get_array().shape == (600, 600)
    assert tuple(image.get_extent()) == (-0.5, 639.5, 639.5, -0.5)
    outline = figure.axes[1].collections[0].get_paths()[0].get_extents()
    columns = np.nonzero(folder.gold("real", folder.films().ids("test")[0]) == 1)[1]
    assert outline.x1 == pytest.approx(columns.max() + 0.5)


def test_figures_are_saved_at_the_width_of_a_column_or_page(experiment, tmp_path):
    names = []
    for found in experiment_figures(experiment):
        figure = found.draw()
        assert figure.get_figwidth() in (COLUMN, PAGE)
        assert figure.get_figheight() < 9.5
        names.append(found.name)
        assert found.caption.endswith(".")
        if found.name in ("stages", "errors-real", "boxes"):
            save_figure(figure, tmp_path, found.name)
            assert abs(Image.open(tmp_path / f"{found.name}.png").width - 300 * figure.get_figwidth()) <= 1
            box = re.search(rb"/MediaBox \[\s*0 0 ([\d.]+)", (tmp_path / f"{found.name}.pdf").read_bytes())
            assert float(box[1]) == pytest.approx(72 * figure.get_figwidth())
    assert names == ["samples-3", "stages", "errors", "errors-real", "errors-synth-3", "errors-finetune-3",
                     "boxes", "boxes-finetuned", "curves-dots", "curves-labels_to_film", "curves-segmenters"]
    assert not list(tmp_path.glob(".*"))
