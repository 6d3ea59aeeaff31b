"""The blocks of docs/keras.md run as they stand, one after another."""

import pathlib
import re

import numpy as np

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "keras.md"


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 4
    assert names["made"].shape == (4, 32, 32, 1) and np.isfinite(names["made"]).all()
    films = np.zeros((1, 32, 32, 1), np.float32)
    np.testing.assert_array_equal(names["again"](films), names["segmenter"](films))
    assert (tmp_path / "translator.keras").is_file() and (tmp_path / "segmenter.csv").is_file()
