"""nnU-Net's data sets: to its format and back byte for byte, and as others write them."""

import json

import nibabel
import numpy as np
import pytest

from datasets.class_table import IGNORED, ClassTable
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.patients import patients
from datasets.sources.phantom import write_phantoms
from tests.helpers import pictures
from tests.helpers.binaries import run, told
from tests.helpers.patients import with_patients

SIZE = 24


ENTRIES = (("a", "train"), ("b", "train"), ("c", "test"))


def _store(path, classes, dtype=np.uint8, entries=ENTRIES, white=None, **about):
    rng = np.random.default_rng(0)
    white = white or int(np.iinfo(dtype).max)
    description = Description("Some films", (SIZE, SIZE), classes, white, **about)
    codes = [*range(classes.num_classes), *([IGNORED] if classes.ignored else [])]
    with PairWriter(path, description) as writer:
        for entry in entries:
            image = rng.integers(0, white + 1, description.image_shape).astype(dtype)
            label = np.kron(rng.choice(codes, (6, 6)), np.ones((4, 4))).astype(np.uint8)
            writer.add(Entry(*entry, "here"), image, label)
    return PairStore(path)


def _files(store):
    return {f"{kind}/{path.name}": path.read_bytes() for kind in ("images", "labels")
            for path in (store.path / kind).iterdir()}


def _import(folder, out, *options, size=SIZE):
    done = run("tools.import_dataset", f"--nnunet={folder}", f"--out={out}", f"--size={size}", *options)
    assert done.code == 0, done.err
    return PairStore(out), done.out


def _refused(folder, out, *options):
    return run("tools.import_dataset", f"--nnunet={folder}", f"--out={out}", "--size=32", *options)


@pytest.mark.parametrize(("dtype", "white", "channel"), [
    (np.uint8, 255, "grey"), (np.uint16, 65535, "grey"), (np.uint16, 4095, "grey"), (np.uint8, 255, "colour"),
    (np.uint16, 65535, "colour"), (np.uint8, 255, "green")])
def test_to_nnunets_format_and_back(dtype, white, channel, tmp_path):
    table = ClassTable(("ground", "rim", "cup", "vessel"), ("disc", "cup"), {"vessel": "rim"}, ignored=True,
                       unions={"disc": ["rim", "cup"]})
    store = _store(tmp_path / "films", table, dtype, white=white, channel=channel, spacing_mm=0.5)
    done = run("tools.export_dataset", "--format=nnunet", f"--data={store.path}", f"--out={tmp_path}/raw")
    assert done.code == 0, done.err
    back, said = _import(tmp_path / "raw", tmp_path / "back")
    assert _files(back) == _files(store)
    assert back.description == store.description and "2 train, 1 test" in said
    assert [(entry.id, entry.split) for entry in back.entries] == list(ENTRIES)


@pytest.mark.parametrize("kind", ["chest", "cells", "abdomen"])
def test_phantoms_to_nnunets_format_and_back(kind, tmp_path):
    store = write_phantoms(tmp_path / "films", 6, 2, 32, 0, kind)
    run("tools.export_dataset", "--format=nnunet", f"--data={store.path}", f"--out={tmp_path}/Dataset001_P")
    back, _ = _import(tmp_path / "Dataset001_P", tmp_path / "back", size=32)
    assert _files(back) == _files(store) and back.description == store.description


def test_validation_pairs_come_back(tmp_path):
    entries = (("a", "train"), ("b", "validation"), ("c", "test"), ("d", "train"))
    store = _store(tmp_path / "films", ClassTable(("ground", "a")), entries=entries)
    run("tools.export_dataset", "--format=nnunet", f"--data={store.path}", f"--out={tmp_path}/Dataset001_P")
    back, _ = _import(tmp_path / "Dataset001_P", tmp_path / "back")
    assert [(entry.id, entry.split) for entry in back.entries] == sorted(entries)


def test_patients_come_back_and_stay_on_one_side(tmp_path):
    entries = [(f"{letter}{film}", "train") for letter in "abcd" for film in range(2)] + [("e", "test")]
    store = _store(tmp_path / "films", ClassTable(("ground", "a")), entries=entries)
    whose = {id_: f"patient {id_[0]}" for id_ in store.ids("train")}  # of e nobody says
    with_patients(store, whose)
    run("tools.export_dataset", "--format=nnunet", f"--data={store.path}", f"--out={tmp_path}/Dataset001_P")
    back, _ = _import(tmp_path / "Dataset001_P", tmp_path / "back")
    assert {entry.id: entry.patient for entry in back.entries} == whose | {"e": ""}
    drawn, said = _import(tmp_path / "Dataset001_P", tmp_path / "drawn", "--test_fraction=0.4")
    tested = set(patients(drawn, drawn.ids("test")))
    assert tested and not tested & set(patients(drawn, drawn.ids("train"))) and "groups: 5" in said
    again, _ = _import(tmp_path / "Dataset001_P", tmp_path / "again", "--group_by=.")
    assert patients(again, ["a0", "a1", "e"]) == ["patient-0001", "patient-0001", "patient-0005"]


def _others(folder, labels, codes=(0, 1, 2), channels=None, more=None, cases=("x y", "z"), tests=()):
    """A data set as others write it: noise of those codes, nothing of ours."""
    rng = np.random.default_rng(1)
    channels = channels or {"0": "XRay"}
    for part, names in (("Tr", cases), ("Ts", tests)):
        for name in names:
            for kind in ("images", "labels"):
                (folder / f"{kind}{part}").mkdir(parents=True, exist_ok=True)
            for number in range(len(channels)):
                image = rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
                (folder / f"images{part}" / f"{name}_{number:04d}.png").write_bytes(pictures.png(image))
            label = rng.choice(codes, (SIZE, SIZE)).astype(np.uint8)
            (folder / f"labels{part}" / f"{name}.png").write_bytes(pictures.png(label))
    value = {"channel_names": channels, "labels": labels, "numTraining": len(cases), "file_ending": ".png"}
    (folder / "dataset.json").write_text(json.dumps({**value, **(more or {})}))
    return folder


def test_classes_come_by_name_and_ignored_pixels_stay_ignored(tmp_path):
    folder = _others(tmp_path / "d", {"spleen": 2, "background": 0, "liver": 1, "ignore": 3}, (0, 1, 2, 3))
    store, _ = _import(folder, tmp_path / "out", "--test_fraction=0")
    assert store.classes == ClassTable(("background", "liver", "spleen"), ignored=True)
    found = pictures.read(folder / "labelsTr" / "z.png")
    np.testing.assert_array_equal(store.label("z"), np.where(found == 3, IGNORED, found))
    assert store.ids() == ["x_y", "z"]


def test_regions_become_unions(tmp_path):
    """KiTS: kidneys with masses, masses with tumours; the order says which code each region paints."""
    labels = {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumor": 2}
    folder = _others(tmp_path / "d", labels, (0, 1, 2, 3), more={"regions_class_order": [1, 3, 2]})
    store, _ = _import(folder, tmp_path / "out", "--test_fraction=0")
    assert store.classes.names == ("background", "kidney", "tumor", "masses")
    assert {name: sorted(codes) for name, codes in store.classes.regions.items()} == {
        "kidney": [1, 2, 3], "tumor": [2], "masses": [2, 3]}
    assert store.classes.scored == ("kidney", "tumor", "masses")


def test_version_1_names_classes_the_other_way_round(tmp_path):
    folder = _others(tmp_path / "d", {"0": "background", "1": "PZ", "2": "TZ"})
    assert _import(folder, tmp_path / "out", "--test_fraction=0")[0].classes.names == ("background", "PZ", "TZ")


def test_images_called_like_their_labels_and_what_a_mac_leaves(tmp_path):
    """As the Medical Segmentation Decathlon has them."""
    folder = _others(tmp_path / "d", {"0": "background", "1": "PZ", "2": "TZ"}, more={"file_ending": ".png"})
    for path in (folder / "imagesTr").iterdir():
        path.rename(path.with_name(path.name.replace("_0000", "")))
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind / "._z.png").write_bytes(b"Mac OS X")
    assert _import(folder, tmp_path / "out", "--test_fraction=0")[0].ids() == ["x_y", "z"]


def test_three_channels_are_colour_and_other_numbers_are_refused(tmp_path):
    folder = _others(tmp_path / "d", {"background": 0, "a": 1}, (0, 1), {"0": "T1", "1": "T2", "2": "FLAIR"})
    store, said = _import(folder, tmp_path / "out", "--test_fraction=0")
    assert store.description.channel == "colour" and "T1, T2, FLAIR" in said
    for number in range(3):
        plane = pictures.read(folder / "imagesTr" / f"z_000{number}.png")
        np.testing.assert_array_equal(store.image("z")[..., number], plane)
    (folder / "imagesTr" / "z_0002.png").unlink()
    done = _refused(folder, tmp_path / "o", "--test_fraction=0")
    told(done, folder / "imagesTr" / "z_0000.png", "2 files", "FLAIR", "--nnunet_channel=T1")
    (folder / "imagesTr" / "z_0001.png").rename(folder / "imagesTr" / "z.png")  # beside z_0000: the first, twice
    told(_refused(folder, tmp_path / "o", "--test_fraction=0"), folder / "imagesTr" / "z.png", "2 files")
    (folder / "imagesTr" / "z.png").rename(folder / "imagesTr" / "z_0001.png")
    (folder / "imagesTr" / "z_0002.png").write_bytes(pictures.png(np.zeros((SIZE, 9), np.uint8)))
    told(_refused(folder, tmp_path / "o", "--test_fraction=0"), folder / "imagesTr" / "z_0002.png", "9 x 24")


def test_one_file_of_a_case_is_its_first_channel_or_the_one_that_is_chosen(tmp_path):
    """A picture of three channels in one file has that number; another number has lost its others."""
    folder = _others(tmp_path / "d", {"background": 0, "a": 1}, (0, 1), {"0": "T1", "1": "T2", "2": "FLAIR"})
    images, plane = folder / "imagesTr", pictures.read(folder / "imagesTr" / "z_0002.png")
    for name in ("x y_0001.png", "x y_0002.png", "z_0000.png", "z_0001.png"):
        (images / name).unlink()
    told(_refused(folder, tmp_path / "o", "--test_fraction=0"), images / "z_0002.png", "1 files", "T1, T2, FLAIR")
    store, _ = _import(folder, tmp_path / "chosen", "--test_fraction=0", "--nnunet_channel=FLAIR")
    np.testing.assert_array_equal(store.image("z"), plane)
    (images / "z_0002.png").rename(images / "z_0000.png")
    store, _ = _import(folder, tmp_path / "first", "--test_fraction=0")
    np.testing.assert_array_equal(store.image("z"), plane)


@pytest.mark.parametrize("asked", ["flair", "1"])
def test_one_of_several_channels(asked, tmp_path):
    folder = _others(tmp_path / "d", {"background": 0, "a": 1}, (0, 1), {"0": "T1", "1": "FLAIR"})
    store, said = _import(folder, tmp_path / "out", "--test_fraction=0", f"--nnunet_channel={asked}")
    assert store.description.channel == "grey" and "FLAIR" in said and "left out" not in said
    np.testing.assert_array_equal(store.image("z"), pictures.read(folder / "imagesTr" / "z_0001.png"))
    done = _refused(folder, tmp_path / "o", "--test_fraction=0", "--nnunet_channel=T2")
    told(done, "--nnunet_channel=T2", "T1, FLAIR", folder)


def test_splits(tmp_path):
    folder = _others(tmp_path / "d", {"background": 0, "a": 1}, (0, 1), cases=("p", "q", "r"), tests=("t",))
    store, _ = _import(folder, tmp_path / "tests")
    assert store.ids("test") == ["t"] and store.ids("train") == ["p", "q", "r"]
    (folder / "splits_final.json").write_text(json.dumps(
        [{"train": ["p", "q"], "val": ["r"]}, {"train": ["r"], "val": ["p", "q"]}]))
    store, said = _import(folder, tmp_path / "more")  # cross-validation is no split
    assert store.ids("test") == ["t"] and store.ids("train") == ["p", "q", "r"] and "left out" not in said
    store, said = _import(folder, tmp_path / "fold", "--fold=1")
    assert store.ids("test") == ["p", "q"] and store.ids("train") == ["r"]
    assert "left out: 1 of 4" in said and "(t)" in said
    (folder / "labelsTs" / "t.png").unlink()
    told(_refused(folder, tmp_path / "o"), "--test_fraction", "--fold")
    store, said = _import(folder, tmp_path / "drawn", "--test_fraction=0.3")
    assert len(store.ids("test")) == 1 and "t_0000.png" in said
    told(_refused(folder, tmp_path / "o", "--fold=2"), "--fold=2", "2 folds")


def test_a_fold_has_its_own_pairs_alone(tmp_path):
    """Of labelled pairs that test, and of others that the fold does not name, none trains."""
    folder = _others(tmp_path / "d", {"background": 0, "a": 1}, (0, 1), cases=("p", "q", "r", "s"),
                     tests=("t", "u"))
    folds = [{"train": ["p"], "val": ["q", "u"]}, {"train": ["p"], "val": []}, {"val": ["q"]}]
    (folder / "splits_final.json").write_text(json.dumps(folds[:2]))
    store, said = _import(folder, tmp_path / "out", "--fold=0")
    assert [(entry.id, entry.split) for entry in store.entries] == [("p", "train"), ("q", "test"), ("u", "test")]
    assert "left out: 3 of 6" in said and "(r, s, t)" in said
    told(_refused(folder, tmp_path / "o", "--fold=1"), "--fold=1", folder / "splits_final.json")
    (folder / "splits_final.json").write_text(json.dumps(folds))
    told(_refused(folder, tmp_path / "o", "--fold=2"), folder / "splits_final.json", "train")
    assert not (tmp_path / "o").exists()


def test_volumes_give_their_slices_and_stay_on_one_side(tmp_path):
    """What nnU-Net's own data sets mostly are: NIfTI volumes, with imagesTs."""
    rng, folder = np.random.default_rng(0), tmp_path / "d"
    for part, names in (("Tr", ("case_1", "case_2")), ("Ts", ("case_9",))):
        for kind, end in (("images", "_0000"), ("labels", "")):
            (folder / f"{kind}{part}").mkdir(parents=True)
            for name in names:
                values = rng.integers(0, 2 if kind == "labels" else 200, (20, 16, 3)).astype(np.uint8)
                nibabel.save(nibabel.Nifti1Image(values, np.diag([2.0, 2.0, 5.0, 1.0])),
                             folder / f"{kind}{part}" / f"{name}{end}.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({
        "channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}))
    store, _ = _import(folder, tmp_path / "out", size=20)
    assert len(store.ids("train")) == 6 and len(store.ids("test")) == 3
    assert all(id_.startswith("case_9") for id_ in store.ids("test")) and store.description.spacing_mm == 2.0


@pytest.mark.parametrize(("labels", "more"), [
    ({"background": 0, "a": 2}, {}), ({"a": 1, "b": 1}, {}), ({"background": 0, "a": "x"}, {}),
    ({"background": 0, "a": [1, 2], "b": 2}, {}), ({"background": 0, "a": [1, 2]}, {"regions_class_order": [1]}),
    ({"background": 0, "a": []}, {}), ({"background": 0, "a": [], "b": [1, 2]}, {"regions_class_order": [2, 1]}),
    ({"0": "background", "²": "a"}, {}), ({"0": "background", "9" * 5000: "a"}, {}),
    ({"background": 0, "a": {}}, {}), ({"background": 0, "a": 1.5}, {}),
    ({"background": 0, "a": [[1], [2]]}, {"regions_class_order": [1]}),
    ({"background": 0, "a": [1, 2]}, {"regions_class_order": "1"}), ({"background": 0, "a": None}, {}),
    ({"background": 0, "a": 1, "ignore": 1}, {}), ({}, {}), ([], {}), ({"background": 0, "A": 1, "a": 2}, {}),
    ({"background": 0, "a": 1}, {"pair_folder": {"name": 3}}), ({"background": 0, "a": 1}, {"pair_folder": []})])
def test_labels_that_cannot_be_are_refused(labels, more, tmp_path):
    folder = _others(tmp_path / "d", labels, more=more)
    told(_refused(folder, tmp_path / "o", "--test_fraction=0"), folder / "dataset.json")
    assert not (tmp_path / "o").exists()


def test_mistakes_in_options_and_folders(tmp_path):
    def fails(*options):
        return run("tools.import_dataset", f"--out={tmp_path}/o", "--size=32", "--test_fraction=0", *options)

    told(fails(), "--images", "--nnunet")
    told(fails(f"--nnunet={tmp_path}"), f"{tmp_path}: ", "dataset.json")
    folder = _others(tmp_path / "d", {"background": 0, "a": 1}, (0, 1))
    told(fails(f"--nnunet={folder}", f"--images={folder}"), "--images", "--nnunet")
    told(fails(f"--nnunet={folder}", "--classes=a,b"), "--classes", "dataset.json")
    told(fails(f"--images={folder}", "--classes=a,b", "--fold=1"), "--fold=1", "--nnunet")
    told(fails(f"--nnunet={folder}", "--fold=0"), folder / "splits_final.json")
    (folder / "labelsTr" / "z.png").write_bytes(pictures.png(np.full((SIZE, SIZE), 7, np.uint8)))
    told(fails(f"--nnunet={folder}"), folder / "labelsTr" / "z.png", "7")
    for path in (folder / "labelsTr").iterdir():
        path.unlink()
    told(fails(f"--nnunet={folder}"), folder / "labelsTr")
    assert not (tmp_path / "o").exists()
