import json
import shutil

import numpy as np
import pandas as pd
import pytest

from datasets.burnt_in import find_text, paint_over
from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import PairStore, PairWriter
from datasets.sources.phantom import phantom, write_phantoms
from evaluation.privacy.copying import copying_rows
from evaluation.privacy.figures import add_figures, auc, share
from evaluation.privacy.membership import NEAREST, RATIO, TOGETHER, attack_table, distance_scores, segmenter_scores
from evaluation.privacy.membership_report import Films, headline
from evaluation.privacy.planted_copies import Pair, disguises
from evaluation.privacy.planted_marks import measure_marks
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.tables import scores
from evaluation.synthetic.copies import CopyCheck
from evaluation.synthetic.fit_to_share import THRESHOLDS, Figure, read_figures
from evaluation.synthetic.image_sets import ImageSet
from evaluation.synthetic.marked_copies import mark_copies
from tests.helpers import binaries
from tests.helpers.patients import with_patients
from tests.helpers.result_folders import write_experiment

SIZE = 96
WAYS = disguises(CHEST)


def chests(seed: int, count: int, first: int = 0) -> ImageSet:
    patients = [phantom(seed, first + index, SIZE) for index in range(count)]
    return ImageSet("films", [f"p{seed}-{first + index}" for index in range(count)],
                    np.stack([patient.image for patient in patients]),
                    np.stack([CHEST.paint(patient.masks) for patient in patients]))


def pair(images: ImageSet, place: int) -> Pair:
    return Pair(images.films[place], images.labels[place])


def as_set(*pairs: Pair) -> ImageSet:
    return ImageSet("made", [str(place) for place in range(len(pairs))],
                    *(np.stack(arrays) for arrays in zip(*pairs, strict=True)))


def hidden(way: str, strength: str, one: Pair, other: Pair) -> Pair:
    return WAYS[way].apply(one, other, WAYS[way].strengths[strength], np.random.default_rng(3))


class TestPlantedCopies:
    def test_the_check_finds_what_moved_far_and_a_pasted_organ(self):
        training, others = chests(1, 8), chests(2, 8)
        copies = [hidden(way, strength, pair(training, 2), pair(others, 5))
                  for way, strength in (("rotation", "10°"), ("scaling", "20 %"), ("crop", "to 85 %"),
                                        ("pasted organ", "left lung"), ("pasted organ", "heart"))]
        check = CopyCheck.calibrate(training, others, CHEST)
        found = check.judge(as_set(*copies, *(pair(others, place) for place in range(3))))
        assert found["film_copy"].tolist() == [True] * 5 + [False] * 3
        assert found["organ_nearest"][3:5].tolist() == [training.ids[2]] * 2
        assert found["copy_of"].tolist() == [training.ids[2]] * 5 + [""] * 3

    def test_a_copied_map_keeps_the_map_and_not_the_film(self):
        one, other = (pair(chests(seed, 1), 0) for seed in (1, 2))
        made = hidden("copied map", "as it is", one, other)
        np.testing.assert_array_equal(made.label, one.label)
        for code in range(1, 4):  # the organ looks as the other patient's does
            assert abs(made.film[made.label == code].mean() - other.film[other.label == code].mean()) < 20

    def test_a_pasted_organ_is_the_only_one_that_changes(self):
        one, other = (pair(chests(seed, 1), 0) for seed in (1, 2))
        made = hidden("pasted organ", "heart", one, other)
        assert (made.label == 3).sum() == pytest.approx((one.label == 3).sum(), rel=0.02)
        changed, place = made.film != other.film, np.argwhere(other.label == 3).mean(0)
        assert np.abs(np.argwhere(changed).mean(0) - place).max() < 4 and changed.mean() < 0.3

    def test_a_blend_lies_between_both_patients(self):
        one, other = (pair(chests(seed, 1), 0) for seed in (1, 2))
        made = hidden("blended patients", "70 %", one, other)
        np.testing.assert_allclose(made.film, 0.7 * one.film + 0.3 * other.film, atol=0.51)
        agree = one.label == other.label
        assert (made.label == one.label)[agree].mean() > 0.99
        nearer, farther = ((made.label == source.label)[~agree].mean() for source in (one, other))
        assert nearer > farther > 0.1

    def test_every_way_is_a_function_of_its_seed(self):
        one, other = (pair(chests(seed, 1), 0) for seed in (1, 2))
        for name, way in WAYS.items():
            for strength in way.strengths:
                first, again = hidden(name, strength, one, other), hidden(name, strength, one, other)
                np.testing.assert_array_equal(first.film, again.film)
                assert first.film.dtype == first.label.dtype == np.uint8 and first.label.max() <= 5


class TestMembership:
    @pytest.fixture(scope="class")
    def films(self):
        return chests(1, 16)  # the first 8 are the members

    def aucs(self, films: ImageSet, synthetic: ImageSet):
        made = distance_scores(
            films, lambda start, end: ImageSet("s", synthetic.ids[start:end], synthetic.films[start:end],
                                               synthetic.labels[start:end]),
            {"set": np.ones(len(synthetic), bool)}, CHEST, lambda *progress: None)
        table = attack_table(made, [True] * 8 + [False] * 8)
        return table.set_index(["attack", "kind"])

    def test_copies_of_the_members_tell_them_all(self, films):
        copies = as_set(*(hidden("all at once", "mild", pair(films, place), pair(films, 9)) for place in range(8)))
        found = self.aucs(films, copies)
        for attack in (NEAREST, RATIO):
            assert found.loc[[(attack, "film"), (attack, "label"), (attack, TOGETHER)], "auc"].min() == 1

    def test_a_set_of_other_patients_tells_nobody(self, films):
        row = self.aucs(films, chests(7, 16)).loc[(NEAREST, TOGETHER)]
        assert row["low"] < 0.5 < row["high"]

    def test_a_segmenter_that_knows_its_films_tells_them(self, films):
        sure = iter([0.99] * 8 + [0.9] * 8)

        def probabilities(film):
            label = films.labels[[np.array_equal(film, other) for other in films.films].index(True)]
            right = next(sure)
            return np.where(np.arange(6) == label[..., None], right, (1 - right) / 5)

        found = segmenter_scores(probabilities, films.films, films.labels)
        np.testing.assert_allclose(found["segmenter", "cross-entropy"], np.log([0.99] * 8 + [0.9] * 8), atol=1e-6)
        assert (found["segmenter", "mean J"] == 1).all()

    def test_known_areas_under_curves(self):
        assert auc([3, 4], [1, 2]) == (1, 1, 1)
        value, low, high = auc([1, 2, 3, 4], [1, 2, 3, 4])
        assert value == 0.5 and low < 0.2 and high > 0.8
        # by hand: 3 of 4 comparisons, placement variances 0.125 each over two films
        assert auc([2, 4], [1, 3]) == pytest.approx((0.75, 0.75 - 1.96 * 0.125**0.5, 1.0))

    def test_members_come_first_and_wrong_ones_are_told(self, tmp_path):
        store = write_phantoms(tmp_path / "real", 18, 2, 32, 0)
        ids = store.ids("train")
        films = Films.choose(store, ids[4:10])
        assert films.ids == [*ids[4:10], *ids[:4], *ids[10:]] and films.split == "train"
        with pytest.raises(UserError, match="found 6 members, 1 of which"):
            Films.choose(store, [*ids[:5], "nobody"])
        films = Films.choose(with_patients(store, {ids[4]: "a", ids[0]: "a", ids[1]: "b", ids[2]: "b"}), ids[4:10])
        assert films.others == [*ids[1:4], *ids[10:]] and "(1 more" in films.describe()

    def test_figures_reach_the_card(self, tmp_path):
        store = write_phantoms(tmp_path / "real", 18, 2, 64, 0)
        members = store.ids("train")[:8]
        with PairWriter(tmp_path / "gan", store.description) as writer:
            for id_ in [*members, *store.ids("test")]:
                writer.add(Entry(f"s-{id_}", "train"), store.image(id_), store.label(id_))
        (tmp_path / "ids.txt").write_text("\n".join(members))
        done = binaries.run(
            "evaluation.evaluate_membership", f"--synthetic={tmp_path}/gan", f"--data={store.path}",
            f"--training_ids={tmp_path}/ids.txt", f"--out={tmp_path}/out")
        assert done.code == 0, done.err
        found = json.loads((tmp_path / "out" / "membership.json").read_text())
        assert found["members"] == found["others"] == 8
        assert found["pairs"]["as made"] == 10 and found["pairs"]["without flagged pairs"] == 2
        figures = headline(pd.read_csv(tmp_path / "out" / "membership.csv"))
        add_figures(tmp_path / "privacy.json", figures, "8 members", "digest")
        add_figures(tmp_path / "privacy.json", {"check_recall": share(99, 100)}, "8 films")
        read = read_figures(tmp_path / "privacy.json", "digest")
        assert read["membership_auc_distance"].of == "8 members" and read["check_recall"].of == "8 films"
        assert read["membership_auc_distance"].value == figures["membership_auc_distance"][0] < 1
        assert read["check_recall"].value == 0.99
        with pytest.raises(UserError, match="digest"):
            add_figures(tmp_path / "privacy.json", figures, "8 members", "another")
        with pytest.raises(UserError, match="digest"):
            read_figures(tmp_path / "privacy.json", "another")
        old = {**json.loads((tmp_path / "privacy.json").read_text())}
        old["figures"]["check_recall"]["measure"] -= 1
        (tmp_path / "privacy.json").write_text(json.dumps(old))
        with pytest.raises(UserError, match="check_recall is of version"):
            read_figures(tmp_path / "privacy.json", "digest")


def test_wilson_interval():
    assert share(10, 10) == pytest.approx((1, 0.7225, 1), abs=1e-4)  # Agresti and Coull 1998, p. 120: z^2 = 3.84


class TestMarks:
    @pytest.mark.parametrize("tint", [(), (1.0, 1.0, 1.0), (1.0, 0.85, 0.75)])
    def test_planted_boxes_and_text_are_found_and_painted_over(self, tint):
        films = [phantom(1, index, 256).image for index in range(3)]
        films = [np.rint(film[..., None] * tint).astype(np.uint8) for film in films] if tint else films
        table = measure_marks(films).set_index("mark")["found"]
        for kind in ("black box", "white box"):
            assert table[kind].sum() == 9
        for kind in ("white text", "black text"):
            assert table[kind].sum() >= 6
        assert table[["box in painted films", "text in painted films"]].sum() == 0

    def test_a_clean_film_stays(self):
        film = np.clip(phantom(1, 0, 128).image, 40, 215)
        assert find_text(film) == []
        painted, places = paint_over(film)
        assert places == 0 and painted is film

    def test_a_store_without_marks(self, tmp_path):
        store = write_phantoms(tmp_path / "real", 5, 1, 96, 0)
        done = binaries.run("tools.paint_marks", f"--data={store.path}", f"--out={tmp_path}/painted")
        assert done.code == 0, done.err
        painted = PairStore(tmp_path / "painted")
        changed = [id_ for id_ in store.ids() if not np.array_equal(painted.image(id_), store.image(id_))]
        assert f"{len(changed)} of 5 films had marks" in done.out and painted.entries == store.entries
        for id_ in store.ids():
            np.testing.assert_array_equal(painted.masks(id_), store.masks(id_))
            assert paint_over(painted.image(id_))[1] == 0


def test_copying_beside_usefulness(tmp_path):
    """Eight samples are real films as they are, two of them training films; J of the columns is the tables'."""
    folder = write_experiment(tmp_path / "run")
    experiment = ExperimentFolder(folder)
    rows = mark_copies(PairStore(folder / "synthetic-3" / "gan"), experiment.films(), say=lambda line: None)
    assert rows["copy"][rows["id"].isin(experiment.subset()["train"])].all()
    add_figures(folder / "synthetic-3" / "privacy.json", {"membership_auc_distance": (0.5, 0.4, 0.6)}, "")
    done = binaries.run("evaluation.compare_copying", f"--results={folder}", f"--out={tmp_path}/out")
    assert done.code == 0, done.err
    row = pd.read_csv(tmp_path / "out" / "copying.csv").iloc[0]
    shutil.copytree(folder, tmp_path / "other" / "run")
    table = copying_rows([experiment, ExperimentFolder(tmp_path / "other" / "run")])
    assert table["run"].nunique() == 2  # folders of one name
    assert row["pairs"] == 8 and row["distinct"] == 2
    for name in ("copies", "film_copies", "label_copies"):
        column = rows["copy" if name == "copies" else name.replace("copies", "copy")]
        assert row[name] == pytest.approx(column.mean(), abs=1e-4)
    assert row["membership_auc_distance"] == 0.5 and np.isnan(row["mix"])
    for column, name in (("real", "real"), ("synth", "synth-3"), ("finetune", "finetune-3")):
        assert row[column] == pytest.approx(scores(experiment.pooled(name))["J", "Average"], abs=1e-3)


def test_an_attack_that_is_worse_than_guessing_is_one_turned_round():
    for name in ("membership_auc_distance", "membership_auc_segmenter"):
        threshold = THRESHOLDS[name]
        assert [threshold.met(value) for value in (0.2, 0.44, 0.46, 0.5, 0.54, 0.56)] == [False, False, True, True,
                                                                                         True, False]
        inside, below = (Figure(0.5, "privacy", "", low, 0.54) for low in (0.46, 0.4))
        assert threshold.borne_out(inside) and not threshold.borne_out(below)
