"""Marks beside a synthetic set's manifest: planted copies, and the same bytes after any stop."""

import shutil

import numpy as np
import pytest

from datasets.augmentation.augment import augment_store
from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import PairStore, PairWriter
from datasets.sources.phantom import write_phantoms
from datasets.subsets import write_subset
from evaluation.synthetic import marked_copies
from evaluation.synthetic.copies import KINDS, CopyCheck
from evaluation.synthetic.image_sets import ImageSet
from evaluation.synthetic.marked_copies import FACTS, MARKS, mark_copies, read_marks
from evaluation.synthetic.nearest_films import label_distances
from tests.helpers.patients import with_patients
from tests.helpers.synthetic_sets import write_synthetic_set


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return write_phantoms(tmp_path_factory.mktemp("real") / "films", 12, 6, 64, 1)


def _write(path, real):
    return write_synthetic_set(path, real, {1: real.ids("train")[2], 3: real.ids("train")[4]}, 5)


def test_each_pair_has_its_distance_and_flag(real, tmp_path):
    made = _write(tmp_path / "made", real)
    rows = mark_copies(made, real)
    assert list(rows["id"]) == made.ids() and list(np.flatnonzero(rows["copy"])) == [1, 3]
    assert rows["film_nearest"][1] == real.ids("train")[2] and (rows["film_distance"] >= 0).all()
    known, facts = read_marks(PairStore(tmp_path / "made"))
    assert known.equals(rows) and (facts["copies"], facts["pairs"], facts["done"]) == (2, 5, True)


def test_augmented_films_hide_no_copy(real, tmp_path):
    augmented = augment_store(real, real.ids("train"), tmp_path / "augmented", 0)  # what tools.generate is given
    rows = mark_copies(_write(tmp_path / "made", real), augmented)
    assert list(np.flatnonzero(rows["copy"])) == [1, 3]
    assert rows["film_nearest"][1] == f"{real.ids('train')[2]}-original"


def test_marks_are_the_same_after_a_stop_and_made_anew_for_other_films(real, tmp_path, monkeypatch):
    monkeypatch.setattr(marked_copies, "_CHUNK", 2)
    check, load_check = marked_copies.load_check(real), marked_copies.load_check
    monkeypatch.setattr(marked_copies, "load_check",
                        lambda store, ids, **_: load_check(store, ids) if ids else check)
    whole, stopped = _write(tmp_path / "whole", real), _write(tmp_path / "stopped", real)
    mark_copies(whole, real)
    judged, judge = [], CopyCheck.judge

    def stop(self, images):
        if judged:
            raise KeyboardInterrupt
        judged.extend(images.ids)
        return judge(self, images)

    monkeypatch.setattr(CopyCheck, "judge", stop)
    with pytest.raises(KeyboardInterrupt):
        mark_copies(stopped, real)
    assert read_marks(stopped) is None and len(judged) == 2
    monkeypatch.setattr(CopyCheck, "judge", lambda self, images: judged.extend(images.ids) or judge(self, images))
    mark_copies(stopped, real)
    assert judged == stopped.ids()  # none twice
    assert all((whole.path / name).read_bytes() == (stopped.path / name).read_bytes() for name in (MARKS, FACTS))
    mark_copies(stopped, real)
    assert judged == stopped.ids()
    mark_copies(stopped, real, real.ids("train")[:4])  # without the film that pair 3 copies
    assert len(judged) == 10 and list(np.flatnonzero(read_marks(stopped)[0]["copy"])) == [1]


def test_marks_of_other_pictures_or_of_an_earlier_measure_are_made_anew(real, tmp_path, monkeypatch):
    made, check, measure = _write(tmp_path / "made", real), marked_copies.load_check(real), marked_copies.MEASURE
    monkeypatch.setattr(marked_copies, "load_check", lambda *_, **__: check)
    mark_copies(made, real, version={"commit": "first"})
    id_, copied = made.ids()[0], real.ids("train")[1]
    for kind in ("images", "labels"):  # another picture by the same name
        shutil.copyfile(real.path / kind / f"{copied}.png", made.path / kind / f"{id_}.png")
    assert mark_copies(made, real)["copy"][0]
    (made.path / MARKS).write_text((made.path / MARKS).read_text().replace(f"{id_},1", f"{id_},0"))
    assert not mark_copies(made, real)["copy"][0]  # what is done is left
    monkeypatch.setattr(marked_copies, "MEASURE", measure + 1)
    assert read_marks(made) is None
    assert mark_copies(made, real, version={"commit": "second"})["copy"][0]
    monkeypatch.setattr(marked_copies, "MEASURE", measure)
    mark_copies(made, real, version={"commit": "third"})
    assert read_marks(made)[1]["version"] == {"commit": "second"}  # that made the pictures as they are


def _least(films, training, itself=False):
    found = label_distances(films.labels, training.labels, CHEST)[0]
    return found[~np.eye(len(found), dtype=bool)].reshape(len(found), -1).min(1) if itself else found.min(1)


@pytest.mark.parametrize("seen", [3, 10])
def test_held_out_films_calibrate_or_the_training_films_and_no_test_film(tmp_path, seen):
    real = write_phantoms(tmp_path / "real", 25, 2, 32, 1)
    ids, test = real.ids("train"), real.ids("test")
    training, others = (ImageSet.load("", real, part, (32, 32)) for part in (ids[:seen], ids[seen:]))
    check = marked_copies.load_check(real, ids[:seen])
    expected = _least(others, training) if seen == 3 else _least(training, training, itself=True)
    np.testing.assert_allclose(check.reference["label"], expected, rtol=1e-5)
    assert check.threshold("label") == pytest.approx(np.percentile(expected, 1), rel=1e-5)
    assert ("held-out" in check.calibration) == (seen == 3) and ("few" in check.calibration) == (seen == 10)
    for kind in ("images", "labels"):  # test films as near as can be
        for id_ in test:
            shutil.copyfile(real.path / kind / f"{ids[0]}.png", real.path / kind / f"{id_}.png")
    moved = marked_copies.load_check(PairStore(real.path), ids[:seen])
    assert [moved.threshold(kind) for kind in KINDS] == [check.threshold(kind) for kind in KINDS]


def test_held_out_films_come_from_another_folder_without_those_that_were_seen(tmp_path):
    whole = write_phantoms(tmp_path / "whole", 26, 2, 32, 1)
    ids = whole.ids("train")
    run = write_subset(whole, [*ids[:4], *whole.ids("test")], tmp_path / "run")
    for films in (run, augment_store(run, ids[:4], tmp_path / "augmented", 0)):
        check = marked_copies.load_check(films, held_out=whole)
        assert check.held_out.ids == ids[4:] and check.calibration == (
            "20 held-out training films against 4 training films")


def test_held_out_films_are_of_other_patients_than_the_training_films(tmp_path):
    whole = write_phantoms(tmp_path / "whole", 27, 2, 32, 1)
    ids = whole.ids("train")
    run = write_subset(whole, ids[:3], tmp_path / "run")
    whole = with_patients(whole, {ids[0]: "a", ids[1]: "b", ids[3]: "a", ids[4]: "b", ids[5]: "c", ids[6]: "c"})
    for films, seen in ((whole, ids[:3]), (run, None)):  # the run's films may be of an import without patients
        check = marked_copies.load_check(films, seen, held_out=whole)
        assert check.held_out.ids == ids[5:] and "; 2 more train films" in check.calibration
    run = with_patients(run, dict.fromkeys(ids[:3], "a"))
    with pytest.raises(UserError, match="3 training films of 1 patient,"):
        marked_copies.load_check(run)


def test_too_few_films_are_said_and_nothing_is_written(tmp_path):
    few, said = write_phantoms(tmp_path / "few", 2, 1, 64, 1), []
    with PairWriter(tmp_path / "made", few.description) as writer:
        writer.add(Entry("a", "train"), few.image(few.ids()[0]), few.label(few.ids()[0]))
    assert mark_copies(PairStore(tmp_path / "made"), few, say=said.append) is None
    assert "1 training films" in said[0] and not (tmp_path / "made" / MARKS).exists()


def test_a_damaged_training_film_is_no_want_of_films(real, tmp_path):
    shutil.copytree(real.path, tmp_path / "real")
    name = f"{real.ids('train')[0]}.png"
    (tmp_path / "real" / "images" / name).write_bytes(b"no picture")
    with pytest.raises(UserError, match=name):
        mark_copies(_write(tmp_path / "made", real), PairStore(tmp_path / "real"))
