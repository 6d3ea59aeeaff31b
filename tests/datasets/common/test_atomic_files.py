"""Files appear whole or not at all, and what the system refuses is told in one line."""

import os
import subprocess
import sys

import numpy as np
import pytest

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import read_png, write_png


def test_what_is_written_is_read(tmp_path):
    atomic_files.write_json(tmp_path / "a.json", {"ä": [1, None]})
    assert atomic_files.read_json(tmp_path / "a.json") == {"ä": [1, None]}
    atomic_files.write_text(tmp_path / "a.json", "[]")
    assert atomic_files.read_json(tmp_path / "a.json") == [] and os.listdir(tmp_path) == ["a.json"]


def test_names_of_files_that_are_no_text_are_written_all_the_same(tmp_path):
    name = os.fsdecode(b"caf\xe9 ") + "\u5f20.png"
    atomic_files.write_text(tmp_path / "a.csv", name)
    atomic_files.append_text(tmp_path / "a.csv", name)
    atomic_files.write_json(tmp_path / "a.json", [name])
    assert (tmp_path / "a.csv").read_text("utf-8") == 2 * "caf\\udce9 \u5f20.png"
    assert len(atomic_files.read_json(tmp_path / "a.json")) == 1


def test_an_error_on_the_way_leaves_the_old_file(tmp_path):
    atomic_files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyError), atomic_files.replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise KeyError("stop")
    assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_what_is_not_json_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.json: no such file"):
        atomic_files.read_json(tmp_path / "absent.json")
    for text in (b"{", b"\xff", b"[" * 100_000, b""):
        (tmp_path / "a.json").write_bytes(text)
        with pytest.raises(UserError, match=r"^\S*a\.json: (not valid JSON|found bytes at 0) [^\n]*$"):
            atomic_files.read_json(tmp_path / "a.json")


def test_a_folder_is_made_and_tried(tmp_path):
    assert atomic_files.make_folder(tmp_path / "a" / "b").is_dir() and os.listdir(tmp_path / "a" / "b") == []
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=rf"^{path}: cannot write there \([^\n]*; choose another folder$"):
            atomic_files.make_folder(path)


def test_a_folder_that_has_vanished_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone/a\.txt: could not be written \(No such file"):
        atomic_files.write_text(tmp_path / "gone" / "a.txt", "new")


def test_a_kill_between_two_renames_leaves_both_folders_whole_beside_their_place(tmp_path):
    program = """if True:
        import os, sys
        from datasets.common import atomic_files as files
        rename = os.replace
        def killed(source, target):
            rename(source, target)
            if os.path.basename(target) == "old":
                os._exit(9)
        for text in ("former", "new"):
            with files.replacing_folder(sys.argv[1]) as made:
                files.write_text(files.make_folder(made) / "a.txt", text)
            os.replace = killed"""
    path = tmp_path / "kept"
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == 9
    scratch, = tmp_path.glob(".kept.*")
    assert [(scratch / name / "a.txt").read_text() for name in ("old", "made")] == ["former", "new"]
    with atomic_files.replacing_folder(path) as made:
        atomic_files.make_folder(made)
    assert path.is_dir()


@pytest.mark.parametrize("call", ["files.write_text(path, 'x' * 100_000)",
                                  "write_png(path, np.random.default_rng(0).integers(0, 256, (300, 300)))"])
def test_a_full_disk_leaves_the_old_file(tmp_path, call):
    """A limit on the size of files stands for the disk."""
    path = tmp_path / "a.png"
    write_png(path, np.eye(9, dtype=np.uint8))
    program = f"""if True:
        import pathlib, resource, sys
        import numpy as np
        from datasets.common import atomic_files as files
        from datasets.common.errors import UserError
        from datasets.pair_store import write_png
        path = pathlib.Path(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            {call.replace("(300, 300))", "(300, 300)).astype(np.uint8)")}
        except UserError as error:
            print(error)"""
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: could not be written") and done.stdout.count("\n") == 1
    np.testing.assert_array_equal(read_png(path, (9, 9)), np.eye(9))
    assert os.listdir(tmp_path) == ["a.png"]


def test_text_is_added_at_the_end_or_refused(tmp_path):
    for text in ("a\n", "ä\n"):
        atomic_files.append_text(tmp_path / "log", text)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "a\nä\n"
    with pytest.raises(UserError, match=f"{tmp_path}: could not be written"):
        atomic_files.append_text(tmp_path, "b")


def test_a_folder_takes_its_place_whole_or_not_at_all(tmp_path):
    target = tmp_path / "kept"
    for text in ("old", "new"):
        with atomic_files.replacing_folder(target) as made:
            atomic_files.write_text(atomic_files.make_folder(made) / "a.txt", text)
    assert (target / "a.txt").read_text() == "new"
    with pytest.raises(KeyboardInterrupt), atomic_files.replacing_folder(target) as made:
        atomic_files.make_folder(made)
        raise KeyboardInterrupt
    with pytest.raises(UserError, match="kept: could not be written"), atomic_files.replacing_folder(target):
        pass  # nothing made: the rename fails after the old folder has been moved aside
    assert (target / "a.txt").read_text() == "new" and [path.name for path in tmp_path.iterdir()] == ["kept"]
