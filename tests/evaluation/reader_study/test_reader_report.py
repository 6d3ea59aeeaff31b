"""The reader study's report: known numbers, refused files, and texts of strangers that stay texts."""

import copy
import json
import math
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.common.errors import UserError
from evaluation.reader_study.key import FORMAT, GOLD, NONE, PREDICTION, Key, KeyFilm, clean, read_answers, read_key
from evaluation.reader_study.report import (
    ALL,
    MAJORITY,
    fleiss_kappa,
    make_report,
    read_study,
    sign_test,
    write_reader_report,
)
from evaluation.results.safe_text import csv_cell, latex, markdown
from tests.helpers.reader_studies import answer_file, choices_for

KEY = Key(FORMAT, "0123456789abcdef", 1, "Films & co, finetune-3",
          tuple(KeyFilm(f"F{number:02}", f"film-{number}", GOLD if number % 2 else PREDICTION, 0.9 - number / 100)
                for number in range(1, 7)))
P, G, N = PREDICTION, GOLD, NONE
NASTY = ["<script>alert(1)</script>", "a | b | c", "[x](javascript:alert(1)) ![](http://a.b/c.png) www.a.b @me",
         r"\input{/etc/passwd} $x$ 50% & #1 _a_ ^b^ ~c~ {d} [e] *f* `g` -- <h> \\", "=HYPERLINK(\"http://a.b\")",
         "two\nlines\r\n# heading\t\x1b[31mred‮gnp.exe\x00 漢字 Größe ß ç ő ½ — “q” \U0001f600"]


def _write(folder, name, value):
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def _report(tmp_path, *readers):
    """A report of readers given as (name, preferences, comments)."""
    _write(tmp_path, "key.json", KEY.to_json())
    paths = [_write(tmp_path, f"{number}.json", answer_file(KEY, name, choices_for(KEY, preferences), *comments))
             for number, (name, preferences, *comments) in enumerate(readers)]
    return make_report(*read_study(tmp_path / "key.json", paths))


def test_fleiss_kappa_of_the_published_examples():
    # Fleiss 1971, Table 1: 30 patients, 6 psychiatrists, 5 diagnoses; kappa 0.430 (R's irr: 0.4302445).
    votes = (444444, 222555, 233335, 555555, 222444, 113333, 333355, 113334, 114444, 555555, 144444, 124444,
             222333, 144444, 224445, 333335, 111455, 111112, 224444, 133555, 555555, 244444, 224555, 114444,
             144445, 222224, 111155, 224444, 133333, 555555)  # a digit per psychiatrist
    counts = [[str(vote).count(str(kind)) for kind in range(1, 6)] for vote in votes]
    assert fleiss_kappa(counts) == pytest.approx(0.4302445, abs=5e-8)
    # The worked example of 10 items, 14 raters and 5 categories: kappa 0.210.
    counts = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
              [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)


def test_fleiss_kappa_at_its_ends():
    assert fleiss_kappa([[3, 0], [0, 3]]) == pytest.approx(1.0)
    assert fleiss_kappa([[1, 1], [1, 1]]) == pytest.approx(-1.0)
    assert math.isnan(fleiss_kappa([[3, 0], [3, 0]]))
    assert math.isnan(fleiss_kappa(np.zeros((0, 3))))
    with pytest.raises(ValueError, match="as many for every item"):
        fleiss_kappa([[3, 0], [1, 0]])


@pytest.mark.parametrize("wins, losses", [(0, 5), (3, 3), (9, 1), (20, 40)])
def test_sign_test_is_the_binomial_sum(wins, losses):
    total = wins + losses
    tail = sum(math.comb(total, count) for count in range(max(wins, losses), total + 1)) / 2**total
    found = sign_test(wins, losses)
    assert found["p"] == pytest.approx(min(1.0, 2 * tail))
    assert found["low"] <= found["share"] <= found["high"]


def test_preferences_are_counted_by_reader_together_and_by_film(tmp_path):
    report = _report(tmp_path, ("A", [P, P, P, P, G, N]), ("B", [P, P, G, N, G, N]), ("C", [P, G, P, G, G, None]))
    table = report.preferences.set_index("reader")
    columns = ["films", "prediction", "gold", "none"]
    assert table.loc["A", columns].tolist() == [6, 4, 1, 1]
    assert table.loc["B", columns].tolist() == [6, 2, 2, 2]
    assert table.loc["C", columns].tolist() == [5, 2, 3, 0]
    assert table.loc[ALL, columns].tolist() == [17, 8, 6, 3]
    assert table.loc[MAJORITY, columns].tolist() == [6, 3, 1, 2]  # P P P tie G N
    assert table.loc["A", "p"] == pytest.approx(2 * 6 / 32)
    assert report.kappa_films == 5
    counts = [[3, 0, 0], [2, 1, 0], [2, 1, 0], [1, 1, 1], [0, 3, 0]]
    assert report.kappa == pytest.approx(fleiss_kappa(counts))


def test_hidden_order_is_undone(tmp_path):
    _write(tmp_path, "key.json", KEY.to_json())
    path = _write(tmp_path, "a.json", answer_file(KEY, "A", [1] * 6))
    report = make_report(*read_study(tmp_path / "key.json", [path]))
    assert dict(zip(report.answers.id, report.answers.preference, strict=True)) == {
        film.id: film.first for film in KEY.films}
    assert report.answers.id.iloc[0] == "film-6"  # the hardest first
    assert MAJORITY not in report.preferences.reader.tolist() and math.isnan(report.kappa)


def test_nothing_answered_is_a_report_too(tmp_path):
    report = _report(tmp_path, ("A", [None] * 6), ("B", [None] * 6))
    write_reader_report(report, tmp_path / "out")
    assert report.preferences.films.tolist() == [0, 0, 0, 0]
    assert math.isnan(report.kappa) and "None." in report.to_markdown()


def test_files_hold_the_tables(tmp_path):
    report = _report(tmp_path, ("A", [P, P, P, P, G, N], ["too low"]), ("B", [P, P, G, N, G, N]))
    write_reader_report(report, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"reader_study.md", "answers.csv", *(f"{table}.{kind}" for table in ("preferences", "comments")
                                                         for kind in ("csv", "tex"))}
    read = pd.read_csv(tmp_path / "out" / "preferences.csv")
    pd.testing.assert_frame_equal(read, report.preferences, check_dtype=False)
    assert pd.read_csv(tmp_path / "out" / "comments.csv").comment.tolist() == ["too low"]
    assert "| film-1 | 89.00 | gold | A | prediction | too low |" in report.to_markdown()
    assert "| A | 6 | 4 | 1 | 1 | 80.0 (28.4–99.5) | 0.375 |" in report.to_markdown()


def test_texts_of_readers_stay_texts_in_markdown_and_csv(tmp_path):
    report = _report(tmp_path, ("<b>*Eve*</b>", [P] * 6, NASTY), ("=1+1", [G] * 6, NASTY))
    write_reader_report(report, tmp_path / "out")
    text = (tmp_path / "out" / "reader_study.md").read_text()
    assert not any(mark in text for mark in ("<", ">", "[", "](", "`", "$", "*", "://", "www.a", "@", "\x1b", "‮"))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {8, 7}
    assert len(rows) == 2 + 4 + 2 + 12
    table = pd.read_csv(tmp_path / "out" / "comments.csv")
    assert len(table) == 12 and not table.map(lambda cell: str(cell).startswith(("=", "+", "@"))).any(axis=None)


def test_markdown_gives_the_text_back():
    import html

    for text in map(clean, NASTY):
        assert html.unescape(markdown(text)) == text
    assert csv_cell("-1") == "'-1" and csv_cell("fine") == "fine"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex (Debian: texlive-latex-base)")
def test_latex_compiles_whatever_readers_wrote(tmp_path):
    extra = ["[1cm] first", "* star", "!`?` ,, \"quoted\" 'q' <<x>>", "ÀÿÐðþ÷×µ°±–…‘’ŁŞ", "\\", "%" * 50]
    report = _report(tmp_path, ("[x] \\evil", [P] * 6, NASTY), ("* é", [G] * 6, extra))
    write_reader_report(report, tmp_path / "out")
    write_reader_report(_report(tmp_path, ("A", [None] * 6)), tmp_path / "empty")
    document = [r"\documentclass{article}\usepackage{booktabs,longtable}\begin{document}"]
    document += [(tmp_path / folder / f"{name}.tex").read_text() for folder in ("out", "empty")
                 for name in ("preferences", "comments")]
    (tmp_path / "all.tex").write_text("\n".join([*document, r"\end{document}"]))
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-2000:]
    if shutil.which("pdftotext"):
        command = ["pdftotext", "-layout", "all.pdf", "-"]
        shown = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout.decode()
        parts = ("/etc/passwd", "[1cm] first", "* star", "[x]", "100.0 (54.1–100.0)")
        assert [part for part in parts if part not in shown] == []


def test_latex_keeps_what_it_can():
    assert latex("Größe ő 漢") == "Größe o Han"
    assert latex("a_b%") == r"a\_b\%"


def _changed(change):
    value = answer_file(KEY, "A", [1] * 6)
    change(value)
    return value


BAD = {
    "not JSON": "{",
    "empty": "",
    "deep": "[" * 100000,
    "a list": [],
    "a number": "1e999",
    "another format": _changed(lambda v: v.update(format=2)),
    "another study": _changed(lambda v: v.update(study="f" * 16)),
    "no reader": _changed(lambda v: v.update(reader=" \u200b\n")),
    "a long name": _changed(lambda v: v.update(reader="x" * 61)),
    "reader is no text": _changed(lambda v: v.update(reader={"a": 1})),
    "more fields": _changed(lambda v: v.update(key="gold")),
    "a missing field": _changed(lambda v: v.pop("reader")),
    "a missing film": _changed(lambda v: v["answers"].pop()),
    "a film twice": _changed(lambda v: v["answers"].__setitem__(1, v["answers"][0])),
    "a foreign film": _changed(lambda v: v["answers"][0].update(film="F99")),
    "film is no text": _changed(lambda v: v["answers"][0].update(film=[])),
    "answers are no list": _changed(lambda v: v.update(answers={"F01": 1})),
    "an answer is no object": _changed(lambda v: v["answers"].__setitem__(0, 1)),
    "choice 3": _changed(lambda v: v["answers"][0].update(choice=3)),
    "choice true": _changed(lambda v: v["answers"][0].update(choice=True)),
    "choice 1.0": _changed(lambda v: v["answers"][0].update(choice=1.0)),
    "choice as text": _changed(lambda v: v["answers"][0].update(choice="1")),
    "a huge number": json.dumps(answer_file(KEY, "A", [1] * 6)).replace(": 1,", ": " + "9" * 5000 + ",", 1),
    "a long comment": _changed(lambda v: v["answers"][0].update(comment="x" * 1001)),
    "a comment is no text": _changed(lambda v: v["answers"][0].update(comment=None)),
    "too large": " " * 2**20 + json.dumps(answer_file(KEY, "A", [1] * 6)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_answer_files_are_refused_in_one_line(tmp_path, name):
    path = _write(tmp_path, "answers.json", BAD[name])
    with pytest.raises(UserError) as error:
        read_answers(path, KEY)
    assert str(error.value).startswith(f"{path}: ") and len(str(error.value)) < len(str(path)) + 160
    assert str(error.value).isprintable()


def test_odd_files_and_folders_are_refused(tmp_path):
    _write(tmp_path, "key.json", KEY.to_json())
    (tmp_path / "empty").mkdir()
    for answers in (["missing.json"], [tmp_path / "empty"], [], ["/dev/zero"]):
        with pytest.raises(UserError):
            read_study(tmp_path / "key.json", answers)
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="not JSON"):
        read_study(tmp_path / "key.json", [tmp_path / "binary.json"])


def test_a_reader_counts_once(tmp_path):
    with pytest.raises(UserError, match="a second file of the reader"):
        _report(tmp_path, ("Dr. A", [P] * 6), ("dr. a ", [G] * 6))


def test_a_file_named_twice_counts_once(tmp_path):
    once = _report(tmp_path, ("Dr. A", [P] * 6))
    key, file = tmp_path / "key.json", next(path for path in tmp_path.glob("*.json") if path.name != "key.json")
    again = make_report(*read_study(key, [file, tmp_path / "." / file.name]))
    assert again.to_markdown() == once.to_markdown()


def test_hidden_files_of_a_folder_are_left_out_and_counted(tmp_path):
    """macOS keeps what it knows of a.json in ._a.json, on disks that are not its own."""
    key, folder, said = _write(tmp_path, "key.json", KEY.to_json()), tmp_path / "answers", []
    folder.mkdir()
    for name, reader in (("a.json", "A"), ("b.json", "B")):
        _write(folder, name, answer_file(KEY, reader, [1] * 6))
        (folder / f"._{name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    assert [given.reader for given in read_study(key, [folder], said.append)[1]] == ["A", "B"]
    assert said == ["left out: 2 hidden .json files"]
    with pytest.raises(UserError, match=r"\._a\.json: "):  # named, it is read
        read_study(key, [folder / "._a.json"])


def _key_with(**film):
    return {**KEY.to_json(), "films": [{"film": "F01", "id": "a", "first": G, "mean_j": 0.5, **film}]}


@pytest.mark.parametrize("value", [{}, [], 1, "{", {"films": [1]}, {**KEY.to_json(), "more": 1},
                                   {**KEY.to_json(), "films": []}, {**KEY.to_json(), "study": 5},
                                   _key_with(first="x"), _key_with(first=[]), _key_with(mean_j=None),
                                   _key_with(id=1), _key_with(more=1)])
def test_bad_keys_are_refused(tmp_path, value):
    with pytest.raises(UserError, match=r"key\.json"):
        read_key(_write(tmp_path, "key.json", value))


def test_an_answer_file_is_no_key_and_a_key_no_answer(tmp_path):
    with pytest.raises(UserError, match="not the key"):
        read_key(_write(tmp_path, "a.json", answer_file(KEY, "A", [1] * 6)))
    with pytest.raises(UserError, match="not an answer file"):
        read_answers(_write(tmp_path, "key.json", KEY.to_json()), KEY)


_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@settings(deadline=None, max_examples=100)
@given(data=st.data(), value=_JSON)
def test_any_value_in_any_place_is_read_or_refused(tmp_path_factory, data, value):
    answers = copy.deepcopy(answer_file(KEY, "A", [1] * 6))
    place = data.draw(st.sampled_from(["format", "study", "reader", "answers", "film", "choice", "comment"]))
    (answers if place in answers else answers["answers"][data.draw(st.integers(0, 5))])[place] = value
    path = _write(tmp_path_factory.mktemp("fuzz"), "answers.json", answers)
    try:
        read = read_answers(path, KEY)
    except UserError:
        return
    make_report(KEY, [read]).to_markdown().encode()
