"""The three methods as compositions: what passes between stages, what is rejected, what depends on what."""

import numpy as np
import pytest
import tensorflow as tf

from models import methods
from models.label_coding import LabelCoding


def _sample(indices, seed):
    return np.stack([np.full((4, 4), index % 3, np.uint8) for index in indices])


def _to_film(labels):
    return labels[..., None].astype(np.float32) / 2 - 1


def _reject_zero(maps):
    return maps + 10, ["empty" if labels.max() == 0 else None for labels in maps]


def test_three_stage_passes_codes_on_and_counts_rejections():
    method = methods.three_stage(_sample, lambda dots: dots * 2, _to_film, check_dots=_reject_zero)
    pairs = method(np.arange(6), 0)
    assert pairs.indices.tolist() == [1, 2, 4, 5]
    assert pairs.rejected == {0: "empty", 3: "empty"}
    assert pairs.dots[:, 0, 0].tolist() == [11, 12, 11, 12]  # the mended maps go on
    assert pairs.labels[:, 0, 0].tolist() == [22, 24, 22, 24]
    np.testing.assert_allclose(pairs.films[:, 0, 0, 0], [10, 11, 10, 11])


def test_rejected_label_maps_leave_dots_and_films_in_step():
    method = methods.three_stage(_sample, lambda dots: dots, _to_film, check_labels=_reject_zero)
    pairs = method(np.arange(6), 0)
    assert len(pairs.dots) == len(pairs.labels) == len(pairs.films) == 4
    np.testing.assert_array_equal(pairs.dots + 10, pairs.labels)


def test_two_and_single_stage():
    pairs = methods.two_stage(_sample, _to_film, _reject_zero)(np.arange(3), 0)
    assert pairs.indices.tolist() == [1, 2] and len(pairs.films) == 2
    single = methods.single_stage(lambda i, s: (_sample(i, s), _to_film(_sample(i, s))), _reject_zero)
    pairs = single(np.arange(3), 0)
    assert pairs.films[:, 0, 0, 0].tolist() == [-0.5, 0.0]


def test_everything_rejected_gives_empty_pairs():
    pairs = methods.two_stage(_sample, _to_film, lambda maps: (maps, ["no"] * len(maps)))(np.arange(3), 0)
    assert len(pairs.labels) == len(pairs.films) == 0 and len(pairs.rejected) == 3


def test_latents_depend_on_seed_and_index_alone():
    whole = methods.latents(np.arange(10), 5, 16)
    np.testing.assert_array_equal(methods.latents(np.array([7, 3]), 5, 16), whole[[7, 3]])
    assert not np.allclose(methods.latents(np.arange(10), 6, 16), whole)
    assert methods.latents(np.arange(0), 5, 16).shape == (0, 16)


def test_latents_are_standard_normal():
    drawn = methods.latents(np.arange(64), 2**40, 64)
    assert drawn.dtype == np.float32 and abs(drawn.mean()) < 0.05 and abs(drawn.std() - 1) < 0.05
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.06


@pytest.mark.parametrize("every", [2, 4, 8])
def test_several_looks_drop_what_is_wrong_in_one_place_of_a_grid(every):
    """And keep what is right: the mean of equal looks is each of them."""
    dots = np.random.default_rng(0).integers(0, 3, (2, 6, 6)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    coding = LabelCoding("one_hot", (0, 1, 2))
    wrong = np.zeros((24, 24, 3), np.float32)
    wrong[::every, ::every] = (5, -5, -5)

    def translator(flawed, smooth):
        def network(condition):
            return tf.clip_by_value(condition * 2 - 1 + (wrong if flawed else 0), -1, 1)

        return methods.label_translator(network, 24, coding, smooth)(tf.constant(dots)).numpy()

    np.testing.assert_array_equal(translator(False, True), dots)
    plain, smooth = (translator(True, smooth) != dots for smooth in (False, True))
    assert plain[:, 2:-2, 2:-2].any() and not smooth[:, 2:-2, 2:-2].any()  # fewer looks reach the border
    assert smooth.sum() < plain.sum()
