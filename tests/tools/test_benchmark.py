"""The benchmark's table and its comparison; no time is asserted."""

import json

from tests.helpers import binaries


def test_a_row_is_measured_and_compared(tmp_path):
    before = [{"item": "pix2pixhd_small_step_128", "precision": "float32", "median": 1e6}]
    (tmp_path / "before.json").write_text(json.dumps(before))
    done = binaries.run("tools.benchmark", "--items=pix2pixhd_small_step_128", "--precisions=float32",
                        "--seconds=0", f"--out={tmp_path / 'now.json'}", f"--against={tmp_path / 'before.json'}")
    assert done.code == 0, done.err
    row, = json.loads((tmp_path / "now.json").read_text())
    assert row["item"] == "pix2pixhd_small_step_128" and row["turns"] == 3 and row["precision"] == "float32"
    assert row["images_per_second"] == 4 / row["median"] and row["peak_gib"] > 0.1
    head, line = done.out.splitlines()
    assert head.split()[:4] == ["item", "size", "precision", "median"] and head.endswith("before/now")
    assert line.split()[3] == f"{row['median']:.4f}" and line.split()[-1] == f"{1e6 / row['median']:.2f}"


def test_unknown_items_are_refused():
    done = binaries.run("tools.benchmark", "--items=nothing")
    binaries.told(done, "--items", "'nothing'", "pix2pixhd_forward_256")
