"""Files as people name them: by name, suffix, folder, or in one folder; and pairs drawn, listed or grouped."""

import pathlib
import re
import unicodedata

import numpy as np
import pytest

from datasets.common.errors import UserError
from datasets.sources.own_files import mask_patterns, match_files
from datasets.sources.own_splits import choose_test, group_pairs, on_both_sides, patients, read_ids, rest_by_name
from tests.helpers import pictures


def _files(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG")


def _pairs(matched):
    return {source.id: (source.image.name, *(path and path.name for path in source.labels))
            for source in matched.sources}


LAYOUTS = {
    "DRIVE": (["i/21_training.tif", "i/22_training.tif", "l/21_manual1.gif", "l/22_manual1.gif"], {"21", "22"}),
    "nnU-Net": (["i/la_001_0000.png", "i/la_002_0000.png", "l/la_001.png", "l/la_002.png"], {"la_001", "la_002"}),
    "ISIC": (["i/ISIC_01.jpg", "i/ISIC_02.jpg", "l/ISIC_01_segmentation.png", "l/ISIC_02_segmentation.png"],
             {"ISIC_01", "ISIC_02"}),
    "one pair": (["i/a_image.png", "l/a_mask.png"], {"a"}),
    "hyphens": (["i/a-img.png", "i/b-img.png", "l/a-gt.png", "l/b-gt.png"], {"a", "b"}),
    "folders": (["i/p1/a.png", "i/p2/a.png", "l/p1/a.png", "l/p2/a.png"], {"p1_a", "p2_a"}),
    "folders on one side": (["i/p1/a.png", "i/p2/b.png", "l/a.png", "l/b.png"], {"a", "b"}),
    "folders with suffixes": (["i/p1/a_0000.png", "i/p2/a_0000.png", "l/p1/a_seg.png", "l/p2/a_seg.png"],
                              {"p1_a", "p2_a"}),
    "dots in names": (["i/a.1.png", "i/a.2.png", "l/a.1.gif", "l/a.2.gif"], {"a.1", "a.2"}),
    "beginnings": (["i/image_01.png", "i/image_02.png", "l/mask_01.png", "l/mask_02.png"], {"01", "02"}),
    "beginnings in folders": (["i/p1/img 1.png", "i/p2/img 1.png", "l/p1/gt 1.png", "l/p2/gt 1.png"],
                              {"p1_1", "p2_1"}),
    "capitals": (["i/Ann.JPG", "i/BEN.JPG", "l/ann.png", "l/ben.png"], {"ann", "ben"}),
    "capitals of suffixes": (["i/A_Image.png", "i/B_Image.png", "l/a_mask.png", "l/b_Mask.png"], {"a", "b"}),
    "suffix with a format": (["i/a.jpg", "i/b.jpg", "l/a.jpg.png", "l/b.jpg.png"], {"a", "b"}),
    "DICOM without suffix": (["i/1.2.840.1.dcm", "l/1.2.840.1.png"], {"1.2.840.1"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_are_put_together(tmp_path, layout):
    files, ids = LAYOUTS[layout]
    _files(tmp_path, *files)
    matched = match_files(tmp_path / "i", tmp_path / "l")
    assert set(_pairs(matched)) == ids and not matched.alone
    assert all((tmp_path / "i") in source.image.parents for source in matched.sources)


TOGETHER = {
    "suffix": (["a.png", "b.png", "a_mask.png", "b_mask.png"], {}),
    "two suffixes": (["a_image.png", "b_image.png", "a_label.png", "b_label.png"], {}),
    "formats": (["a.jpg", "b.jpg", "a.png", "b.png"], {}),
    "formats said": (["a.tif", "b.tif", "a.png", "b.png"], {"image_suffix": ".tif", "label_suffix": ".png"}),
    "a folder each": (["a/image.png", "a/label.png", "b/image.png", "b/label.png"], {}),
    "beginnings": (["img_a.png", "img_b.png", "mask_a.png", "mask_b.png"], {}),
    "beginnings said": (["x a1.png", "x b1.png", "y a2.png", "y b2.png"],
                        {"image_suffix": "x *1", "label_suffix": "y *2"}),
    "half said": (["a.png", "b.png", "a_z.png", "b_z.png"], {"label_suffix": "_z"}),
}


@pytest.mark.parametrize("layout", TOGETHER)
def test_images_and_labels_in_one_folder(tmp_path, layout):
    files, said = TOGETHER[layout]
    _files(tmp_path / "all", *files)
    matched = match_files(tmp_path / "all", None, **said)
    assert set(_pairs(matched)) == {"a", "b"} and not matched.alone
    images = {source.image.relative_to(tmp_path / "all").as_posix() for source in matched.sources}
    assert images == (set(files[::2]) if layout == "a folder each" else set(files[:2]))


@pytest.mark.parametrize("files", [
    ["i/1_test.png", "i/2_test.png", "l/1_manual1.png", "l/2_manual1.png", "l/1_manual2.png", "l/2_manual2.png"],
    ["i/a_0000.png", "i/b_0000.png", "i/a_0001.png", "i/b_0001.png", "l/a.png", "l/b.png"],
])
def test_two_ways_of_pairing_are_asked_about(tmp_path, files):
    _files(tmp_path, *files)
    with pytest.raises(UserError, match=r"--image_suffix and --label_suffix") as raised:
        match_files(tmp_path / "i", tmp_path / "l")
    assert re.search("manual1.*manual2|0000.*0001", str(raised.value)), raised.value
    kept = match_files(tmp_path / "i", tmp_path / "l", *(("_test", "_manual2") if "_test" in files[0]
                                                          else ("_0001", "")))
    assert len(kept.sources) == 2 and len(kept.alone) == 2


def test_two_formats_in_one_folder_are_asked_about(tmp_path):
    _files(tmp_path, "a.tif", "a.png", "b.tif", "b.png")
    with pytest.raises(UserError, match="--image_suffix"):
        match_files(tmp_path)


def test_labels_inside_the_images_folder_are_no_images(tmp_path):
    _files(tmp_path, "a.png", "b.png", "labels/a.png", "labels/b.png")
    matched = match_files(tmp_path, tmp_path / "labels")
    assert _pairs(matched) == {"a": ("a.png", "a.png"), "b": ("b.png", "b.png")} and not matched.alone
    assert all(source.image.parent == tmp_path for source in matched.sources)


def test_the_two_forms_of_a_name_are_one_and_other_scripts_apart(tmp_path):
    name = "Röntgen é"
    _files(tmp_path, f"i/{unicodedata.normalize('NFD', name)}.png", f"l/{name}.png", "i/张伟.png", "l/张伟.png",
           "i/刘洋.png", "l/刘洋.png")
    assert set(_pairs(match_files(tmp_path / "i", tmp_path / "l"))) == {"Röntgen_é", "张伟", "刘洋"}
    _files(tmp_path, f"i/{name}.png")
    with pytest.raises(UserError, match="another file of that name"):
        match_files(tmp_path / "i", tmp_path / "l")


def test_junk_is_left_out_with_a_count(tmp_path):
    _files(tmp_path, "i/a.png", "l/a.png", "i/Thumbs.db", "i/@eaDir/a.png", "i/.thumbnails/a.png", "i/notes.txt")
    matched = match_files(tmp_path / "i", tmp_path / "l")
    assert len(matched.sources) == 1 and not matched.alone and any("4 files" in line for line in matched.said)


def test_the_way_that_fits_most_files_is_taken(tmp_path):
    _files(tmp_path, "i/a_0000.png", "i/b_0000.png", "i/c.png", "l/a.png", "l/b.png", "l/c.png")
    matched = match_files(tmp_path / "i", tmp_path / "l")
    assert set(_pairs(matched)) == {"a", "b"} and [path.name for path in matched.alone] == ["c.png", "c.png"]


def test_equal_names_in_several_folders_are_no_pairs(tmp_path):
    _files(tmp_path, "i/p1/a.png", "i/p2/a.png", "l/a.png")
    with pytest.raises(UserError, match="no two with the same name"):
        match_files(tmp_path / "i", tmp_path / "l")


@pytest.mark.parametrize(("masks", "files"), [
    (["disc:*_disc", "cup:*_cup"], ["l/a_disc.png", "l/a_cup.png", "l/b_disc.png"]),
    (["disc:_disc", "cup:_cup"], ["l/a_disc.png", "l/a_cup.png", "l/b_disc.png"]),
    (["disc", "cup"], ["l/a_disc.png", "l/a_cup.png", "l/b_disc.png"]),
    (["disc", "cup"], ["l/disc/a.gif", "l/cup/a.png", "l/disc/b.png"]),
    (["disc", "cup"], ["l/Disc/a.png", "l/CUP/a.png", "l/Disc/b.png"]),
    (["disc:masks_disc/", "cup:cups/*"], ["l/masks_disc/a.png", "l/cups/a.png", "l/masks_disc/b.png"]),
    (["disc:disc_*", "cup:cup_*"], ["l/disc_a.png", "l/cup_a.png", "l/disc_b.png"]),
])
def test_a_mask_file_for_each_organ(tmp_path, masks, files):
    _files(tmp_path, "i/a.jpg", "i/b.jpg", *files)
    patterns = mask_patterns(masks, tmp_path / "l")
    assert list(patterns) == ["disc", "cup"]
    matched = match_files(tmp_path / "i", tmp_path / "l", masks=patterns)
    found = {source.id: [path and path.relative_to(tmp_path).as_posix() for path in source.labels]
             for source in matched.sources}
    assert found == {"a": [*files[:2]], "b": [files[2], None]} and not matched.alone
    assert any("cup: 1 of 2" in line for line in matched.said)


def test_masks_in_folders_with_a_suffix(tmp_path):
    _files(tmp_path, "i/a.png", "l/cœur/a_mask.png", "l/foie é/a_mask.png")
    masks = mask_patterns(["cœur", unicodedata.normalize("NFD", "foie é")], tmp_path / "l")
    assert list(masks) == ["cœur", "foie é"]
    matched = match_files(tmp_path / "i", tmp_path / "l", None, "_mask", masks)
    assert _pairs(matched) == {"a": ("a.png", "a_mask.png", "a_mask.png")} and not matched.alone


def test_masks_beside_images_with_a_suffix(tmp_path):
    _files(tmp_path, "a_img.png", "b_img.png", "a_liver.png", "b_liver.png")
    matched = match_files(tmp_path, masks=mask_patterns(["liver"], tmp_path))
    assert _pairs(matched) == {"a": ("a_img.png", "a_liver.png"), "b": ("b_img.png", "b_liver.png")}


@pytest.mark.parametrize("masks", [["a:*", "b:*_b"], ["a:*_*"], [":*_a"], ["a:*_a", "a:*_b"]])
def test_patterns_that_do_not_fit(tmp_path, masks):
    with pytest.raises(UserError, match=r"^--masks: found"):
        mask_patterns(masks, tmp_path)


def test_no_pair_shows_names_of_both(tmp_path):
    _files(tmp_path, "i/a.png", "l/b.png")
    with pytest.raises(UserError, match=r"a\.png.*b\.png.*--label_suffix"):
        match_files(tmp_path / "i", tmp_path / "l")
    with pytest.raises(UserError, match=r"--masks: \*_disc"):
        match_files(tmp_path / "i", tmp_path / "l", masks={"disc": "*_disc"})


@pytest.fixture
def sources(tmp_path):
    names = [f"{video}_{frame:02d}" for video in ("v1", "v2", "v3") for frame in range(4)]
    _files(tmp_path, *(f"i/{name}_img.png" for name in names), *(f"l/{name}.png" for name in names))
    return match_files(tmp_path / "i", tmp_path / "l").sources


def test_a_group_is_drawn_whole(sources):
    ids = [source.id for source in sources]
    groups = group_pairs("^[^_]+", sources)
    assert set(groups.values()) == {"v1", "v2", "v3"} and groups["v2_03"] == "v2"
    assert group_pairs(r"_(\d+)$", sources)["v2_03"] == "03"
    drawn = {frozenset(choose_test(ids, 0.3, seed, groups)) for seed in range(8)}
    assert all(len(test) == 4 and not on_both_sides(groups, ids, test) for test in drawn) and len(drawn) == 3
    assert not choose_test(ids, 0.0, 0, groups) and choose_test(ids, 1.0, 0, groups) == set(ids)
    assert on_both_sides(groups, ids, choose_test(ids, 0.3, 0)) != []
    assert rest_by_name(ids, 5) == set(ids[5:])
    assert rest_by_name(ids, 5, groups) == set(ids[8:])
    with pytest.raises(UserError, match="--train_count=13"):
        rest_by_name(ids, 13)


@pytest.mark.parametrize("header", ["image;patient;age", "age,patient,image", "file\tpatient"])
def test_groups_of_a_table(tmp_path, sources, header):
    mark = next(char for char in ",;\t" if char in header)
    rows = [header, *(mark.join({"patient": f"p{place // 2}", "age": "9"}.get(name, f"{source.id}_img.png")
                                for name in header.split(mark)) for place, source in enumerate(sources))]
    (tmp_path / "t.csv").write_bytes("\r\n".join(rows).encode("utf-16"))
    groups = group_pairs(f"{tmp_path}/t.csv:Patient", sources)
    assert groups["v1_00"] == groups["v1_01"] == "p0" and len(set(groups.values())) == 6
    (tmp_path / "t.csv").write_text("\n".join(rows[:-1]))
    with pytest.raises(UserError, match="v3_03"):
        group_pairs(f"{tmp_path}/t.csv:patient", sources)
    with pytest.raises(UserError, match="doctor"):
        group_pairs(f"{tmp_path}/t.csv:doctor", sources)


def test_groups_of_films_that_are_numbered(tmp_path):
    """Ages, and a number of each row, are names of other films."""
    _files(tmp_path, *(f"{side}/{number}.png" for side in "il" for number in range(1, 7)))
    sources = match_files(tmp_path / "i", tmp_path / "l").sources
    rows = [f"{number - 1},{number},{7 - number if number > 2 else 4},p{number // 2}" for number in range(1, 7)]
    (tmp_path / "t.csv").write_text("\n".join([",film,age,patient", *rows]))
    expected = {str(number): f"p{number // 2}" for number in range(1, 7)}
    assert group_pairs(f"{tmp_path}/t.csv:patient", sources) == expected
    (tmp_path / "t.csv").write_text("\n".join([",film,age,patient", *rows, "9,3,1,p7"]))
    with pytest.raises(UserError, match=r"t\.csv: found 3 in patient 'p1' and 'p7'"):
        group_pairs(f"{tmp_path}/t.csv:patient", sources)


def test_groups_of_dicom_files(tmp_path):
    for number, patient in enumerate(("A", "A", "B")):
        for kind, extra in (("i", {"PatientID": patient}), ("l", {})):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / kind / f"{number}.dcm").write_bytes(pictures.dicom(np.zeros((8, 8), np.uint8), **extra))
    sources = match_files(tmp_path / "i", tmp_path / "l").sources
    assert group_pairs("PatientID", sources) == patients(sources) == {"0": "A", "1": "A", "2": "B"}
    assert on_both_sides(patients(sources), ["0", "1", "2"], {"0"}) == ["A"]
    with pytest.raises(UserError, match="StudyDate"):
        group_pairs("StudyDate", sources)
    with pytest.raises(UserError, match="PatientName2"):
        group_pairs("PatientName2", sources)


@pytest.mark.parametrize("how", ["(", "nothing there", "^x?"])
def test_groups_that_nothing_gives(sources, how):
    with pytest.raises(UserError, match=r"^--group_by="):
        group_pairs(how, sources)


@pytest.mark.parametrize("line", ["v1_00", "v1_00.png", "v1_00_img.png", "v1_00_img", "i/v1_00_img.png", "./v1_00",
                                  "C:\\films\\v1_00_img.png", '"v1_00"', "v1_00,1,x", "image\nv1_00",
                                  "V1_00", "I/V1_00_IMG.PNG",
                                  "# a\n\nv1_00"])
def test_a_list_names_pairs_in_any_way(tmp_path, sources, line):
    (tmp_path / "list.txt").write_bytes(line.replace("\n", "\r\n").encode("utf-8-sig"))
    assert read_ids(tmp_path / "list.txt", sources) == {"v1_00"}


def test_names_that_two_pairs_have_are_asked_about(tmp_path):
    _files(tmp_path, "i/p1/a.png", "i/p2/a.png", "l/p1/a.png", "l/p2/a.png")
    sources = match_files(tmp_path / "i", tmp_path / "l").sources
    (tmp_path / "list.txt").write_text("p2/a.png\n")
    assert read_ids(tmp_path / "list.txt", sources) == {"p2_a"}
    (tmp_path / "list.txt").write_text("a\n")
    with pytest.raises(UserError, match="p1_a, p2_a"):
        read_ids(tmp_path / "list.txt", sources)
    (tmp_path / "list.txt").write_text("\n# nothing\n")
    with pytest.raises(UserError, match=r"list\.txt: found no names"):
        read_ids(tmp_path / "list.txt", sources)
    with pytest.raises(UserError, match="absent"):
        read_ids(pathlib.Path(tmp_path / "absent.txt"), sources)
