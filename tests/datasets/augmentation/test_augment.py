"""The paper's x6: image and label move together, noise touches the film alone, everything is reproducible."""

import json

import numpy as np
import pytest

from datasets.augmentation.augment import OPERATIONS, Augmentation, augment, augment_store
from datasets.class_table import CHEST
from datasets.sources.phantom import write_phantoms

FILM = np.full((100, 100), 10, np.uint8)
FILM[40:60, 30:50] = 200
LABEL = (FILM > 100).astype(np.uint8)


def _centre(array):
    return np.argwhere(array).mean(0)


@pytest.mark.parametrize(("operation", "moves"), [("horizontal", (False, True)), ("vertical", (True, False)),
                                                  ("combined", (True, True))])
def test_film_and_label_move_alike(operation, moves):
    shifts = []
    for seed in range(12):
        film, (label,) = augment(operation, FILM, [LABEL], np.random.default_rng(seed))
        np.testing.assert_allclose(_centre(film > 105), _centre(label), atol=0.75)
        shifts.append(np.abs(_centre(label) - _centre(LABEL)))
    for axis in (0, 1):
        largest = np.max(shifts, 0)[axis]
        assert 0.3 < largest <= 3.5 if moves[axis] else largest == 0  # nearest neighbour: whole pixels


def test_rotation_moves_film_and_label_alike():
    for seed in range(6):
        film, (label,) = augment("rotation", FILM, [LABEL], np.random.default_rng(seed))
        assert ((film > 105) != label.astype(bool)).mean() < 0.002 and (film != FILM).any()


def test_layers_move_as_one_does():
    layers = np.random.default_rng(0).integers(0, 2, (97, 97, 5)).astype(np.uint8)
    for seed in range(6):
        _, moved = augment("rotation", layers[..., 0], [layers, layers[..., 3]], np.random.default_rng(seed))
        np.testing.assert_array_equal(moved[0][..., 3], moved[1])


def test_rotation_stays_within_two_degrees():
    bar = np.zeros((201, 201), np.uint8)
    bar[98:103] = 255
    angles = []
    for seed in range(40):
        turned, _ = augment("rotation", bar, [bar], np.random.default_rng(seed))
        left, right = (np.argwhere(turned[:, column] > 127).mean() for column in (20, 180))
        angles.append(np.degrees(np.arctan((right - left) / 160)))
    assert -2.4 < min(angles) < -1 and 1 < max(angles) < 2.4  # edges are read to whole pixels: 0.36 degrees


def test_noise_has_the_published_spread_and_leaves_labels():
    flat = np.full((200, 200), 128, np.uint8)
    spreads = []
    for seed in range(30):
        noisy, (label,) = augment("noise", flat, [LABEL], np.random.default_rng(seed))
        spreads.append(noisy.astype(float).std())
        assert label is LABEL and abs(noisy.mean() - 128) < 0.3
    assert 2.4 < min(spreads) < 4 and 6 < max(spreads) < 7.9
    stronger = augment("noise", flat, [], np.random.default_rng(0), Augmentation(noise=(0.1, 0.1)))[0]
    assert stronger.astype(float).std() == pytest.approx(25.5, rel=0.02)


def test_unknown_operation_is_refused():
    with pytest.raises(ValueError, match="received 'mirror'"):
        augment("mirror", FILM, [], np.random.default_rng(0))


def test_store_of_six_variants(tmp_path):
    store = write_phantoms(tmp_path / "films", 4, 1, 64, 0)
    ids = store.ids("train")
    made = augment_store(store, ids, tmp_path / "augmented", seed=5)
    assert made.ids("train") == sorted(f"{id_}-{operation}" for id_ in ids for operation in OPERATIONS)
    assert {entry.source for entry in made.entries} == set(ids)
    np.testing.assert_array_equal(made.image(f"{ids[0]}-original"), store.image(ids[0]))
    np.testing.assert_array_equal(made.label(f"{ids[0]}-noise"), store.label(ids[0]))
    moved = f"{ids[1]}-combined"
    np.testing.assert_array_equal(CHEST.paint(made.masks(moved)), made.label(moved))
    kept = json.loads((made.path / "complete.json").read_text())
    assert kept["ranges"] == {"degrees": 2.0, "shift": 0.03, "noise": [0.01, 0.03]}
    alone = augment_store(store, ids[1:2], tmp_path / "alone", seed=5)
    np.testing.assert_array_equal(alone.image(moved), made.image(moved))
    assert made.fingerprint() != augment_store(store, ids, tmp_path / "other", seed=6).fingerprint()
