"""The blocks of docs/keras.md run as they stand, one after another."""

import contextlib
import pathlib
import re

import numpy as np
import pytest

from tests.helpers import process_state

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "keras.md"


@pytest.mark.parametrize("traced", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_page_runs(traced, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    with contextlib.nullcontext() if traced else process_state.eagerly():
        for block in blocks:
            exec(block, names)
    assert len(blocks) == 4
    assert names["made"].shape == (4, 32, 32, 1) and np.isfinite(names["made"]).all()
    films = np.zeros((1, 32, 32, 1), np.float32)
    np.testing.assert_array_equal(names["again"](films), names["segmenter"](films))
    assert (tmp_path / "translator.keras").is_file() and (tmp_path / "segmenter.csv").is_file()
