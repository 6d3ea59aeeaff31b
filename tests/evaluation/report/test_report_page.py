"""Pictures of an experiment's page: small ones as they are, large ones as JPEG."""

import base64
import re

import cv2
import numpy as np

from evaluation.report import html_page
from tests.helpers import pictures


def test_large_pictures_are_embedded_smaller_and_look_the_same(tmp_path):
    noise = np.random.default_rng(0).normal(128, 8, (1100, 900)).clip(0, 255).astype(np.uint8)
    small, large = (pictures.png(np.repeat(part[..., None], 3, -1)) for part in (noise[:99, :90], noise))
    assert len(small) < html_page.LARGEST < len(large)
    page = html_page.Page("Films")
    for png in (small, large):
        page.figure(png, "a < b")
    page.write(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    found = [(kind, base64.b64decode(data)) for kind, data in re.findall(r'image/(\w+);base64,([^"]+)"', text)]
    assert found[0] == ("png", small) and found[1][0] == "jpeg"
    assert len(found[1][1]) < len(large) / 2 and text.count("a &lt; b") == 4
    seen = cv2.imdecode(np.frombuffer(found[1][1], np.uint8), cv2.IMREAD_COLOR)
    assert seen.shape == (1100, 900, 3) and np.abs(seen.astype(int).mean(-1) - noise).mean() < 6


def test_a_page_has_its_sentence_first_settings_folded_and_figures_that_open_and_close(tmp_path):
    page = html_page.Page("Films")
    page.section("One")
    page.figure(pictures.png(np.zeros((9, 9), np.uint8)), "first")
    page.figure(pictures.png(np.zeros((9, 9), np.uint8)), "second")
    page.folded("Settings", {"a & b": "<1>"})
    page.lead("It is best.")
    page.write(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert text.index("It is best.") < text.index("<nav>") < text.index(">One</h2>")
    ids = re.findall(r' id="([^"]+)"', text)
    links = re.findall(r' href="#([^"]+)"', text)
    assert len(set(ids)) == len(ids) and set(links) <= set(ids) and {"f1", "f2", "p1", "p2"} <= set(links)
    folded = re.search("<details>(.*?)</details>", text)[1]
    assert "<summary>Settings</summary>" in folded and "a &amp; b" in folded and "&lt;1&gt;" in folded
    assert "@media print" in text and "@media(max-width" in text and "http" not in text
