"""The benchmark's table and its comparison; no time is asserted."""

import importlib.util
import json

import pytest

from tests.helpers import binaries
from tools.speed.items import GROUPS, ITEMS, WITHOUT_PEER

_SMALL = "--items=pix2pixhd_small_step_128", "--precisions=float32", "--seconds=0", "--shrink=2"


@pytest.mark.slow
def test_a_row_is_measured_and_compared(tmp_path):
    before = [{"item": "pix2pixhd_small_step_128", "precision": "float32", "median": 1e6, "shrink": 2}]
    (tmp_path / "before.json").write_text(json.dumps(before))
    done = binaries.run("tools.benchmark", *_SMALL, f"--out={tmp_path / 'now.json'}",
                        f"--against={tmp_path / 'before.json'}")
    assert done.code == 0, done.err
    row, = json.loads((tmp_path / "now.json").read_text())
    assert row["item"] == "pix2pixhd_small_step_128" and row["turns"] == 3 and row["precision"] == "float32"
    assert row["size"] == 64 and row["images_per_second"] == 2 / row["median"] and row["peak_gib"] > 0.1
    assert row["limit"] > 1e9 and 3e9 < row["flops"] < 4e9  # narrow networks, two pictures
    head, line = done.out.splitlines()
    assert head.split()[:4] == ["item", "size", "precision", "median"] and head.endswith("before/now")
    assert line.split()[3] == f"{row['median']:.4f}" and line.split()[-1] == f"{1e6 / row['median']:.2f}"
    assert line.split()[-2] == f"{100 * row['flops'] / row['median'] / row['limit']:.1f}"


def test_a_row_that_fails_says_why_and_the_others_go_on(tmp_path):
    done = binaries.run("tools.benchmark", "--items=sliding_window_512,pggan_step_64", "--precisions=float32",
                        "--row_limit=1", f"--out={tmp_path / 'rows.json'}")  # no process starts in a second
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert done.code == 1 and [row["item"] for row in rows] == ["sliding_window_512", "pggan_step_64"]
    assert all("--row_limit" in row["failed"] for row in rows) and done.out.count("--row_limit") == 2


def test_unknown_items_are_refused():
    done = binaries.run("tools.benchmark", "--items=nothing")
    binaries.told(done, "--items", "'nothing'", "pix2pixhd_forward_256")


def test_a_peer_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, found=importlib.util.find_spec: (
        None if name == "torch" else found(name)))
    done = binaries.run("tools.benchmark", *_SMALL, "--peer=torch")
    binaries.told(done, "--peer=torch", "pip install")


def test_every_group_has_rows_and_every_shrunk_side_suits_its_network():
    assert set(GROUPS["all"]) == set(ITEMS) and set(GROUPS["gpu"]) < set(ITEMS) and GROUPS["quick"]
    assert all(ITEMS[name].kind not in WITHOUT_PEER for name in GROUPS["gpu"])
    for item in (item.shrunk(8) for item in ITEMS.values()):
        assert item.images >= 1 and (item.kind.startswith("segmenter") or item.size & (item.size - 1) == 0), item


def test_operations_are_counted_by_the_layers_shapes():
    import keras

    from tools.speed.flops import forward_flops

    network = keras.Sequential([
        keras.layers.Conv2D(5, 3, 2, "same"),  # 8 x 6 of 2 maps -> 4 x 3
        keras.layers.Conv2DTranspose(2, 3, 2, "same"),  # -> 8 x 6
        keras.layers.Flatten(), keras.layers.Dense(4)])
    network.build((None, 8, 6, 2))
    convolution, transposed, dense = 4 * 3 * 9 * 2 * 5, 4 * 3 * 9 * 5 * 2, 8 * 6 * 2 * 4
    assert forward_flops(network, (7, 8, 6, 2)) == 7 * 2 * (convolution + transposed + dense)
