"""The growth schedule against the published milestones, and the learning-rate decay."""

import itertools

import pytest

from training.config import PGGANConfig, total_kimg
from training.schedules import MINIBATCH, GrowthSchedule, linear_decay

PAPER = GrowthSchedule(1024, 4, 600, 600, 128)


def test_published_milestones():
    # 64 px is full-grown at 4,800 thousand images, 1024 px at 9,600 (Karras et al. 2018).
    assert GrowthSchedule(64, 4, 600, 600, 128).grown_kimg == 4800
    assert PAPER.grown_kimg == 9600
    assert total_kimg(PGGANConfig(), PAPER.grown_kimg) == 12000


@pytest.mark.parametrize(("kimg", "level", "fade", "phase"), [
    (0, 2, 1.0, 0), (599.999, 2, 1.0, 0), (900, 3, 0.5, 1), (1200, 3, 1.0, 2), (1799.9, 3, 1.0, 2),
    (2100, 4, 0.5, 3), (9599.999, 10, 1.0, 15), (9600, 10, 1.0, 16), (12000, 10, 1.0, 16)])
def test_state_at(kimg, level, fade, phase):
    state = PAPER.at(round(kimg * 1000))
    assert (state.level, state.phase) == (level, phase)
    assert state.fade == pytest.approx(fade, abs=1e-5)


def test_fade_rises_from_almost_nothing_to_one_without_jumps():
    fades = [PAPER.at(images).fade for images in range(600_000, 1_200_000, 1000)]
    assert 0 < fades[0] < 1e-5
    assert all(0 < later - earlier < 0.0017 for earlier, later in itertools.pairwise(fades))


def test_batches_follow_the_released_table_and_the_bound():
    assert [MINIBATCH[2**level] for level in range(2, 11)] == [128, 128, 128, 64, 32, 16, 8, 4, 4]
    assert PAPER.at(12_000_000).batch == 4
    assert GrowthSchedule(64, 4, 1, 1, 16).at(0).batch == 16


def test_no_growth_when_start_is_the_resolution():
    state = GrowthSchedule(64, 64, 600, 600, 128).at(0)
    assert (state.level, state.fade, state.phase) == (6, 1.0, 0)


@pytest.mark.parametrize("sides", [(100, 4), (64, 128), (64, 2)])
def test_impossible_resolutions_are_refused(sides):
    with pytest.raises(ValueError, match=r"received|above"):
        GrowthSchedule(*sides, 600, 600, 128)


def test_linear_decay_tabulated():
    rates = [linear_decay(1.0, epoch, 2, 4) for epoch in range(7)]
    assert rates == [1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    assert linear_decay(1.0, 9, 5, 0) == 1.0
