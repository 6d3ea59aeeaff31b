"""Text from any editor: the same lines whatever its encoding, mark and line ends; ids of names in any script."""

import json
import unicodedata

import pytest

from datasets.class_table import ClassTable
from datasets.common.atomic_files import read_json
from datasets.common.errors import UserError
from datasets.common.names import MAX_ID, is_id, to_id
from datasets.common.text_files import read_lines, read_table, read_text

TEXT = "case00\nMüller\n左肺\n"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_lines_are_the_same_however_they_are_written(tmp_path, encoding, end, form):
    text = unicodedata.normalize(form, TEXT).replace("\n", end)
    (tmp_path / "list.txt").write_bytes(text.encode(encoding))
    assert read_lines(tmp_path / "list.txt") == ["case00", "Müller", "左肺"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_and_tables_too(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes(json.dumps({"names": ["é"]}, ensure_ascii=False).encode(encoding))
    assert read_json(tmp_path / "a.json") == {"names": ["é"]}
    for delimiter in ",;\t":
        rows = [["id", "patient"], ["a b", "1"], ["c", ""]]
        text = "\r\n".join(delimiter.join(row) for row in rows) + "\r\n\r\n"
        (tmp_path / "a.csv").write_bytes(text.encode(encoding))
        assert read_table(tmp_path / "a.csv") == rows


def test_comments_quotes_and_spaces_are_no_names(tmp_path):
    (tmp_path / "a.txt").write_text('# test films\n\n  "a b"  \n\'c\'\n')
    assert read_lines(tmp_path / "a.txt") == ["a b", "c"]


@pytest.mark.parametrize("data", [b"caf\xe9\n", b"\x81\x40\x81\x41", b"\xff\xfe\x00", b"a\x00\x00\x00b",
                                  b"\x89PNG\r\n\x1a\n\0\0"])
def test_other_bytes_are_refused_with_a_remedy(tmp_path, data):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.txt: .*UTF-8"):
        read_text(tmp_path / "a.txt")


def test_what_is_no_file_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "absent.txt", tmp_path / "\0"):
        with pytest.raises(UserError, match=r"^[^\n]*$"):
            read_text(path)


def test_names_of_two_forms_are_one_id_and_of_two_scripts_two():
    assert to_id(unicodedata.normalize("NFD", "Müller ő")) == to_id("Müller ő") == "Müller_ő"
    names = ["张伟", "刘洋", "Иванов", "علی", "राम", "रमि", "สมชาย", "田中", "김철수", "a b", "-b", "$x", "..", ""]
    ids = [to_id(name) for name in names]
    assert len(set(ids)) == len(names) and all(map(is_id, ids)) and ids[:2] == ["张伟", "刘洋"]
    assert to_id("\u0308abc") == "\u1e8dabc"  # x with its dots is one letter
    for name in ("", "a/b", "a\\b", "../a", ".a", "a\nb", "a:b", unicodedata.normalize("NFD", "é"), "é" * 65):
        assert not is_id(name), name


@pytest.mark.parametrize("name", ["a" * 300, "张" * 100, "e\u0301" * 200])
def test_long_names_leave_room_for_what_is_added(name):
    assert is_id(to_id(name) + "-horizontal_z0123") and len(to_id(name).encode()) <= MAX_ID


def test_class_names_of_two_forms_are_one():
    composed, apart = "crâne", unicodedata.normalize("NFD", "crâne")
    assert ClassTable(("fond", apart), (composed,)).names == ("fond", composed)
    with pytest.raises(ValueError, match="differ"):
        ClassTable(("fond", apart, composed))
