"""Realism metrics against values by the PGGAN authors' definitions, on image sets made again from their recipe."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from evaluation.metrics.ms_ssim import ms_ssim
from evaluation.metrics.sliced_wasserstein import sliced_wasserstein

RECIPES = {"64": (7, 256, 64, 2, 2.5), "256": (8, 96, 256, 2, 3)}  # seed, images, side, the two blurs
DRAWS = 2


@pytest.fixture(scope="module")
def reference(shared_dir) -> dict:
    return json.loads((shared_dir / "reference" / "metrics.json").read_text())


def blurred_noise(seed: int, count: int, side: int, *blurs: float) -> list[np.ndarray]:
    state = np.random.RandomState(seed)
    sets = []
    for blur in blurs:
        noise = gaussian_filter(state.randn(count, side, side), (0, blur, blur))
        sets.append(np.clip(127.5 + 40 * noise / noise.std(), 0, 255).astype(np.uint8))
    return sets


@pytest.mark.parametrize("name", RECIPES)
def test_sliced_wasserstein(reference, name):
    expected = np.array(reference[name]["swd_x1e3_levels_then_mean"])
    spread = np.array(reference[name]["std_over_5_draws"])
    a, b = blurred_noise(*RECIPES[name])
    found = np.mean([list(sliced_wasserstein(a, b, seed).values()) for seed in range(DRAWS)], axis=0)
    print(f"\nSWD x 1e3 at {name} px: found {found.round(2)}, expected {expected.round(2)}, "
          f"largest relative error {np.abs(found / expected - 1).max():.1%}")
    allowed = 4 * spread * np.sqrt(1 / DRAWS + 1 / 5)
    assert (np.abs(found - expected) < np.maximum(allowed, 0.03 * expected)).all()


def test_colour_and_grey_agree(reference):
    a, b = (np.repeat(images[..., None], 3, -1) for images in blurred_noise(*RECIPES["64"]))
    found, expected = sliced_wasserstein(a, b)["mean"], reference["64"]["swd_x1e3_levels_then_mean"][-1]
    print(f"\nSWD x 1e3 of three equal channels: found {found:.2f}, expected {expected:.2f}")
    assert found == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("name", RECIPES)
def test_noise_floor(reference, name):
    a, _ = blurred_noise(*RECIPES[name])
    found = sliced_wasserstein(a, a[::-1])["mean"]
    expected = reference[name]["swd_of_a_with_a_reversed"][-1]
    print(f"\nSWD x 1e3 of a set with itself at {name} px: found {found:.2f}, expected {expected:.2f}")
    assert found == pytest.approx(expected, rel=0.15)


def test_ms_ssim(reference):
    a, b = blurred_noise(*RECIPES["256"])
    found = np.mean([ms_ssim(one, other) for one, other in zip(a[:64], b[:64], strict=True)])
    expected = reference["256"]["ms_ssim_first_64"]
    print(f"\nMS-SSIM: found {found:.7f}, expected {expected:.7f}, relative error {abs(found / expected - 1):.1e}")
    assert found == pytest.approx(expected, rel=1e-4)
