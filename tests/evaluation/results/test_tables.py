"""The paper's Tables 1 to 3, typed in as printed, come out of the table code digit for digit; LaTeX compiles."""

import json
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from datasets.common import atomic_files
from datasets.common.errors import UserError
from evaluation.results import columns, table_formats, tables
from evaluation.results.published import our_row, published_rows, table3
from evaluation.results.write_tables import Results, write_results
from tests.helpers import binaries
from tests.helpers.result_folders import write_column, write_experiment

DATA = pathlib.Path(__file__).parent / "data"
RESULTS = pathlib.Path(__file__).parents[3] / "results"
TABLES = {"1": "FULL", "2": "TINY"}
# Cells that no pooled counts can give with the other digits of their column; what these give instead. The two
# averages are those of the organs' printed digits.
SLIPS = {("1", "finetune-2", "DSC", "Left Lung"): "97.98", ("2", "real", "DSC", "Average"): "95.23",
         ("2", "finetune-3", "DSC", "Average"): "96.27"}


def printed(number):
    """The paper's table as (two-decimal cells, bold) by (metric, organ) and column."""
    raw = pd.read_csv(DATA / f"paper_table{number}.csv", dtype=str, index_col=[0, 1])
    bold = raw.map(lambda cell: cell.startswith("**"))
    return raw.map(lambda cell: f"{float(cell.strip('*')):.2f}"), bold


def typed(number):
    """The paper's numbers through the table code."""
    means = printed(number)[0].astype(float)
    return tables.formatted(means, means * np.nan)


def pooled_results(number):
    """Counts whose J are the paper's: TP of 1,000,000 pixels in either map, the rest FP and FN."""
    found = json.loads((DATA / "paper_counts.json").read_text())[number]
    organs = ("left lung", "heart", "right lung")
    return {column: [{"films": 123, "scored": list(organs), "counts": {
        organ: [hits, (10**6 - hits) // 2, (10**6 - hits + 1) // 2]
        for organ, hits in zip(organs, column_hits, strict=True)}}] for column, column_hits in found.items()}


@pytest.mark.parametrize("number", TABLES)
def test_pooled_counts_give_the_papers_cells(number):
    """All J and DSC and their means from counts alone, in the paper's rows and columns, but for its slips."""
    cells, _ = printed(number)
    table = tables.comparison(pooled_results(number)).cells
    assert list(table.index) == list(cells.index)
    assert list(table.columns) == [columns.heading(name) for name in cells.columns]
    for (metric, organ), row in cells.iterrows():
        for column, cell in row.items():
            expected = SLIPS.get((number, column, metric, organ), cell)
            assert table.loc[(metric, organ), columns.heading(column)] == expected, (column, metric, organ)


@pytest.mark.parametrize("number", TABLES)
def test_best_cells_are_the_papers_bold_ones(number):
    assert (typed(number).bold.to_numpy() == printed(number)[1].to_numpy()).all()


@pytest.mark.parametrize("number", TABLES)
def test_every_format_reads_back(number, tmp_path):
    cells, bold = printed(number)
    table = typed(number)
    table_formats.write_table(table, tmp_path, "t", "The paper's")
    read = pd.read_csv(tmp_path / "t.csv", header=[0, 1], index_col=[0, 1], dtype=str)
    assert (read.to_numpy() == cells.to_numpy()).all()
    assert list(read.index) == list(cells.index)
    marked = ("**" + cells + "**").where(bold, cells).to_numpy().tolist()
    lines = (tmp_path / "t.md").read_text().splitlines()[4:]
    assert [line.strip("| ").split(" | ")[2:] for line in lines] == marked
    html = re.findall(r"<td>(.*?)</td>", (tmp_path / "t.html").read_text())
    marked = ("<b>" + cells + "</b>").where(bold, cells).to_numpy().ravel().tolist()
    assert html == marked
    body = (tmp_path / "t.tex").read_text().split("\\midrule")[1].split("\\bottomrule")[0]
    rows = [line.split("&")[2:] for line in body.splitlines() if "&" in line]
    found = [[re.sub(r"\\textbf\{(.*?)\}", r"**\1**", cell.removesuffix("\\\\").strip()) for cell in row]
             for row in rows]
    assert found == ("**" + cells + "**").where(bold, cells).to_numpy().tolist()


@pytest.mark.parametrize("path", sorted(RESULTS.glob("**/table?.tex")), ids=lambda path: str(path.parent.name))
def test_committed_tables_come_again_from_their_numbers(path, tmp_path):
    read = pd.read_csv(path.with_suffix(".csv"), header=None, dtype=str, keep_default_na=False)
    several = int(read.iloc[2, 2] == "mean")
    names = {columns.heading(known.name): known.name for known in columns.COLUMNS}
    heads = [names[read.iloc[0, place], read.iloc[1, place]] for place in range(2, read.shape[1], 1 + several)]
    rows = read.iloc[2 + several:].set_index([0, 1]).astype(float)
    means, spread = (pd.DataFrame(rows.iloc[:, first::1 + several].to_numpy(), rows.index, heads)
                     for first in (0, several))
    caption = path.with_suffix(".md").read_text().splitlines()[0]
    table = tables.formatted(means, spread if several else spread * np.nan)
    table_formats.write_table(table, tmp_path, path.stem, caption)
    for kind in ("md", "csv", "tex"):
        assert (tmp_path / f"{path.stem}.{kind}").read_bytes() == path.with_suffix(f".{kind}").read_bytes()


def test_latex_has_no_rule_before_the_last():
    text = table_formats.latex(typed("1"), "c", "l")
    assert re.search(r"rule\{[^}]*\}\n\\bottomrule", text) is None
    assert text.count("\\cmidrule{1-9}") == 1


def _shown(pdf):
    """Strings that an uncompressed PDF shows, cut where the type moves on by more than a letter."""
    strings = []
    for shown in re.findall(rb"\[((?:\((?:\\.|[^\\)])*\)|[-\d.\s])*)\]TJ", pdf):
        strings.append("")
        for text, move in re.findall(rb"\(((?:\\.|[^\\)])*)\)|(-?[\d.]+)", shown):
            if move and abs(float(move)) > 400:
                strings.append("")
            strings[-1] += text.decode("latin-1")
    return strings


@pytest.fixture(scope="module")
def pdflatex():
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex with booktabs and multirow (Debian: texlive-latex-recommended, "
                    "texlive-latex-extra)")

    def compile_text(folder, body):
        """Shown strings of the PDF, and the log."""
        (folder / "t.tex").write_text("\\pdfcompresslevel=0 \\pdfobjcompresslevel=0\n\\documentclass{article}\n"
                                      "\\usepackage[a4paper,textwidth=16cm]{geometry}\n\\usepackage{booktabs,multirow}\n"
                                      f"\\begin{{document}}\n{body}\n\\end{{document}}\n")
        done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=folder,
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]
        return _shown((folder / "t.pdf").read_bytes()), done.stdout

    return compile_text


@pytest.mark.parametrize("number", TABLES)
def test_latex_compiles_and_prints_the_papers_numbers(number, pdflatex, tmp_path):
    strings, log = pdflatex(tmp_path, table_formats.latex(typed(number), "The paper's, in %", "tab:a_b"))
    numbers = [text for text in strings if re.fullmatch(r"\d+\.\d\d", text)]
    assert numbers == printed(number)[0].to_numpy().ravel().tolist()
    assert "Overfull" not in log
    assert "undefined" not in log.lower()


def test_hard_names_and_wide_tables_compile(pdflatex, tmp_path):
    hard = "a_b & 5 % $x^2 #1 {~} \\ |<i> µ–é [x]"
    runs = [{"films": 2, "scored": [hard], "counts": {hard: [n, 1, 1]}} for n in (10, 20)]
    names = ["real", *(f"{kind}-{number}" for number in "123" for kind in ("synth", "finetune"))]
    paper = pooled_results("1")
    wide = tables.comparison({name: [paper["real"][0], paper["finetune-3"][0]] for name in names})
    odd = tables.comparison({hard: runs})
    three = table3({"finetune-2": paper["finetune-2"]}, (512, 512), "training/test split (124/123)")
    latex = table_formats.latex
    strings, log = pdflatex(tmp_path, latex(odd, hard, "tab:odd") + latex(wide, "W", "tab:w")
                            + latex(three, "Three", "tab:3"))
    assert "Overfull" not in log
    assert "95.36" in strings
    assert "<i>" not in table_formats.html(odd).lower()
    assert all(len(re.split(r"(?<!\\)\|", line)) == 5 for line in table_formats.markdown(odd).splitlines())


def test_the_papers_columns_come_first_then_mixed_ones_then_the_shape_models(tmp_path):
    names = ["real", "synth-3", "finetune-3", "mix-1", "mix-3", "synth-shape", "finetune-shape", "another"]
    folder = write_experiment(tmp_path / "run", dict.fromkeys(reversed(names), 1))
    results = Results([folder])
    assert results.columns == names
    write_results(results, tmp_path / "out")
    read = pd.read_csv(tmp_path / "out" / "table2.csv", header=[0, 1], index_col=[0, 1])
    assert [key[0] for key in read.columns[1:7]] == ["Three-stage"] * 2 + ["Single-stage", "Three-stage"] + [
        "Shape model"] * 2
    assert "Shape model SYNTH" in (tmp_path / "out" / "differences.md").read_text()


def test_updates_are_counted_over_all_phases_and_told(tmp_path):
    folder = write_experiment(tmp_path / "run", dict.fromkeys(("real", "synth-3", "finetune-3", "another"), 1))
    assert "Updates" not in Results([folder]).caption()  # kept without its runs
    for name, steps in (("real", 1500), ("finetune-3", 500), ("synth-3", 1000)):
        assert Results([folder]).experiments[0].updates("finetune-3") is None  # as long as a phase is not known
        atomic_files.write_json(folder / name / "config.json", {"config": {"steps": steps}})
    assert Results([folder]).caption().endswith(
        "in all: 1,000 for Three-stage SYNTH 3; 1,500 for REAL, Three-stage FINETUNE.")
    atomic_files.write_json(folder / "real" / "config.json", {"config": [1500]})
    with pytest.raises(UserError, match=r"real/config\.json"):
        Results([folder]).caption()


def test_the_smallest_type_for_the_most_columns():
    run = pooled_results("1")["real"]
    sizes = [re.search(r"\\(tiny|scriptsize|footnotesize)", table_formats.latex(tables.comparison(
        {f"c{place}": run for place in range(count)}), "c", "l"))[1] for count in (7, 12)]
    assert sizes == ["footnotesize", "tiny"]


def test_several_runs_give_mean_and_deviation():
    runs = [{"films": 1, "scored": ["heart"], "counts": {"heart": [hits, 100 - hits, 0]}} for hits in (80, 90)]
    table = tables.comparison({"real": runs, "synth-1": runs[:1]})
    assert table.filled().loc[("J", "Heart")].tolist() == ["85.00 ± 7.07", "80.00"]
    assert table.bold.loc[("J", "Heart")].tolist() == [True, False]
    lines = table_formats.csv(table).splitlines()
    assert lines[2].endswith("mean,std,mean,std")
    assert lines[3] == "J,Heart,85.00,7.07,80.00,"


def test_best_is_what_is_best_as_printed():
    """2.675 is a little less than its digits say and prints as 2.67; numpy would round it to 2.68."""
    index = pd.MultiIndex.from_product([("J", "ASSD (mm)"), ("Heart", "Lung")])
    means = pd.DataFrame({"real": [2.675, 90.004, 1.5, np.nan], "synth-1": [2.671, 89.996, 0.5, 3.0]}, index)
    table = tables.formatted(means, means * np.nan)
    cells = [["2.67", "2.67"], ["90.00", "90.00"], ["1.50", "0.50"], ["–", "3.00"]]
    assert table.cells.to_numpy().tolist() == cells
    assert table.bold.to_numpy().tolist() == [[True, True], [True, True], [False, True], [False, True]]
    assert not tables.formatted(means[["real"]], means[["real"]] * np.nan).bold.to_numpy().any()


def test_what_looks_like_a_number_in_a_name_is_no_score():
    """Cells are not read back: names with digits, ± and dashes stay where they are."""
    runs = [{"films": 1, "scored": ["5 ± 2"], "counts": {"5 ± 2": [hits, 1, 1]}} for hits in (8, 9)]
    table = tables.comparison({"-3": runs, "7 ± 1": runs[1:]})
    assert table.bold.to_numpy().tolist() == [[False, True]] * 4
    text = table_formats.latex(table, "5 ± 2", "l")
    assert text.count(r"{\tiny$\pm$") == 4 and r"\caption{5 $\pm$ 2}" in text and "$-$3 & 7 $\\pm$ 1" in text
    assert table_formats.csv(table).splitlines()[2].endswith("mean,std,mean,std")


def test_a_score_that_one_run_lacks_is_no_mean_of_all():
    counts = [[0, 0, 0], [8, 1, 1]]
    runs = [{"films": 1, "scored": ["heart"], "counts": {"heart": found}} for found in counts]
    table = tables.comparison({"real": runs, "synth-1": runs[1:]})
    assert table.filled().loc[("J", "Heart")].tolist() == ["–", "80.00"]


def test_an_organ_that_no_film_shows_has_no_score():
    result = {"films": 1, "scored": ["heart"], "counts": {"heart": [0, 0, 0]}}
    table = tables.comparison({"real": [result], "synth-1": [{**result, "counts": {"heart": [1, 1, 0]}}]})
    assert table.cells.loc[("J", "Heart")].tolist() == ["–", "50.00"]
    assert table.bold.loc[("J", "Heart")].tolist() == [False, True]


def test_published_rows_are_the_papers_table_3():
    paper = pd.read_csv(DATA / "paper_table3.csv", dtype=str)
    rows = published_rows()
    scores = ["lungs_dsc", "lungs_j", "heart_dsc", "heart_j"]
    assert rows[scores].to_numpy().tolist() == paper.iloc[:, 4:].to_numpy().tolist()
    assert rows["image_size"].str.replace("×", "x").tolist() == paper["image size"].tolist()
    assert rows[["augmentation", "evaluation"]].to_numpy().tolist() == paper.iloc[:, 2:4].to_numpy().tolist()
    for ours, theirs in zip(rows["cited"], paper["method"], strict=True):
        assert ours in theirs or ours.startswith("Ciano")
    assert rows["citation"].str.contains(r"\d{4}\.$").all()


def test_our_row_of_table_3_is_the_papers_when_fed_its_table_1():
    """Lungs as the mean of the two, from the best column; the paper prints 95.36 where its Table 1 has 95.35."""
    row, _ = our_row(pooled_results("1"), (512, 512), "official split")
    cells = table3(pooled_results("1"), (512, 512), "official split").cells
    paper = cells.iloc[-2].tolist()
    assert row["method"].startswith("Three-stage FINETUNE")
    assert [row["image_size"], row["augmentation"], row["evaluation"]] == paper[1:4]
    assert f"{float(row['lungs_dsc']):.1f}" == paper[4] and row["heart_dsc"] == "95.35"
    assert f"{float(row['lungs_j']):.1f}" == paper[5] and f"{float(row['heart_j']):.1f}" == paper[7]
    assert cells.shape == (10, 8) and set(cells.iloc[-1]) == set(row.values())


def test_the_files_of_an_experiment(tmp_path):
    folder = write_experiment(tmp_path / "run", config="full", scored=False)
    names = write_results(Results([folder]), tmp_path / "out", organs=True, with_table3=True)
    assert names[:5] == ["table1", "table1-organs", "table3", "differences", "comparisons"]
    main = pd.read_csv(tmp_path / "out" / "table1.csv", header=[0, 1], index_col=[0, 1])
    counts = json.loads((folder / "evaluate-real" / "pooled.json").read_text())["counts"]["heart"]
    assert main.loc[("J", "Heart"), main.columns[0]] == round(100 * counts[0] / sum(counts), 2)
    assert main.shape == (8, 3)
    organs = pd.read_csv(tmp_path / "out" / "table1-organs.csv", header=[0, 1], index_col=[0, 1])
    assert set(organs.index.get_level_values(0)) == {
        "J", "DSC", "HD95 (mm)", "ASSD (mm)", "Surface Dice, 2 mm", "Worst tenth", "Under J 0.7"}
    assert "Left Clavicle" in organs.index.get_level_values(1)
    assert len(pd.read_csv(tmp_path / "out" / "hardest.csv")) == 6


def test_distances_of_runs_without_them_are_measured_from_their_predictions(tmp_path):
    folder = write_experiment(tmp_path / "run")
    path = folder / "evaluate-real" / "pooled.json"
    measured = json.loads(path.read_text())
    distances = {organ: {"hd95": 1.0, "assd": 1.0, "unmatched": 0} for organ in measured["surface"]["organs"]}
    for known in ({}, {"surface": {"unit": "mm", "organs": distances}}):  # of earlier versions
        path.write_text(json.dumps({key: value for key, value in measured.items() if key != "surface"} | known))
        (run, films), = Results([folder]).measured("real")
        assert run == measured and films["surface_dice_2mm"].between(0, 1).all()


def test_runs_that_do_not_belong_together_are_refused(tmp_path):
    first = write_experiment(tmp_path / "a", {"real": 1})
    fewer = write_experiment(tmp_path / "d", {"real": 1})
    subset = {"config": "tiny", "seed": 0, "train": ["phantom-000000"]}
    (fewer / "data" / "subset.json").write_text(json.dumps(subset))
    assert "TINY (1 film)" in Results([fewer]).caption() and "TINY (2 films)" in Results([first]).caption()
    for other in (fewer, write_experiment(tmp_path / "b", {"real": 1}, config="full"),
                  write_experiment(tmp_path / "c", {"real": 1, "synth-1": 2})):
        with pytest.raises(UserError, match="make a table of each"):
            Results([first, other])
    for folders in ([], [first, first], [first, first / "." / ""]):
        with pytest.raises(UserError, match="expected one or more folders, each once"):
            Results(folders)
    with pytest.raises(UserError, match="cannot be compared with itself"):
        Results([first]).differences("real", ["real"])
    write_column(first / "evaluate-odd", Results([first]).experiments[0].films(), 1, scored=False)
    with pytest.raises(UserError, match="same --classes"):
        tables.extended(Results([first]).pooled)


def test_runs_with_other_columns_share_a_table_where_that_is_asked_for(tmp_path):
    folders = [write_experiment(tmp_path / name, {"real": shift, **more}) for name, shift, more in (
        ("a", 1, {"synth-1": 2}), ("b", 3, {}))]
    command = ("evaluation.make_tables", f"--results={folders[0]},{folders[1]}", f"--out={tmp_path / 'out'}")
    binaries.told(binaries.run(*command), folders[1], "--shared")
    assert binaries.run(*command, "--shared").code == 0
    assert "SYNTH 1" in (tmp_path / "out" / "table2.md").read_text()  # said to be left out
    cells = (tmp_path / "out" / "table2.csv").read_text()
    assert "std" in cells and "SYNTH" not in cells
    for folder in folders:  # as in folders to share
        shutil.rmtree(folder / "data" / "gan-films")
    assert Results(folders, shared=True).caption().startswith("a, b, TINY")


@pytest.mark.parametrize("text", [
    "[]", "{}", '{"scored": ["a"], "counts": {"a": [1, 2, 3]}}', '{"films": 1, "scored": [], "counts": {}}',
    '{"films": 1, "scored": ["a"], "counts": {"b": [1, 2, 3]}}',
    '{"films": 1, "scored": ["a"], "counts": {"a": [1, 2]}}',
    '{"films": 1, "scored": ["a"], "counts": {"a": [1, 2, -3]}}',
    '{"films": 1, "scored": ["a"], "counts": {"a": "x"}}', '{"films": 1, "scored": 3, "counts": 4}'])
def test_foreign_counts_are_refused(text, tmp_path):
    (tmp_path / "pooled.json").write_text(text)
    with pytest.raises(UserError, match=r"pooled\.json"):
        tables.read_pooled(tmp_path / "pooled.json")


def test_the_binary_says_in_one_line_what_is_missing(tmp_path):
    done = binaries.run("evaluation.make_tables", f"--results={tmp_path}", f"--out={tmp_path / 'out'}")
    binaries.told(done, f"{tmp_path}")
    assert not (tmp_path / "out").exists()


def test_averages_are_over_the_organs():
    table = tables.comparison(pooled_results("1")).cells.astype(float)
    rows = table.loc["J"]
    np.testing.assert_allclose(rows.loc["Average"], rows.drop("Average").mean(), atol=0.01)
