"""A finished run continues under a larger total and then stands where a run of that length would.

PGGAN's growth and rate do not depend on the total, nor does SMANet's rate. Pix2PixHD's rate follows the schedule
of the epochs asked for now, from where the run stands: asked for before the decay has begun, the result is that of
a run planned so from the start; asked for after it, the rate goes up again. Lines and pictures are spaced by the
total asked for last; the extended run keeps the old ones and adds new ones.
"""

import dataclasses

import numpy as np
import pytest

from datasets.common.errors import UserError
from datasets.pair_store import PairStore, read_png, write_png
from tests.reliability.comparison import checkpoint_tensors
from training import pggan, pix2pixhd, smanet
from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig

_COMMON = {"deterministic": True, "precision": "float32", "log_lines": 3, "grids": 1}
PGGAN = PGGANConfig(target="dots", resolution=16, start_resolution=8, fmap_max=8, fmap_base=64, train_kimg=0.016,
                    fade_kimg=0.016, total_kimg=0.024, max_batch=4, score_images=0, **_COMMON)
PIX2PIXHD = Pix2PixHDConfig(ngf=4, ndf=4, n_downsampling=1, n_blocks=1, n_layers=1, num_D=1, batch=4, epochs=1,
                            epochs_decay=0, pool_size=3, **_COMMON)
SMANET = SMANetConfig(depth=14, width=4, batch=4, steps=3, **_COMMON)
CASES = [(pggan, PGGAN, {"total_kimg": 0.04}, {"fmap_max": 16}),
         (pix2pixhd, PIX2PIXHD, {"epochs": 2, "epochs_decay": 2}, {"n_blocks": 2}),
         (smanet, SMANET, {"steps": 6}, {"width": 8})]


@pytest.mark.parametrize(("trainer", "config", "longer", "other"), CASES, ids=["pggan", "pix2pixhd", "smanet"])
def test_an_extended_run_equals_a_longer_one(trainer, config, longer, other, store, tmp_path, record):
    extended = dataclasses.replace(config, **longer)
    trainer.train(config, str(store), str(tmp_path / "extended"))
    trainer.train(extended, str(store), str(tmp_path / "extended"))
    trainer.train(extended, str(store), str(tmp_path / "direct"))
    found, expected = (checkpoint_tensors(tmp_path / name) for name in ("extended", "direct"))
    assert found.keys() == expected.keys()
    same = all(np.array_equal(found[name], expected[name]) for name in expected if "progress" not in name)
    record("a larger total continues a finished run", 1, 1, int(same))
    assert same
    with pytest.raises(UserError, match=f"{next(iter(other))}: was .*, now {next(iter(other.values()))}"):
        trainer.train(dataclasses.replace(extended, **other), str(store), str(tmp_path / "extended"))


def test_changed_data_are_refused(store, tmp_path):
    smanet.train(SMANET, str(store), str(tmp_path / "run"))
    id_ = PairStore(store).ids("train")[0]
    file = store / "images" / f"{id_}.png"
    content = file.read_bytes()
    try:
        write_png(file, 255 - read_png(file, (32, 32)))
        with pytest.raises(UserError, match="data: was files with digest"):
            smanet.train(SMANET, str(store), str(tmp_path / "run"))
    finally:
        file.write_bytes(content)
