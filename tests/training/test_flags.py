"""Flags of the training binaries: what an option does not take is refused in one line."""

import types

import pytest

from datasets.common.errors import UserError
from training import presets
from training.config import PGGANConfig, Pix2PixHDConfig, SMANetConfig, options_deciding
from training.flags import config_from_flags


def _config(base, **given):
    names = {field: types.SimpleNamespace(value=given.get(field)) for field in base.__dataclass_fields__}
    return config_from_flags(base, names)


@pytest.mark.parametrize(("base", "given", "said"), [
    (SMANetConfig(), {"batch": 0}, "--batch=0: expected 1 or more"),
    (SMANetConfig(), {"depth": 7}, "--depth=7: expected one of 14, 26, 50, 101"),
    (SMANetConfig(), {"dropout": 2.0}, "--dropout=2.0: expected 0 to 0.95"),
    (SMANetConfig(), {"overlap": 1.0}, "--overlap=1.0: expected 0 to 0.95"),
    (SMANetConfig(), {"crop": 0}, "--crop=0: expected 16 or more"),
    (SMANetConfig(), {"learning_rate": float("nan")}, "--learning_rate=nan: expected 0 or more"),
    (SMANetConfig(), {"learning_rate": float("inf")}, "--learning_rate=inf: expected 0 or more"),
    (SMANetConfig(), {"seed": -1}, "--seed=-1: expected 0 to 2147483647"),
    (Pix2PixHDConfig(), {"seed": 3_000_000_000}, "--seed=3000000000: expected 0 to 2147483647"),
    (Pix2PixHDConfig(), {"num_D": 0}, "--num_D=0: expected 1 or more"),
    (Pix2PixHDConfig(), {"dot_radius": 0.0}, "--dot_radius=0.0: expected 1 or more"),
    (PGGANConfig(), {"dot_radius": -2.0}, "--dot_radius=-2.0: expected 1 or more"),
    (PGGANConfig(), {"resolution": 48}, "--resolution=48: expected one of 4, 8, 16"),
])
def test_numbers_out_of_range_are_refused(base, given, said):
    with pytest.raises(UserError) as caught:
        _config(base, **given)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("config", [SMANetConfig(), Pix2PixHDConfig(), PGGANConfig()])
def test_every_option_says_what_it_decides(config):
    parts = [options_deciding(config, what) for what in ("result", "input", "length", "nothing")]
    assert sorted(name for part in parts for name in part) == sorted(config.__dataclass_fields__)
    watched = {"strategy", "steps_per_call", "checkpoint_minutes", "log_lines", "grids"}
    assert parts[3].keys() - {"keep_largest"} == watched  # which is of what the network is used for


@pytest.mark.parametrize("name", presets.NAMES)
def test_only_our_own_presets_standardize_films_and_reject_samples(name):
    preset = presets.load(name)
    ours = name != "paper"
    assert (preset.segmenter.standardize, preset.finetune.standardize, preset.check_samples) == (ours, ours, ours)


@pytest.mark.parametrize("base", [SMANetConfig(), Pix2PixHDConfig(), PGGANConfig()])
def test_every_default_is_in_its_range(base):
    given = {name: getattr(base, name) for name in base.__dataclass_fields__}
    assert _config(base, **given) == base
