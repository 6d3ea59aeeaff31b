"""Label codings: round trips, nearest code, and the order of grey values."""

import numpy as np
import pytest

from models import label_coding
from models.label_coding import LabelCoding

CODES = np.random.default_rng(0).integers(0, 6, (3, 8, 9)).astype(np.uint8)
GREY = LabelCoding("grey", (4, 1, 0, 3, 2, 5))


@pytest.mark.parametrize("coding", [GREY, LabelCoding("one_hot", tuple(range(6)))])
def test_round_trip(coding):
    channels = coding.encode(CODES)
    assert channels.shape == (3, 8, 9, coding.channels)
    assert float(np.min(channels)) == -1.0 and float(np.max(channels)) == 1.0
    np.testing.assert_array_equal(coding.decode(channels).numpy(), CODES)


def test_grey_values_follow_the_order_and_decode_to_the_nearest():
    values = GREY.encode(np.array([[[4, 1, 0, 3, 2, 5]]], np.uint8)).numpy().ravel()
    np.testing.assert_allclose(values, np.linspace(-1, 1, 6), atol=1e-6)
    soft = np.array([-3.0, -0.81, -0.79, 0.19, 5.0], np.float32).reshape(1, 1, 5, 1)
    assert GREY.decode(soft).numpy().ravel().tolist() == [4, 4, 1, 3, 5]


def test_json_round_trip():
    assert LabelCoding.from_json(GREY.to_json()) == GREY


@pytest.mark.parametrize("order", [(0, 2), (0,), (0, 0, 1)])
def test_order_must_be_a_permutation(order):
    with pytest.raises(ValueError, match="permutation"):
        LabelCoding("grey", order)


def test_neighbour_order_puts_touching_classes_together():
    # Bands 2 | 0 | 1 | 3: only these neighbours touch, so this is the order (or its mirror).
    bands = np.repeat(np.array([2, 0, 1, 3], np.uint8), 5)[None, None].repeat(10, 1)
    assert label_coding.neighbour_order(bands, 4) in [(2, 0, 1, 3), (3, 1, 0, 2)]


def test_enlarge_is_nearest_neighbour():
    small = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    big = label_coding.enlarge(small, 8).numpy()
    np.testing.assert_array_equal(big, small.repeat(4, 1).repeat(4, 2))
