import dataclasses
import json

import cv2
import numpy as np
import pandas as pd
import pytest

from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.sources.phantom import phantom
from datasets.subsets import write_subset
from evaluation.synthetic.copies import KINDS, CopyCheck, compare
from evaluation.synthetic.copies_report import report_memorization, training_ids
from evaluation.synthetic.image_sets import ImageSet
from evaluation.synthetic.nearest_films import feature_distances, film_distances, label_distances
from tests.helpers import binaries
from tests.helpers.name_boxes import plain_film, with_box

SIZE = 96
SWAPPED = np.array([0, 2, 1, 3, 5, 4], np.uint8)  # codes after left and right change sides


def chest(seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Film and label map of a phantom, uint8 [96, 96]."""
    patient = phantom(seed, index, SIZE)
    return patient.image, CHEST.paint(patient.masks)


def chests(seed: int, count: int, name: str = "film") -> ImageSet:
    films, labels = zip(*(chest(seed, index) for index in range(count)), strict=True)
    return ImageSet(name, [f"{name}-{index:02d}" for index in range(count)], np.stack(films), np.stack(labels))


def warp(picture: np.ndarray, degrees: float = 0, right: float = 0, down: float = 0, labels: bool = False):
    """Rotated and shifted by shares of the side."""
    matrix = cv2.getRotationMatrix2D((SIZE / 2 - 0.5, SIZE / 2 - 0.5), degrees, 1)
    matrix[:, 2] += right * SIZE, down * SIZE
    return cv2.warpAffine(picture, matrix, (SIZE, SIZE), flags=cv2.INTER_NEAREST if labels else cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REPLICATE)


def noisy(film: np.ndarray, deviation: float = 7.65) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, film.shape)
    return np.clip(film + noise, 0, 255).round().astype(np.uint8)


COPIES = {
    "exact": lambda film, label: (film, label),
    "noisy": lambda film, label: (noisy(film), label),
    "dim": lambda film, label: (np.uint8(film * 0.6 + 70), label),
    "gamma": lambda film, label: (np.uint8(255 * (film / 255) ** 1.5), label),
    "shaded": lambda film, label: (np.uint8(film * np.linspace(0.6, 1, SIZE)), label),
    "mirrored": lambda film, label: (film[:, ::-1], SWAPPED[label[:, ::-1]]),
    "mirrored, sides kept": lambda film, label: (film[:, ::-1], label[:, ::-1]),
    "shifted": lambda film, label: (warp(film, 0, 0.03, -0.02), warp(label, 0, 0.03, -0.02, labels=True)),
    "rotated": lambda film, label: (warp(film, 2), warp(label, 2, labels=True)),
    "all at once": lambda film, label: (noisy(warp(np.uint8(film[:, ::-1] * 0.8), -1.5, -0.02, 0.025), 5),
                                        warp(SWAPPED[label[:, ::-1]], -1.5, -0.02, 0.025, labels=True)),
}


@pytest.fixture(scope="module")
def training() -> ImageSet:
    return chests(1, 12, "train")


@pytest.fixture(scope="module")
def held_out() -> ImageSet:
    return chests(4, 16, "held-out")


@pytest.fixture(scope="module")
def planted(training) -> tuple[ImageSet, np.ndarray]:
    """A copy of each kind among 20 independent pairs; and of which training film each is (-1: none)."""
    independent = chests(3, 20, "new")
    films, labels, source = list(independent.films), list(independent.labels), [-1] * 20
    ids = list(independent.ids)
    for origin, (kind, disguise) in enumerate(COPIES.items()):
        film, label = disguise(training.films[origin], training.labels[origin])
        films.append(film)
        labels.append(label)
        source.append(origin)
        ids.append(f"{kind}-{origin}")
    order = np.random.default_rng(0).permutation(len(films))
    return ImageSet("planted", [ids[i] for i in order], np.stack(films)[order],
                    np.stack(labels)[order]), np.array(source)[order]


@pytest.mark.parametrize("held_out_count", [6, 0])
def test_a_film_that_stands_twice_among_the_training_films_hides_no_copy(held_out_count):
    once = chests(1, 8, "train")
    twice = ImageSet("train", [*once.ids, "again"], np.concatenate([once.films, noisy(once.films[3], 1)[None]]),
                     np.concatenate([once.labels, once.labels[3:4]]))
    film, label = COPIES["all at once"](once.films[3], once.labels[3])
    new = chests(3, 2)
    made = ImageSet("made", ["copy", *new.ids], np.concatenate([film[None], new.films]),
                    np.concatenate([label[None], new.labels]))
    held_out = chests(4, held_out_count) if held_out_count else None
    found = compare(made, twice, held_out, CHEST).samples
    for kind in ("film", "label"):
        assert found[f"{kind}_copy"].tolist() == [True, False, False]


def test_another_film_of_the_same_patient_hides_no_copy_where_patients_are_known():
    """Each patient has two films: a copy of one is near to the other, and they to one another."""
    first = chests(1, 6, "train")
    films = [*first.films, *(noisy(warp(film, 1, 0.01), 4) for film in first.films)]
    labels = [*first.labels, *(warp(label, 1, 0.01, labels=True) for label in first.labels)]
    ids = [*first.ids, *(f"{id_}-b" for id_ in first.ids)]
    unknown = ImageSet("train", ids, np.stack(films), np.stack(labels))
    known = dataclasses.replace(unknown, patients=2 * first.ids)
    new = chests(3, 2)
    made = ImageSet("made", ["copy", *new.ids], np.concatenate([noisy(first.films[3])[None], new.films]),
                    np.concatenate([first.labels[3:4], new.labels]))
    for held_out in (None, chests(4, 6)):
        without, check = (CopyCheck.calibrate(images, held_out, CHEST) for images in (unknown, known))
        hidden, found = without.judge(made), check.judge(made)
        assert found["film_copy"].tolist() == [True, False, False]
        assert {hidden["film_nearest"][0], hidden["film_second"][0]} == {ids[3], ids[9]}
        assert found["film_second"][0] not in (ids[3], ids[9])
        assert hidden["film_ratio"][0] > 2 * found["film_ratio"][0]
        if held_out is None:
            assert all(check.threshold(kind) > without.threshold(kind) for kind in KINDS)
            assert "12 training films of 6 patients" in check.calibration


def test_what_is_near_to_two_patients_and_to_no_third_is_a_copy(monkeypatch):
    training = chests(1, 4, "train")
    check = CopyCheck(training, None, CHEST, 1.0, dict.fromkeys(KINDS, np.full(20, 0.3)), None, {}, np.eye(4) > 0)
    near, swapped, crowded, single = [.1, .12, .5, .6], [.12, .1, .5, .6], [.1, .12, .15, .6], [.25, .35, .9, .9]
    another, far = [.1, .5, .12, .6], [.9, .9, .9, .9]
    given = {"film": [near, crowded, near, single, far, far],
             "feature": [swapped, crowded, another, single, far, far],
             "keypoint": [far, far, far, far, near, far], "label": [far, far, far, far, far, near],
             "organ": [far, far, far, far, far, near]}
    measured = {kind: (np.array(rows), np.zeros((6, 4), bool)) for kind, rows in given.items()}
    monkeypatch.setattr(CopyCheck, "distances", lambda *_: measured)
    made = chests(2, 6)
    found = check.judge(made)
    assert found["film_copy"].tolist() == [True, False, False, False, True, False]
    assert not found["label_copy"].any() and found["copy_of"][0] == training.ids[0]
    assert found["film_second"][0] == training.ids[1] and found["film_blend_ratio"][0] == pytest.approx(0.24)
    two_patients = np.array([[1, 0, 0, 0], *[[0, 1, 1, 1]] * 3], bool)
    assert not dataclasses.replace(check, same=two_patients).judge(made)["film_copy"].any()  # no third


class TestCompare:
    @pytest.fixture(scope="class", params=["held-out films", "leave-one-out"])
    def found(self, request, planted, training, held_out):
        return compare(planted[0], training, held_out if request.param == "held-out films" else None, CHEST)

    def test_finds_every_planted_pair_and_no_other(self, found, planted):
        for kind in ("film", "label"):
            copies = found.samples[f"{kind}_copy"].to_numpy()
            assert list(found.samples["id"][copies & (planted[1] < 0)]) == []
            assert list(found.samples["id"][~copies & (planted[1] >= 0)]) == []
            assert found.summary[f"{kind}_copies"] == pytest.approx(10 / 30)

    def test_says_of_which_film_it_is_a_copy(self, found, planted, training):
        assert found.samples["copy_of"].tolist() == ["" if origin < 0 else training.ids[origin]
                                                     for origin in planted[1]]

    @pytest.mark.parametrize("kind", ["film", "feature", "label"])
    def test_names_the_film_that_was_copied(self, found, planted, training, kind):
        copied = planted[1] >= 0
        named = found.samples[f"{kind}_nearest"][copied].tolist()
        assert named == [training.ids[origin] for origin in planted[1][copied]]
        assert found.samples[f"{kind}_close"][copied].all()

    def test_tells_mirrored_copies(self, found):
        mirrored = found.samples["id"].str.contains("mirrored|all at once")
        copies = found.samples["film_copy"]
        np.testing.assert_array_equal(found.samples["film_mirrored"][copies], mirrored[copies])
        assert found.summary["film_copies_mirrored"] == pytest.approx(3 / 30)

    def test_says_what_it_was_calibrated_on(self, found):
        said = found.summary["calibration"]
        assert ("16 held-out films" in said) != ("12 training films, each against the others" in said)
        assert "few" in said and found.summary["calibrating"] == (16 if "16" in said else 12)
        json.dumps(found.summary, allow_nan=False)


def test_eleven_films_and_no_test_set(training, held_out):
    few = ImageSet("few", training.ids[:11], training.films[:11], training.labels[:11])
    mixed = ImageSet("mixed", [*held_out.ids, *few.ids], np.concatenate([held_out.films, few.films[:, :, ::-1]]),
                     np.concatenate([held_out.labels, few.labels]))
    found = compare(mixed, few, None, CHEST)
    assert found.samples["film_copy"].tolist() == [False] * 16 + [True] * 11


def test_independent_pairs_fall_below_a_percentile_as_often_as_real_ones(training, held_out):
    new = chests(5, 30)
    summary = compare(new, training, held_out, CHEST, percentile=30).summary
    assert summary["expected_share"] == pytest.approx((1 + 0.3 * 15) / 17)  # of 16 and one more, exchangeable
    shares = [summary[kind]["share_below"] for kind in ("film", "feature", "label")]
    assert abs(np.mean(shares) - summary["expected_share"]) < 0.15


def test_the_real_films_themselves_are_the_percentile(training, held_out):
    few = ImageSet("few", held_out.ids[:10], held_out.films[:10], held_out.labels[:10])
    summary = compare(few, training, few, CHEST, percentile=15).summary
    assert [summary[kind]["share_below"] for kind in ("film", "feature", "label")] == pytest.approx([0.2] * 3)


def test_too_few_films(training):
    with pytest.raises(ValueError, match="2 training pairs"):
        compare(training, chests(1, 1), None, CHEST)


class TestDistances:
    @pytest.mark.parametrize("distances", [film_distances, feature_distances])
    def test_zero_for_a_film_and_for_its_mirror_image(self, training, distances):
        for flipped in (False, True):
            films = training.films[:5, :, ::-1] if flipped else training.films[:5]
            found, mirrored = distances(films, training.films)
            np.testing.assert_allclose(np.diag(found), 0, atol=1e-5)
            assert (np.diag(mirrored) == flipped).all()
            assert found[~np.eye(*found.shape, dtype=bool)].min() > 0.05

    def test_films_do_not_depend_on_brightness_contrast_or_size(self, training):
        film = training.films[:1]
        other = np.uint8(cv2.resize(film[0], (192, 192), interpolation=cv2.INTER_NEAREST)[None] * 0.5 + 40)
        assert film_distances(other, film)[0].item() == pytest.approx(0, abs=2e-3)

    def test_label_distance_is_one_less_the_cosine_of_masks(self):
        one, other = np.zeros((2, 1, 64, 64), np.uint8)
        one[0, 20:40, 10:30] = other[0, 20:40, 10:30] = 3  # 400 pixels
        other[0, 20:40, 10:20] = 1  # half of them another organ's
        assert label_distances(one, other, CHEST)[0].item() == pytest.approx(1 - 200 / 20 / 20, abs=0.03)
        other[other == 3] = 1
        assert label_distances(one, other, CHEST)[0].item() == 1

    def test_label_distance_does_not_depend_on_place_and_size(self):
        maps = chest(1, 0)[1][None]
        smaller = warp(cv2.resize(maps[0], (72, 72), interpolation=cv2.INTER_NEAREST), 0, 0.15, 0.1, labels=True)
        smaller[:, :14] = smaller[:9] = 0  # what the edges repeat
        assert label_distances(smaller[None], maps, CHEST)[0].item() < 0.05

    def test_blank_films_are_far_from_everything(self, training):
        blank = np.zeros((1, SIZE, SIZE), np.uint8)
        assert film_distances(blank, training.films)[0].min() == 1
        assert feature_distances(blank, training.films)[0].min() == 1


def test_boxes_are_counted_and_traced_to_training_films():
    """Two of four samples bear a box, one of them where a training film has its own."""
    labels = chests(1, 4).labels
    training, samples = (ImageSet(name, [f"{name}-{index}" for index in range(4)],
                                  np.stack([plain_film()] * 4), labels) for name in ("real", "new"))
    training.films[3] = with_box(plain_film(), 255)
    samples.films[0] = with_box(plain_film(), 255, left=6)
    samples.films[1] = with_box(plain_film(), 255, top=80, left=60)
    found = compare(samples, training, training, CHEST)
    assert found.samples["boxes"].tolist() == [1, 1, 0, 0]
    assert found.samples["box_source"].tolist() == ["real-3", "", "", ""]
    assert found.summary["burnt_in"] == pytest.approx({
        "share_with_box": 0.5, "share_at_training_place": 0.25, "training_share_with_box": 0.25,
        "new_share_with_box": 0.25, "new_share_at_training_place": 0.25})


def write_store(path, images: ImageSet, splits: list[str]) -> PairStore:
    with PairWriter(path, Description(path.name, (SIZE, SIZE), CHEST)) as writer:
        for id_, split, film, label in zip(images.ids, splits, images.films, images.labels, strict=True):
            writer.add(Entry(id_, split), film, label)
    return PairStore(path)


class TestBinary:
    @pytest.fixture
    def stores(self, tmp_path, training):
        real = write_store(tmp_path / "real", chests(1, 12, "real"), ["train"] * 7 + ["test"] * 5)
        with PairWriter(real.path, real.description) as writer:  # an augmented copy must not be compared with
            writer.add(Entry("real-00-a", "train", "real-00"), *chest(1, 0))
        samples = chests(3, 6, "synthetic")
        samples.films[4], samples.labels[4] = noisy(training.films[2]), training.labels[2]
        write_store(tmp_path / "synthetic", samples, ["train"] * 6)
        return tmp_path

    def evaluate(self, folder, training=None):
        real = PairStore(folder / "real")
        ids = training_ids(real, training)
        return report_memorization(real, PairStore(folder / "synthetic"), folder, training=ids)

    def test_files(self, stores):
        done = binaries.run("evaluation.evaluate_memorization", f"--real={stores}/real",
                            f"--synthetic={stores}/synthetic", f"--out={stores}/out")
        assert done.code == 0, done.err
        assert "copied films 16.67%" in done.out
        summary = json.loads((stores / "out" / "memorization.json").read_text())
        assert summary["training"] == 7 and summary["calibrating"] == 7  # and no test film
        assert summary["film_copies"] == summary["label_copies"] == pytest.approx(1 / 6)
        samples = pd.read_csv(stores / "out" / "memorization.csv")
        assert samples["film_copy"].tolist() == [False] * 4 + [True, False]
        assert samples["film_nearest"][4] == samples["label_nearest"][4] == "real-02"
        for kind in ("film", "label"):
            sheet = cv2.imread(str(stores / "out" / f"closest_{kind}.png"))
            assert sheet.shape[1] > 1000 and sheet.std() > 20

    def test_a_set_without_copies(self, stores):
        command = ["evaluation.evaluate_memorization", f"--real={stores}/real",
                   f"--synthetic={stores}/synthetic", f"--out={stores}/out", f"--without_copies={stores}/kept"]
        done = binaries.run(*command)
        assert done.code == 0 and "5 of 6 samples, without copies" in done.out, done.err
        whole, kept = PairStore(stores / "synthetic"), PairStore(stores / "kept")
        assert kept.ids() == [id_ for id_ in whole.ids() if id_ != "synthetic-04"]
        assert kept.description == whole.description
        for id_ in kept.ids():
            np.testing.assert_array_equal(kept.image(id_), whole.image(id_))
            np.testing.assert_array_equal(kept.label(id_), whole.label(id_))
        binaries.told(binaries.run(*command), f"{stores}/kept")

    def test_a_set_without_copies_keeps_the_files_as_they_are(self, tmp_path):
        description = Description("deep", (8, 8), CHEST, max_value=65535)
        with PairWriter(tmp_path / "deep", description) as writer:
            for number in range(3):
                writer.add(Entry(f"s{number}", "train"), np.full((8, 8), 1000 * number, np.uint16),
                           np.full((8, 8), number, np.uint8))
        store = PairStore(tmp_path / "deep")
        kept = write_subset(store, ["s0", "s2"], tmp_path / "kept")
        assert kept.ids() == ["s0", "s2"] and kept.description == description
        for kind in ("images", "labels"):
            assert sorted(path.name for path in (kept.path / kind).iterdir()) == ["s0.png", "s2.png"]
            assert (kept.path / kind / "s2.png").read_bytes() == (store.path / kind / "s2.png").read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "kept"]
        with pytest.raises(UserError, match="is there already"):
            write_subset(store, ["s0"], tmp_path / "deep")

    def test_a_part_of_the_training_films(self, stores):
        (stores / "ids.txt").write_text("real-01\nreal-04\nreal-05\n")
        assert self.evaluate(stores, str(stores / "ids.txt")).summary["training"] == 3

    @pytest.mark.parametrize(("text", "said"), [
        ("real-01 real-09", "real-09 not among"), ("real-01", "expected at least 2"), (None, "no such file")])
    def test_mistakes(self, stores, text, said):
        if text is not None:
            (stores / "ids.txt").write_text(text)
        with pytest.raises(UserError, match=said):
            self.evaluate(stores, str(stores / "ids.txt"))
