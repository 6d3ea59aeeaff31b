"""The one rule for what counts as a picture file: what lies beside pictures is left out with a count."""

import pathlib
import re

import numpy as np
import pytest

from datasets.common.errors import UserError
from datasets.formats.dicom_start import has_explicit_vrs, is_dicom
from datasets.formats.find import find_in_folder, find_named, is_dicom_file, picture_stem
from datasets.pair_store import PairStore
from datasets.sources.own_files import match_files
from tests.helpers import pictures

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
DICOM = pictures.dicom(GREY)
JUNK = ("Thumbs.db", "desktop.ini", ".DS_Store", "README.txt", "DICOMDIR", ".thumbnails/a.png", "@eaDir/a.png",
        "@eaDir/a.png@SynoEAStream", "__MACOSX/._a.png", "._a.png", "table.csv", "notes.json", "a.xml",
        "sub/.hidden/a.dcm", "sub/LICENSE", "sub/a.heic", "empty")


def _fill(folder: pathlib.Path, names, data=b"junk") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_junk_is_left_out_with_a_count(tmp_path):
    _fill(tmp_path, JUNK)
    _fill(tmp_path, ["DICOMDIR"], DICOM)
    _fill(tmp_path, ["a.png", "b.JPG", "sub/c.nii.gz"])  # whole or not shows when they are read
    _fill(tmp_path, ["IM0001", "1.2.840.113", "sub/film.old"], DICOM)
    _fill(tmp_path, ["media.dcm2"], DICOM[:144] + b"1.2.840.10008.1.3.10" + DICOM[144:])
    _fill(tmp_path, ["scan"], pictures.png(GREY))
    found = find_in_folder(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found.files] == [
        "1.2.840.113", "IM0001", "a.png", "b.JPG", "scan", "sub/c.nii.gz", "sub/film.old"]
    counts = dict(reversed(item) for item in re.findall(r"(\d+) ([^,();]+)", found.about_left_out()))
    assert counts == {"files that are not read ": "18", "hidden": "4", "system file": "4", "in @eaDir/": "2",
                      "in __MACOSX/": "1", ".txt": "1", ".csv": "1", ".json": "1", ".xml": "1", ".heic": "1",
                      "without suffix": "2"}
    assert len(found.left_out) == 18
    assert find_named([str(tmp_path)]) == found


def test_a_clean_folder_says_nothing(tmp_path):
    _fill(tmp_path, ["a.png", "b.nhdr", "b.raw", "c.nhdr", "c.raw.gz"])
    assert find_in_folder(tmp_path).about_left_out() == ""


@pytest.mark.parametrize("names", [(), ("a.txt", "b.txt", "Thumbs.db")])
def test_a_folder_without_pictures_says_what_it_holds(tmp_path, names):
    _fill(tmp_path, names)
    with pytest.raises(UserError, match=r"among 3 files \(2 .txt, 1 system file\)" if names else "no files"):
        find_in_folder(tmp_path)


def test_folders_that_are_closed_and_links_that_turn_round(tmp_path):
    _fill(tmp_path, ["a.png", "out/labels/a.png", "sub/b.png"])
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "sub")
    (tmp_path / "c.png").symlink_to(tmp_path / "moved.png")
    assert "1 broken link" in find_in_folder(tmp_path, [tmp_path / "out"]).about_left_out()
    found = find_in_folder(tmp_path, [tmp_path / "out"]).files
    assert sorted(path.name for path in found) == ["a.png", "b.png"]
    with pytest.raises(UserError, match="absent: cannot be listed"):
        find_in_folder(tmp_path / "absent")
    with pytest.raises(UserError, match=r"a\.png: cannot be listed"):
        find_in_folder(tmp_path / "a.png")


def test_what_is_named_counts_but_what_a_pattern_meets_must_be_a_picture(tmp_path):
    _fill(tmp_path, ["a.png", "film.xyz", "Thumbs.db", "notes.txt"])
    found = find_named([f"{tmp_path}/film.xyz", f"{tmp_path}/*"])
    assert [path.name for path in found.files] == ["film.xyz", "a.png"]
    assert [path.name for path, _ in found.left_out] == ["Thumbs.db", "notes.txt"]
    assert [path.name for path in find_named([f"{tmp_path}/.", f"{tmp_path}/a.png"]).files].count("a.png") >= 1
    for missing in ("Thumbs.db", "*.txt", "none*", "none.png"):
        with pytest.raises(UserError, match="no film there"):
            find_named([f"{tmp_path}/{missing}"])


@pytest.mark.parametrize(("name", "stem"), [
    ("a.nii.gz", "a"), ("a.seg.nrrd", "a"), ("A.NII.GZ", "A"), ("a.b.png", "a.b"), ("IM.0001", "IM.0001"),
    (".png", ".png"), ("a.gz", "a.gz"), ("a.jpeg", "a"), ("b/a.nhdr", "a")])
def test_stems(name, stem):
    assert picture_stem(name) == stem


def test_dicom_is_known_without_its_preamble(tmp_path):
    (tmp_path / "a").write_bytes(DICOM[132:])
    assert is_dicom(DICOM[:200]) and is_dicom_file(tmp_path / "a") and has_explicit_vrs(DICOM[132:332])
    implicit = b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100" + b"\x08\0\x16\0\x04\0\0\x001.2\0"
    assert has_explicit_vrs(implicit + bytes(20)) is False
    for other in (b"", b"\x02\0", b"\x08\0" * 100, b"\x02\0\0\0" * 50, bytes(300), b"text" * 80,
                  pictures.png(GREY), b"\x08\0\x05\0CS" + b"\xff" * 60):
        assert not is_dicom(other)


def test_what_is_not_read_is_no_naming_mistake(tmp_path):
    """Label maps of a kind that is not read: the line about names says how many there are of it."""
    _fill(tmp_path / "films", ["a.png", "b.png"])
    _fill(tmp_path / "maps", ["a.mha", "b.mha", "overview.png"])
    with pytest.raises(UserError, match=r"2 \.mha"):
        match_files(tmp_path / "films", tmp_path / "maps")


@pytest.mark.parametrize("read", [
    lambda: find_named([""]), lambda: find_named(["films", " "]), lambda: PairStore("")])
def test_an_empty_name_is_not_the_folder_one_is_in(read, tmp_path, monkeypatch):
    (tmp_path / "films").mkdir()
    for folder in (tmp_path, tmp_path / "films"):
        (folder / "a.png").write_bytes(pictures.png(np.zeros((4, 4), np.uint8)))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="empty name"):
        read()
