"""The grammar of columns; a column added to it stands in table, figures, report and plan without another edit."""

import re
import shutil
from functools import partial

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from evaluation.figures import style
from evaluation.figures.catalogue import experiment_figures
from evaluation.figures.chart_figures import box_plots
from evaluation.report.write_report import write_report
from evaluation.results import columns
from evaluation.results.columns import COLUMNS, Look, column
from evaluation.results.experiment_folder import ExperimentFolder
from tests.helpers.result_folders import write_experiment
from tests.helpers.tiny_experiment import experiment


def test_headings_of_the_papers_columns_of_baselines_and_of_foreign_ones():
    expected = {"real": ("", "REAL"), "synth-3": ("Three-stage", "SYNTH 3"),
                "finetune-1": ("Single-stage", "FINETUNE"), "mix-3": ("Three-stage", "MIX"),
                "synth-shape": ("Shape model", "SYNTH"), "finetune-shape": ("Shape model", "FINETUNE"),
                "real+augment": ("", "REAL + AUG"), "mix-warp+augment": ("Warped maps", "MIX + AUG"),
                "mix-4": ("", "mix-4"), "nnU-Net": ("", "nnU-Net"), "shape": ("", "shape"), "UNet": ("", "UNet")}
    assert {name: columns.heading(name) for name in expected} == expected
    assert columns.title("mix-2") == "Two-stage MIX" and columns.title("real") == "REAL"


@pytest.mark.parametrize(("name", "kind", "method", "augmented"), [
    ("real", "real", None, False), ("real-2x", "real-2x", None, False), ("mix-real", "mix-real", None, False),
    ("augment", "augment", None, False), ("pseudo", "pseudo", None, False), ("synth-3", "synth", "three", False),
    ("synth-3+augment", "synth", "three", True), ("real+augment", "real", None, True), ("3", "3", None, False),
    ("finetune-shape", "finetune", "shape", False)])
def test_names_are_a_kind_a_method_and_augmentation(name, kind, method, augmented):
    found = column(name, "HEADING")
    assert (found.kind, found.method and found.method.name, found.augmented) == (kind, method, augmented)
    assert found.group == (found.method.title if found.method else "")


def test_what_a_column_starts_from():
    starts = {known.name: known.start for known in COLUMNS if known.start}
    assert starts["finetune-3"] == "synth-3" and starts["finetune-shape+augment"] == "synth-shape+augment"
    assert set(starts) == {known.name for known in COLUMNS if known.kind == "finetune"}
    assert set(starts.values()) == {known.name for known in COLUMNS if known.kind == "synth"}


def test_no_two_columns_look_or_read_alike():
    every = columns.known().values()
    for shown in ([known.name for known in every], [columns.heading(known.name) for known in every],
                  [(known.colour, known.look) for known in every]):
        assert len(set(shown)) == 2 * len(COLUMNS)
    assert [known.name for known in COLUMNS if not known.extra] == [
        "real", "synth-1", "finetune-1", "synth-2", "finetune-2", "synth-3", "finetune-3"]
    assert columns.in_order(["b", "mix-1", "real+unet", "a", "real"]) == ["real", "mix-1", "real+unet", "a", "b"]


def test_a_column_of_a_unet_is_the_same_but_for_its_network():
    found = columns.find("finetune-3+augment+unet")
    assert (found.kind, found.method.name, found.augmented, found.network) == ("finetune", "three", True, "unet")
    assert found.start == "synth-3+augment+unet" and found.group == "Three-stage"
    assert found.look == columns.find("finetune-3+augment").look and found.extra == "finetune+augment"
    assert columns.title("real+unet") == "REAL U-Net" and not columns.is_own("real+unet")
    assert columns.is_own("real+other") and columns.is_own("unet")


@pytest.fixture
def grown(monkeypatch):
    """The grammar with two more columns, a line each."""
    look = Look("-.", "xxxx")
    monkeypatch.setattr(columns, "COLUMNS", (
        *COLUMNS[:1], column("real-3x", "REAL 3x", look, "thrice"), *COLUMNS[1:],
        column("real-3+augment", "REAL 3 AUGMENT", look, "real+augment")))
    return ["real", "real-3x", "finetune-3", "synth-3+augment", "real-3+augment", "other"]


def test_a_new_column_is_in_table_figures_and_report(grown, tmp_path, monkeypatch):
    monkeypatch.setattr(style, "_DPI", 30)  # quick
    monkeypatch.setattr("evaluation.report.write_report.save_figure", partial(style.save_figure, kinds=["png"]))
    made = ExperimentFolder(write_experiment(tmp_path / "run", dict.fromkeys(reversed(grown), 1), films=2))
    assert made.columns() == grown
    boxes = box_plots(made, made.columns()).axes[0].patches
    assert [to_hex(box.get_facecolor()) for box in boxes] == ["#808080"] * 2 + ["#80ceb9"] * 3 + ["#bbbbbb"]
    assert [box.get_hatch() for box in boxes] == [None, "xxxx", None, r"\\", "xxxx", None]
    curves = {figure.name: figure for figure in experiment_figures(made)}["curves-segmenters"].draw()
    lines = [(line.get_label(), line.get_color(), line.get_linestyle()) for line in curves.axes[0].lines]
    assert lines == [("REAL", "#000000", "-"), ("REAL 3x", "#000000", "-."),
                     ("Three-stage FINETUNE", "#009E73", "-"), ("Three-stage SYNTH + AUG", "#009E73", "--"),
                     ("Three-stage REAL 3 AUGMENT", "#009E73", "-."), ("other", "#777777", "-")]
    shutil.rmtree(made.path / "synthetic-3")  # not what this asks about
    write_report(tmp_path / "report", made.path, "again")
    table = pd.read_csv(tmp_path / "report" / "table2.csv", header=[0, 1], index_col=[0, 1])
    assert list(table.columns)[1:5] == [("Unnamed: 3_level_0", "REAL 3x"), ("Three-stage", "FINETUNE"),
                                        ("Three-stage", "SYNTH + AUG"), ("Three-stage", "REAL 3 AUGMENT")]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<th>REAL 3x</th>" in page and "<th>REAL 3 AUGMENT</th>" in page
    assert (tmp_path / "report" / "figures" / "boxes-finetuned.png").is_file()


def test_a_new_column_is_planned_where_its_word_is_given(grown):
    paper = ["real", "synth-3", "finetune-3"]
    asked = {extras: experiment("nowhere", "nowhere", "three", extras).columns()
             for extras in ("", "thrice", "real+augment,mix")}
    assert asked == {"": paper, "thrice": ["real", "real-3x", *paper[1:]],
                     "real+augment,mix": [*paper, "mix-3", "real-3+augment"]}
    assert "real-3+augment" not in experiment("nowhere", "nowhere", "two", "real+augment").columns()


@pytest.mark.parametrize("name", ["real-3x", "real-2x+augment", "mix-real+augment"])
def test_a_column_that_the_plan_does_not_know_is_never_trained_as_another(name):
    with pytest.raises(NotImplementedError, match=re.escape(name)):
        experiment("nowhere", "nowhere")._training(column(name, "HEADING")).task()
