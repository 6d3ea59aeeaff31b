"""Run folders: whole checkpoints or older ones, one process each, and nothing else under their settings."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.augmentation.strong_augment import StrongAugmentation
from datasets.common.errors import UserError
from evaluation.results.run_log import read_rows
from tests.helpers.tiny_networks import write_run
from training.checkpoints import Checkpoints, Progress
from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig
from training.run_folder import RunFolder, decisive

CONFIG = PGGANConfig(resolution=16, fmap_max=8)


class Nested(keras.Model):
    """Layers in lists of lists, which TensorFlow's own tracking passes over."""

    def __init__(self):
        super().__init__()
        self.blocks = [[keras.layers.Dense(3), keras.layers.Dropout(0.5)], [keras.layers.Dense(2)]]

    def build(self, shape):
        self.blocks[0][0].build((None, 4))
        self.blocks[1][0].build((None, 3))
        self.built = True


class State:
    """A network, its optimizer and where it stands."""

    def __init__(self, folder, say=print):
        self.model, self.progress = Nested(), Progress()
        self.model.build((None, 4))
        self.optimizer = keras.optimizers.Adam(0.1)
        self.optimizer.build(self.model.trainable_variables)
        self.checkpoints = Checkpoints(folder, {"model": self.model, "optimizer": self.optimizer}, self.progress,
                                       say=say)

    def variables(self):
        return [*self.model.variables, *self.optimizer.variables]

    def save(self, position):
        """Gives every variable a value of its own that tells the position, and saves."""
        for number, variable in enumerate(self.variables()):
            variable.assign(tf.cast(tf.fill(variable.shape, 100 * position + number), variable.dtype))
        self.progress.position, self.progress.sums, self.progress.count = position, {"loss": 0.1 * position}, 3
        self.checkpoints.save()

    def stands_at(self, position):
        values = [100 * position + number for number in range(len(self.variables()))]
        assert [np.unique(variable.numpy()).item() for variable in self.variables()] == values
        assert (self.progress.position, self.progress.sums) == (position, {"loss": 0.1 * position})


@pytest.fixture
def saved(tmp_path):
    """A folder with checkpoints of positions 7 and 9 (5 was dropped)."""
    state = State(tmp_path)
    for position in (5, 7, 9):
        state.save(position)
    assert state.checkpoints.positions() == [7, 9]
    return tmp_path


def test_every_variable_comes_back(saved):
    state = State(saved)
    assert state.checkpoints.restore()
    state.stands_at(9)


def test_nothing_to_restore(tmp_path):
    assert not State(tmp_path).checkpoints.restore()


@pytest.mark.parametrize("name", ["state.index", "state.data-00000-of-00001"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.97])
def test_a_truncated_newest_checkpoint_gives_way_to_the_one_before(saved, name, share):
    file = saved / "000000009" / name
    file.write_bytes(file.read_bytes()[:int(share * file.stat().st_size)])
    said = []
    state = State(saved, said.append)
    assert state.checkpoints.restore()
    state.stands_at(7)
    assert "000000009: damaged checkpoint" in said[0] and "the one before" in said[0]
    state.save(8)
    again = State(saved)
    again.checkpoints.restore()
    again.stands_at(8)


def test_altered_bytes_are_noticed(saved):
    file = saved / "000000009" / "state.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    state = State(saved)
    state.checkpoints.restore()
    state.stands_at(7)


def test_a_missing_newest_checkpoint_is_said(saved):
    shutil.rmtree(saved / "000000009")
    said = []
    state = State(saved, said.append)
    state.checkpoints.restore()
    state.stands_at(7)
    assert "000000009, is missing" in said[0]


def test_a_run_never_starts_again_over_lost_checkpoints(saved):
    for position in (7, 9):
        shutil.rmtree(saved / f"{position:09d}")
    with pytest.raises(UserError, match="no checkpoint can be read"):
        State(saved).checkpoints.restore()


def test_a_half_written_checkpoint_is_swept_away(saved):
    shutil.copytree(saved / "000000009", saved / ".000000011.partial")
    (saved / ".newest.4711.partial").write_text("0000")
    state = State(saved)
    assert not list(saved.glob(".*"))
    state.checkpoints.restore()
    state.stands_at(9)


def test_other_variables_are_refused(saved):
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([keras.Variable(np.zeros(3))])
    with pytest.raises(UserError, match=r"other variables|no checkpoint can be read"):
        Checkpoints(saved, {"optimizer": optimizer}, Progress()).restore()


def _open(path, config=CONFIG, **inputs):
    return RunFolder(path, "train_pggan", config, {"data": "a" * 64, **inputs})


def test_two_processes_on_one_folder(tmp_path):
    first = _open(tmp_path)
    with pytest.raises(UserError, match="another process"):
        _open(tmp_path)
    first.close()
    _open(tmp_path).close()


def test_other_settings_are_refused_with_the_difference(tmp_path):
    folder = _open(tmp_path)
    folder.restore({}, Progress())
    folder.close()
    with pytest.raises(UserError, match="fmap_max: was 8, now 16"):
        _open(tmp_path, dataclasses.replace(CONFIG, fmap_max=16))
    with pytest.raises(UserError, match=r"data: .*aaaaaaaaaaaa.*bbbb"):
        _open(tmp_path, data="b" * 64)
    with pytest.raises(UserError, match="snapshots: was 20, now 4"):
        _open(tmp_path, dataclasses.replace(CONFIG, snapshots=4))


def test_a_folder_older_than_an_option_was_made_by_its_default(tmp_path):
    folder = _open(tmp_path)
    folder.restore({}, Progress())
    folder.close()
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["config"].pop("undotted") == ""
    (tmp_path / "config.json").write_text(json.dumps(settings))
    _open(tmp_path).close()
    with pytest.raises(UserError, match="undotted: was '', now 'heart'"):
        _open(tmp_path, dataclasses.replace(CONFIG, undotted="heart"))
    assert "undotted" not in decisive(CONFIG)  # an experiment's task of before is done
    assert decisive(dataclasses.replace(CONFIG, undotted="heart"))["undotted"] == "heart"
    assert not {"augment", "elastic", "cutmix"} & set(decisive(SMANetConfig()))
    asked = decisive(SMANetConfig(augment="strong", cutmix=0.5))
    assert (asked["augment"], asked["cutmix"]) == ("strong", 0.5) and "elastic" not in asked


def test_a_later_option_is_recorded_where_it_is_used_alone():
    plain = decisive(Pix2PixHDConfig(precision="float32"))
    used = {"average_decay": 0.9, "upsampling": "resize"}
    assert not plain.keys() & used.keys()
    assert decisive(Pix2PixHDConfig(precision="float32", **used)) == plain | used


def test_values_of_the_code_are_kept_and_others_refused(tmp_path):
    def opened(augment="strong", **changes):
        constants = {"ranges": StrongAugmentation(**changes).to_json()} if augment == "strong" else {}
        return RunFolder(tmp_path, "train_smanet", SMANetConfig(augment=augment), {}, constants=constants)

    folder, file = opened(), tmp_path / "config.json"
    folder.restore({}, Progress())
    folder.close()
    kept = json.loads(file.read_text())
    assert kept["ranges"] == StrongAugmentation().to_json()
    opened().close()
    with pytest.raises(UserError, match=r"settings \(ranges zoom: was \[0.7, 1.4\], now \[0.5, 1.4\]\)"):
        opened(zoom=(0.5, 1.4))
    with pytest.raises(UserError, match=r"settings \(augment: was 'strong', now 'none'\)"):
        opened("none")
    kept["ranges"]["source"] = "told in other words"
    file.write_text(json.dumps(kept))
    opened().close()
    del kept["ranges"]  # as runs were before there was a record
    file.write_text(json.dumps(kept))
    folder = opened(zoom=(0.5, 1.4))
    folder.restore({}, Progress())
    folder.close()
    assert "ranges" not in json.loads(file.read_text())


def test_how_far_a_run_goes_and_how_it_is_watched_may_change(tmp_path):
    folder = _open(tmp_path)
    folder.restore({}, Progress())
    folder.close()
    _open(tmp_path, dataclasses.replace(CONFIG, total_kimg=9.0, checkpoint_minutes=1.0, strategy="mirrored",
                                        log_lines=7, grids=3)).close()


@pytest.mark.parametrize("option", ["init_from", "vgg_weights"])
def test_named_files_count_by_their_content(tmp_path, option):
    def opened():
        return RunFolder(tmp_path / "run", "train_pix2pixhd", Pix2PixHDConfig(**{option: str(named)}), {})

    named = tmp_path / "weights.h5"
    named.write_bytes(b"first")
    folder = opened()
    folder.restore({}, Progress())
    folder.close()
    named = named.rename(tmp_path / "moved.h5")
    opened().close()
    named.write_bytes(b"other")
    with pytest.raises(UserError, match=f"{option}: was files with digest .*, now files with digest"):
        opened()
    named.unlink()
    with pytest.raises(UserError, match=f"{named}: no such file .*--{option}"):
        opened()


def test_a_named_run_folder_counts_by_its_network(tmp_path):
    def opened(earlier):
        config = Pix2PixHDConfig(network="local", phase="enhancer", init_from=str(earlier))
        return RunFolder(tmp_path / "run", "train_pix2pixhd", config, {})

    first = write_run(tmp_path / "first", State(tmp_path / "state").model, task="train_pix2pixhd")
    folder = opened(first)
    folder.restore({}, Progress())
    folder.close()
    moved = first.rename(tmp_path / "moved")
    (moved / "log.txt").write_text("read by nobody")
    opened(moved).close()
    with pytest.raises(UserError, match="init_from: was files with digest"):
        opened(write_run(tmp_path / "other", State(tmp_path / "another").model, task="train_pix2pixhd"))


def test_a_worker_that_is_not_the_chief_reads_and_writes_nothing(tmp_path):
    chief = _open(tmp_path)
    chief.restore({}, Progress())
    chief.log(5, {"val_j": 0.5})
    before = sorted(tmp_path.rglob("*"))
    other = RunFolder(tmp_path, "train_pggan", CONFIG, {}, chief=False)
    other.log(10, {"val_j": 0.7})
    other.say("nothing")
    assert other.best("val_j") == (0.5, 5) and other.rows() == chief.rows() and other.finished_at() is None
    for folder in (other, chief):
        folder.close()
    assert sorted(tmp_path.rglob("*")) == before


def _events(path):
    """What TensorBoard shows of a run: rows as in metrics.jsonl, and positions of pictures."""
    rows, pictures = {}, []
    for file in (path / "tensorboard").glob("*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                if value.tag == "grid":
                    width, height, picture = tf.make_ndarray(value.tensor)[:3]
                    pictures.append((event.step, int(width), int(height), tf.io.decode_png(picture).numpy().max()))
                else:
                    rows.setdefault(event.step, {})[value.tag] = tf.make_ndarray(value.tensor).item()
    return rows, sorted(pictures)


def test_tensorboard_holds_what_the_folder_holds(tmp_path):
    state = State(tmp_path / "other")
    for last in (3, 4):  # the second start forgets position 3 of the first
        folder = _open(tmp_path)
        folder.restore({"model": state.model}, state.progress)
        for position in range(state.progress.position + 1, last + 1):
            state.progress.position = position
            folder.log(position, {"val_j": last + 0.25, "loss": float(position)})
            folder.draw(position, np.full((4, 6, 3), 10 * position + last, np.uint8))
            if position < 3:
                folder.save()
        folder.close()
    rows, pictures = _events(tmp_path)
    assert rows == {row.pop("position"): row for row in read_rows(tmp_path / "metrics.jsonl")}
    assert rows[2]["val_j"] == 3.25 and rows[3]["val_j"] == 4.25 and sorted(rows) == [1, 2, 3, 4]
    assert pictures == [(1, 6, 4, 13), (2, 6, 4, 23), (3, 6, 4, 34), (4, 6, 4, 44)]


def test_what_follows_the_checkpoint_is_forgotten(tmp_path):
    state = State(tmp_path / "other")
    folder = _open(tmp_path)
    folder.restore({"model": state.model}, state.progress)
    for position in (1, 2, 3):
        state.progress.position = position
        folder.log(position, {"val_j": [0.5, float("nan"), 0.6][position - 1]})
        folder.draw(position, np.zeros((4, 4), np.uint8))
        if position < 3:
            folder.save()
    assert folder.records("val_j") == [1, 3] and folder.best("val_j") == (0.6, 3)
    folder.close()
    with open(tmp_path / "metrics.jsonl", "a") as lines:
        lines.write('{"position": 3, "los')  # cut short by a kill
    folder = _open(tmp_path)
    folder.restore({"model": state.model}, state.progress)
    assert [line["position"] for line in read_rows(tmp_path / "metrics.jsonl")] == [1, 2]
    assert sorted(file.stem for file in (tmp_path / "grids").iterdir()) == ["000000001", "000000002"]
    folder.close()
