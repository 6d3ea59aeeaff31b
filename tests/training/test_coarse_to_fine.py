"""Pix2PixHD's three phases through the trainer, each from the run before; the last with the VGG19 term."""

import dataclasses
import json

import numpy as np
import pytest

from datasets.sources.phantom import write_phantoms
from evaluation.results.run_log import read_rows
from evaluation.segmenter.saved_network import load_network
from tests.helpers import process_state
from tests.helpers.vgg import write_vgg19
from training import pix2pixhd
from training.config import Pix2PixHDConfig

CONFIG = Pix2PixHDConfig(network="local", ngf=4, ndf=4, n_downsampling=1, n_blocks=1, n_local_blocks=1, n_layers=1,
                         num_D=1, batch=4, epochs=1, epochs_decay=0, log_lines=2, grids=1, precision="float32")
PHASES = ("global_half", "enhancer", "both")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Phase -> its finished run folder."""
    root = tmp_path_factory.mktemp("phases")
    store = write_phantoms(root / "films", 8, 0, 32, 0)
    folders = {phase: root / phase for phase in PHASES}
    starts = {"enhancer": {"init_from": str(folders["global_half"])},
              "both": {"init_from": str(folders["enhancer"]), "vgg_weights": str(write_vgg19(root / "vgg.h5"))}}
    with process_state.computing_kept(), process_state.eagerly():
        for phase, folder in folders.items():
            config = dataclasses.replace(CONFIG, phase=phase, **starts.get(phase, {}))
            pix2pixhd.train(config, str(store.path), str(folder))
    return folders


def _equal(ours, theirs):
    assert [array.shape for array in ours] == [array.shape for array in theirs]
    return [np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True)]


def test_each_phase_goes_on_from_the_one_before(runs):
    coarse, enhancer, both = (load_network(folder) for folder in runs.values())
    kept = _equal(enhancer.global_generator.get_weights(), coarse.features.get_weights())
    assert len(kept) > 4 and all(kept)  # alone, the enhancer leaves it as it was
    inner, before = (network.global_generator.trainable_variables for network in (both, enhancer))
    assert not any(_equal(inner, before))
    moved = [float(np.abs(one.numpy() - other.numpy()).max()) for one, other in
             zip(both.enhancer_variables, enhancer.enhancer_variables, strict=True)]
    assert 0 < max(moved) < 0.01  # two steps from where the phase before ended, not from another beginning
    films = np.eye(6, dtype=np.float32)[np.zeros((1, 32, 32), int)]
    assert coarse(films[:, ::2, ::2]).shape == (1, 16, 16, 1) and both(films).shape == (1, 32, 32, 1)


def test_a_run_says_its_phase(runs):
    said = [json.loads((folder / "product.json").read_text())["phase"] for folder in runs.values()]
    assert said == list(PHASES)


def test_the_vgg_term_counts_where_its_weights_are_given(runs):
    rows = {phase: [row for row in read_rows(folder / "metrics.jsonl") if "g_gan" in row]
            for phase, folder in runs.items()}
    assert {phase: len(found) for phase, found in rows.items()} == dict.fromkeys(PHASES, 2)
    assert [["g_vgg" in row for row in rows[phase]] for phase in PHASES] == [[False] * 2, [False] * 2, [True] * 2]
    terms = [row["g_vgg"] for row in rows["both"]]
    assert np.isfinite(terms).all() and min(terms) > 0
