"""The pair folder: what is written comes back; what a stranger changes is refused in one line."""

import json

import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_cache import load_pairs
from datasets.pair_store import Description, PairStore, PairWriter, film_names, read_png, write_png
from datasets.verify import verify_store
from tests.helpers import pictures

RNG = np.random.default_rng(0)
SIZE = (10, 14)
TABLE = ClassTable(("background", "liver", "spleen"))


def _pair(dtype=np.uint8, classes=3):
    image = RNG.integers(0, np.iinfo(dtype).max + 1, SIZE).astype(dtype)
    return image, RNG.integers(0, classes, SIZE).astype(np.uint8)


def _store(path, count=3):
    pairs = [_pair() for _ in range(count)]
    with PairWriter(path, Description("made", SIZE, TABLE)) as writer:
        for number, (image, label) in enumerate(pairs):
            writer.add(Entry(f"p{number}", "train" if number else "test", "here"), image, label)
    return PairStore(path), pairs


def test_pairs_come_back(tmp_path):
    store, pairs = _store(tmp_path)
    images, labels = load_pairs(store, store.ids())
    np.testing.assert_array_equal(images, [image for image, _ in pairs])
    np.testing.assert_array_equal(labels, [label for _, label in pairs])
    assert store.ids("test") == ["p0"] and store.ids("train") == ["p1", "p2"]
    assert store.description == Description("made", SIZE, TABLE)
    assert store.entries[0] == Entry("p0", "test", "here")


def test_16_bit_films_are_scaled_by_their_white(tmp_path):
    film = np.linspace(0, 4095, 140).reshape(SIZE).astype(np.uint16)
    with PairWriter(tmp_path, Description("deep", SIZE, TABLE, 4095)) as writer:
        writer.add(Entry("a", "train"), film, np.zeros(SIZE, np.uint8))
    store = PairStore(tmp_path)
    np.testing.assert_array_equal(read_png(tmp_path / "images" / "a.png", SIZE), film)
    np.testing.assert_array_equal(store.image("a"), np.rint(film * 255.0 / 4095))


def test_masks_keep_overlaps_and_give_the_exact_scored_map(tmp_path):
    masks = RNG.random((*SIZE, 5)) < 0.4
    with PairWriter(tmp_path, Description("chest", SIZE, CHEST)) as writer:
        writer.add(Entry("a", "train"), _pair()[0], CHEST.paint(masks), masks)
    store = PairStore(tmp_path)
    np.testing.assert_array_equal(store.masks("a"), masks)
    scored = np.zeros(SIZE, np.uint8)
    for code, organ in ((1, 0), (2, 1), (3, 2)):  # left lung, right lung, heart
        scored[masks[..., organ]] = code
    np.testing.assert_array_equal(store.scored_label("a"), scored)


def test_without_masks_the_scored_map_is_the_collapsed_one(tmp_path):
    label = RNG.integers(0, 6, SIZE).astype(np.uint8)
    with PairWriter(tmp_path, Description("chest", SIZE, CHEST)) as writer:
        writer.add(Entry("a", "train"), _pair()[0], label)
    store = PairStore(tmp_path)
    assert store.masks("a") is None
    np.testing.assert_array_equal(store.scored_label("a"), np.array([0, 1, 2, 3, 1, 2], np.uint8)[label])


def test_masks_of_another_shape_are_a_mistake(tmp_path):
    writer = PairWriter(tmp_path, Description("chest", SIZE, CHEST))
    with pytest.raises(ValueError, match="channel for each organ"):
        writer.add(Entry("a", "train"), *_pair(), np.zeros((*SIZE, 4), bool))
    assert not [*tmp_path.glob("*/*.png")]


def test_masks_of_an_earlier_pair_do_not_outlive_it(tmp_path):
    """Or they, not the new label map, would be scored."""
    description, masks = Description("made", SIZE, TABLE), RNG.random((*SIZE, 2)) < 0.4
    with PairWriter(tmp_path, description) as writer:
        for id_ in "ab":
            writer.add(Entry(id_, "test"), _pair()[0], TABLE.paint(masks), masks)
    again = PairWriter(tmp_path, description)
    image, label = _pair()
    again.add(Entry("a", "test"), image, label)
    store = PairStore(tmp_path)  # of a writer killed here
    np.testing.assert_array_equal(store.scored_label("a"), label)
    np.testing.assert_array_equal(store.masks("b"), masks)
    again.add(Entry("b", "test"), image, label)
    again.close()
    assert PairStore(tmp_path).masks("b") is None and not list(verify_store(tmp_path))


def test_masks_go_before_the_label_map_changes(tmp_path):
    """A writer that stops at the label map leaves no old masks beside a new one."""
    description, masks = Description("made", SIZE, TABLE), np.ones((*SIZE, 2), bool)
    with PairWriter(tmp_path, description) as writer:
        writer.add(Entry("a", "test"), _pair()[0], TABLE.paint(masks), masks)
    (tmp_path / "labels" / "a.png").unlink()
    (tmp_path / "labels" / "a.png").mkdir()
    with pytest.raises(UserError, match=r"labels/a\.png"):
        PairWriter(tmp_path, description).add(Entry("a", "test"), *_pair())
    assert PairStore(tmp_path).masks("a") is None


def test_fingerprint_follows_content(tmp_path):
    store, _ = _store(tmp_path)
    before = store.fingerprint()
    assert PairStore(tmp_path).fingerprint() == before
    write_png(tmp_path / "labels" / "p1.png", np.ones(SIZE, np.uint8))
    assert store.fingerprint() != before


def test_an_unfinished_folder_has_no_pairs(tmp_path):
    """The manifest comes last, so that a killed writer leaves no folder that looks whole."""
    writer = PairWriter(tmp_path, Description("made", SIZE, TABLE))
    writer.add(Entry("a", "train"), *_pair())
    with pytest.raises(UserError, match=r"manifest\.csv"):
        PairStore(tmp_path)


def test_adding_to_another_data_set_is_refused(tmp_path):
    _store(tmp_path)
    with pytest.raises(UserError, match="another data set"):
        PairWriter(tmp_path, Description("other", SIZE, TABLE))


@pytest.mark.parametrize(("length", "kept"), [(0, 0), (190, 190), (191, 187), (200, 187)])
def test_a_name_with_more_after_it_is_still_a_name(length, kept):
    made = Description("n" * length, SIZE, TABLE).renamed(" and more.", max_value=1023)
    assert made == Description("n" * kept + "..." * (kept < length) + " and more.", SIZE, TABLE, 1023)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write there"):
        PairWriter(tmp_path / "file" / "store", Description("made", SIZE, TABLE))


@pytest.mark.parametrize("changes", [
    {"format": 2}, {"size": [10]}, {"size": [10, 9000]}, {"size": [7, 8]}, {"size": "big"}, {"max_value": 0},
    {"max_value": 1e400}, {"spacing_mm": -1}, {"spacing_mm": "wide"}, {"classes": {"names": ["a"]}},
    {"classes": {"names": ["a", "b"], "extra": 1}}, {"classes": {"names": ["a", "b"], "scored": ["c"]}},
    {"classes": None}, {"name": 3}, {"name": "two\nlines"}, {"name": "\ud800"}, {"size": [True, [2]]},
    {"max_value": {}}, {"classes": {"names": ["a", "b"], "fold_back": {"b": ["x"]}}},
])
def test_a_description_that_cannot_be_is_refused(tmp_path, changes):
    _store(tmp_path)
    path = tmp_path / "description.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(UserError, match=r"^\S*description\.json: not a data set description [^\n]*$"):
        PairStore(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "{", "[]", "null", '{"a": 1}', "\0"])
def test_a_description_that_is_no_object_is_refused(tmp_path, text):
    _store(tmp_path)
    (tmp_path / "description.json").write_text(text)
    with pytest.raises(UserError, match=r"^\S*description\.json: [^\n]*$"):
        PairStore(tmp_path)


@pytest.mark.parametrize(("row", "said"), [
    ("../../etc/passwd,train,", "plain file name"), ("/tmp/a,train,", "plain file name"),
    (".hidden,train,", "plain"), ("a b,train,", "plain file name"), ("p0,train,", "id p0"),
    ("a,holdout,", "expected one of train"),
    ("a,train,b,noise", "4 fields"),
    ("a,train", "2 fields"), ('a,train,"two\nlines"', "printable"), ("a" * 129 + ",train,", "plain file name"),
])
def test_a_manifest_that_cannot_be_is_refused(tmp_path, row, said):
    _store(tmp_path)
    path = tmp_path / "manifest.csv"
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(UserError, match=rf"^[^\n]*{said}[^\n]*$"):
        PairStore(tmp_path)


def test_a_manifest_saved_by_a_spreadsheet_is_read(tmp_path):
    store, _ = _store(tmp_path)
    path = tmp_path / "manifest.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert PairStore(tmp_path).entries == store.entries


@pytest.mark.parametrize(("kind", "data", "said"), [
    ("images", pictures.png(np.zeros((10, 15), np.uint8)), "15 x 10 pixels, expected 14 x 10"),
    ("images", pictures.png(np.zeros((10, 14), np.uint8))[:-9], "truncated PNG"),
    ("images", pictures.png(np.zeros((10, 14, 3), np.uint8)), "colour"),
    ("images", b"", "is empty"),
    ("images", b"GIF89a", "not a PNG"),
    ("labels", pictures.png(np.full((10, 14), 255, np.uint8)), "found codes 255, expected 0 to 2"),
    ("labels", pictures.png(np.zeros((10, 14), np.uint16)), "8 bits"),
])
def test_a_damaged_pair_is_refused(tmp_path, kind, data, said):
    store, _ = _store(tmp_path)
    (tmp_path / kind / "p1.png").write_bytes(data)
    with pytest.raises(UserError, match=rf"^\S*{kind}/p1\.png: [^\n]*{said}[^\n]*$"):
        load_pairs(store, store.ids())


def test_films_are_told_from_their_copies(tmp_path):
    # d is the data set, too
    sources = {"d-1": "d", "d-2": "d", "a": "d", "a-noise": "a", "b": "a", "c-left": "c", "d": "e"}
    blank = np.zeros((8, 8), np.uint8)
    with PairWriter(tmp_path, Description("d", (8, 8), CHEST)) as writer:
        for id_, source in sources.items():
            writer.add(Entry(id_, "train", source), blank, blank)
    store = PairStore(tmp_path)
    assert film_names(store, list(sources)) == ["d-1", "d-2", "a", "a", "a", "c", "d"]
    assert store.films("train") == ["a", "c-left", "d", "d-1", "d-2"] and not store.films("test")
    with PairWriter(tmp_path, store.description) as writer:
        writer.add(Entry("x", "train", "z", "mirror"), blank, blank)  # said, whatever it is called
        writer.add(Entry("z-noise", "train", "z"), blank, blank)
    store = PairStore(tmp_path)
    assert film_names(store, ["x", "z-noise", "b"]) == ["z", "z-noise", "a"]
    assert store.films("train") == ["a", "c-left", "d", "d-1", "d-2", "z-noise"]


def test_a_missing_file_is_named(tmp_path):
    store, _ = _store(tmp_path)
    (tmp_path / "images" / "p2.png").unlink()
    with pytest.raises(UserError, match=r"images/p2\.png: cannot be read \(No such file"):
        store.image("p2")
