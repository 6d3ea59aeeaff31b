"""Instances through the command, in one file of numbers or colours or a file for each: pieces stay pieces."""

import numpy as np
import pytest
from scipy import ndimage

from datasets.class_table import IGNORED, ClassTable
from datasets.pair_store import PairStore
from datasets.sources.own_labels import InstanceLabels, Labels
from tests.helpers import binaries, pictures
from tests.helpers.own_labels import SIDE, films, imported, row, run, write

Y, X = np.mgrid[:SIDE, :SIDE]


def _cells():
    """16 cells of 7 x 7 that touch, numbered from 300 in steps."""
    numbers = 300 + 41 * ((Y // 8) * 4 + X // 8)
    return np.where((Y % 8 < 8) & (X % 8 < 8), numbers, 0).astype(np.uint16)


@pytest.mark.parametrize("size", [32, 16, 48])
@pytest.mark.parametrize("colour", [False, True])
def test_touching_instances_stay_pieces(tmp_path, size, colour):
    cells = _cells()
    films(tmp_path, "a")
    write(tmp_path, "l/a.png", np.stack([cells // 7 % 256, cells % 256, cells // 256], -1).astype(np.uint8)
           if colour else cells)
    store, said = imported(tmp_path, "--instances", "--classes=background,nucleus", size=size)
    label = store.label("a")
    for structure in (None, np.ones((3, 3))):  # by sides, and by corners too
        assert ndimage.label(label, structure)[1] == 16
    gap = int((label == 0).sum())
    assert f"instances: {gap} pixels ({gap / label.size:.1%} " in said and row(said, "nucleus")[2] == 100


@pytest.mark.parametrize("layout", ["i/{0}/images/{0}.png i/{0}/masks/{1}.png", "i/{0}.png l/{0}/{1}.png"])
def test_a_mask_file_for_each_instance(tmp_path, layout):
    cells = np.where((Y % 8 < 7) & (X % 8 < 8), _cells(), 0)
    image, mask = layout.split()
    for name in ("a", "b"):
        write(tmp_path, image.format(name), np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8))
        for number in np.unique(cells)[1 if name == "a" else 5:]:
            write(tmp_path, mask.format(name, f"{number:x}"), (cells == number).astype(np.uint8) * 255)
    folders = [f"--images={tmp_path}/i", f"--labels={tmp_path}/{mask[0]}"]
    done = binaries.run("tools.import_dataset", *folders, "--instances", "--classes=background,nucleus",
                        "--size=32", f"--out={tmp_path}/out", "--test_fraction=0")
    assert done.code == 0 and "left out" not in done.out, done
    store = PairStore(tmp_path / "out")
    assert [ndimage.label(store.label(id_))[1] for id_ in ("a", "b")] == [16, 12] and len(store.ids()) == 2


def test_few_masks_of_the_same_names_are_instances_too(tmp_path):
    films(tmp_path, "a", "b", "c")
    for name, count in (("a", 1), ("b", 3), ("c", 2)):
        for piece in range(count):
            write(tmp_path, f"l/{name}/{piece}.png", ((piece == Y // 8) & (Y % 8 < 6)).astype(np.uint8))
    store, said = imported(tmp_path, "--instances", "--classes=background,nucleus")
    assert [ndimage.label(store.label(id_))[1] for id_ in "abc"] == [1, 3, 2] and "left out" not in said


def test_instances_apart_lose_nothing(tmp_path):
    cells = np.where((Y % 8 < 6) & (X % 8 < 6), _cells(), 0).astype(np.uint16)
    films(tmp_path, "a")
    write(tmp_path, "l/a.png", cells)
    store, said = imported(tmp_path, "--instances", "--classes=background,nucleus")
    np.testing.assert_array_equal(store.label("a"), cells > 0)
    assert "instances:" not in said


@pytest.mark.parametrize("kind", ["uint32", "int32", "int16", "float32", "uint64", "uint8"])
def test_instances_in_tiff_of_any_numbers(tmp_path, kind):
    cells = np.where((Y % 16 < 12) & (X % 16 < 12), 1 + (Y // 16) * 2 + X // 16, 0).astype(kind)
    cells[cells == 4] = 100 if kind in ("uint8", "int16") else 70000
    films(tmp_path, "a")
    (tmp_path / "l").mkdir()
    (tmp_path / "l" / "a.tif").write_bytes(pictures.tiff(cells))
    store, _ = imported(tmp_path, "--instances", "--classes=background,nucleus")
    np.testing.assert_array_equal(store.label("a"), cells > 0)
    for value in (-1, 0.5, np.nan) if kind == "float32" else ():
        cells[0, 0] = value
        (tmp_path / "l" / "a.tif").write_bytes(pictures.tiff(cells))
        binaries.told(run(tmp_path, "--instances", "--classes=background,nucleus"), "a.tif", "whole numbers")


def test_the_smaller_of_two_instances_keeps_its_border():
    instances = np.tile(np.where(np.arange(8) < 2, 9, 4), (8, 1)).astype(np.int32)
    found = Labels(np.ones((8, 8), np.uint8), instances=instances)
    small = InstanceLabels(ClassTable(("a", "b"))).resize(found, (8, 8))
    np.testing.assert_array_equal(small.codes[0], [1, 1, 0, 1, 1, 1, 1, 1])
    assert small.gap == 8


def test_ignored_instances_and_numbers_beyond_a_byte(tmp_path):
    cells = np.zeros((SIDE, SIDE), np.uint16)
    cells[:4], cells[10:20, 10:20] = 65535, 40000
    films(tmp_path, "a")
    write(tmp_path, "l/a.png", cells)
    store, _ = imported(tmp_path, "--instances", "--classes=background,nucleus", "--ignore=65535")
    assert (store.label("a")[:4] == IGNORED).all() and (store.label("a") == 1).sum() == 100
    binaries.told(run(tmp_path, "--instances", "--classes=a,b,c", f"--out={tmp_path}/new"), "--instances", "3")
