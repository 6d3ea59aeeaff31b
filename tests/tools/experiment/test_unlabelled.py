"""Films without label maps: which they are, how they are brought to size, and labels by the segmenter's hand."""

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pytest

from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.manifest import MAX_NAME
from datasets.pair_store import PairStore
from datasets.resize import resize_film
from datasets.sources.phantom import write_phantoms
from datasets.subsets import LEFT_OUT
from evaluation.segmenter.evaluate import evaluate_to_folder
from evaluation.segmenter.saved_network import load_network
from evaluation.segmenter.sliding_window import probabilities_of
from tests.helpers.tiny_experiment import PRESET
from tests.helpers.tiny_networks import segmenter_run
from tools.experiment.plan import Experiment
from tools.experiment.tasks import TaskRecords
from tools.experiment.unlabelled import Unlabelled, painted


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_phantoms(str(tmp_path_factory.mktemp("unlabelled") / "data"), 16, 2, 64, 0)


def _experiment(store, unlabelled=LEFT_OUT, extras=("pseudo",), workdir="nowhere", preset=PRESET):
    return Experiment(str(store.path), "tiny", preset, (), 0, str(workdir), extras=extras, unlabelled=unlabelled)


def _bright(film):
    return np.where(film > 128, 3, 0).astype(np.uint8)


def test_the_left_out_train_films_are_those_of_no_label_map_that_is_used(store, tmp_path):
    chosen = tuple(store.ids("train")[:11])
    films = Unlabelled(LEFT_OUT, store, chosen)
    assert films.settings() == store.ids("train")[11:] and len(films.settings()) == 3
    films.write(tmp_path / "made", 32, _bright)
    made = PairStore(tmp_path / "made")
    assert made.ids("train") == films.settings() and made.classes == store.classes
    for id_ in made.ids():
        film = resize_film(store.image(id_), (32, 32))
        np.testing.assert_array_equal(made.image(id_), film)
        np.testing.assert_array_equal(made.label(id_), _bright(film))
    with pytest.raises(UserError, match="no train film besides the 14"):
        Unlabelled(LEFT_OUT, store, tuple(store.ids("train"))).settings()


def test_films_of_a_folder_keep_their_shape_and_broken_ones_are_told(store, tmp_path, capsys):
    folder = tmp_path / "films"
    (folder / "more").mkdir(parents=True)
    oblong = np.full((40, 80), 200, np.uint8)
    cv2.imwrite(str(folder / "a.png"), oblong)
    cv2.imwrite(str(folder / "more" / "b.png"), np.full((64, 64), 2000, np.uint16))  # of 12 bits
    cv2.imwrite(str(folder / "c.png"), np.full((64, 64), 4000, np.uint16))
    (folder / "d.png").write_bytes(b"\x89PNG broken")
    films = Unlabelled(str(folder), store, ())
    films.write(tmp_path / "made", 32, _bright)
    made = PairStore(tmp_path / "made")
    assert made.ids("train") == ["a", "b", "c"] and "d.png" in capsys.readouterr().out
    assert (made.image("a")[8:24] == 200).all() and not made.image("a")[:8].any()  # black above and below
    levels = [int(made.image(id_)[16, 16]) for id_ in "bc"]
    assert levels == [round(2000 / 4095 * 255), round(4000 / 4095 * 255)]  # one white for both
    with pytest.raises(UserError, match="no film"):
        Unlabelled(str(tmp_path / "nowhere"), store, ()).settings()


def test_a_data_set_of_a_long_name(store, tmp_path):
    shutil.copytree(store.path, tmp_path / "data")
    named = {**store.description.to_json(), "name": "n" * MAX_NAME}
    (tmp_path / "data" / "description.json").write_text(json.dumps(named))
    films = Unlabelled(LEFT_OUT, PairStore(tmp_path / "data"), tuple(store.ids("train")[1:]))
    films.write(tmp_path / "m", 32, _bright)
    name = PairStore(tmp_path / "m").description.name
    assert name.startswith("nnn") and name.endswith("unlabelled")


def test_films_that_are_tested_on_are_refused(store, tmp_path):
    for id_ in (*store.ids("train"), store.ids("test")[1]):
        shutil.copyfile(store.path / "images" / f"{id_}.png", tmp_path / f"{id_}.png")
    with pytest.raises(UserError, match=f"found {store.ids('test')[1]}, which"):
        Unlabelled(str(tmp_path), store, ()).settings()


def test_a_segmenter_s_codes_become_those_that_are_painted():
    seen = CHEST.scored_table()
    codes = painted(np.arange(4), seen, CHEST)
    assert [CHEST.names[code] for code in codes] == list(seen.names)
    np.testing.assert_array_equal(CHEST.collapse(codes), np.arange(4))


def test_pseudo_comes_with_the_segmenter_that_labels_and_changes_nothing_else(store):
    made = _experiment(store)
    tasks = {task.name: task for task in made.tasks()}
    names = list(tasks)
    assert made.columns() == ["real", "real+augment", "pseudo"]
    assert names.index("real+augment") < names.index("unlabelled") < names.index("pseudo")
    assert tasks["unlabelled"].reads == ("data", "real+augment")
    assert tasks["pseudo"].reads == ("unlabelled", "data")
    assert tasks["pseudo"].settings == tasks["real+augment"].settings  # at equal updates
    plain = _experiment(store, "", ())
    keys, before = (TaskRecords(one.tasks(), "nowhere", print) for one in (made, plain))
    assert all(keys.key(tasks[task.name]) == before.key(task) for task in plain.tasks() if task.name != "report")


def test_what_is_labelled_is_what_the_segmenter_says(store, tmp_path):
    """With the pieces it keeps when it is scored, which are a setting where they are asked for."""
    kept = dataclasses.replace(PRESET, segmenter=dataclasses.replace(
        PRESET.segmenter, keep_largest="left lung, right lung,heart"))
    plain, made = (next(task for task in _experiment(store, workdir=tmp_path, preset=preset).tasks()
                        if task.name == "unlabelled") for preset in (PRESET, kept))
    assert made.settings == {**plain.settings, "keep_largest": kept.segmenter.keep_largest} != plain.settings
    segmenter_run(tmp_path / "real+augment", window=PRESET.segmenter.crop)
    made.run(tmp_path / "unlabelled")
    pairs = PairStore(tmp_path / "unlabelled" / "pairs")
    assert len(pairs.ids("train")) == 3 and pairs.description.size == (32, 32)
    predict = probabilities_of(load_network(str(tmp_path / "real+augment")))
    evaluate_to_folder(predict, pairs, pairs.ids(), tmp_path / "again", scored=True, window=PRESET.segmenter.crop,
                       overlap=PRESET.segmenter.overlap, largest=[[1], [2], [3]])
    for id_ in pairs.ids():
        said = cv2.imread(str(tmp_path / "again" / "predictions" / f"{id_}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(pairs.scored_label(id_), said)
