"""The class table: what is scored of which painted codes, and its way through JSON."""

import numpy as np
import pytest

from datasets.class_table import CHEST, ClassTable

FUNDUS = ClassTable(("background", "disc", "cup"), unions={"disc": ["disc", "cup"]})
TUMOUR = ClassTable(("background", "oedema", "skull", "core", "enhancing"), ("whole", "centre", "enhancing"),
                    {"skull": "oedema"},
                    unions={"whole": ["oedema", "core", "enhancing"], "centre": ["core", "enhancing"]})


def test_regions_are_organs_and_unions():
    assert FUNDUS.regions == {"disc": (1, 2), "cup": (2,)} and FUNDUS.scored == ("disc", "cup")
    assert list(TUMOUR.regions) == ["oedema", "skull", "core", "enhancing", "whole", "centre"]
    assert TUMOUR.regions["whole"] == (1, 3, 4) and TUMOUR.num_classes == 5
    assert CHEST.regions == {name: (code,) for code, name in enumerate(CHEST.names) if code}
    assert ClassTable(("none", "a", "b"), unions={"both": ("a", "b")}).scored == ("a", "b", "both")


def test_the_scored_table_keeps_what_unions_are_made_of():
    table = TUMOUR.scored_table()
    assert table.names == ("background", "oedema", "core", "enhancing") and table.scored == TUMOUR.scored
    assert table.regions == {"oedema": (1,), "core": (2,), "enhancing": (3,), "whole": (1, 2, 3), "centre": (2, 3)}
    assert table.scored_table() == table
    np.testing.assert_array_equal(TUMOUR.collapse(np.arange(5)), [0, 1, 1, 2, 3])
    one = ClassTable(("background", "disc", "cup", "vessel"), ("disc",), unions={"disc": ["disc", "cup"]})
    assert one.scored_table().names == ("background", "disc", "cup")


def test_overlapping_masks_give_the_union():
    """A cup's mask lies in the disc's; a later organ on top does not take the scored pixels of either away."""
    masks = np.zeros((4, 4, 3), bool)
    masks[:3, :3, 0] = masks[1, 1, 1] = masks[0, :, 2] = True
    table = ClassTable(("background", "disc", "cup", "vessel"), ("disc", "cup"), unions={"disc": ["disc", "cup"]})
    painted = table.paint_scored(masks)
    np.testing.assert_array_equal(np.isin(painted, table.scored_table().regions["disc"]), masks[..., 0])


@pytest.mark.parametrize("table", [CHEST, FUNDUS, TUMOUR])
def test_json_round_trip(table):
    assert ClassTable.from_json(table.to_json()) == table
    assert ("unions" in table.to_json()) == bool(table.unions)


@pytest.mark.parametrize("unions", [
    {"disc": ["cup"]}, {"disc": []}, {"whole": ["disc", "disc"]}, {"whole": ["disc", "rim"]}, {"": ["disc"]},
    {"background": ["disc"]}, {"Cup": ["cup", "disc"]}, {"average": ["disc"]}, {"whole": ["background", "disc"]},
    {"whole": "disc"}, {"whole": [1]}, {"whole": None}, ["disc"], 3])
def test_unions_that_cannot_be_are_refused(unions):
    with pytest.raises(ValueError, match=r"union|average|capitals"):
        ClassTable.from_json({"names": ["background", "disc", "cup"], "unions": unions})


@pytest.mark.parametrize("wrong", [{"fold_back": {"a": 5}}, {"fold_back": ["a"]}, {"names": ["a", 5]},
                                   {"scored": "a"}, {"unions": {"c": "a"}}, {"unions": {"c": [5]}},
                                   {"ignored": "yes"}])
def test_other_values_are_no_table(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClassTable.from_json({"names": ["ground", "a", "b"], **wrong})
