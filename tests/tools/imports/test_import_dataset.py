"""A user's own folders: every format, any classes, names and codes as told, and nothing written on a mistake."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from datasets.class_table import ClassTable
from datasets.common.errors import UserError
from datasets.pair_store import Description, PairStore, PairWriter
from datasets.sources import own_folders, own_splits
from datasets.sources.own_files import match_files
from datasets.sources.own_labels import CodeLabels
from datasets.sources.own_options import parse_remap
from datasets.verify import verify_store
from tests.helpers import binaries, pictures
from tests.helpers.killed_writer import contents

SIDE = 24
TABLE = ClassTable(("background", "liver", "spleen"))


def _pair(seed, shape=(SIDE, SIDE), classes=3, white=255):
    rng = np.random.default_rng(seed)
    film = rng.integers(0, white + 1, shape).astype(np.uint8 if white == 255 else np.uint16)
    return film, rng.integers(0, classes, shape).astype(np.uint8)


def _write(folder, name, data):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


@pytest.fixture
def own(tmp_path):
    """Ten pairs of PNG, TIFF and DICOM."""
    for number in range(10):
        film, label = _pair(number)
        kind = ("png", "tif", "dcm")[number % 3]
        _write(tmp_path / "films", f"p{number}.{kind}", getattr(pictures, {"tif": "tiff", "dcm": "dicom"}.get(
            kind, kind))(film))
        _write(tmp_path / "maps", f"p{number}.png", pictures.png(label))
    return tmp_path


def _import(folder, *options, classes="--classes=background,liver,spleen", test="--test_fraction=0.3", size=SIDE):
    return binaries.run("tools.import_dataset", f"--images={folder}/films", f"--labels={folder}/maps",
                        f"--out={folder}/out", f"--size={size}", *filter(None, (classes, test)), *options)


def _refused(done, folder, said):
    """One line, exit code 1, and no folder."""
    binaries.told(done, said)
    assert not (folder / "out").exists()


def test_films_and_codes_come_in_as_they_were(own):
    done = _import(own)
    assert done.code == 0 and done.err == "", done.err
    assert "10 pairs at 24 x 24 pixels" in done.out and "7 train, 3 test" in done.out
    store = PairStore(own / "out")
    assert store.classes == TABLE and store.description.name == "out" and len(store.ids("test")) == 3
    for number in range(10):
        film, label = _pair(number)
        np.testing.assert_array_equal(store.image(f"p{number}"), film)
        np.testing.assert_array_equal(store.label(f"p{number}"), label)
    assert list(verify_store(own / "out")) == []
    before = contents(own / "out")
    assert _import(own).code == 0 and contents(own / "out") == before


def test_names_scores_folds_and_test_ids_from_files(own):
    classes = {"names": ["nothing", "a", "b"], "scored": ["b"], "fold_back": {"a": "b"}}
    (own / "classes.json").write_text(json.dumps(classes))
    (own / "test.txt").write_text("p3\n\n p7 \n")
    done = _import(own, f"--test_ids={own}/test.txt", f"--classes_json={own}/classes.json", "--name=Mine",
                   classes=None, test=None)
    assert done.code == 0, done.err
    store = PairStore(own / "out")
    assert store.classes == ClassTable(("nothing", "a", "b"), ("b",), {"a": "b"})
    assert store.ids("test") == ["p3", "p7"] and store.description.name == "Mine"
    assert store.scored_label("p0").max() == 1


def test_codes_are_translated(tmp_path):
    film, label = _pair(0, classes=2)
    _write(tmp_path / "films", "a.png", pictures.png(film))
    _write(tmp_path / "maps", "a.gif", pictures.pillow(label * np.uint8(255), "GIF"))
    refused = _import(tmp_path, classes="--classes=none,lung", test="--test_fraction=0")
    _refused(refused, tmp_path, "maps/a.gif: found codes 0, 255")
    assert "--remap=0:0,255:1" in refused.err
    done = _import(tmp_path, "--remap=255:1", classes="--classes=none,lung", test="--test_fraction=0")
    assert done.code == 0, done.err
    np.testing.assert_array_equal(PairStore(tmp_path / "out").label("a"), label)


def _bring_in(folder, size, **options):
    """As the command, without a process."""
    matched = match_files(folder / "films", folder / "maps")
    labels = CodeLabels(options.get("classes", TABLE))
    found = own_folders.survey(matched.sources, labels, size, lambda *_: None)
    white = options.get("max_value", 65535 if found.deep else 255)
    description = Description("own", (size, size), labels.classes, white, found.spacing_mm)
    films = own_folders.PairFilms(options.get("white") or found.white)
    own_folders.import_pairs(matched.sources, folder / "out", description, set(), labels, films, lambda *_: None)
    return PairStore(folder / "out"), found, matched.alone


@pytest.mark.parametrize("classes", [2, 40, 255])
def test_any_number_of_classes(tmp_path, classes):
    film, label = _pair(0, classes=classes)
    label[0, 0] = classes - 1
    _write(tmp_path / "films", "a.png", pictures.png(film))
    _write(tmp_path / "maps", "a.png", pictures.png(label))
    table = ClassTable(tuple(f"class {code}" for code in range(classes)))
    store, _, _ = _bring_in(tmp_path, SIDE, classes=table)
    np.testing.assert_array_equal(store.label("a"), label)


@pytest.mark.parametrize("shape", [(24, 48), (48, 24), (33, 71), (5, 90), (1, 9)])
def test_pictures_keep_their_aspect_ratio(tmp_path, shape):
    film = np.full(shape, 200, np.uint8)
    _write(tmp_path / "films", "a.png", pictures.png(film))
    _write(tmp_path / "maps", "a.png", pictures.png(np.full(shape, 2, np.uint8)))
    store, _, _ = _bring_in(tmp_path, 24)
    image, label = store.image("a"), store.label("a")
    assert image.shape == (24, 24) and np.array_equal(image > 0, label > 0)
    rows, columns = np.nonzero(label.any(1))[0], np.nonzero(label.any(0))[0]
    assert max(len(rows), len(columns)) == 24
    assert abs(min(len(rows), len(columns)) - 24 * min(shape) / max(shape)) <= 1
    for lines in (rows, columns):  # as much ground on either side
        assert abs(lines[0] - (23 - lines[-1])) <= 1


def test_what_is_deep_stays_deep(tmp_path):
    """12-bit DICOM says its white; a 16-bit PNG does not: the least 2^n - 1 that no film exceeds."""
    deep, (shallow, label) = [_pair(seed, white=4095)[0] for seed in (0, 1)], _pair(2)
    for name, data in (("a", pictures.png(deep[0])), ("b", pictures.dicom(deep[1], BitsStored=12)),
                       ("c", pictures.png(shallow))):
        _write(tmp_path / "films", name, data)
        _write(tmp_path / "maps", f"{name}.png", pictures.png(label))
    store, found, _ = _bring_in(tmp_path, SIDE)
    assert found.deep and found.white == 4095 and store.description.max_value == 65535
    for name, film in zip("ab", deep, strict=True):
        assert np.abs(store.image(name) - film * (255 / 4095)).max() <= 0.51
    np.testing.assert_array_equal(store.image("c"), shallow)


@pytest.mark.parametrize(("spacings", "expected"), [((0.5, 0.5), 0.25), ((0.5, 0.6), None), ((0.5, None), None)])
def test_the_spacing_is_kept_where_all_films_agree(tmp_path, spacings, expected):
    for name, spacing in zip("ab", spacings, strict=True):
        film, label = _pair(0)
        known = {} if spacing is None else {"PixelSpacing": [spacing, spacing]}
        _write(tmp_path / "films", f"{name}.dcm", pictures.dicom(film, **known))
        _write(tmp_path / "maps", f"{name}.png", pictures.png(label))
    store, _, _ = _bring_in(tmp_path, 2 * SIDE)
    assert store.description.spacing_mm == (expected and pytest.approx(expected))


def test_files_without_a_partner_are_named(own):
    _write(own / "films", "lonely.png", pictures.png(_pair(0)[0]))
    _write(own / "maps", "single.png", pictures.png(_pair(0)[1]))
    done = _import(own)
    assert done.code == 0 and len(PairStore(own / "out").ids()) == 10
    assert f"left out: {own}/films/lonely.png has no partner" in done.out
    assert f"left out: {own}/maps/single.png has no partner" in done.out


def test_odd_names_become_ids(tmp_path):
    for name in ("film 1", "-b", "ä", "c.d"):
        _write(tmp_path / "films", f"{name}.png", pictures.png(_pair(0)[0]))
        _write(tmp_path / "maps", f"{name}.png", pictures.png(_pair(0)[1]))
    assert sorted(_bring_in(tmp_path, SIDE)[0].ids()) == ["c.d", "film_1", "x-b", "ä"]
    _write(tmp_path / "films", "film_1.png", pictures.png(_pair(0)[0]))
    _write(tmp_path / "maps", "film_1.png", pictures.png(_pair(0)[1]))
    with pytest.raises(UserError, match=r"its id film_1 is that of .* too; rename one"):
        match_files(tmp_path / "films", tmp_path / "maps")


def test_two_films_of_one_name_are_a_mistake(own):
    _write(own / "films", "p0.tif", pictures.tiff(_pair(0)[0]))
    with pytest.raises(UserError, match=r"p0\.(tif|png): there is another file of that name; keep one"):
        match_files(own / "films", own / "maps")


@pytest.mark.parametrize(("kind", "name", "data", "said"), [
    ("maps", "p9.png", pictures.png(_pair(9, (24, 25))[1]), "found 25 x 24 pixels, expected 24 x 24"),
    ("maps", "p9.png", pictures.png(np.full((24, 24), 255, np.uint8)), "found codes 255, expected 0 to 2"),
    ("maps", "p9.png", pictures.png(_pair(9)[1])[:-20], "truncated PNG"),
    ("films", "p9.png", pictures.png(_pair(9)[0])[:70], "truncated PNG"),
    ("films", "p9.png", b"GIF89a", "found 0 x 0 pixels"),
    ("films", "p9.png", b"", "is empty; expected a PNG"),
])
def test_damage_in_the_last_pair_leaves_nothing_behind(own, kind, name, data, said):
    (own / kind / name).write_bytes(data)
    with pytest.raises(UserError, match=rf"^{own}/{kind}/{name}: {said}[^\n]*$"):
        _bring_in(own, SIDE)
    assert not (own / "out").exists()


@pytest.mark.parametrize(("options", "said"), [
    ({"classes": "--classes=background"}, "--classes: names must be 2 to 255"),
    ({"classes": "--classes="}, "--classes: names must be 2 to 255"),
    ({"classes": "--classes=background,gtv,GTV"}, "--classes: names must differ in more than capitals"),
    ({"classes": "--classes=background,a,average"}, "average"),
    ({"test": None}, "--test_fraction=0.3"), ({"test": "--train_count=11"}, "found 10 pairs"),
])
def test_options_that_do_not_fit(own, options, said):
    _refused(_import(own, **options), own, said)


@pytest.mark.parametrize(("options", "said"), [
    (["--test_fraction=0.99"], "no pair trains"), (["--test_fraction=1"], None), (["--test_fraction=0"], None),
    (["--train_count=10"], "no pair tests"), (["--test_fraction=0.3", "--group_by=^."], "no pair trains")])
def test_a_side_without_pairs_is_warned_of(own, options, said):
    done = _import(own, *options, test="--seed=0")
    assert done.code == 0 and re.findall("no pair [a-z]+", done.out) == ([said] if said else [])


@pytest.mark.parametrize("module", ["tools.import_dataset", "tools.make_phantoms"])
def test_no_number_is_no_share(module, tmp_path):
    done = binaries.run(module, f"--out={tmp_path}/out", "--test_fraction=nan", "--size=32", "--count=3"
                        if "phantoms" in module else f"--images={tmp_path}")
    assert done.code == 1 and "--test_fraction=nan" in done.err and not (tmp_path / "out").exists()


def test_other_options_that_do_not_fit(own):
    for pair in ("0", "0:256", "a:b", "0:1:2", "-1:0"):
        with pytest.raises(UserError, match=r"^--remap: found [^\n]* expected FOUND:CODE"):
            parse_remap([pair])
    with pytest.raises(UserError, match="each found one once"):
        parse_remap(["0:1", "0:2"])
    assert parse_remap(["7:2"]) == parse_remap(["7:2"], ("ground", "a", "b")) == {7: 2}
    with pytest.raises(UserError, match=r"^--remap: found '7:2', expected a code of 0 to 1 \(ground, a\)"):
        parse_remap(["7:2"], ("ground", "a"))
    (own / "test.txt").write_text("p3\nnobody\n\u5f20\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"test\.txt: found 'nobody', '\\u5f20'"):
        own_splits.read_ids(own / "test.txt", match_files(own / "films", own / "maps").sources)


def test_empty_and_missing_folders(tmp_path):
    (tmp_path / "films").mkdir()
    (tmp_path / "maps").mkdir()
    _refused(_import(tmp_path), tmp_path, f"{tmp_path}/films: found no files")
    with pytest.raises(UserError, match=r"absent: cannot be listed \(No such file"):
        match_files(tmp_path / "absent", tmp_path / "maps")
    _write(tmp_path / "films", "a.png", b"")
    _write(tmp_path / "maps", "b.png", b"")
    with pytest.raises(UserError, match="no two with the same name"):
        match_files(tmp_path / "films", tmp_path / "maps")


@pytest.mark.parametrize("before", [False, True])
def test_the_users_own_files_are_never_written_over(tmp_path, before):
    """--out is the folder that holds images/ and labels/, once as it is and once as a pair folder of before."""
    film, label = _pair(0)
    for kind, data in (("images", film), ("labels", label)):
        _write(tmp_path / kind, "p0.png", pictures.png(data))
    description = Description("own", (SIDE, SIDE), ClassTable(("a", "b", "c")))
    if before:
        (tmp_path / "description.json").write_text(json.dumps(description.to_json()))
    sources = match_files(tmp_path / "images", tmp_path / "labels").sources
    with pytest.raises(UserError, match=r"p0\.png: would be written over"):
        own_folders.import_pairs(sources, str(tmp_path), description, [], CodeLabels(description.classes),
                                 own_folders.PairFilms(), lambda *_: None)
    with pytest.raises(UserError, match="would be written over") if not before else contextlib.nullcontext():
        PairWriter(tmp_path, description)
    assert (tmp_path / "images" / "p0.png").read_bytes() == pictures.png(film)
    assert (tmp_path / "labels" / "p0.png").read_bytes() == pictures.png(label)


def test_black_16_bit_films_come_in_black(tmp_path):
    black = np.zeros((SIDE, SIDE), np.uint16)
    _write(tmp_path / "films", "a.png", pictures.png(black))
    _write(tmp_path / "maps", "a.png", pictures.png(black.astype(np.uint8)))
    done = _import(tmp_path, test="--test_fraction=0")
    assert done.code == 0, done.err
    assert not PairStore(tmp_path / "out").image("a").any()


def test_the_draw_of_test_pairs():
    ids = [f"p{number}" for number in range(50)]
    drawn = own_splits.choose_test(ids, 0.3, 1)
    assert len(drawn) == 15 and drawn == own_splits.choose_test(ids[::-1], 0.3, 1)
    assert drawn != own_splits.choose_test(ids, 0.3, 2)
    assert own_splits.choose_test(ids, 0.0, 1) == set() and len(own_splits.choose_test(ids, 0.001, 1)) == 1
    assert own_splits.choose_test(ids, 1.0, 1) == set(ids)


def test_another_data_set_is_not_mixed_in(own):
    store, _, _ = _bring_in(own, SIDE)
    before = contents(own / "out")
    (own / "films" / "p0.png").unlink()
    with pytest.raises(UserError, match=r"holds other pairs \(p0\)"):
        _bring_in(own, SIDE)
    with pytest.raises(UserError, match="describes another data set"):
        _bring_in(own, 2 * SIDE)
    assert contents(own / "out") == before and len(store.ids()) == 10


def test_killed_and_continued_it_is_the_same_folder(own):
    _bring_in(own, SIDE)
    whole = contents(own / "out")
    program = """if True:
        import os, pathlib, signal, sys
        from tests.tools.imports.test_import_dataset import _bring_in
        left = [int(sys.argv[2])]
        def watch(event, arguments):
            left[0] -= event == "os.rename"
            if left[0] == 0 and event == "os.rename":
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(watch)
        _bring_in(pathlib.Path(sys.argv[1]), 24)"""
    for renames in (2, 14, 22):  # of 22
        for path in sorted((own / "out").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        done = subprocess.run([sys.executable, "-c", program, own, str(renames)], capture_output=True, check=False)
        assert done.returncode == -9, done.stderr
        with pytest.raises(UserError, match=r"manifest\.csv"):
            PairStore(own / "out")
        _bring_in(own, SIDE)
        assert contents(own / "out") == whole


def test_negatives_and_turned_pictures_are_told(tmp_path):
    """Six films of one look, two of them negatives, one turned by its EXIF data."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    look = (80 + 100 * (np.abs(columns - 12) > 4) * (rows > 5)).astype(np.uint8)
    films = [look + np.random.default_rng(seed).integers(0, 20, look.shape).astype(np.uint8) for seed in range(6)]
    exif = Image.Exif()
    exif[0x0112] = 3
    for number, film in enumerate(films):
        stored = 255 - film if number in (1, 4) else film
        data = pictures.pillow(stored[::-1, ::-1], "PNG", exif=exif) if number == 2 else pictures.png(stored)
        _write(tmp_path / "films", f"p{number}.png", data)
        _write(tmp_path / "maps", f"p{number}.png", pictures.png(_pair(number)[1]))
    done = _import(tmp_path)
    assert done.code == 0, done.err
    assert "2 of 6 images look like negatives of the others (p1, p4)" in done.out
    assert "1 of 6 images are turned" in done.out
    np.testing.assert_array_equal(PairStore(tmp_path / "out").image("p1"), 255 - films[1])
    (tmp_path / "negatives.txt").write_text("p1.png\np4\n")
    shutil.rmtree(tmp_path / "out")
    assert _import(tmp_path, f"--invert_ids={tmp_path}/negatives.txt").code == 0
    for number, film in enumerate(films):
        np.testing.assert_array_equal(PairStore(tmp_path / "out").image(f"p{number}"), film)
    shutil.rmtree(tmp_path / "out")
    assert "6 negatives turned" in _import(tmp_path, "--invert").out
    np.testing.assert_array_equal(PairStore(tmp_path / "out").image("p0"), 255 - films[0])


def test_a_turned_picture_that_does_not_fit_its_label_map_is_told(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    film, label = _pair(0, (24, 20))
    _write(tmp_path / "films", "a.jpg", pictures.pillow(film, "JPEG", exif=exif))
    _write(tmp_path / "maps", "a.png", pictures.png(label))
    _refused(_import(tmp_path, test="--test_fraction=0"), tmp_path, "EXIF orientation")


def test_memory_does_not_grow_with_the_films(tmp_path):
    """Of ten times as many films the same is held at a time."""
    for number in range(40):
        film, label = _pair(number, (256, 256))
        for folder in ("few", "many")[number >= 4:]:
            (tmp_path / folder).mkdir(exist_ok=True)
            _write(tmp_path / folder / "films", f"p{number}.png", pictures.png(film))
            _write(tmp_path / folder / "maps", f"p{number}.png", pictures.png(label))
    peaks = {}
    for folder in ("few", "few", "many"):  # the first loads what all need
        tracemalloc.start()
        shutil.rmtree(tmp_path / folder / "out", ignore_errors=True)
        _bring_in(tmp_path / folder, 48)
        peaks[folder] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["many"] < peaks["few"] + 36 * 256**2 / 4, peaks  # a quarter of the films that came in addition
