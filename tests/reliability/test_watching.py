"""How a run is watched decides nothing: stopped and continued with other lines and pictures, it ends the same."""

import dataclasses

import numpy as np
import pytest

from tests.reliability.comparison import checkpoint_tensors, network_weights
from training import pggan
from training.config import PGGANConfig

CONFIG = PGGANConfig(target="dots", resolution=16, start_resolution=16, fmap_max=8, fmap_base=64, train_kimg=0.016,
                     fade_kimg=0.016, total_kimg=0.04, max_batch=4, score_images=4, snapshots=3, log_lines=3,
                     grids=1, checkpoint_minutes=0.0, deterministic=True, precision="float32")


def test_other_lines_and_pictures_change_no_weight_and_no_choice(store, tmp_path, monkeypatch):
    pggan.train(CONFIG, str(store), str(tmp_path / "whole"))
    step, steps = pggan.PGGANTrainer.step, iter(range(5))

    def stopping(trainer, position):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return step(trainer, position)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pggan.PGGANTrainer, "step", stopping)
        pggan.train(CONFIG, str(store), str(tmp_path / "cut"))
    pggan.train(dataclasses.replace(CONFIG, log_lines=5, grids=0), str(store), str(tmp_path / "cut"))

    found, expected = (checkpoint_tensors(tmp_path / folder) for folder in ("cut", "whole"))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) for key in expected if "progress" not in key)
    assert (tmp_path / "cut" / "product.json").read_text() == (tmp_path / "whole" / "product.json").read_text()
    cut, whole = ({file.name: network_weights(file) for file in (tmp_path / folder / "snapshots").glob("*.keras")}
                  for folder in ("cut", "whole"))
    assert len(whole) > 1 and cut == whole
