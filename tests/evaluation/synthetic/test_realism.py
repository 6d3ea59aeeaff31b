import json

import cv2
import keras
import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.stats
import tensorflow as tf

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from evaluation.metrics.feature_distances import features, frechet_distance, kernel_distance
from evaluation.metrics.ms_ssim import WEIGHTS, ms_ssim, ms_ssim_pairs, neighbour_pairs, scale_count
from evaluation.metrics.sliced_wasserstein import laplacian_pyramid, level_sides, sliced_wasserstein
from evaluation.synthetic.image_sets import ImageSet, check_same_classes, draw_ids, organ_view
from evaluation.synthetic.realism_report import (
    generation_shares,
    load_drawn,
    load_model,
    name_stores,
    report_realism,
)
from tests.helpers import binaries

BLOBS = ClassTable(("background", "blob", "rim"))


def textures(seed: int, count: int, side: int, blur: float) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((count, side, side))
    noise = scipy.ndimage.gaussian_filter(noise, (0, blur, blur))
    return np.clip(127.5 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)


class TestSlicedWasserstein:
    def test_pyramid_is_burt_and_adelsons(self):
        image = textures(0, 1, 32, 1)[0][..., None].astype(np.float64)
        row = np.array([1, 4, 6, 4, 1]) / 16
        kernel = np.outer(row, row)[..., None]
        coarser = scipy.ndimage.convolve(image, kernel, mode="mirror")[::2, ::2]
        spread = np.zeros_like(image)
        spread[::2, ::2] = coarser
        finer = image - scipy.ndimage.convolve(spread, 4 * kernel, mode="mirror")
        found = laplacian_pyramid(image, 2)
        np.testing.assert_allclose(found[0], finer, atol=1e-3)
        np.testing.assert_allclose(found[1], coarser, atol=1e-3)

    @pytest.mark.parametrize(("shape", "sides"), [
        ((64, 64), [64, 32, 16]), ((16, 40), [16]), ((65, 90), [65, 33, 17]),
        ((1024, 1024), [1024, 512, 256, 128, 64, 32, 16])])
    def test_levels(self, shape, sides):
        assert level_sides(*shape) == sides

    def test_closed_form(self):
        """White noise projects to N(0, 1) and flat images of two shades to +-s, s half-normal over directions:
        the distance is E||Z| - |Z'|| = 4/sqrt(pi) - 2 sqrt(2/pi) = 0.661."""
        noise = np.random.default_rng(1).normal(128, 30, (200, 16, 16)).clip(0, 255).astype(np.uint8)
        flat = np.zeros_like(noise)
        flat[::2] = 200
        found = sliced_wasserstein(noise, flat, repeats=16)["16"]
        assert found == pytest.approx(1e3 * (4 / np.sqrt(np.pi) - 2 * np.sqrt(2 / np.pi)), rel=0.06)

    def test_grows_with_blur_from_the_noise_floor(self):
        real = textures(1, 80, 32, 1.0)
        found = [sliced_wasserstein(real, textures(2, 80, 32, blur))["mean"] for blur in (1.0, 1.3, 1.7, 2.5)]
        assert found == sorted(found)
        assert found[0] < 30 < found[1]

    def test_more_images_lower_the_floor(self):
        images = textures(3, 500, 16, 1)
        few, many = (sliced_wasserstein(images[:count], images[-count:], patches=16)["mean"]
                     for count in (10, 250))
        assert many < few / 2

    def test_seed_decides_every_draw(self):
        a, b = textures(1, 12, 16, 1), textures(2, 20, 16, 2)
        assert sliced_wasserstein(a, b, 3) == sliced_wasserstein(a, b, 3)
        assert sliced_wasserstein(a, b, 3) != sliced_wasserstein(a, b, 4)

    def test_a_view_equals_its_images(self):
        codes = np.random.default_rng(0).integers(0, 3, (10, 16, 16), np.uint8)
        view = organ_view(BLOBS)
        shown = np.stack([view(code) for code in codes])
        assert shown.shape == (10, 16, 16, 2) and shown.dtype == np.uint8
        assert sliced_wasserstein(codes, codes[::-1], view=view) == sliced_wasserstein(shown, shown[::-1])

    def test_a_constant_channel_is_no_division_by_zero(self):
        empty = np.zeros((6, 16, 16), np.uint8)
        assert sliced_wasserstein(empty, empty)["mean"] == 0
        assert np.isfinite(sliced_wasserstein(empty, textures(0, 6, 16, 1))["mean"])

    @pytest.mark.parametrize(("a", "b", "said"), [
        (np.zeros((4, 8, 8), np.uint8),) * 2 + ("16 pixels",),
        (np.zeros((4, 16, 16), np.uint8), np.zeros((4, 32, 32), np.uint8), "one shape"),
        (np.zeros((4, 16, 16), np.float32),) * 2 + ("uint8",)])
    def test_refuses(self, a, b, said):
        with pytest.raises(ValueError, match=said):
            sliced_wasserstein(a, b)


def plain_ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """From the definition, without separable filters."""
    a, b, score = a.astype(float), b.astype(float), 1.0
    for scale, weight in enumerate(WEIGHTS):
        size = min(11, *a.shape)
        offsets = np.mgrid[:size, :size] - (size - 1) / 2
        window = np.exp(-(offsets**2).sum(0) / (2 * (1.5 * size / 11) ** 2))
        window /= window.sum()
        ma, mb, aa, bb, ab = (scipy.signal.convolve2d(x, window, "valid") for x in (a, b, a * a, b * b, a * b))
        contrast = (2 * (ab - ma * mb) + 58.5225) / (aa - ma**2 + bb - mb**2 + 58.5225)
        luminance = (2 * ma * mb + 6.5025) / (ma**2 + mb**2 + 6.5025)
        score *= max(0, (contrast * luminance if scale == 4 else contrast).mean()) ** weight
        a, b = (x.reshape(len(x) // 2, 2, -1, 2).mean((1, 3)) for x in (a, b))
    return score


class TestMsSsim:
    def test_definition(self):
        a = textures(5, 1, 96, 3)[0]
        b = np.clip(a * 0.8 + textures(6, 1, 96, 2)[0] * 0.4, 0, 255).astype(np.uint8)
        assert ms_ssim(a, b) == pytest.approx(plain_ms_ssim(a, b), rel=1e-6)
        assert 0.3 < ms_ssim(a, b) < 0.95

    @pytest.mark.parametrize("side", [176, 201])
    def test_tensorflows_agrees_where_it_applies(self, side):
        a, b = textures(5, 2, side, 3)
        b = np.clip(a * 0.8 + b * 0.4, 0, 255).astype(np.uint8)
        expected = tf.image.ssim_multiscale(a[..., None], b[..., None], 255)
        assert ms_ssim(a, b) == pytest.approx(float(expected), abs=1e-5)

    def test_equal_images_score_one_and_opposite_ones_zero(self):
        image = textures(0, 1, 64, 2)[0]
        assert ms_ssim(image, image) == pytest.approx(1)
        assert ms_ssim(image, 255 - image) == 0

    @pytest.mark.parametrize(("side", "weight"), [(64, 0.1333), (32, 0.2363 * 1.0001 / 0.8668)])
    def test_flat_images_differ_by_luminance_alone(self, side, weight):
        a, b = np.full((side, side), 100, np.uint8), np.full((side, side), 180, np.uint8)
        luminance = (2 * 100 * 180 + 6.5025) / (100**2 + 180**2 + 6.5025)
        assert ms_ssim(a, b) == pytest.approx(luminance**weight)

    def test_falls_with_noise(self):
        image, noise = textures(0, 2, 64, 2).astype(float)
        noisy = [np.clip(image + weight * (noise - 127.5), 0, 255) for weight in (0.2, 0.5, 1, 2)]
        found = [ms_ssim(image.astype(np.uint8), other.astype(np.uint8)) for other in noisy]
        assert found == sorted(found, reverse=True)

    def test_channels_are_averaged(self):
        a, b = textures(0, 2, 64, 3)
        assert ms_ssim(np.stack([a] * 3, -1), np.stack([b] * 3, -1)) == pytest.approx(ms_ssim(a, b))

    def test_pairs(self):
        images = textures(4, 5, 64, 4)
        assert neighbour_pairs(5).tolist() == [[0, 1], [2, 3]]
        expected = (ms_ssim(images[0], images[1]) + ms_ssim(images[2], images[3])) / 2
        assert ms_ssim_pairs(images) == pytest.approx(expected)
        assert ms_ssim_pairs(images, [[4, 4]]) == pytest.approx(1)

    def test_scales_by_size(self):
        assert [scale_count(side, side) for side in (1024, 64, 63, 32, 16, 11)] == [5, 5, 4, 4, 3, 2]

    def test_refuses(self):
        with pytest.raises(ValueError, match="11 pixels"):
            ms_ssim_pairs(np.zeros((4, 8, 8), np.uint8))
        with pytest.raises(ValueError, match="two images or more"):
            ms_ssim_pairs(np.zeros((1, 64, 64), np.uint8))


def exact_sample(seed: int, count: int, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Rows whose sample mean and unbiased covariance are exactly those given."""
    white = np.random.default_rng(seed).standard_normal((count, len(mean)))
    white -= white.mean(0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T))).T
    return mean + white @ np.linalg.cholesky(covariance).T


class TestFeatureDistances:
    def test_frechet_of_gaussians_with_diagonal_covariance(self):
        a = exact_sample(0, 50, np.array([1.0, 2, 3]), np.diag([1.0, 4, 9]))
        b = exact_sample(1, 80, np.array([1.0, 0, 4]), np.diag([4.0, 4, 1]))
        assert frechet_distance(a, b) == pytest.approx((0 + 4 + 1) + (1 + 0 + 4))

    def test_frechet_of_covariances_that_do_not_commute(self):
        rng = np.random.default_rng(2)
        one, other = (root @ root.T + np.eye(6) for root in rng.standard_normal((2, 6, 6)))
        found = frechet_distance(exact_sample(3, 40, np.zeros(6), one), exact_sample(4, 40, np.ones(6), other))
        cross = scipy.linalg.sqrtm(one @ other).real
        assert found == pytest.approx(6 + np.trace(one + other - 2 * cross))

    def test_frechet_with_fewer_images_than_features(self):
        a, b = np.random.default_rng(5).standard_normal((2, 10, 40))
        covariances = np.cov(a.T), np.cov(b.T)
        roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex)).real.sum()
        expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(sum(covariances)) - 2 * roots
        assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-5)
        assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)

    def test_kernel_is_the_unbiased_estimate(self):
        a, b = np.random.default_rng(6).standard_normal((7, 3)), np.random.default_rng(7).standard_normal((5, 3))

        def mean(x, y, skip):
            return np.mean([(x[i] @ y[j] / 3 + 1) ** 3 for i in range(len(x)) for j in range(len(y))
                            if not (skip and i == j)])

        expected = mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)
        assert kernel_distance(a, b) == pytest.approx(expected)
        assert kernel_distance(a, b, block=2) == pytest.approx(expected)

    def test_kernel_of_gaussians(self):
        """For one feature: (m3 - m3')^2 + 3 (m2 - m2')^2 + 3 (m1 - m1')^2 of the raw moments."""
        a = scipy.stats.norm.ppf((np.arange(4000) + 0.5) / 4000)[:, None]
        b = 0.5 + 1.2 * a
        moments = np.array([0.5, 0.25 + 1.44, 0.125 + 3 * 0.5 * 1.44])
        expected = moments[2] ** 2 + 3 * (moments[1] - 1) ** 2 + 3 * moments[0] ** 2
        assert kernel_distance(a, b) == pytest.approx(expected, rel=0.02)

    def test_kernel_is_centred_on_zero_for_one_distribution(self):
        rng = np.random.default_rng(9)
        found = [kernel_distance(*rng.standard_normal((2, 50, 8))) for _ in range(40)]
        assert min(found) < 0 < max(found)
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(40)

    def test_both_are_ordered_by_shift(self):
        a, b = np.random.default_rng(10).standard_normal((2, 200, 8))
        for distance in (frechet_distance, kernel_distance):
            found = [distance(a, b + shift) for shift in (0, 0.3, 0.6, 1.2)]
            assert found == sorted(found)

    def test_features_are_the_models_pooled_output(self):
        model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.AveragePooling2D(2)])
        images = textures(0, 5, 16, 1)
        found = features(model, images, batch=2)
        assert found.shape == (5, 3)
        np.testing.assert_allclose(found, np.repeat(images.mean((1, 2))[:, None] / 127.5 - 1, 3, 1), atol=1e-6)

    def test_features_at_the_models_own_size(self):
        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
        image = textures(0, 1, 16, 1)
        expected = cv2.resize(image[0], (8, 8), interpolation=cv2.INTER_AREA).ravel() / 127.5 - 1
        np.testing.assert_allclose(features(model, image)[0], expected, atol=1e-6)

    def test_refuses_a_model_of_another_kind(self):
        flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        with pytest.raises(ValueError, match="one input"):
            features(flat, textures(0, 2, 16, 1))
        source = keras.Input((16, 16, 1))
        with pytest.raises(ValueError, match="one output"):
            features(keras.Model(source, [source, source]), textures(0, 2, 16, 1))


def write_store(path, seed: int, count: int, blur: float, size: int = 32, names=BLOBS) -> PairStore:
    with PairWriter(path, Description(path.name, (size, size), names)) as writer:
        for index, image in enumerate(textures(seed, count, size, blur)):
            label = (image > 150).astype(np.uint8) + (image > 190)
            writer.add(Entry(f"{path.name}-{index:02d}", "train"), image, label)
    return PairStore(path)


class TestSets:
    def test_drawn_ids_keep_their_order(self):
        ids = [f"{place:02d}" for place in range(20)]
        drawn = draw_ids(ids, 8, 1)
        assert len(set(drawn)) == 8 and drawn == sorted(drawn) and drawn == draw_ids(ids, 8, 1)
        assert draw_ids(ids, 20, 1) == ids

    def test_load_set_reduces(self, tmp_path):
        store = write_store(tmp_path / "store", 0, 2, 2)
        whole, small = (ImageSet.load("x", store, store.ids(), (side, side)) for side in (32, 16))
        assert whole.films.shape == (2, 32, 32) and small.labels.shape == (2, 16, 16)
        np.testing.assert_array_equal(whole.labels[1], store.label(store.ids()[1]))
        np.testing.assert_allclose(small.films, whole.films.reshape(2, 16, 2, 16, 2).mean((2, 4)), atol=1)

    def test_other_classes_are_the_users_mistake(self, tmp_path):
        other = write_store(tmp_path / "b", 0, 2, 2, names=ClassTable(("background", "lung", "rim")))
        with pytest.raises(UserError, match="lung"):
            check_same_classes(write_store(tmp_path / "a", 0, 2, 2), other)


class TestBinary:
    @pytest.fixture
    def stores(self, tmp_path):
        write_store(tmp_path / "real", 0, 24, 2)
        write_store(tmp_path / "near", 1, 24, 2)
        journal = {"count": 24, "candidates": 30, "accepted": list(range(24)), "repeats": 6,
                   "unchecked": 3, "rejected": {"no blob": 6}}
        (tmp_path / "near" / "generation.json").write_text(json.dumps(journal))
        write_store(tmp_path / "far", 2, 24, 4)
        source = keras.Input((32, 32, 1))
        model = keras.Model(source, keras.layers.Conv2D(2, 3, activation="relu")(source), name="edges")
        kernel = np.zeros((3, 3, 1, 2))
        kernel[1, :, 0, 0] = kernel[:, 1, 0, 1] = (-1, 0, 1)
        model.layers[-1].set_weights([kernel, np.zeros(2)])
        model.save(tmp_path / "model.keras")
        return tmp_path

    def test_tables(self, stores):
        done = binaries.run("evaluation.evaluate_realism", f"--real={stores}/real",
                            f"--synthetic={stores}/near,{stores}/far", f"--out={stores}/out",
                            f"--feature_model={stores}/model.keras")
        assert done.code == 0, done.err
        found = json.loads((stores / "out" / "realism.json").read_text())
        near, far = (found["sets"][name] for name in ("near", "far"))
        assert found["feature_model"] == "edges" and near["images"] == 24
        for kind in ("films", "labels"):
            assert list(near[kind]["swd"]) == ["32", "16", "mean"]
            assert near[kind]["swd"]["mean"] < far[kind]["swd"]["mean"]
        assert near["films"]["frechet"] < far["films"]["frechet"]
        assert near["films"]["kernel"] < far["films"]["kernel"]
        assert "Frechet (edges)" in done.out and "real, half against half" in done.out
        rows = (stores / "out" / "methods.csv").read_text().splitlines()
        assert rows[2].startswith("near,24") and rows[2].endswith(",0.2,0.25,0.125") and rows[3].endswith(",")
        assert {path.name for path in (stores / "out").iterdir()} == {
            "realism.json", "realism.csv", "methods.csv", "plausibility_near.csv", "plausibility_far.csv"}

    def test_mistakes(self, stores):
        with pytest.raises(UserError, match=r"found 3 pairs for the set 'real'"):
            load_drawn("real", PairStore(stores / "real"), ["a", "b", "c"], 9, (32, 32), 0)
        with pytest.raises(UserError, match="no such file"):
            load_model(str(stores / "absent.keras"))
        (stores / "broken.keras").write_text("not a model")
        with pytest.raises(UserError, match="cannot load"):
            load_model(str(stores / "broken.keras"))
        source = keras.Input((32, 32, 1))
        for name, inputs, outputs in (("two", [source, source], source), ("many", source, [source, source]),
                                      ("cut", source, keras.layers.Reshape((32, 32))(source))):
            keras.Model(inputs, outputs).save(stores / f"{name}.keras")
            with pytest.raises(UserError, match="--feature_model"):
                load_model(str(stores / f"{name}.keras"))
        small = write_store(stores / "small", 1, 4, 2, size=12)
        with pytest.raises(UserError, match="--size=16"):
            report_realism(small, {}, stores / "none")
        assert not (stores / "none").exists()

    def test_stores_of_one_name_go_by_their_paths(self, stores):
        (stores / "x").mkdir()
        write_store(stores / "x" / "near", 1, 4, 2)
        names = name_stores([f"{stores}/near", f"{stores}/x/near", f"{stores}/far"])
        assert list(names) == [f"{stores}/near", f"{stores}/x/near", "far"]

    def test_a_store_called_real_stays_beside_the_real_one(self, stores):
        write_store(stores / "x" / "real", 2, 8, 4)
        named = name_stores([f"{stores}/x/real"])
        found = report_realism(PairStore(stores / "real"), named, stores / "out", model=load_model(
            str(stores / "model.keras")))
        (name,) = named
        assert list(found.methods.index) == ["real", name] and found.results[name]["films"]["frechet"] > 1e-3

    def test_older_journals_lack_counts(self, stores):
        journal = {"count": 24, "candidates": 30, "accepted": list(range(24)), "rejected": {"no blob": 6},
                   "shown": {"blob": 3}}
        (stores / "near" / "generation.json").write_text(json.dumps(journal))
        shares = generation_shares(PairStore(stores / "near"))
        assert shares["rejected"] == 0.2 and np.isnan([shares["unchecked"], shares["uneven"]]).all()
