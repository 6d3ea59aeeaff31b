"""Names in any script, with capitals and marks of formulas: told apart in tables, LaTeX and figures."""

import html
import io
import logging
import runpy
import shlex
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from absl import flags
from matplotlib.figure import Figure

from evaluation.figures.fonts import spell_out
from evaluation.figures.style import colour_legend, save_figure, style
from evaluation.results import table_formats, tables
from evaluation.results.safe_text import heading, in_latin, latex, told_apart
from tests.helpers import binaries, process_state

NAMES = ["左肺", "右肺", "сердце", "رئة", "ปอด", "ETT", "a$b$_{c}&%#", "他", "她"]


def test_words_with_capitals_keep_them():
    assert [heading(name) for name in ("left lung", "ETT", "mRNA dot", "o'clock", "PVC tube", "左肺")] == [
        "Left Lung", "ETT", "mRNA Dot", "O'clock", "PVC Tube", "左肺"]
    counts = {"films": 1, "scored": ["ETT", "left lung"], "counts": {"ETT": [1, 1, 0], "left lung": [1, 0, 1]}}
    found = tables.scores(counts)
    assert [organ for metric, organ in found.index if metric == "J"] == ["ETT", "Left Lung", "Average"]


def test_latex_tells_names_of_any_script_apart():
    shown = told_apart(NAMES, latex)
    assert len(set(shown.values())) == len(NAMES)
    assert all(text.isascii() and "?" not in text for text in shown.values())
    assert latex("Сердце") == "Serdtse" and latex("é") == "é" and shown["ETT"] == "ETT"
    cells = pd.DataFrame([["1.00"]] * len(NAMES), pd.MultiIndex.from_product([["J"], NAMES]),
                         pd.MultiIndex.from_tuples([("", "REAL")]))
    text = table_formats.latex(table_formats.Table(cells), "caption", "tab:x")
    assert all(name in text for name in shown.values()) and text.count("ZuoFei") == 2  # with its comment
    assert "% ZuoFei: 左肺\n" in text and "ETT:" not in text


def _texts(names):
    with style():
        figure = Figure(figsize=(3.5, 2))
        axes = figure.subplots()
        axes.bar(range(len(names)), range(len(names)))
        axes.set_xticks(range(len(names)), names)
        axes.set_title(names[0])
        colour_legend(figure, dict.fromkeys(names, (0, 0, 0)))
    return figure, axes


def test_figures_draw_every_name_and_no_two_alike(tmp_path, caplog):
    figure, axes = _texts(NAMES)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")  # Matplotlib warns of a letter that its font lacks
        save_figure(figure, tmp_path, "names")
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(set(labels)) == len(NAMES) and all(labels) and {"ETT", "a$b$_{c}&%#"} <= set(labels)
    assert labels[2] == "сердце"  # DejaVu has it
    assert axes.get_title() == labels[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == labels
    assert not [record for record in caplog.records if "font" in record.message.lower()]


def test_a_dollar_is_no_formula():
    picture = {}
    for name in ("$x$", "$$"):
        figure, _ = _texts([name])
        spell_out(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="raw")
        picture[name] = np.frombuffer(buffer.getvalue(), np.uint8)
    assert picture["$x$"].size and not np.array_equal(picture["$x$"], picture["$$"])
    figure, axes = _texts(["$\\frac{$"])  # no formula at all: Matplotlib would raise
    figure.savefig(io.BytesIO(), format="raw")
    assert axes.get_title() == "$\\frac{$"


def test_markdown_has_no_formula_either():
    cells = pd.DataFrame([["1"]], pd.MultiIndex.from_tuples([("J", "a$b$_~c~")]),
                         pd.MultiIndex.from_tuples([("", "REAL")]))
    text = table_formats.markdown(table_formats.Table(cells))
    assert "$" not in text and html.unescape(text).replace("\\", "").count("a$b$_~c~") == 1


@pytest.mark.parametrize("text", ["Größe", "±5 µm", "→ film", "a b"])
def test_what_can_be_drawn_stays(text):
    figure, axes = _texts([text])
    spell_out(figure)
    assert axes.get_title() == text


def test_spelling_leaves_no_marks_of_latex():
    assert not set(in_latin("左⁅％＄＃｛🫁")) & set("%$#{&_\\~^")


def test_the_command_is_as_a_shell_takes_it(tmp_path):
    words = [f"--data={tmp_path}/my films; $HOME", "--workdir=it's", "--films=3"]
    with process_state.kept(), binaries.flags_of("tools.run_experiment"):
        sys.argv[:] = ["tools.run_experiment", *words]
        binary = runpy.run_module("tools.run_experiment", alter_sys=True)
        flags.FLAGS(sys.argv)
        assert set(words) <= set(shlex.split(binary["_command"]()))
