"""Label files of every kind through the command: colours, a mask for each organ, instances, ignored codes; and
what the table at the end says."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from datasets.class_table import IGNORED, ClassTable
from datasets.common.errors import UserError
from datasets.pair_store import PairStore
from datasets.patients import patients
from datasets.sources.own_colours import read_colours
from datasets.sources.own_files import OwnFolder
from tests.helpers import binaries, pictures
from tests.helpers.own_labels import SIDE, films, imported, refused, row, run, write

RED, GREEN, VOID = (255, 0, 0), (0, 255, 0), (224, 224, 192)
Y, X = np.mgrid[:SIDE, :SIDE]


def _coloured():
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[4:20, 4:20], picture[20:28, 4:12], picture[:4] = RED, GREEN, VOID
    codes = np.zeros((SIDE, SIDE), np.uint8)
    codes[4:20, 4:20], codes[20:28, 4:12], codes[:4] = 1, 2, IGNORED
    return picture, codes


TABLES = {
    "CVAT": "# label:color_rgb:parts:actions\nbackground:0,0,0::\nliver:255,0,0::\nspleen:0,255,0::\n"
            "void:224,224,192::\n",
    "CSV": "name,r,g,b\nbackground,0,0,0\nliver,255,0,0\nspleen,0,255,0\nvoid,224,224,192\n",
    "CSV with spaces": "name, r, g, b\nbackground, 0, 0, 0\nliver, 255, 0, 0\nspleen, 0, 255, 0\n"
                       "void, 224, 224, 192",
    "colour in a cell": "class;colour\nbackground;0 0 0\nliver;255 0 0\nspleen;0 255 0\nvoid;224 224 192\n",
    "hex": "background\t#000000\nliver\t#ff0000\nspleen\t#0F0\nvoid\t#E0E0C0\n",
    "bare hex": "name,colour\nbackground,000000\nliver,ff0000\nspleen,00ff00\nvoid,e0e0c0\n",
    "numbers first": "0 0 0 background\n255 0 0 liver\n0 255 0 spleen\n224 224 192 void\n",
    "without background": "liver:255,0,0::\nspleen:0,255,0::\nvoid:224,224,192::\n",
    "background last": "liver,255,0,0\nspleen,0,255,0\nvoid,224,224,192\nBackground,0,0,0\n",
    "quoted": '"background",0,0,0\n"liver",255,0,0\n"spleen",0,255,0\n"void",224,224,192\n',
    "ITK-SNAP": '0 0 0 0 0 0 0 "background"\n1 255 0 0 1 1 1 "liver"\n2 0 255 0 1 1 1 "spleen"\n'
                '3 224 224 192 1 1 1 "void"\n',
    "Slicer": "# Color table file\n0 background 0 0 0 0\n1 liver 255 0 0 255\n2 spleen 0 255 0 255\n"
              "3 void 224 224 192 255\n",
    "headings": "Index;Red;Green;Blue;Name\n0;0;0;0;background\n1;255;0;0;liver\n2;0;255;0;spleen\n"
                "3;224;224;192;void\n",
    "numbered": "id,name,r,g,b,a\n0,background,0,0,0,255\n1,liver,255,0,0,255\n2,spleen,0,255,0,255\n"
                "3,void,224,224,192,255\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_colours(tmp_path, kind):
    (tmp_path / "map.txt").write_bytes(TABLES[kind].replace("\n", "\r\n").encode("utf-8-sig"))
    colours = read_colours(tmp_path / "map.txt", ["void"])
    assert [name.casefold() for name in colours.classes.names] == ["background", "liver", "spleen"]
    assert colours.codes == {(0, 0, 0): 0, RED: 1, GREEN: 2, VOID: IGNORED} and colours.classes.ignored
    picture, codes = _coloured()
    np.testing.assert_array_equal(colours.to_codes(picture, tmp_path), codes)


def test_commas_in_quoted_names(tmp_path):
    (tmp_path / "map.csv").write_text('name,r,g,b\nbackground,0,0,0\n"lung, left",255,0,0\n')
    colours = read_colours(tmp_path / "map.csv")
    assert colours.classes.names == ("background", "lung, left") and colours.codes[RED] == 1


@pytest.mark.parametrize("text", ["white,#ffffff\nbackground,#000\n", "white,ffffff\nbackground,000000\n",
                                  "name,colour\nwhite,ffffff\nbackground,000000\n"])
def test_white_is_a_colour_and_no_heading(tmp_path, text):
    (tmp_path / "map.csv").write_text(text)
    assert read_colours(tmp_path / "map.csv").codes == {(0, 0, 0): 0, (255, 255, 255): 1}


@pytest.mark.parametrize(("text", "said"), [
    ("", "found no line"), ("liver:255,0,0::\nliver:0,1,0::\n", "line 2"), ("a,1,2,3\nb,1,2,3\n", "1,2,3"),
    ("liver,256,0,0\n", "line 1"), ("a,1,2,3\nb\n", "line 2"), ("void,0,0,0\na,1,2,3", "no background"),
    ("name,r,g,b\na,²,0,0\n", "line 2"), (f"name,r,g,b\na,{'9' * 5000},0,0\n", "line 2"),
    (f"liver:{'9' * 5000},0,0::\n", "line 1"),
])
def test_tables_that_cannot_be(tmp_path, text, said):
    (tmp_path / "map.txt").write_text(text)
    with pytest.raises(UserError, match=said):
        read_colours(tmp_path / "map.txt", ["void"] if "void" in text else [])


@pytest.mark.parametrize("palette", [False, True])
def test_colours_come_in_as_classes(tmp_path, palette):
    picture, codes = _coloured()
    films(tmp_path, "a")
    if palette:
        image = Image.fromarray(np.where(codes == IGNORED, 3, codes).astype(np.uint8), "P")
        image.putpalette([0, 0, 0, *RED, *GREEN, *VOID])
        (tmp_path / "l").mkdir()
        image.save(tmp_path / "l" / "a.png")
    else:
        write(tmp_path, "l/a.png", picture[..., ::-1])  # OpenCV's order
    (tmp_path / "map.txt").write_text(TABLES["CVAT"])
    store, said = imported(tmp_path, f"--colours={tmp_path}/map.txt", "--ignore=void")
    np.testing.assert_array_equal(store.label("a"), codes)
    assert store.classes == ClassTable(("background", "liver", "spleen"), ignored=True)
    assert row(said, "ignored")[3] == 12.5


def test_an_unknown_colour_is_named_and_counted(tmp_path):
    picture, _ = _coloured()
    picture[30, :7] = 1, 2, 3
    films(tmp_path, "a")
    write(tmp_path, "l/a.png", picture[..., ::-1])
    (tmp_path / "map.txt").write_text(TABLES["CVAT"])
    refused(tmp_path, run(tmp_path, f"--colours={tmp_path}/map.txt"), "l/a.png", "1,2,3", "7 pixels")
    refused(tmp_path, run(tmp_path, f"--colours={tmp_path}/map.txt", "--ignore=nil"), "--ignore: found 'nil'")
    refused(tmp_path, run(tmp_path, "--classes=a,b"), "colour picture", "--colours")


def _nested():
    distance = (Y - 16) ** 2 + (X - 16) ** 2
    return distance < 100, distance < 36


def test_masks_keep_their_overlaps_and_unions_are_scored(tmp_path):
    disc, cup = _nested()
    films(tmp_path, "a", "b")
    write(tmp_path, "l/a_disc.png", disc.astype(np.uint8) * 255)
    write(tmp_path, "l/a_cup.png", cup.astype(np.uint8))
    write(tmp_path, "l/b_disc.png", disc.astype(np.uint8) * 7)
    store, said = imported(tmp_path, "--masks=disc:*_disc,cup:*_cup")
    np.testing.assert_array_equal(store.masks("a"), np.stack([disc, cup], -1))
    np.testing.assert_array_equal(store.label("a"), disc.astype(np.uint8) + cup)
    assert not store.masks("b")[..., 1].any() and "cup: 1 of 2" in said
    assert "cup lies in disc in 1 of 1 films: --unions=disc:disc+cup" in said
    assert row(said, "disc")[2] == round(100 * disc.mean(), 2) and row(said, "cup")[0] == 1
    (tmp_path / "out").rename(tmp_path / "before")
    store, said = imported(tmp_path, "--masks=disc:*_disc,cup:*_cup", "--unions=disc:disc+cup")
    assert store.classes.regions == {"disc": (1, 2), "cup": (2,)} and "lies in" not in said


def test_label_maps_take_the_place_of_earlier_masks(tmp_path):
    """The same pairs imported twice: what is scored is what came last."""
    disc, cup = _nested()
    films(tmp_path, "a")
    for name, mask in (("l/a_disc.png", disc), ("l/a_cup.png", cup)):
        write(tmp_path, name, mask.astype(np.uint8))
    assert imported(tmp_path, "--masks=disc,cup")[0].masks("a").any()
    write(tmp_path, "l/a.png", np.where(X < 9, 2, 0).astype(np.uint8))
    store, _ = imported(tmp_path, "--classes=background,disc,cup", "--label_suffix=")
    np.testing.assert_array_equal(store.scored_label("a"), np.where(X < 9, 2, 0))


@pytest.mark.parametrize("count", [16, 17])
def test_many_masks(tmp_path, count):
    """A store has bits for 16 organs; beyond, label maps alone are written."""
    organs = [f"o{number:02d}" for number in range(count)]
    films(tmp_path, "a")
    for number, organ in enumerate(organs):
        write(tmp_path, f"l/{organ}/a.png", (number == Y).astype(np.uint8))
    store, said = imported(tmp_path, f"--masks={','.join(organs)}")
    assert (store.masks("a") is None) == (count > 16) == ("overlaps: not kept" in said)
    np.testing.assert_array_equal(store.label("a"), np.where(count > Y, Y + 1, 0))


@pytest.mark.parametrize(("mask", "said"), [
    (X.astype(np.uint8), "expected a mask"), (np.dstack([X < 9, X < 5, X < 0]), "3 colours"),
    (np.full((SIDE, SIDE), 2, np.uint8) - (X == 0), "expected a mask"),
    (np.ones((SIDE, SIDE + 1), np.uint8), "33 x 32"),
])
def test_what_is_no_mask_is_refused(tmp_path, mask, said):
    films(tmp_path, "a")
    write(tmp_path, "l/a_disc.png", _nested()[0].astype(np.uint8))
    write(tmp_path, "l/a_cup.png", mask.astype(np.uint8))
    refused(tmp_path, run(tmp_path, "--masks=disc,cup"), "a_cup.png", said)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 1), (65535, 65535, 65535), 65535])
def test_a_mask_may_be_of_any_one_colour(tmp_path, colour):
    films(tmp_path, "a")
    disc = _nested()[0]
    mask = disc[..., None] * np.array(colour) if isinstance(colour, tuple) else disc * colour
    deep = np.max(colour) > 255
    write(tmp_path, "l/a_disc.png", mask.astype(np.uint16 if deep else np.uint8))
    store, _ = imported(tmp_path, "--masks=disc")
    np.testing.assert_array_equal(store.label("a"), disc)


@pytest.mark.parametrize(("value", "said"), [(255, "every pixel of every film is disc"), (0, "no film has disc")])
def test_masks_of_one_value_are_warned_of(tmp_path, value, said):
    films(tmp_path, "a", "b")
    for name in "ab":
        write(tmp_path, f"l/{name}_disc.png", np.full((SIDE, SIDE), value, np.uint8))
    assert f"warning: {said}" in imported(tmp_path, "--masks=disc")[1]


def test_ignored_codes_stay_unknown_at_any_size(tmp_path):
    codes = np.repeat(np.array([[0, 1, 11, 2]], np.uint8), SIDE, 0).repeat(SIDE // 4, 1)
    films(tmp_path, "a")
    write(tmp_path, "l/a.png", codes)
    refused(tmp_path, run(tmp_path, "--classes=a,b,c"), "found codes 0, 1, 2, 11", "--ignore")
    for ignore in ("12x", "-1", "256", ""):
        refused(tmp_path, run(tmp_path, "--classes=a,b,c", f"--ignore=11,{ignore}"), "--ignore")
    store, said = imported(tmp_path, "--classes=a,b,c", "--ignore=11", size=8)
    np.testing.assert_array_equal(store.label("a"), np.repeat([[0, 0, 1, 1, 255, 255, 2, 2]], 8, 0))
    assert row(said, "ignored") == (1, 1, 25, 25) and "25.0% of the pixels" in said
    assert set(np.unique(store.filled_label("a"))) == {0, 1, 2}


def test_thin_classes_and_padding_are_told(tmp_path):
    """Lines of one pixel in eight are a minority everywhere at a quarter of the size."""
    shape = (SIDE, 2 * SIDE)
    codes = np.zeros(shape, np.uint8)
    codes[::8], codes[16:24, 16:32] = 1, 2
    films(tmp_path, "a", shape=shape)
    write(tmp_path, "l/a.png", codes)
    _, said = imported(tmp_path, "--classes=ground,line,box,absent", size=16)
    warning = next(line for line in said.splitlines() if line.startswith("warning: of line"))
    assert " 0% " in warning and "--size=32" in warning and "warning: of box" not in said
    assert "no film has absent" in said and "padding: 50.0% " in said and "of class ground" in said
    assert row(said, "line")[2] > 10 and row(said, "line")[3] == 0 and row(said, "absent")[:2] == (0, 1)


def test_a_patient_on_both_sides_is_warned_of(tmp_path):
    for name in ("a", "b", "c"):
        for kind in ("i", "l"):
            (tmp_path / kind).mkdir(exist_ok=True)
            patient = {"PatientID": "X" if name < "c" else "Y"} if kind == "i" else {}
            (tmp_path / kind / f"{name}.dcm").write_bytes(pictures.dicom(np.eye(SIDE, dtype=np.uint8), **patient))
    (tmp_path / "test.txt").write_text("b.dcm\n")
    options = [f"--images={tmp_path}/i", f"--labels={tmp_path}/l", "--size=32", "--classes=a,b"]
    done = binaries.run("tools.import_dataset", *options, f"--test_ids={tmp_path}/test.txt", f"--out={tmp_path}/1")
    assert done.code == 0 and "warning: 1 of 2 groups train and test (X)" in done.out, done
    done = binaries.run("tools.import_dataset", *options, "--train_count=1", "--group_by=PatientID",
                        f"--out={tmp_path}/2")
    store = PairStore(tmp_path / "2")
    assert "warning" not in done.out and store.ids("test") == ["c"]
    assert patients(store, ["a", "b", "c"]) == ["patient-0001", "patient-0001", "patient-0002"]
    assert (tmp_path / "1" / "manifest.csv").read_text() == "id,split,source\na,train,1\nb,test,1\nc,train,1\n"
    done = binaries.run("tools.import_dataset", *options, f"--train_ids={tmp_path}/test.txt", "--group_by=[ab]|c",
                        f"--out={tmp_path}/3")
    assert PairStore(tmp_path / "3").ids("train") == ["b"] and "warning" not in done.out


@pytest.mark.parametrize(("options", "said"), [
    (["--classes=a,b", "--masks=a"], "--classes and --masks"), (["--masks=a", "--ignore=1"], "--ignore"),
    (["--masks=a", "--instances"], "--instances"), (["--classes=a,b", "--unions=c"], "--unions"),
    (["--classes=a,b", "--unions=c:x+b"], "--unions"), (["--classes=a,b", "--train_count=2"], "--train_count"),
])
def test_options_that_do_not_go_together(tmp_path, options, said):
    films(tmp_path, "a")
    write(tmp_path, "l/a.png", np.zeros((SIDE, SIDE), np.uint8))
    refused(tmp_path, run(tmp_path, *options), said)


def test_labels_beside_their_images_and_capitals(tmp_path):
    for number in range(2):
        write(tmp_path, f"i/p{number}.png", np.arange(81).reshape(9, 9).astype(np.uint8) + np.uint8(number))
        write(tmp_path, f"i/p{number}_mask.png", np.eye(9, dtype=np.uint8))
    done = binaries.run("tools.import_dataset", f"--images={tmp_path}/i", "--size=9", f"--out={tmp_path}/out",
                        "--classes=none,ETT", "--test_fraction=0")
    assert done.code == 0 and "--label_suffix=_mask" in done.out, done
    store = PairStore(tmp_path / "out")
    assert store.ids() == ["p0", "p1"] and store.classes.names[1] == "ETT"


def test_sources_know_their_first_label():
    masks = (None, pathlib.Path("b.png"))
    assert OwnFolder("a", "a", pathlib.Path("a.png"), masks).label == masks[1]


def test_a_mask_that_no_image_has_is_a_mistyped_one(tmp_path):
    films(tmp_path, "a", "b")
    for name in "ab":
        write(tmp_path, f"l/{name}_left.png", np.eye(SIDE, dtype=np.uint8))
    refused(tmp_path, run(tmp_path, "--masks=left:_left,heart:_hart"), "heart", "_hart")
