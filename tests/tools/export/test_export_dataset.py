"""Pair folders in the formats of other tools, read back by these formats' rules, not by the code that wrote."""

import csv
import itertools
import json

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from datasets.class_table import IGNORED, ClassTable
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.patients import patients
from datasets.sources.phantom import write_phantoms
from tests.helpers import pictures
from tests.helpers.binaries import run, told
from tests.helpers.patients import with_patients

TABLE = ClassTable(("background", "a", "b"))
SIZE = (20, 28)


def _store(path, entries, classes=TABLE, dtype=np.uint8, seed=0, white=None, **about):
    """A folder of noise under the given (id, split, source)."""
    rng = np.random.default_rng(seed)
    description = Description("Some films", SIZE, classes, white or int(np.iinfo(dtype).max), **about)
    with PairWriter(path, description) as writer:
        for entry in entries:
            image = rng.integers(0, description.max_value + 1, description.image_shape).astype(dtype)
            label = np.kron(rng.integers(0, classes.num_classes, (5, 7)), np.ones((4, 4))).astype(np.uint8)
            writer.add(Entry(*entry), image, label)
    return PairStore(path)


def _export(kind, out, *stores):
    data = ",".join(str(store.path) for store in stores)
    done = run("tools.export_dataset", f"--format={kind}", f"--data={data}", f"--out={out}")
    assert done.code == 0, done.err
    return done.out


@pytest.fixture
def real(tmp_path):
    entries = [(f"r{number}", "train" if number < 7 else "test", "here") for number in range(9)]
    copies = [(f"r{number}-noise", "train", f"r{number}") for number in range(7)]
    return _store(tmp_path / "real", [*entries, *copies], spacing_mm=0.5)


@pytest.fixture
def made(tmp_path):
    return _store(tmp_path / "made", [(f"{number:06d}", "train" if number < 8 else "validation", "three-stage")
                                      for number in range(10)], seed=1)


def test_nnunet_has_its_files(real, made, tmp_path):
    said = _export("nnunet", tmp_path / "raw", real, made)
    folder = tmp_path / "raw" / "Dataset501_SomeFilms"
    for text in ("14 real train", "2 real test", "8 synthetic train", str(folder)):
        assert text in said
    about = json.loads((folder / "dataset.json").read_text())
    assert about["labels"] == {"background": 0, "a": 1, "b": 2} and about["channel_names"] == {"0": "grey"}
    assert about["numTraining"] == 24 and about["file_ending"] == ".png"
    for part, pairs in (("Tr", 24), ("Ts", 2)):
        images = sorted(path.name for path in (folder / f"images{part}").iterdir())
        labels = sorted(path.name for path in (folder / f"labels{part}").iterdir())
        assert images == [name.replace(".png", "_0000.png") for name in labels] and len(labels) == pairs
    copied = folder / "imagesTs" / "r8_0000.png"
    assert copied.read_bytes() == (real.path / "images" / "r8.png").read_bytes()
    assert (folder / "labelsTr" / "000003.png").read_bytes() == (made.path / "labels" / "000003.png").read_bytes()


def test_synthetic_pairs_never_validate_and_copies_stay_with_their_film(real, made, tmp_path):
    _export("nnunet", tmp_path / "Dataset007_Films", real, made)
    splits = json.loads((tmp_path / "Dataset007_Films" / "splits_final.json").read_text())
    assert len(splits) == 5
    synthetic = set(made.ids())
    for fold in splits:
        train, val = set(fold["train"]), set(fold["val"])
        assert synthetic <= train and val and not val & train
        assert train | val == synthetic | set(real.ids("train"))
        assert {name.split("-")[0] for name in val} <= {name for name in val if "-" not in name}
    assert sorted(itertools.chain(*(fold["val"] for fold in splits))) == sorted(real.ids("train"))


def test_real_validation_pairs_make_the_fold(made, tmp_path):
    real = _store(tmp_path / "real", [("a", "train", ""), ("b", "validation", ""), ("c", "train", "")])
    _export("nnunet", tmp_path / "Dataset001_X", real, made)
    fold, = json.loads((tmp_path / "Dataset001_X" / "splits_final.json").read_text())
    assert fold["val"] == ["b"] and {"a", "c", *made.ids()} == set(fold["train"])


def test_synthetic_pairs_alone_validate_themselves_and_it_is_said(made, tmp_path):
    said = _export("nnunet", tmp_path / "Dataset001_X", made)
    fold, = json.loads((tmp_path / "Dataset001_X" / "splits_final.json").read_text())
    assert fold["val"] == made.ids("validation") and "synthetic validation" in said


def test_nnunets_ignore_label_and_colour(tmp_path):
    table = ClassTable(("ground", "a", "b"), ignored=True)
    store = _store(tmp_path / "films", [("x", "train", ""), ("y", "train", "")], table, channel="colour")
    codes = store.label("x")
    codes[:3] = IGNORED
    with PairWriter(store.path, store.description) as writer:
        writer.add(store.entries[0], store.image("x"), codes)
    _export("nnunet", tmp_path / "Dataset002_C", store)
    folder = tmp_path / "Dataset002_C"
    about = json.loads((folder / "dataset.json").read_text())
    assert about["labels"] == {"background": 0, "a": 1, "b": 2, "ignore": 3}
    assert about["channel_names"] == {"0": "R", "1": "G", "2": "B"}
    written = pictures.read(folder / "labelsTr" / "x.png")
    np.testing.assert_array_equal(written, np.where(codes == IGNORED, 3, codes))
    np.testing.assert_array_equal(pictures.read(folder / "imagesTr" / "x_0000.png"), store.image("x"))


def test_colour_of_16_bits_is_a_file_for_each_channel(tmp_path):
    store = _store(tmp_path / "films", [("x", "train", "")], dtype=np.uint16, channel="colour")
    _export("nnunet", tmp_path / "Dataset002_C", store)
    files = sorted((tmp_path / "Dataset002_C" / "imagesTr").iterdir())
    assert [path.name for path in files] == [f"x_000{channel}.png" for channel in range(3)]
    whole = pictures.read(store.path / "images" / "x.png")
    np.testing.assert_array_equal(np.stack([pictures.read(path) for path in files], -1), whole)


def _decoded(segmentation):
    """Uncompressed run lengths as COCO's own tools read them: down the columns, of 0 first."""
    height, width = segmentation["size"]
    values = np.concatenate([np.full(length, place % 2) for place, length in enumerate(segmentation["counts"])])
    return values.reshape(width, height).T.astype(bool)


def test_coco_gives_every_piece_and_every_pixel(real, tmp_path):
    _export("coco", tmp_path / "coco", real)
    value = json.loads((tmp_path / "coco" / "annotations" / "instances_train.json").read_text())
    assert [(one["id"], one["name"]) for one in value["categories"]] == [(1, "a"), (2, "b")]
    assert len({one["id"] for one in value["annotations"]}) == len(value["annotations"])
    assert len(value["images"]) == 14 and not any(image["synthetic"] for image in value["images"])
    for image in value["images"]:
        id_ = image["file_name"].removesuffix(".png")
        label = real.label(id_)
        assert (tmp_path / "coco" / "train" / image["file_name"]).is_file()
        assert (image["height"], image["width"]) == label.shape
        mine = [one for one in value["annotations"] if one["image_id"] == image["id"]]
        for code in (1, 2):
            masks = [_decoded(one["segmentation"]) for one in mine if one["category_id"] == code]
            assert len(masks) == ndimage.label(label == code, np.ones((3, 3)))[1]
            np.testing.assert_array_equal(sum(masks, np.zeros(SIZE, int)), label == code)
        for one in mine:
            rows, columns = np.nonzero(_decoded(one["segmentation"]))
            assert one["area"] == len(rows) and one["iscrowd"] == 0
            assert one["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


def test_coco_and_nifti_say_whose_the_films_are(real, tmp_path):
    _export("coco", tmp_path / "unsaid", real)
    whose = {id_: f"patient-000{int(id_[1]) // 2}" for id_ in real.ids() if not id_.startswith("r8")}
    with_patients(real, whose)
    _export("coco", tmp_path / "coco", real)
    for folder, expected in (("unsaid", {}), ("coco", whose)):
        found = {image["file_name"].removesuffix(".png"): image["patient"] for split in ("train", "test")
                 for image in json.loads((tmp_path / folder / f"annotations/instances_{split}.json").read_text())[
                     "images"] if "patient" in image}
        assert found == expected
    _export("nifti", tmp_path / "nifti", real)
    with open(tmp_path / "nifti" / "pairs.csv") as rows:
        assert {row["id"]: row["patient"] for row in csv.DictReader(rows)} == whose | {"r8": ""}


def test_nifti_slices_come_back_with_their_patients(tmp_path):
    store = _store(tmp_path / "films", [(f"r{number}", "train", "here") for number in range(6)], spacing_mm=0.25)
    with_patients(store, {id_: f"patient-{5 - int(id_[1]) // 2:04d}" for id_ in store.ids()})
    _export("nifti", tmp_path / "nifti", store)
    done = run("tools.import_dataset", f"--images={tmp_path}/nifti/images", f"--labels={tmp_path}/nifti/labels",
               "--classes=background,a,b", "--size=28", "--test_fraction=0.3", f"--out={tmp_path}/back",
               f"--group_by={tmp_path}/nifti/pairs.csv:patient")
    assert done.code == 0, done.err
    back = PairStore(tmp_path / "back")
    assert patients(back, store.ids()) == [f"patient-000{number}" for number in (3, 3, 2, 2, 1, 1)]
    assert len(back.ids("test")) == 2 and len(set(patients(back, back.ids("test")))) == 1


def test_coco_annotates_whole_organs_where_they_overlap(tmp_path):
    store = write_phantoms(tmp_path / "films", 2, 0, 64, 0)
    _export("coco", tmp_path / "coco", store)
    value = json.loads((tmp_path / "coco" / "annotations" / "instances_train.json").read_text())
    left = sum(one["area"] for one in value["annotations"] if one["category_id"] == 1)
    assert left == sum(store.masks(id_)[..., 0].sum() for id_ in store.ids())
    assert left > sum((store.label(id_) == 1).sum() for id_ in store.ids())


@pytest.mark.parametrize(("dtype", "channel"), [(np.uint8, "grey"), (np.uint16, "grey"), (np.uint8, "colour")])
def test_nifti_slices_have_the_films_pixels_and_spacing(dtype, channel, tmp_path):
    entries = [("x", "train", "here"), ("y", "test", "here")]
    store = _store(tmp_path / "films", entries, dtype=dtype, channel=channel, spacing_mm=0.25)
    _export("nifti", tmp_path / "nifti", store)
    for id_ in store.ids():
        image = nibabel.load(tmp_path / "nifti" / "images" / f"{id_}.nii.gz")
        label = nibabel.load(tmp_path / "nifti" / "labels" / f"{id_}.nii.gz")
        assert image.shape == label.shape == (28, 20, 1)
        np.testing.assert_allclose(image.header.get_zooms()[:2], 0.25)
        assert image.header.get_xyzt_units()[0] == "mm"
        np.testing.assert_array_equal(np.asarray(label.dataobj)[..., 0].T, store.label(id_))
        values = np.asarray(image.dataobj)[..., 0].T
        whole = pictures.read(store.path / "images" / f"{id_}.png")
        if channel == "colour":
            values = np.stack([values[name] for name in "RGB"], -1)
        np.testing.assert_array_equal(values, whole)
    rows = [list(row.values()) for row in csv.DictReader((tmp_path / "nifti" / "pairs.csv").open())]
    assert rows == [["x", "train", "here", "0"], ["y", "test", "here", "0"]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_nifti_slices_come_back_by_import(dtype, tmp_path):
    store = write_phantoms(tmp_path / "films", 3, 1, 32, 0, "abdomen") if dtype is np.uint8 else _store(
        tmp_path / "films", [("x", "train", "")], dtype=dtype, spacing_mm=2.0)
    _export("nifti", tmp_path / "nifti", store)
    done = run("tools.import_dataset", f"--images={tmp_path}/nifti/images", f"--labels={tmp_path}/nifti/labels",
               f"--classes={','.join(store.classes.names)}", f"--size={max(store.description.size)}",
               "--test_fraction=0", f"--out={tmp_path}/back")
    assert done.code == 0, done.err
    back = PairStore(tmp_path / "back")
    assert back.description.spacing_mm == pytest.approx(store.description.spacing_mm)
    for id_ in store.ids():
        top = (back.description.size[0] - store.description.size[0]) // 2  # ground above and below
        rows = slice(top, top + store.description.size[0])
        np.testing.assert_array_equal(back.label(id_)[rows], store.label(id_))
        np.testing.assert_array_equal(back.image(id_)[rows], store.image(id_))


def test_two_synthetic_sets_of_the_same_ids(real, made, tmp_path):
    other = _store(tmp_path / "other", [(entry.id, entry.split, "two-stage") for entry in made.entries], seed=2)
    _export("coco", tmp_path / "coco", real, made, other)
    files = {path.name for path in (tmp_path / "coco" / "train").iterdir()}
    assert {"r0.png", "three-stage-000000.png", "two-stage-000000.png"} <= files and len(files) == 14 + 16


def test_mistakes_are_told_before_anything_is_written(real, made, tmp_path):
    def fails(*options):
        return run("tools.export_dataset", *options)

    other = _store(tmp_path / "other", [("x", "train", "")], ClassTable(("background", "c")))
    told(fails("--format=coco", f"--data={real.path},{other.path}", f"--out={tmp_path}/o"), other.path, "classes")
    told(fails("--format=coco", f"--data={real.path},{real.path}", f"--out={tmp_path}/o"), real.path, "r0")
    told(fails("--format=coco", f"--data={tmp_path}/none", f"--out={tmp_path}/o"), f"{tmp_path}/none")
    told(fails("--format=nifti", f"--data={real.path}", f"--out={made.path}"), made.path, "description.json")
    odd = _store(tmp_path / "odd", [("x", "train", "")], ClassTable(("none", "ignore")))
    told(fails("--format=nnunet", f"--data={odd.path}", f"--out={tmp_path}/o"), odd.path, "'ignore'")
    tests = _store(tmp_path / "tests", [("x", "test", "")])
    told(fails("--format=nnunet", f"--data={tests.path}", f"--out={tmp_path}/o"), tests.path, "test")
    taken = tmp_path / "raw" / "Dataset501_Other"
    taken.mkdir(parents=True)
    told(fails("--format=nnunet", f"--data={real.path}", f"--out={taken.parent}"), taken, "--dataset_id")
    told(fails("--format=coco", "--data=", f"--out={tmp_path}/o"), "--data")
    damaged = real.path / "labels" / "r3.png"
    damaged.write_bytes(b"")
    for kind in ("nnunet", "coco", "nifti"):
        told(fails(f"--format={kind}", f"--data={real.path}", f"--out={tmp_path}/o"), damaged)
    assert not (tmp_path / "o").exists()


def test_folders_of_other_depths_are_brought_to_8_bits(tmp_path, made):
    deep = _store(tmp_path / "deep", [("x", "train", "")], dtype=np.uint16)
    assert "16 bits" in _export("nnunet", tmp_path / "Dataset002_C", deep, made)
    written = pictures.read(tmp_path / "Dataset002_C" / "imagesTr" / "x_0000.png")
    np.testing.assert_array_equal(written, deep.image("x"))


@pytest.mark.parametrize("channel", ["grey", "colour"])
def test_the_depth_of_images_is_that_of_their_files_whatever_is_white(tmp_path, channel):
    """8 bits with 200 as white are as shallow as with 255; 16 bits with 255 as white are deep."""
    shallow, plain, deep = (
        _store(tmp_path / name, [(name, "train", "")], dtype=dtype, white=white, channel=channel)
        for name, dtype, white in (("a", np.uint8, 200), ("b", np.uint8, 255), ("c", np.uint16, 255)))
    assert "16 bits" not in _export("coco", tmp_path / "coco", shallow, plain)
    assert "1 images of 16 bits" in _export("coco", tmp_path / "deep", shallow, deep)
    for folder, store in (("coco", shallow), ("coco", plain), ("deep", deep)):
        found = pictures.read(tmp_path / folder / "train" / f"{store.path.name}.png")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, store.image(store.path.name))
    for kind in ("nnunet", "nifti"):
        assert "16 bits" not in _export(kind, tmp_path / f"Dataset001_{kind}", shallow, plain)
        assert "16 bits written in 8" in _export(kind, tmp_path / f"Dataset002_{kind}", plain, deep)
    about = json.loads((tmp_path / "Dataset001_nnunet" / "dataset.json").read_text())
    assert about["pair_folder"]["max_value"] == 255
