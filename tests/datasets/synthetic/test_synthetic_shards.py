"""Shards of a synthetic set: joined, they are the set that one process makes, and none is taken for another."""

import numpy as np
import pytest

from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.pair_store import Description
from datasets.synthetic.synthetic_shards import Shard, joined, write_shard
from datasets.synthetic.synthetic_store import write_synthetic
from models.methods import Pairs

_SET = {"seed": 7, "count": 40, "batch": 8, "maker": "networks"}


def _method(share: float, dots: bool = False, channels: int = 1):
    """Makes pairs of noise, some twice; rejects about `share` of them. `made` lists the candidates asked for."""
    def make(indices, seed):
        make.made += [int(index) for index in indices]
        rejected = {int(index): "odd" for index in indices
                    if np.random.default_rng([seed, index]).random() < share}
        kept = np.array([index for index in indices if int(index) not in rejected], int)
        films = [np.random.default_rng([seed, 1, index]).uniform(-1.1, 1.1, (16, 16, channels)) for index in kept]
        labels = [np.random.default_rng([seed, 2, index // 3]).integers(0, 6, (16, 16), np.uint8)
                  for index in kept]
        return Pairs(kept, np.reshape(labels, (-1, 16, 16)).astype(np.uint8),
                     np.reshape(films, (-1, 16, 16, channels)).astype(np.float32), rejected,
                     np.reshape(labels, (-1, 16, 16)).astype(np.uint8) if dots else None,
                     np.stack([np.arange(len(kept)), kept], 1).reshape(-1, 2))

    make.made = []
    return make


def _write(path, checked, unchecked, channels=1):
    description = Description("noise", (16, 16), CHEST, channel="colour" if channels == 3 else "grey")
    write_synthetic(path, description, checked, unchecked, _SET["count"], 10, _SET["seed"], "test", _SET["batch"],
                    lambda line: None)
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def _shards(folder, of, method):
    for number in range(1, of + 1):
        write_shard(folder / str(number), Shard(number, of), method, _SET, lambda line: None)
    return [str(folder / str(number)) for number in range(of, 0, -1)]  # in any order


@pytest.mark.parametrize(("share", "dots", "channels", "checks"), [
    (0.3, False, 1, True), (0.0, True, 3, True), (0.0, False, 1, False), (0.97, False, 1, True),
    (1.0, True, 1, True)])
@pytest.mark.parametrize("of", [1, 3, 8])
def test_joined_shards_are_the_set_that_one_process_makes(tmp_path, share, dots, channels, checks, of):
    checked = _method(share, dots, channels)
    unchecked = _method(0.0, dots, channels) if checks else checked
    whole = _write(tmp_path / "whole", checked, unchecked, channels)
    checked.made.clear()
    paths = _shards(tmp_path, of, checked)
    tried = list(checked.made)
    assert len(tried) == len(set(tried))  # no candidate is made twice
    replayed = joined(paths, checked, _SET)
    assert _write(tmp_path / "joined", replayed, unchecked if checks else replayed, channels) == whole
    assert not set(tried) & set(checked.made[len(tried):])  # what shards made is not made again


def test_a_stopped_shard_continues(tmp_path):
    method = _method(0.3)
    _shards(tmp_path / "whole", 2, method)

    def stopping(indices, seed):
        if len(method.made) > 24:
            raise KeyboardInterrupt
        return method(indices, seed)

    method.made.clear()
    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "stopped" / "1", Shard(1, 2), stopping, _SET, lambda line: None)
    with pytest.raises(UserError, match="not finished"):
        joined([str(tmp_path / "stopped" / "1")], method, _SET)
    write_shard(tmp_path / "stopped" / "1", Shard(1, 2), method, _SET, lambda line: None)
    assert len(method.made) == len(set(method.made))
    for file in (tmp_path / "whole" / "1" / "batches").iterdir():
        with np.load(file) as one, np.load(tmp_path / "stopped" / "1" / "batches" / file.name) as other:
            assert all(np.array_equal(one[name], other[name]) for name in one.files)


def test_shards_that_do_not_belong_together(tmp_path):
    method = _method(0.0)
    first, second = reversed(_shards(tmp_path, 2, method))
    for paths, set_, said in (([first], _SET, "shard 2 of 2"), ([first, first], _SET, "shard 1 of 2"),
                              ([first, second], {**_SET, "maker": "others"}, "others"),
                              ([first, second], {**_SET, "seed": 8}, "seed 7, now 8"),
                              ([first, str(tmp_path / "none")], _SET, "none")):
        with pytest.raises(UserError, match=said):
            joined(paths, method, set_)
    with pytest.raises(UserError, match="shard 1, now 2"):
        write_shard(first, Shard(2, 2), method, _SET)
    batch = next((tmp_path / "1" / "batches").iterdir())
    cut = batch.read_bytes()[:50]
    np.save(tmp_path / "one.npy", np.zeros(3))
    for data in (cut, (tmp_path / "one.npy").read_bytes()):
        batch.write_bytes(data)
        with pytest.raises(UserError, match=batch.name):
            _write(tmp_path / "joined", joined([first, second], method, _SET), method)


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "3/0", "-1/2", "a/b", "1/2/3", "1.0/2", "٣/8"])
def test_what_is_no_shard(text):
    assert Shard.parse("3/8") == Shard(3, 8)
    with pytest.raises(UserError, match="--shard="):
        Shard.parse(text)
