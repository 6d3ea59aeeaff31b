"""Pair folders of elsewhere: which of their classes are which of ours, and what is refused."""

import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.common.errors import UserError
from datasets.external import read_externals
from datasets.manifest import Entry
from datasets.pair_store import Description, PairWriter

LUNGS = "lungs=left lung+right lung"


def _store(path, *organs, pairs=1):
    with PairWriter(path, Description("d", (8, 8), ClassTable(("background", *organs)))) as writer:
        for place in range(pairs):
            writer.add(Entry(f"f{place}", "validation"), np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8))
    return path


def _regions(path, unions, ours=CHEST, scored=True):
    external, = read_externals([str(path)], unions)
    return external.regions(ours.segmented(scored), scored)


def test_classes_belong_together_by_name_or_union(tmp_path):
    table = CHEST.scored_table()
    assert table.names == ("background", "left lung", "right lung", "heart")
    assert _regions(_store(tmp_path / "a", "Heart", "lungs"), [LUNGS]) == {"Heart": ((3,), (1,)),
                                                                          "lungs": ((1, 2), (2,))}
    # the other way round: ours are together, theirs apart
    ours = ClassTable(("background", "heart", "lungs"))
    assert _regions(_store(tmp_path / "b", "right lung", "left lung", "aorta"), [LUNGS], ours) == {
        "lungs": ((2,), (2, 1))}
    # a union of theirs counts as a class
    disc = ClassTable(("background", "rim", "cup"), unions={"disc": ("rim", "cup")})
    assert _regions(_store(tmp_path / "c", "disc"), [], disc) == {"disc": ((1, 2), (1,))}


def test_a_union_is_for_the_folders_that_have_its_classes(tmp_path):
    stores = [f"{_store(tmp_path / 'a', 'lungs')},A", str(_store(tmp_path / "b", "heart"))]
    first, second = read_externals(stores, [LUNGS])
    assert (first.name, second.name) == ("A", "b")
    assert first.regions(CHEST, False) == {"lungs": ((1, 2), (1,))} and second.regions(CHEST, False) == {
        "heart": ((3,), (1,))}
    # where both sides have its parts, these are scored by their names
    stores[1] = str(_store(tmp_path / "c", "right lung", "left lung"))
    first, second = read_externals(stores, [LUNGS])
    assert "lungs" in first.regions(CHEST, False)
    assert second.regions(CHEST, False) == {"right lung": ((2,), (1,)), "left lung": ((1,), (2,))}


@pytest.mark.parametrize(("unions", "said"), [
    ([], "has classes lungs"),  # none is common
    (["lungs=left lung+spleen"], "left lung"),  # ours has no spleen
    (["lung=left lung"], "found classes lungs"),
    (["lungs"], "expected CLASS=CLASS"), (["lungs=a+a"], "expected CLASS=CLASS"), ([LUNGS, LUNGS], "each once")])
def test_classes_that_do_not_fit_are_told(unions, said, tmp_path):
    with pytest.raises(UserError, match=said):
        _regions(_store(tmp_path / "a", "lungs"), unions)


def test_folders_that_cannot_be_scored_are_told(tmp_path):
    with pytest.raises(UserError, match="not a pair folder"):
        read_externals([str(tmp_path)], [])
    with pytest.raises(UserError, match="found no pair"):
        read_externals([str(_store(tmp_path / "none", "lungs", pairs=0))], [])
    whole = str(_store(tmp_path / "a", "lungs"))
    for names in (["x.y"], ["test"], ["a", "A"]):
        with pytest.raises(UserError, match="found name"):
            read_externals([f"{whole},{name}" for name in names], [])
    with pytest.raises(UserError, match="is for --external"):
        read_externals([], [LUNGS])
