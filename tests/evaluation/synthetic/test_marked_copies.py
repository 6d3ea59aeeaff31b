"""Marks beside a synthetic set's manifest: planted copies, and the same bytes after any stop."""

import shutil

import numpy as np
import pytest

from datasets.augment import augment_store
from datasets.pair_store import Entry, PairStore, PairWriter
from datasets.sources.phantom import write_phantoms
from evaluation.synthetic import marked_copies
from evaluation.synthetic.copies import CopyCheck
from evaluation.synthetic.marked_copies import FACTS, MARKS, mark_copies, read_marks
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
    monkeypatch.setattr(marked_copies, "load_check", lambda store, ids: load_check(store, ids) if ids else check)
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
    monkeypatch.setattr(marked_copies, "load_check", lambda store, ids: check)
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


def test_too_few_films_are_said_and_nothing_is_written(tmp_path):
    few, said = write_phantoms(tmp_path / "few", 2, 1, 64, 1), []
    with PairWriter(tmp_path / "made", few.description) as writer:
        writer.add(Entry("a", "train"), few.image(few.ids()[0]), few.label(few.ids()[0]))
    assert mark_copies(PairStore(tmp_path / "made"), few, say=said.append) is None
    assert "1 training films" in said[0] and not (tmp_path / "made" / MARKS).exists()
