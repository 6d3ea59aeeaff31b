"""verify_dataset: silent on whole folders, and one line naming file, found and expected for each damage."""

import json

import numpy as np
import pytest

from datasets import verify
from datasets.class_table import CHEST, ClassTable
from datasets.common.errors import UserError
from datasets.manifest import Entry
from datasets.pair_store import Description, PairStore, PairWriter, write_png
from datasets.sources.phantom import write_phantoms
from datasets.verify import verify_store
from tests.helpers import binaries, pictures
from tests.helpers.patients import with_patients

SIZE = 32


@pytest.fixture
def store(tmp_path):
    return write_phantoms(tmp_path / "films", 3, 1, SIZE, 0)


def _verify(folder):
    return binaries.run("tools.verify_dataset", f"--data={folder}")


def _grey(value, side=SIZE, kind=np.uint8):
    return pictures.png(np.full((side, side), value, kind))


def test_a_whole_folder_is_praised(store):
    assert list(verify_store(store.path)) == []
    done = _verify(store.path)
    assert done.code == 0 and done.err == ""
    assert done.out.endswith("no problems\n")
    assert "3 pairs (2 train, 0 validation, 1 test), 6 classes" in done.out


def test_the_real_films_are_whole(shared_dir, tmp_path):
    from datasets.sources import jsrt

    films = tmp_path / "films"
    films.mkdir()
    for number in (1, 2, 3):
        name = f"JPCLN00{number}.png"
        (films / name).symlink_to(shared_dir / "jsrt" / "All247images" / name)
    jsrt.prepare(films, shared_dir / "jsrt", tmp_path / "out", 128)
    assert list(verify_store(tmp_path / "out")) == []


@pytest.mark.parametrize(("name", "data", "said"), [
    ("images/phantom-000001.png", _grey(0, 40), "found 40 x 40 pixels, expected 32 x 32"),
    ("images/phantom-000001.png", _grey(0)[:-8], "truncated PNG"),
    ("images/phantom-000001.png", None, "cannot be read"),
    ("images/phantom-000001.png", _grey(7), "found 7 everywhere"),
    ("images/phantom-000001.png", pictures.png(np.eye(32, dtype=np.uint16)), "found 16 bits, expected 8"),
    ("images/phantom-000001.png", pictures.png(np.zeros((32, 32, 3), np.uint8)), "found a colour"),
    ("images/phantom-000001.png", pictures.pillow(np.eye(32) > 0, "PNG"), "found 1 bits"),
    ("images/phantom-000001.png", b"GIF89a", "not a PNG file"),
    ("labels/phantom-000001.png", _grey(255), "found codes 255, expected 0 to 5"),
    ("labels/phantom-000001.png", _grey(1, kind=np.uint16), "found codes 1, expected 0 to 5 in 8 bits"),
    ("labels/phantom-000001.png", _grey(1, 31), "found 31 x 31 pixels, expected 32 x 32"),
    ("labels/phantom-000001.png", None, "cannot be read"),
    ("masks/phantom-000001.png", None, "cannot be read"),
    ("masks/phantom-000001.png", _grey(32), "found values up to 32"),
    ("masks/phantom-000001.png", _grey(0), "found 100.0% "),
    ("observer2/phantom-000001.png", _grey(4), "found codes up to 4, expected 0 to 3"),
    ("observer2/phantom-000001.png", b"", "is empty"),
])
def test_each_damage_is_named_once(store, name, data, said):
    path = store.path / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if data is not None:
        path.write_bytes(data)
    problems = [finding.text for finding in verify_store(store.path) if not finding.warning]
    assert len(problems) == 1 and problems[0].startswith(f"{path}: {said}"), problems
    done = _verify(store.path) if name.startswith("labels") and data is None else None
    if done:
        assert done.code == 1 and f"problem: {path}" in done.out and "1 problems" in done.out


def test_all_damages_are_listed(store):
    for number in range(3):
        (store.path / "labels" / f"phantom-00000{number}.png").write_bytes(_grey(9))
    (store.path / "images" / "extra.png").write_bytes(_grey(9))
    found = [finding.text for finding in verify_store(store.path)]
    assert len(found) == 4
    assert found[-1].startswith(f"{store.path}/images: found 'extra.png'")


def test_what_systems_leave_in_a_folder_is_no_problem(store):
    for name in ("images/Thumbs.db", "labels/.DS_Store", "masks/desktop.ini"):
        (store.path / name).write_bytes(b"")
    assert not [finding.text for finding in verify_store(store.path)]


def test_a_missing_organ_is_a_warning(store):
    label = store.label("phantom-000001")
    label[label == CHEST.code("left clavicle")] = 0
    for path in (store.path / "masks").iterdir():
        path.unlink()
    (store.path / "masks").rmdir()
    write_png(store.path / "labels" / "phantom-000001.png", label)
    write_png(store.path / "labels" / "phantom-000002.png", np.zeros_like(label))
    second, first = verify_store(store.path)
    assert first.warning and "phantom-000001.png: found no left clavicle" in first.text
    assert second.warning and "phantom-000002.png: found background alone" in second.text
    done = _verify(store.path)
    assert done.code == 0 and "0 problems, 2 warnings" in done.out


def test_classes_that_come_and_go_are_no_warning(store):
    """What one map of few lacks may have been forgotten; what two of three lack was not."""
    for number, id_ in enumerate(store.ids()):
        label = store.label(id_)
        if number:
            label[label == CHEST.code("heart")] = 0
        write_png(store.path / "labels" / f"{id_}.png", label)
        (store.path / "masks" / f"{id_}.png").unlink()
    (store.path / "masks").rmdir()
    assert list(verify_store(store.path)) == []


@pytest.mark.parametrize(("low", "high", "border", "warned"), [
    (5, 15, None, True), (5, 15, 255, True), (5, 15, 0, True), (244, 254, None, True), (100, 120, None, True),
    (20, 60, None, False), (0, 255, None, False), (0, 255, 255, False)])
@pytest.mark.parametrize("white", [255, 65535])
def test_a_film_that_uses_little_of_the_grey_scale_is_a_warning(tmp_path, low, high, border, warned, white):
    film = np.linspace(low, high, SIZE**2).reshape(SIZE, SIZE) * (white / 255)
    if border is not None:
        film[:4] = border * (white / 255)
    classes = ClassTable(("background", "heart"))
    with PairWriter(tmp_path, Description("dim", (SIZE, SIZE), classes, white)) as writer:
        writer.add(Entry("a", "train"), film.astype(np.uint8 if white == 255 else np.uint16),
                   np.eye(SIZE, dtype=np.uint8))
    found = list(verify_store(tmp_path))
    assert [finding.warning for finding in found] == [True] * warned
    assert not warned or "a.png" in found[0].text


@pytest.mark.parametrize(("ground", "lesion", "warned"), [((0, 130, 0), (255, 0, 0), False),
                                                          ((100, 104, 109), (109, 101, 100), True)])
def test_pure_colours_use_the_scale(tmp_path, ground, lesion, warned):
    picture = np.full((SIZE, SIZE, 3), ground, np.uint8)
    picture[:9, :9] = lesion
    description = Description("colours", (SIZE, SIZE), ClassTable(("background", "lesion")), channel="colour")
    with PairWriter(tmp_path, description) as writer:
        writer.add(Entry("a", "train"), picture, np.eye(SIZE, dtype=np.uint8))
    assert [finding.warning for finding in verify_store(tmp_path)] == [True] * warned


def test_one_image_in_two_splits_is_found(store):
    """A film that trains and tests would make the test worthless; twins within a split are the user's affair."""
    train, other, test = store.ids()
    assert [store.ids("train"), store.ids("test")] == [[train, other], [test]]
    image = (store.path / "images" / f"{train}.png").read_bytes()
    (store.path / "images" / f"{other}.png").write_bytes(image)
    assert list(verify_store(store.path)) == []
    (store.path / "images" / f"{test}.png").write_bytes(image)
    (finding,) = verify_store(store.path)
    assert finding.text == (f"{store.path}/images/{test}.png: found the same image as {train}, expected none in "
                            "both train and test")


def test_patients_on_both_sides_are_a_warning(tmp_path):
    store = write_phantoms(tmp_path / "films", 8, 3, SIZE, 0)
    train, test = store.ids("train"), store.ids("test")
    apart = dict.fromkeys(train, "a") | {test[0]: "b", test[1]: "b"}  # of test[2] nobody says whose it is
    assert list(verify_store(with_patients(store, apart).path)) == []
    with_patients(store, apart | {train[0]: "b", train[4]: "c", test[2]: "c"})
    (finding,) = verify_store(store.path)
    assert finding.warning and f"{store.path}/manifest.csv: found films of 2 of 3 patients" in finding.text
    assert f"(b: {train[0]} train, {test[0]}, {test[1]} test; c: {train[4]} train, {test[2]} test)" in finding.text
    assert "--group_by" in finding.text
    with_patients(store, {id_: str(place % 3) for place, id_ in enumerate(store.ids())})
    assert "3 of 3 patients" in _verify(store.path).out


def test_deep_films_are_held_to_their_white(tmp_path):
    film = np.arange(SIZE**2).reshape(SIZE, SIZE).astype(np.uint16) * 4
    with PairWriter(tmp_path, Description("deep", (SIZE, SIZE), CHEST, 4000)) as writer:
        writer.add(Entry("a", "train"), film, np.zeros(film.shape, np.uint8))
    problems = [finding.text for finding in verify_store(tmp_path) if not finding.warning]
    assert problems == [f"{tmp_path}/images/a.png: found grey values up to 4092, expected at most 4000"]


def test_a_folder_that_is_none_and_an_empty_one(tmp_path):
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match=rf"^{folder}: not a pair folder"):
            list(verify_store(folder))
    PairWriter(tmp_path, Description("empty", (SIZE, SIZE), CHEST)).close()
    assert [finding.text for finding in verify_store(tmp_path)] == [
        f"{tmp_path}/manifest.csv: found no pairs, expected at least one"]


def test_the_summary_says_what_there_is(tmp_path):
    with PairWriter(tmp_path, Description("mine", (SIZE, SIZE), CHEST, 4095, 0.175)) as writer:
        writer.add(Entry("a", "validation"), np.zeros((SIZE, SIZE), np.uint16), np.zeros((SIZE, SIZE), np.uint8))
    assert verify.summarize(PairStore(tmp_path)) == (
        "mine: 1 pairs (0 train, 1 validation, 0 test), 6 classes (background, left lung, right lung, heart, left "
        "clavicle, right clavicle), 32 x 32 pixels of 0.175 mm, white 4095")


def test_names_of_strangers_cannot_write_to_the_terminal(store):
    """Escape sequences in file names and descriptions are shown as text or refused."""
    (store.path / "images" / "\x1b[2J.png").write_bytes(b"")
    (finding,) = verify_store(store.path)
    assert finding.text.isprintable()
    path = store.path / "description.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": "\x1b[2J"}))
    with pytest.raises(UserError, match="printable") as caught:
        list(verify_store(store.path))
    assert str(caught.value).isprintable()
