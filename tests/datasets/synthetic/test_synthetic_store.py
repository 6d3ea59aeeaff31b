"""Synthetic pair folders: complete, counted, the same after any kill, and never two settings in one folder."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from datasets.common.errors import UserError
from datasets.pair_store import PairStore, read_png
from datasets.synthetic.synthetic_store import (
    CANDIDATES_PER_PAIR,
    JOURNAL,
    REPEAT,
    UNEVEN,
    read_journal,
    write_synthetic,
)
from datasets.verify import verify_store
from tests.helpers.killed_writer import DESCRIPTION, Made, candidate, contents, method


def _write(path, checked=None, unchecked=None, count=7, validation=2, seed=5, source="two-stage", batch=4,
           maker="", say=lambda line: None, shares=None, real=None, ahead=0, ranges=None):
    return write_synthetic(path, DESCRIPTION, checked or method(), unchecked or method(refuse=False), count,
                           validation, seed, source, batch, say, maker, shares, real, ahead, ranges)


def _good(count, seed=5):
    """The first candidates that pass, and how many were refused before the last of them."""
    found, index = [], 0
    while len(found) < count:
        found += [index] if candidate(index, seed)[3] is None else []
        index += 1
    return found


def test_the_set_holds_the_first_candidates_that_pass(tmp_path):
    journal, store = _write(tmp_path), PairStore(tmp_path)
    expected = _good(7)
    assert journal["accepted"] == expected and journal["unchecked"] == 0
    assert store.ids() == [f"synthetic-{index:06d}" for index in expected]
    assert store.ids("validation") == store.ids()[-2:] and len(store.ids("train")) == 5
    for index, id_ in zip(expected, store.ids(), strict=True):
        label, film, dots, _ = candidate(index, 5)
        np.testing.assert_array_equal(store.label(id_), label)
        np.testing.assert_array_equal(store.image(id_), np.clip(np.rint((film[..., 0] + 1) * 127.5), 0, 255))
        np.testing.assert_array_equal(read_png(tmp_path / "dots" / f"{id_}.png", (8, 8)), dots)
    assert not [finding for finding in verify_store(tmp_path) if not finding.warning]


def test_rejections_are_counted_by_reason(tmp_path):
    journal = _write(tmp_path)
    reasons = [candidate(index, 5)[3] for index in range(journal["candidates"])]
    counts = {reason: reasons.count(reason) for reason in set(reasons) - {None}}
    assert journal["rejected"] == counts and sum(counts.values()) > 0
    assert journal["candidates"] % 4 == 0 and journal == read_journal(tmp_path / JOURNAL)


@pytest.mark.parametrize(("batch", "ahead"), [(1, 0), (3, 0), (50, 0), (1, 3), (4, 1)])
def test_batch_and_threads_do_not_change_the_pairs(tmp_path, batch, ahead):
    _write(tmp_path / "a")
    _write(tmp_path / "b", batch=batch, ahead=ahead)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    del a[JOURNAL], b[JOURNAL]
    assert a == b


def _in_twos(indices, seed):
    """Candidates 2k and 2k + 1 have one label map; none is refused."""
    made = method(refuse=False)(indices, seed)
    return dataclasses.replace(made, labels=np.array([candidate(index // 2, seed)[0] for index in indices]))


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_no_label_map_comes_twice(tmp_path, batch):
    journal = _write(tmp_path, checked=_in_twos, batch=batch)
    assert journal["accepted"] == [0, 2, 4, 6, 8, 10, 12] and journal["unchecked"] == 0
    assert journal["rejected"][REPEAT] == journal["candidates"] // 2
    assert not [finding for finding in verify_store(tmp_path) if not finding.warning]


def _five_maps(indices, seed):
    made = method(refuse=False)(indices, seed)
    return dataclasses.replace(made, labels=np.array([candidate(index % 5, seed)[0] for index in indices]))


def test_repeats_fill_what_is_missing_before_unchecked_pairs_do(tmp_path):
    said = []
    journal = _write(tmp_path, checked=_five_maps, say=said.append)
    assert journal["accepted"] == [0, 1, 2, 3, 4, 28, 29] and journal["candidates"] == 32
    assert (journal["repeats"], journal["unchecked"], journal["rejected"]) == (2, 0, {REPEAT: 23})
    assert sum("23 repeat an earlier one" in line for line in said) == 1


def test_a_map_that_comes_twice_does_not_validate(tmp_path):
    _write(tmp_path, checked=_five_maps)
    assert PairStore(tmp_path).ids("validation") == ["synthetic-000001", "synthetic-000002"]
    assert not [finding for finding in verify_store(tmp_path) if not finding.warning]


def test_neither_does_an_unchecked_pair_where_others_are_left(tmp_path):
    def checked(indices, seed):
        made = method(refuse=False)(indices, seed)
        kept = indices < 5
        return Made(indices[kept], made.labels[kept], made.films[kept],
                    {int(index): "hopeless" for index in indices[~kept]}, made.dots[kept])

    journal = _write(tmp_path, checked=checked)
    assert journal["unchecked"] == 2 and journal["accepted"][:5] == [0, 1, 2, 3, 4]
    assert PairStore(tmp_path).ids("validation") == ["synthetic-000003", "synthetic-000004"]


@pytest.mark.parametrize(("make", "last"), [(_in_twos, 2), (_five_maps, 3), (_five_maps, 29)])
def test_a_continued_set_knows_its_label_maps(tmp_path, make, last):
    """Stopped while new maps are found, and while repeats are let in."""
    def stop_at_last(indices, seed):
        if indices[0] >= last:
            raise KeyboardInterrupt
        return make(indices, seed)

    with pytest.raises(KeyboardInterrupt):
        _write(tmp_path / "a", checked=stop_at_last, batch=1)
    continued, whole = (_write(tmp_path / name, checked=make, batch=1) for name in "ab")
    assert continued == whole and contents(tmp_path / "a") == contents(tmp_path / "b")


def test_without_checks_repeats_stay(tmp_path):
    journal = _write(tmp_path, checked=_in_twos, unchecked=_in_twos)
    assert journal["accepted"] == list(range(7)) and journal["rejected"] == {}


def test_what_no_check_lets_pass_is_filled_without_checks_and_counted(tmp_path):
    said = []
    journal = _write(tmp_path, checked=method(never=True), say=said.append)
    warnings = [line for line in said if line.startswith("warning: only 0 of 28 candidates are valid")]
    assert len(warnings) == 1 and "hopeless, 28 times" in warnings[0]
    tried = CANDIDATES_PER_PAIR * 7
    assert journal["rejected"] == {"hopeless": tried} and journal["unchecked"] == 7
    assert journal["accepted"] == list(range(tried, tried + 7))
    assert len(PairStore(tmp_path).ids()) == 7


def test_the_fill_counts_only_what_was_missing(tmp_path):
    """Candidates 0, 1 and 2 pass, no other: four of seven are filled."""

    def few(indices, seed):
        made = method(refuse=False)(indices, seed)
        kept = indices < 3
        return type(made)(indices[kept], made.labels[kept], made.films[kept],
                          {int(i): "late" for i in indices[~kept]})

    journal = _write(tmp_path, checked=few)
    assert journal["accepted"] == [0, 1, 2, 28, 29, 30, 31] and journal["unchecked"] == 4
    assert journal["rejected"] == {"late": 25}


def test_without_checks_nothing_is_refused(tmp_path):
    plain = method(refuse=False)
    journal = _write(tmp_path, checked=plain, unchecked=plain)
    assert journal["accepted"] == list(range(7)) and journal["rejected"] == {} and journal["unchecked"] == 0


def test_a_finished_set_is_left_as_it_is(tmp_path):
    _write(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/*.png")}

    def nobody(indices, seed):
        raise AssertionError("asked for more")

    _write(tmp_path, checked=nobody)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/*.png")} == before


def _showing(code, share):
    """A method none of whose candidates is refused; each shows the class with this chance, of (seed, index)."""
    def make(indices, seed):
        made = method(refuse=False)(indices, seed)
        shown = [np.random.default_rng([9, seed, int(index)]).random() < share for index in indices]
        labels = [label if show else np.where(label == code, 0, label)
                  for label, show in zip(made.labels, shown, strict=True)]
        return dataclasses.replace(made, labels=np.array(labels))

    return make


def _share_shown(store, ids, code):
    return np.mean([(store.label(id_) == code).any() for id_ in ids])


@pytest.mark.parametrize("made", [0.3, 0.6, 0.8])
def test_classes_come_as_often_as_in_real_maps_in_every_part_of_the_set(tmp_path, made):
    journal = _write(tmp_path, checked=_showing(3, made), count=40, validation=12, shares={3: 0.5})
    store, slack = PairStore(tmp_path), np.sqrt(40 * 0.25) / 40
    assert abs(_share_shown(store, store.ids(), 3) - 0.5) <= slack + 0.01
    assert abs(_share_shown(store, store.ids("validation"), 3) - 0.5) <= 0.3
    assert journal["shown"] == {"heart": round(40 * _share_shown(store, store.ids(), 3))}
    assert journal["uneven"] == journal["unchecked"] == 0 and journal["rejected"].get(UNEVEN, 0) < 60


def test_shares_that_cannot_be_had_are_said_and_what_breaks_them_is_counted(tmp_path):
    """Every candidate shows the class; half of the real maps do."""
    said = []
    journal = _write(tmp_path, checked=_showing(3, 1.0), shares={3: 0.5}, say=said.append)
    even = [index for index in journal["accepted"] if index < CANDIDATES_PER_PAIR * 7]
    assert len(even) == 2 and journal["uneven"] == 5 and journal["unchecked"] == 0  # sqrt(7 / 4) above a half
    assert journal["rejected"] == {UNEVEN: CANDIDATES_PER_PAIR * 7 - 2}
    assert sum(line.startswith("warning: 26 of 28 candidates") for line in said) == 1
    assert sum("100%" in line and "50%" in line for line in said) == 1


@pytest.mark.parametrize("last", [3, 30])
def test_a_continued_set_knows_its_shares(tmp_path, last):
    make = _showing(3, 1.0)

    def stop_at_last(indices, seed):
        if indices[0] >= last:
            raise KeyboardInterrupt
        return make(indices, seed)

    with pytest.raises(KeyboardInterrupt):
        _write(tmp_path / "a", checked=stop_at_last, batch=1, shares={3: 0.5})
    for name in "ab":
        _write(tmp_path / name, checked=make, batch=1, shares={3: 0.5})
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_without_checks_shares_are_left_alone(tmp_path):
    make = _showing(3, 1.0)
    journal = _write(tmp_path, checked=make, unchecked=make, shares={3: 0.5})
    assert journal["accepted"] == list(range(7)) and journal["rejected"] == {} and journal["uneven"] == 0


def test_where_real_maps_fail_the_checks_too_longer_training_is_not_advised(tmp_path):
    said = []
    _write(tmp_path / "a", checked=method(never=True), say=said.append, real=lambda: ["no dot", None, "no dot"])
    warning, = (line for line in said if "warning" in line)
    assert "2 fail" in warning and "no dot, 2 times" in warning and "--nocheck" in warning
    _write(tmp_path / "b", checked=method(never=True), say=said.append, real=lambda: [None] * 3)
    assert "--nocheck" not in next(line for line in reversed(said) if "warning" in line)


def test_what_mending_changed_is_counted(tmp_path):
    def mended(indices, seed):
        made = method(refuse=False)(indices, seed)
        return dataclasses.replace(made, mending=np.stack([np.full(len(indices), 200), indices], 1))

    said = []
    journal = _write(tmp_path, checked=mended, say=said.append)
    assert (journal["labelled"], journal["mended"]) == (1400, sum(range(7)))
    assert "1.5%" in said[-1]


@pytest.mark.parametrize("changes", [{"seed": 6}, {"count": 8}, {"validation": 1}, {"source": "three-stage"},
                                     {"maker": "other networks"},
                                     {"checked": (plain := method(refuse=False)), "unchecked": plain}])
def test_other_settings_are_refused_and_change_nothing(tmp_path, changes):
    _write(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(UserError, match=rf"{JOURNAL}: belongs to a synthetic set of other settings [^\n]*now"):
        _write(tmp_path, **changes)
    assert contents(tmp_path) == before


def test_other_ranges_are_refused_but_where_an_older_set_kept_none(tmp_path):
    kept = _write(tmp_path / "new", ranges={"exposure": {"gamma": 1.3}})
    assert read_journal(tmp_path / "new" / JOURNAL)["ranges"] == {"exposure": {"gamma": 1.3}}
    with pytest.raises(UserError, match=r"ranges .*1\.3.*, now .*1\.5"):
        _write(tmp_path / "new", ranges={"exposure": {"gamma": 1.5}})
    old = _write(tmp_path / "old")
    assert old == {name: value for name, value in kept.items() if name != "ranges"}
    assert _write(tmp_path / "old", ranges={"exposure": {"gamma": 1.5}}) == old


@pytest.mark.parametrize("changes", [
    {"accepted": [3, 2]}, {"accepted": "all"}, {"accepted": [-1]}, {"accepted": [0, 0]}, {"accepted": [0, 99]},
    {"accepted": [0.5]}, {"accepted": list(range(8))}, {"candidates": None}, {"candidates": -4},
    {"candidates": 1e9}, {"unchecked": "no"}, {"rejected": []}, {"rejected": {"a": {}}}, {"count": [7]},
    {"mended": -1}, {"shown": {"heart": 0.5}}, {"shown": 3},
])
def test_a_journal_that_cannot_be_is_refused(tmp_path, changes):
    _write(tmp_path)
    path = tmp_path / JOURNAL
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(UserError, match=rf"^\S*{JOURNAL}: not the journal of a synthetic set [^\n]*$"):
        _write(tmp_path)


def test_killed_anywhere_and_continued_it_is_the_same_folder(tmp_path):
    """Between batches, inside one, while a file is written, thrice in a row: no sample lost, none twice."""
    done = subprocess.run([sys.executable, "-m", "tests.helpers.killed_writer", str(tmp_path)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["wrong"] == [] and result["early"] == []
    assert result["renames"] >= 1 + 3 * 7 + 2 + 1  # description, pairs with dots, logs, manifest
    assert result["partials"] == result["plans"] > 30


_PEAK = """
import resource, sys
import numpy as np
from datasets.class_table import CHEST
from datasets.pair_store import Description
from datasets.synthetic.synthetic_store import write_synthetic
from models.methods import Pairs

def method(indices, seed):
    rows = np.arange(1024, dtype=np.float32)[None, :, None, None] + indices[:, None, None, None]
    films = np.broadcast_to(np.sin(rows), (len(indices), 1024, 1024, 1)).copy()
    return Pairs(indices, (films[..., 0] > 0).astype(np.uint8), films, {})

count = int(sys.argv[2])
write_synthetic(sys.argv[1], Description("d", (1024, 1024), CHEST), method, method, count, 1, 0, "s", 1,
                lambda line: None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pairs(tmp_path):
    peaks = []
    for count in (5, 35):  # the films of 30 more would take 120 MiB
        done = subprocess.run([sys.executable, "-c", _PEAK, str(tmp_path / str(count)), str(count)],
                              capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 20, f"{peaks[0]:.0f} MiB for 5 pairs, {peaks[1]:.0f} MiB for 35"
