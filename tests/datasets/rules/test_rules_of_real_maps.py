"""Every real map of every kind passes the rules learnt from it, and cleaning leaves it alone; so do phantoms'."""

import numpy as np
import pytest
from PIL import Image

from datasets.class_table import CHEST, ClassTable
from datasets.formats.read import read_mask
from datasets.resize import resize_labels, resize_masks
from datasets.rules.label_cleaning import clean_labels
from datasets.rules.label_rules import LabelRules
from datasets.sources.jsrt import find_masks
from datasets.sources.phantom import KINDS, phantom

MERGED = np.array([0, 1, 1, 2, 3, 3], np.uint8)  # both lungs one class, both clavicles another
STREET = ("void", "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "person", "bike")


def _check(maps, table, rims=True, least=3):
    """The rules of maps that all pass, before cleaning and after it."""
    rules = LabelRules.learn(maps, table)
    rims = rims and rules.rims_between(range(table.num_classes))
    assert len(maps) >= least
    for number, labels in enumerate(maps):
        cleaned = clean_labels(labels, rules, rims)
        changed = np.count_nonzero(cleaned != labels) / max(1, np.count_nonzero(labels))
        assert rules.broken_by(labels) is None and rules.broken_by(cleaned) is None, number
        assert changed < 0.01, f"map {number}: {changed:.2%}"
    return rules


def _pictures(folder, pattern, turn=lambda codes: codes):
    return [turn(np.array(Image.open(path))).astype(np.uint8) for path in sorted(folder.glob(pattern))]


def _small(maps, side, num_classes):
    return [resize_labels(labels, (side, side), num_classes) for labels in maps]


@pytest.fixture(scope="module")
def chests(shared_dir):
    """Every sixth film of JSRT at 128 pixels."""
    masks = find_masks(shared_dir / "jsrt")
    films = [np.stack([read_mask(masks[organ][id_]) > 0 for organ in CHEST.organs], -1)
             for id_ in sorted(masks["heart"])[::6]]
    return [CHEST.paint(resize_masks(film, (128, 128))) for film in films]


@pytest.fixture(scope="module")
def domains(shared_dir):
    if not (shared_dir / "domains").is_dir():
        pytest.skip("needs the label maps of other kinds in SHARED/domains")
    return shared_dir / "domains"


def test_chests(chests):
    assert not any(_check(chests, CHEST, least=20).in_pieces(code) for code in range(1, 6))


@pytest.mark.parametrize("folds", [{}, {"clavicles": "lungs"}])
def test_chests_with_both_lungs_as_one_class(chests, folds):
    table = ClassTable(("ground", "lungs", "heart", "clavicles"), fold_back=folds)
    rules = _check([MERGED[labels] for labels in chests], table, least=20)
    assert rules.in_pieces(1) and rules.classes[1].pieces[0] == 2 and not rules.in_pieces(2)


@pytest.mark.parametrize("side", [64, 128])
def test_nuclei(domains, side):
    maps = _small(_pictures(domains / "nuclei" / "instances", "*.png", lambda codes: codes > 0), side, 2)
    rule = _check(maps, ClassTable(("ground", "nucleus"))).classes[1]
    assert rule.present == 1 and rule.pieces[1] > 30 and rule.specks == 0


@pytest.mark.parametrize("side", [64, 128])
def test_vessels(domains, side):
    maps = _small(_pictures(domains / "vessels" / "labels", "*.gif", lambda codes: codes > 0), side, 2)
    assert not _check(maps, ClassTable(("ground", "vessel"))).smooth


@pytest.mark.parametrize("side", [64, 128])
def test_discs_and_cups(domains, side):
    folder = domains / "disc_cup" / "masks"
    discs, cups = (_pictures(folder, f"*_{name}.png", lambda codes: codes > 127) for name in ("disc", "cup"))
    maps = [np.where(cup, 2, disc).astype(np.uint8) for disc, cup in zip(discs, cups, strict=True)]
    rules = _check(_small(maps, side, 3), ClassTable(("ground", "ring", "cup")))
    assert not rules.in_pieces(2) and (side == 64 or rules.classes[2].inside == (1,))


@pytest.mark.parametrize("side", [64, 96])
def test_streets(domains, side):
    maps = _pictures(domains / "street" / "labels", "*.png", lambda codes: (codes + 1) % 12)
    rules = _check(_small(maps, side, 12), ClassTable(STREET))
    assert 0 < rules.classes[11].present < 0.6 and rules.classes[4].present == 1


@pytest.mark.parametrize("side", [64, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_phantoms(kind, side):
    """A chest's outlines may be smoothed by more than a hundredth at 64 pixels, as ever."""
    table = KINDS[kind].classes
    maps = [table.paint(phantom(0, index, side, kind).masks) for index in range(12)]
    _check(maps, table, rims=kind != "chest" or side > 64)
