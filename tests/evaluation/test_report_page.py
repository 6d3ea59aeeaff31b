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
