"""Shares of classes that come and go are kept in every part of a set."""

import numpy as np

from datasets.rules.presence import Presence


def _maps(shown: np.ndarray) -> np.ndarray:
    """Maps [N, 1, K] that show code k + 1 where `shown` [N, K]."""
    return np.where(shown, 1 + np.arange(shown.shape[1]), 0)[:, None].astype(np.uint8)


def _taken(maps, shares, count) -> list[np.ndarray]:
    presence, taken = Presence(shares, count), []
    for labels in maps:
        if len(taken) < count and presence.fits(labels):
            presence.add(labels)
            taken.append(labels)
    assert presence.maps == len(taken)
    assert presence.shown == {code: sum((labels == code).any() for labels in taken) for code in shares}
    return taken


def test_twelve_of_26_do_not_become_twelve_of_twelve():
    shown = np.random.default_rng(0).random((200, 1)) < 0.9
    taken = _taken(_maps(shown), {1: 12 / 26}, 12)
    assert len(taken) == 12 and 4 <= sum(labels.any() for labels in taken) <= 7


def test_ten_classes_that_a_generator_makes_too_often_or_too_rarely():
    rng = np.random.default_rng(1)
    real, made = rng.uniform(0.2, 0.9, 10), rng.normal(0, 0.1, 10)
    shown = rng.random((1000, 10)) < np.clip(real + made, 0, 1)
    taken = _taken(_maps(shown), dict(enumerate(real, 1)), 250)
    shares = np.array([[(labels == code).any() for code in range(1, 11)] for labels in taken])
    assert len(taken) == 250
    for part in (shares, shares[:125], shares[125:]):
        assert (np.abs(part.mean(0) - real) <= 2 * np.sqrt(250 * real * (1 - real)) / len(part)).all()


def test_a_fair_generator_loses_little():
    shown = np.random.default_rng(2).random((300, 4)) < 0.5
    assert len(_taken(_maps(shown), dict.fromkeys(range(1, 5), 0.5), 300)) > 250


def test_without_classes_that_come_and_go_everything_fits():
    assert Presence({}, 5).fits(np.zeros((8, 8), np.uint8))
