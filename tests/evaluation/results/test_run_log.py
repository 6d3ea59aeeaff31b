"""The log of a run: rows come back as they were written; what a kill leaves is left out, damage is told."""

import pytest

from datasets.common.errors import UserError
from evaluation.results.run_log import append_row, drop_after, read_rows


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for position in (5, 10, 15):
        append_row(path, position, {"loss": 1.0 / position, "val_j": float("inf")})
    return path


def test_rows_come_back(log):
    assert read_rows(log) == [{"position": position, "loss": 1.0 / position, "val_j": float("inf")}
                              for position in (5, 10, 15)]
    assert read_rows(log.with_name("absent")) == []


def test_a_last_line_cut_short_is_left_out(log):
    whole = log.read_bytes()
    for end in range(whole.rindex(b"\n", 0, -1) + 1, len(whole) - 1):
        log.write_bytes(whole[:end])
        assert [row["position"] for row in read_rows(log)] == [5, 10]


@pytest.mark.parametrize("damage", ["{", "[]", '{"loss": 1.0}', '{"position": 1, "loss": "x"}', "\0\0\0"])
def test_damage_in_the_middle_is_told(log, damage):
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0], damage, lines[2]]) + "\n")
    with pytest.raises(UserError, match=f"{log}: line 2"):
        read_rows(log)


def test_forgetting_changes_no_line_that_stays(log):
    lines = log.read_text().splitlines(keepends=True)
    with open(log, "a") as file:
        file.write('{"position": 12, "lo')
    drop_after(log, 10)
    assert log.read_text() == "".join(lines[:2])
