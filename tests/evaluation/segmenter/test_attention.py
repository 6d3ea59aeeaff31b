"""Attention maps over films."""

import numpy as np
import pytest

from evaluation.segmenter.attention import draw_attention


def test_maps_lie_over_the_film_in_order_of_scales():
    film = np.full((12, 20), 100, np.uint8)
    low, high = np.zeros((3, 5), np.float32), np.ones((3, 5), np.float32)
    sheet = draw_attention(film, {6: high, 1: low}, strength=1.0)
    assert sheet.shape == (12, 60, 3) and (sheet[:, :20] == 100).all()
    dark, bright = sheet[:, 20:40].reshape(-1, 3), sheet[:, 40:].reshape(-1, 3)
    assert (dark == dark[0]).all() and (bright == bright[0]).all()
    assert dark[0].sum() < bright[0].sum() and dark[0][2] > dark[0][1] and bright[0][0] > bright[0][2]
    halves = draw_attention(film, {1: np.array([[0.0, 1.0]])}, strength=1.0)[6, 20:].astype(int).sum(-1)
    assert (np.diff(halves) >= -3).all() and halves[-1] > halves[0] + 100


@pytest.mark.parametrize("maps", [{}, {1: np.full((2, 2), 1.5)}, {1: np.full((2, 2), -0.1)}])
def test_what_is_no_attention_is_refused(maps):
    with pytest.raises(ValueError, match="attention"):
        draw_attention(np.zeros((4, 4), np.uint8), maps)
