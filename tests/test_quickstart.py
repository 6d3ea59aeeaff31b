"""The quickstart notebook, cell by cell, with an experiment of seconds in place of the one of minutes."""

import os
import re

import pytest

from tests.helpers import notebook
from tests.helpers.binaries import ROOT

PATH = ROOT / "docs" / "quickstart.ipynb"
SHORT = """
DATA, RUN = "quickstart/films", "quickstart/run"
EXPERIMENT = ["tests.helpers.tiny_experiment", DATA, RUN, "three"]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Source of each cell -> its outputs, run in an empty folder."""
    before, path = os.getcwd(), dict(os.environ)
    os.chdir(tmp_path_factory.mktemp("notebook"))
    try:
        yield [(notebook.source(cell), outputs)
               for cell, outputs in notebook.run(notebook.read(PATH), {"parameters": SHORT})]
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(path)


def _of(made, word: str) -> dict[str, str]:
    """Kind -> data of the one cell whose source has `word`."""
    outputs, = (outputs for text, outputs in made if word in text)
    found = next((output["data"] for output in outputs if "data" in output), {})
    return {kind: "".join(lines) for kind, lines in found.items()}


@pytest.mark.slow
def test_every_cell_shows_what_it_says(made):
    kept = notebook.code_cells(notebook.read(PATH))
    for (text, outputs), cell in zip(made, kept, strict=True):
        kinds = [sorted(output.get("data", {"text": ""})) for output in outputs]
        assert kinds == [sorted(output.get("data", {"text": ""})) for output in cell["outputs"]], text
    assert "Three-stage" in _of(made, "table2.csv")["text/html"]
    assert "heart area" in _of(made, "areas.csv")["text/html"]
    for word in ("samples-3.png", "stages.png", "overlays/"):
        assert "image/png" in _of(made, word)


@pytest.mark.slow
def test_progress_is_shown_once(made):
    outputs = next(outputs for text, outputs in made if "run(*EXPERIMENT)" in text)
    shown = "".join(line for output in outputs for line in output.get("text", ()))
    assert shown.count("\n") <= 1, shown


def test_what_is_kept_is_whole_small_and_of_no_machine():
    text = PATH.read_text(encoding="utf-8")
    assert len(text) < 300_000
    kept = notebook.read(PATH)
    assert kept["nbformat"] == 4 and len({cell["id"] for cell in kept["cells"]}) == len(kept["cells"])
    cells = notebook.code_cells(kept)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs and all(output["output_type"] in ("stream", "execute_result") for output in outputs)
    shown = re.sub(r'"image/png": "[^"]*"', "", text)
    assert "/tmp/" not in shown and "/home/" not in shown and "/root/" not in shown
