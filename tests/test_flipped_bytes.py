"""Packed files, a byte of which is not what it was, whichever: read, or refused in a line that names them."""

import json
import zipfile

import numpy as np
import pytest

from datasets.common.errors import UserError
from datasets.synthetic.synthetic_shards import Shard, joined, write_shard
from evaluation.segmenter.network_file import network_options
from models.methods import Pairs
from tools.published_weights.state_dict import read_tensors

_SET = {"seed": 7, "count": 4, "batch": 4}
_RNG = np.random.default_rng(0)


def _batch(folder):
    """A shard's file, and what reads it."""
    def method(indices, seed):
        return Pairs(indices, _RNG.integers(0, 6, (4, 9, 9), np.uint8),
                     _RNG.uniform(-1, 1, (4, 9, 9, 1)).astype(np.float32), {}, None, np.zeros((4, 2), int))

    write_shard(folder, Shard(1, 1), method, _SET, lambda line: None)
    read = joined([str(folder)], method, _SET)
    return next((folder / "batches").iterdir()), lambda file: read(np.arange(4), 7)


def _weights(folder):
    np.savez_compressed(folder / "weights.npz", a=_RNG.integers(0, 9, (9, 9)), b=_RNG.normal(size=(3, 9)))
    return folder / "weights.npz", read_tensors


def _network(folder):
    saved = {"class_name": "UNet", "build_config": {"input_shape": [None, 9, 9, 1]}, "config": {"maps": [8, 16]}}
    with zipfile.ZipFile(folder / "net.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(saved))
    return folder / "net.keras", network_options


@pytest.mark.parametrize("write", [_batch, _weights, _network])
def test_a_changed_byte_is_told_or_changes_nothing(tmp_path, write):
    file, read = write(tmp_path)
    data, told = file.read_bytes(), 0
    read(file)
    for place in range(len(data)):
        file.write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1:])
        try:
            read(file)
        except UserError as error:
            told += 1
            assert str(error).startswith(f"{file}: ") and "\n" not in str(error)
    assert told > len(data) / 2
