"""Whose films are whose: kept by whatever writes films again, and not written where nobody says."""

import numpy as np

from datasets.augmentation.augment import augment_store
from datasets.exports.joined import folds, join_stores
from datasets.patients import patients, same_patient, without_patients_of
from datasets.resize import resize_store
from datasets.sources.phantom import write_phantoms
from datasets.subsets import choose_subset, write_subset
from tests.helpers.patients import with_patients


def test_patients_go_with_the_films(tmp_path):
    store = write_phantoms(tmp_path / "films", 8, 2, 32, 0)
    plain, drawn, ids = store.fingerprint(), choose_subset(store, "tiny", 0, 3), store.ids("train")
    store = with_patients(store, {id_: f"p{place // 2}" for place, id_ in enumerate(ids)})
    assert patients(store, store.ids()) == ["p0", "p0", "p1", "p1", "p2", "p2", "", ""]
    assert (store.path / "manifest.csv").read_text().splitlines()[0] == "id,split,source,patient"
    assert choose_subset(store, "tiny", 0, 3) == drawn  # films are drawn
    augmented = augment_store(store, ids[1:3], tmp_path / "augmented", 0)
    assert (augmented.path / "manifest.csv").read_text().splitlines()[0] == "id,split,source,operation,patient"
    assert patients(augmented, augmented.ids()) == 6 * ["p0"] + 6 * ["p1"]
    for made in (resize_store(store, ids, tmp_path / "small", 16), write_subset(store, ids, tmp_path / "part")):
        assert patients(made, ids) == ["p0", "p0", "p1", "p1", "p2", "p2"]
    parts, _ = folds(join_stores([store], ()))
    validating = [set(patients(store, part["val"])) for part in parts]
    assert sorted(map(sorted, validating)) == [["p0"], ["p1"], ["p2"]]
    assert with_patients(store, {}).fingerprint() == plain


def test_films_of_patients_that_were_used(tmp_path):
    store = write_phantoms(tmp_path / "films", 8, 2, 32, 0)
    ids = store.ids("train")
    used = augment_store(store, ids[:2], tmp_path / "used", 0)
    assert without_patients_of(store, ids, used, used.ids()) == (ids[2:], 0)
    known = with_patients(store, {ids[0]: "a", ids[2]: "a", ids[3]: "b"})
    assert without_patients_of(known, ids, used, used.ids()) == (ids[3:], 1)  # `used` does not say whose it is
    np.testing.assert_array_equal(same_patient(["a", "", "a", ""]), [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0],
                                                                     [0, 0, 0, 1]])
