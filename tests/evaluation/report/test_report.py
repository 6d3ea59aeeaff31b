"""The report of experiments that lack what some of its parts need: tables and page stand, and say so."""

import re
from functools import partial

import numpy as np
import pytest

from datasets.pair_store import PairStore, write_png
from evaluation.figures import style
from evaluation.report.needs import COPIES, DIFFERENCES, GAN_TEST, REALISM, lacking
from evaluation.report.write_report import summary, write_report
from evaluation.results.per_film import film_scores
from evaluation.results.write_tables import Results
from tests.helpers.result_folders import write_experiment


@pytest.fixture(autouse=True)
def pictures_alone(monkeypatch):
    monkeypatch.setattr("evaluation.report.write_report.save_figure", partial(style.save_figure, kinds=["png"]))


def test_one_test_film_and_two_training_films(tmp_path):
    experiment = write_experiment(tmp_path / "run", films=1)
    said = write_report(tmp_path / "report", experiment, "again")
    page = (tmp_path / "report" / "report.html").read_text()
    assert (tmp_path / "report" / "table2.csv").is_file() and "REAL" in said
    for part, least in ((DIFFERENCES, "2 test films"), (REALISM, "4 training films (there are 2)"),
                        (GAN_TEST, "column REAL")):  # results without their networks
        line, = (line for line in said.splitlines() if line.startswith(f"{part}: "))
        assert least in line and line[1:] in page
    assert COPIES not in said and ">Copies</h2>" in page
    assert "nan" not in re.sub(r'"data:[^"]*"', "", page)


def test_a_part_that_fails_costs_neither_tables_nor_page(tmp_path):
    experiment = write_experiment(tmp_path / "run", films=2)
    synthetic = PairStore(experiment / "synthetic-3" / "gan")
    write_png(synthetic.path / "images" / f"{synthetic.ids()[0]}.png", np.zeros((5, 5), np.uint8))
    said = write_report(tmp_path / "report", experiment, "again")
    lines = [line for line in said.splitlines() if "could not be made" in line]
    page = (tmp_path / "report" / "report.html").read_text()
    assert {line.partition(":")[0] for line in lines} >= {COPIES, "figure samples-3"}
    assert all("5 x 5" in line for line in lines) and page.count("could not be made") == len(lines)
    assert (tmp_path / "report" / "differences.csv").is_file() and "Differences from REAL" in page


@pytest.mark.parametrize(("numbers", "parts"), [
    ((11, 123, 128, 1000), set()), ((3, 2, 128, 100), {REALISM}), ((4, 2, 16, 4), set()),
    ((1, 2, 64, 9), {REALISM, COPIES}), ((4, 1, 15, 4), {DIFFERENCES, REALISM}),
    ((11, 9, 64, 0), {REALISM, COPIES})])
def test_what_a_report_will_lack(numbers, parts):
    assert set(lacking(*numbers)) == parts


def test_the_summary_is_the_tables_best(tmp_path):
    results = Results([write_experiment(tmp_path / "run", films=3)])
    found, = results.differences("real", ["finetune-3"])
    said = summary(results)
    assert said.startswith("Three-stage FINETUNE") and f"{found.low:+.2f} to {found.high:+.2f}" in said
    assert f"{found.difference:.2f} points above REAL" in said and "3 test films" in said
    said = summary(Results([write_experiment(tmp_path / "other", {"real": 0, "finetune-3": 3}, films=3)]))
    assert said.startswith("REAL") and "mean J 9" in said and "above Three-stage FINETUNE" in said


def test_films_are_scored_by_the_scored_organs(tmp_path):
    results = Results([write_experiment(tmp_path / "run", {"real": 3}, films=4, scored=False)])
    write_report(tmp_path / "report", tmp_path / "run", "again")
    page = (tmp_path / "report" / "report.html").read_text()
    films = results.per_film("real")
    scored, every = (film_scores(films, organs)["average"].mean()
                     for organs in (results.scored, films["organ"].unique()))
    assert abs(scored - every) > 0.5
    row = re.search(r">Films</h2>.*?<tr><t[dh][^>]*>REAL</t[dh]><td[^>]*>([\d.]+)", page, re.DOTALL)
    assert float(row[1]) == pytest.approx(scored, abs=0.01)
