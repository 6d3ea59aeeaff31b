"""NIfTI and NRRD volumes through the import: a pair for each slice, all slices of a patient on one side."""

import nibabel
import numpy as np
import pytest

from datasets.pair_store import PairStore
from datasets.verify import verify_store
from tests.helpers import binaries

RNG = np.random.default_rng(0)
SHAPE = (12, 16, 5)
FILMS = {name: RNG.integers(0, 256, SHAPE).astype(np.uint8) for name in ("p1", "p2", "p3")}
CODES = {name: np.where(np.arange(5) % 4, film > 128, 0).astype(np.uint8) for name, film in FILMS.items()}


@pytest.fixture
def volumes(tmp_path):
    """Three volumes of five slices, the first and the last of which have no label."""
    for kind, arrays, end in (("i", FILMS, "_0000"), ("l", CODES, "")):
        (tmp_path / kind).mkdir()
        for name, array in arrays.items():
            volume = nibabel.Nifti1Image(array, np.diag([1, 1, 3, 1.0]))
            nibabel.save(volume, tmp_path / kind / f"{name}{end}.nii.gz")
    return tmp_path


def _import(folder, *options):
    done = binaries.run("tools.import_dataset", f"--images={folder}/i", f"--labels={folder}/l", "--size=16",
                        f"--out={folder}/out", *options)
    assert done.code == 0, done.err
    assert not [finding for finding in verify_store(folder / "out") if not finding.warning]
    return PairStore(folder / "out"), done.out


def test_every_slice_is_a_pair_and_a_patient_on_one_side(volumes):
    store, said = _import(volumes, "--classes=none,bright", "--test_fraction=0.3")
    assert len(store.ids()) == 15 and "p1_z000" in store.ids() and "--image_suffix=_0000" in said
    assert len({id_[:2] for id_ in store.ids("test")}) == 1 and len(store.ids("test")) == 5
    for id_ in store.ids():
        film, label = store.image(id_), store.label(id_)  # of 16 x 12, padded to 16 x 16
        number = int(id_[-1])
        assert (label > 0).sum() == CODES[id_[:2]][..., number].sum()
        np.testing.assert_array_equal(film[label > 0] > 128, True)


@pytest.mark.parametrize("above", [0, 1000, 70000])
def test_labelled_slices_of_numbered_pieces(volumes, above):
    """Numbers of pieces are as high as they like."""
    for name, codes in CODES.items():
        numbers = np.where(codes, codes.astype(np.int32) + above, 0)
        nibabel.save(nibabel.Nifti1Image(numbers, np.diag([1, 1, 3, 1.0])), volumes / "l" / f"{name}.nii.gz")
    store, _ = _import(volumes, "--instances", "--classes=none,cell", "--slices=labelled", "--test_fraction=0")
    assert [id_[-1] for id_ in store.ids()] == ["1", "2", "3"] * 3
    for id_ in store.ids():
        np.testing.assert_array_equal((store.label(id_) > 0).sum(), CODES[id_[:2]][..., int(id_[-1])].sum())


def test_labelled_slices_of_an_image_and_a_label_map_that_lie_otherwise(volumes):
    """Slices are counted from the feet, whatever order a file stores them in."""
    codes = np.broadcast_to(np.arange(5) == 1, SHAPE).astype(np.uint8)
    for name in FILMS:
        turned = nibabel.Nifti1Image(codes[..., ::-1], np.diag([1, 1, -3, 1.0]))
        nibabel.save(turned, volumes / "l" / f"{name}.nii.gz")
    store, _ = _import(volumes, "--classes=none,bright", "--slices=labelled", "--test_fraction=0")
    assert store.ids() == [f"{name}_z001" for name in FILMS]


@pytest.mark.parametrize(("options", "count"), [
    (["--slices=labelled"], 9), (["--slices=middle"], 3), (["--axis=x", "--slices=middle"], 3),
    (["--axis=y"], 48)])
def test_slices_that_are_taken(volumes, options, count):
    store, _ = _import(volumes, "--classes=none,bright", "--test_fraction=0", *options)
    assert len(store.ids()) == count
    if "--slices=middle" in options:
        assert {id_[-3:] for id_ in store.ids()} == {"002" if len(options) == 1 else "006"}
    if "--slices=labelled" in options:
        assert all(store.label(id_).any() for id_ in store.ids())


def test_without_labelled_slices_nothing_is_written(volumes):
    for path in (volumes / "l").iterdir():
        nibabel.save(nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), np.diag([1, 1, 3, 1.0])), path)
    done = binaries.run("tools.import_dataset", f"--images={volumes}/i", f"--labels={volumes}/l", "--size=16",
                        f"--out={volumes}/out", "--classes=a,b", "--slices=labelled", "--test_fraction=0")
    binaries.told(done, "p1.nii.gz", "--slices=all")
    assert not (volumes / "out").exists()


def test_lists_name_whole_volumes_or_slices(volumes):
    (volumes / "test.txt").write_text("p2.nii.gz\np3_z001\n")
    store, said = _import(volumes, "--classes=none,bright", f"--test_ids={volumes}/test.txt")
    assert store.ids("test") == [*(f"p2_z{number:03d}" for number in range(5)), "p3_z001"]
    assert "warning: 1 of 3 groups train and test (p3)" in said


def test_mask_volumes(volumes):
    for name in ("p1", "p2"):
        (volumes / "l" / f"{name}.nii.gz").rename(volumes / "l" / f"{name}_bright.nii.gz")
    (volumes / "l" / "p3.nii.gz").unlink()
    store, said = _import(volumes, "--masks=bright", "--slices=labelled", "--train_count=1")
    assert len(store.ids()) == 6 and len(store.ids("test")) == 3
    assert store.masks("p1_z001").sum() == CODES["p1"][..., 1].sum() and "p3_0000.nii.gz has no partner" in said
