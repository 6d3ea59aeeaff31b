import numpy as np
import pandas as pd
import pytest

from datasets.class_table import CHEST, ClassTable
from evaluation.metrics.anatomy import RATIO, cardiothoracic_ratio, measure_maps, method_table, plausibility

PAIR = ClassTable(("background", "disc", "bar"))


def rectangles(*boxes: tuple[int, int, int, int], size: int = 20) -> np.ndarray:
    """Codes [size, size]: box i (top, left, bottom, right) holds code i + 1."""
    label = np.zeros((size, size), np.uint8)
    for code, (top, left, bottom, right) in enumerate(boxes, 1):
        label[top:bottom, left:right] = code
    return label


def test_areas_and_centroids():
    row = measure_maps(rectangles((0, 0, 10, 4), (5, 10, 10, 20))[None], PAIR).iloc[0]
    assert row.to_dict() == pytest.approx({"disc area": 0.1, "disc x": 0.1, "disc y": 0.25, "bar area": 0.125,
                                           "bar x": 0.75, "bar y": 0.375})


def test_measures_do_not_depend_on_size():
    label = rectangles((0, 0, 10, 4), (5, 10, 10, 20))
    one, other = (measure_maps(label.repeat(times, 0).repeat(times, 1)[None], PAIR) for times in (1, 3))
    np.testing.assert_allclose(one, other)


def test_cardiothoracic_ratio():
    chest = rectangles((2, 12, 16, 18), (2, 2, 16, 8), (10, 7, 15, 14))  # left lung, right lung, heart over both
    assert measure_maps(chest[None], CHEST)[RATIO].item() == pytest.approx(7 / 16)
    assert RATIO not in measure_maps(rectangles((0, 0, 4, 4))[None], PAIR)


def test_stray_pixels_do_not_widen_heart_or_thorax():
    chest = rectangles((2, 12, 16, 18), (2, 2, 16, 8), (10, 7, 15, 14))
    chest[0, 0], chest[19, 19], chest[0, 19] = 3, 3, 1
    assert measure_maps(chest[None], CHEST)[RATIO].item() == pytest.approx(7 / 16)
    assert cardiothoracic_ratio(chest, CHEST) == pytest.approx(7 / 16)


def test_a_clavicle_does_not_cut_its_lung_in_two():
    """The upper half of the left lung is the wider one; painted over, the clavicle leaves the lower larger."""
    chest = rectangles((2, 12, 19, 16), (2, 2, 16, 8), (10, 7, 15, 14))
    chest[2:5, 12:19], chest[5:7, 10:20] = 1, 4
    assert measure_maps(chest[None], CHEST)[RATIO].item() == pytest.approx(7 / 17)


def test_no_ratio_without_a_heart_and_two_lungs():
    chest = rectangles((2, 12, 16, 18), (2, 2, 16, 8), (10, 7, 15, 14))
    assert np.isnan(measure_maps((chest * (chest != 2))[None], CHEST)[RATIO].item())
    assert cardiothoracic_ratio(chest * (chest != 3), CHEST) is None
    assert cardiothoracic_ratio(chest, ClassTable(("background", "lungs", "spine", "heart"))) is None


def test_absent_organs_have_no_place():
    table = measure_maps(rectangles((0, 0, 4, 4))[None], CHEST)
    assert table["heart area"].item() == 0
    assert np.isnan(table["heart x"].item()) and np.isnan(table[RATIO].item())


def test_plausibility_against_known_distributions():
    real = pd.DataFrame({"disc area": np.repeat([1.0, 3.0], 50)})  # mean 2, deviation 1
    found = plausibility(real, pd.DataFrame({"disc area": [4.0, 4.0, 3.0, 3.0]})).loc["disc area"]
    assert (found["z"], found["abs_z"], found["outside"], found["missing"]) == (1.5, 1.5, 0.5, 0)
    assert (found["synthetic_mean"], found["synthetic_std"]) == (3.5, 0.5)
    assert found["ks"] == pytest.approx(0.5)


def test_kolmogorov_smirnov_tells_sets_apart():
    rng = np.random.default_rng(0)
    real, same, other = (pd.DataFrame({"a": rng.normal(mean, 1, 200)}) for mean in (0, 0, 1))
    assert plausibility(real, same).loc["a", "ks_p"] > 0.05
    assert plausibility(real, other).loc["a", "ks_p"] < 1e-6


def test_a_measure_no_map_has():
    row = plausibility(pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [np.nan, np.nan]})).loc["a"]
    assert row["missing"] == 1 and np.isnan(row["z"])


def test_method_table():
    rng = np.random.default_rng(1)

    def maps(count, spread, drop=0):
        boxes = [(2 + rng.integers(-spread, spread + 1), 2, 10, 8) for _ in range(count)]
        labels = np.stack([rectangles(box, (12, 4, 14, 15)) for box in boxes])
        labels[:drop][labels[:drop] == 2] = 0
        return measure_maps(labels, PAIR)

    table = method_table(maps(60, 2), {"same": maps(60, 2), "narrow": maps(60, 0), "lossy": maps(60, 2, drop=15)},
                         {"lossy": {"rejected": 0.25, "unchecked": 0.5}})
    assert table.loc["real", "outside"] == 0 and table.loc["real", "spread"] == 1
    assert table.loc["narrow", "spread"] < 0.2 < 0.8 < table.loc["same", "spread"] < 1.2
    assert table.loc["lossy", "complete"] == 0.75 and table.loc["lossy", "outside"] == 0.25
    assert table.loc["lossy", ["rejected", "unchecked"]].tolist() == [0.25, 0.5]
    assert np.isnan(table.loc["same", "rejected"])


def test_a_class_that_real_maps_may_lack_may_be_lacking():
    maps = np.stack([rectangles((2, 2, 10, 8), (12, 4, 14, 15))] * 4)
    maps[1][maps[1] == 2] = 0
    real = measure_maps(maps, PAIR)
    table = method_table(real, {"one": measure_maps(maps[1:2], PAIR),
                                "none": measure_maps(np.zeros_like(maps[:1]), PAIR)})
    assert table.loc["one", ["complete", "outside"]].tolist() == [1, 0]
    assert table.loc["none", ["complete", "outside"]].tolist() == [0, 1]


def test_refuses_films():
    with pytest.raises(ValueError, match="uint8"):
        measure_maps(np.zeros((1, 8, 8)), PAIR)
