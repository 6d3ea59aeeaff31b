"""The page of a run: what was measured as curves, grids with their scores, and only names that can be used."""

import html.parser
import re

import numpy as np

from datasets.pair_store import write_png
from training.run_page import write_run_page

ROWS = [{"position": position, "d_loss": -0.1 * position, "g_loss": 1.0, "score_real": 2.0, "score_fake": 0.5}
        for position in (10, 20, 30)] + [{"position": 30, "swd": 12.5}]


class Page(html.parser.HTMLParser):
    """Counts elements and collects pictures and text."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.pictures, self.text, self.curves = [], [], "", None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])
            if dict(attrs).get("class") == "curves":
                self.curves = dict(attrs)["alt"]

    def handle_data(self, data):
        self.text += data


def _folder(path, task):
    for kind in ("grids", "snapshots"):
        (path / kind).mkdir(parents=True)
    for position in (0, 30):
        write_png(path / "grids" / f"{position:09d}.png", np.zeros((4, 4), np.uint8))
    (path / "snapshots" / "000000030.keras").touch()
    return path, {"task": task, "note": "<script>"}


def test_curves_grids_and_snapshots(tmp_path):
    folder, settings = _folder(tmp_path / "a <b>run", "train_pggan")
    write_run_page(folder, settings, ROWS, 40, "images")
    page = Page(folder / "index.html")
    assert page.pictures == ["curves.svg", "grids/000000030.png", "grids/000000000.png"]
    assert page.curves == "Curves: Sliced Wasserstein distance × 10³, Critic gap, Losses"
    assert all((folder / picture).is_file() for picture in page.pictures)
    assert "30 images, swd 12.5" in page.text and "--snapshot=30" in page.text and "--snapshot=0" not in page.text
    assert "train_pggan: a <b>run" in page.text and "<script>" in page.text
    assert not {"b", "script", "link"} & set(page.elements)
    drawn = (folder / "curves.svg").read_text()
    assert "<script" not in drawn and not re.findall(r'href="(?!#|http://www\.w3\.org/)', drawn)
    write_run_page(folder, settings, ROWS, 40, "images")
    assert (folder / "curves.svg").read_text() == drawn


def test_a_segmenter_offers_no_snapshot_flag(tmp_path):
    folder, settings = _folder(tmp_path, "train_smanet")
    write_run_page(folder, settings, [{"position": 5, "val_j": 0.5, "loss": float("nan")}], 40, "steps")
    page = Page(folder / "index.html")
    assert "--snapshot" not in page.text and page.curves == "Curves: Validation J"


def test_a_run_without_lines_has_a_page(tmp_path):
    write_run_page(tmp_path, {"task": "train_smanet"}, [], 40, "steps")
    page = Page(tmp_path / "index.html")
    assert "At 0 of 40 steps" in page.text and not page.pictures
