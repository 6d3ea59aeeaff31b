"""Streams a method's pairs into a pair folder: any number in constant memory, continued after a kill."""

import hashlib
import itertools
import pathlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from datasets import grey
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.progress import Passing
from datasets.common.progress import say as say_line
from datasets.manifest import Entry
from datasets.pair_store import Description, PairWriter, read_png, write_png
from datasets.rules.presence import Presence
from datasets.synthetic.made_ahead import Ahead

CANDIDATES_PER_PAIR = 4  # tries per pair wanted before the rest is filled with repeats, or without checks
REPEAT = "label map of an earlier pair"
UNEVEN = "classes there more or less often than in real maps"
_WRITERS = 8  # threads that write files, which wait for the disk more than they compute
_FAIL_TOO = 0.1  # share of real maps that must fail the checks to blame these


def write_synthetic(path: str | pathlib.Path, description: Description, checked: Callable, unchecked: Callable,
                    count: int, validation: int, seed: int, source: str, batch: int = 16,
                    say: Callable[[str], None] = say_line, maker: str = "",
                    shares: Mapping[int, float] | None = None,
                    real: Callable[[], Sequence[str | None]] | None = None, ahead: int = 0,
                    ranges: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Writes `count` pairs, `validation` of them with split validation: the last whose label map comes once.

    Candidate i is a function of (seed, i) alone. Candidates are left out and counted that fail their checks, that
    repeat the label map of a pair that is there, or by which a class would come more or less often than in real
    maps (`datasets.rules.presence`). When that leaves fewer than `count` among CANDIDATES_PER_PAIR times as many,
    these rules are lifted one after the other, each for as many candidates again, if any were left out by it:
    first that of shares, then that of repeats, then the checks. What comes in so is counted. The journal is
    replaced after each batch, so a killed process neither loses nor repeats a sample.

    Args:
      checked, unchecked: methods of models.methods with and without checks; the same one leaves repeats in, too.
      source: the manifest's source column, e.g. "three-stage".
      batch: candidates made at a time.
      maker: digest of all else that decides a pair: the networks and the rules of label maps.
      shares: code -> share of the real maps that show the class, of classes that come and go; with checks only.
      real: tells why each real map fails the checks, None where it passes; asked where too few candidates pass.
      ahead: batches that threads make while earlier ones are written.
      ranges: values of the code that decide a pair too, by what they are of, as JSON; see `changes`.

    Methods with dots also leave those of each pair in dots/ID.png (codes).

    Returns the journal: candidates, accepted (indices), uneven, repeats and unchecked (how many of them came in
    against each rule), rejected (reason -> count), shown (class that comes and goes -> pairs that show it), and of
    the pairs' label maps labelled (pixels as they were made) and mended (pixels that mending changed).
    Raises UserError if the folder holds a set of other settings.
    """
    checks = checked is not unchecked
    asked = {"seed": seed, "count": count, "validation": validation, "source": source, "checks": checks,
             "maker": maker, **({"ranges": ranges} if ranges else {})}
    kept = _KeptPairs(atomic_files.make_folder(path), description, asked, shares or {} if checks else {})
    with Ahead(ahead) as made:
        _fill(kept, made, checked, unchecked, batch, say, real)
    kept.close()
    return kept.journal


def _fill(kept: "_KeptPairs", made: Ahead, checked: Callable, unchecked: Callable, batch: int,
          say: Callable[[str], None], real: Callable[[], Sequence[str | None]] | None) -> None:
    """Lets candidates in until there are enough pairs; see `write_synthetic`."""
    journal, phase = kept.journal, "new"
    count = journal["count"]
    while len(journal["accepted"]) < count:
        before, phase, known = phase, _phase(journal), len(journal["accepted"])
        if phase != before:
            say({"uneven": _unevenness, "repeats": _monotony}[phase](journal) if phase != "unchecked" else
                _shortage(journal, real() if real else ()))
        # No more ahead than are needed in any case: a batch gives no more pairs than it has candidates.
        missing, start = count - len(journal["accepted"]), journal["candidates"]
        kept.accept(made.make(unchecked if phase == "unchecked" else checked, range(start, start + missing, batch),
                              batch, journal["seed"]), phase, batch)
        if len(journal["accepted"]) == count and kept.presence.shares:
            say(kept.shares_line())
        rejected = sum(journal["rejected"].values())
        say(Passing.at(f"{len(journal['accepted']):,} of {count:,} pairs, {rejected:,} of "
                       f"{journal['candidates']:,} candidates rejected{_mending(journal)}",
                       known, len(journal["accepted"]), count))


class _KeptPairs:
    """A set as it grows: files, journal, digests of the label maps and what these show, which agree after every
    batch."""

    def __init__(self, path: pathlib.Path, description: Description, asked: dict[str, Any],
                 shares: Mapping[int, float]):
        self.path, self._names = path, description.classes.names
        self.journal = open_journal(path / JOURNAL, asked)
        self.writer = PairWriter(path, description)
        self.digests, self.presence = [], Presence(shares, asked["count"])
        for index in self.journal["accepted"]:
            label = read_png(path / "labels" / f"{_id(index)}.png", description.size)
            self.digests.append(_digest(label))
            self.presence.add(label)

    def accept(self, pairs: Any, phase: str, tried: int) -> None:
        """Writes those of `pairs` that are let in now, then the journal: these are the valid of `tried`."""
        journal, refused, taken = self.journal, Counter(pairs.rejected.values()), []
        known, room = set(self.digests), journal["count"] - len(journal["accepted"])
        for row, label in enumerate(pairs.labels):
            digest, fits = _digest(label), self.presence.fits(label)
            repeated = digest in known
            if repeated and journal["checks"] and phase in ("new", "uneven"):
                refused[REPEAT] += 1
            elif not fits and phase == "new":
                refused[UNEVEN] += 1
            else:
                known.add(digest)
                if len(taken) == room:  # the last batch may hold more than are wanted
                    continue
                taken.append(row)
                self.digests.append(digest)
                self.presence.add(label)
                journal["uneven"] += not fits
                journal["repeats"] += repeated and phase == "repeats"
        if taken and pairs.dots is not None:
            atomic_files.make_folder(self.path / "dots")
        with ThreadPoolExecutor(min(_WRITERS, max(1, len(taken)))) as pool:
            list(pool.map(lambda row: self._add(pairs, row), taken))  # list() raises what a thread raised
        self._note(pairs, taken, refused, phase, tried)

    def _note(self, pairs: Any, taken: Sequence[int], refused: Counter, phase: str, tried: int) -> None:
        """Replaces the journal, with the pairs of rows `taken`."""
        journal = self.journal
        journal["candidates"] += tried
        journal["accepted"] += [int(pairs.indices[row]) for row in taken]
        journal["unchecked"] += len(taken) if phase == "unchecked" else 0
        journal["rejected"] = dict(Counter(journal["rejected"]) + refused)
        journal["shown"] = {self._names[code]: count for code, count in self.presence.shown.items()}
        if pairs.mending is not None:
            labelled, mended = pairs.mending[taken].sum(0)
            journal["labelled"] += int(labelled)
            journal["mended"] += int(mended)
        atomic_files.write_json(self.path / JOURNAL, journal)

    def shares_line(self) -> str:
        """In which share of the pairs each class is that comes and goes, and in which of the real maps."""
        presence = self.presence
        found = [f"{self._names[code]} in {presence.shown[code] / max(1, presence.maps):.0%} (real {share:.0%})"
                 for code, share in presence.shares.items()]
        return f"shares of the pairs that show a class: {', '.join(found)}"

    def _add(self, pairs: Any, row: int) -> None:
        """Writes one pair, and its dots where the method has them."""
        id_ = _id(pairs.indices[row])
        image = grey.from_network(pairs.films[row:row + 1])[0]
        self.writer.add(Entry(id_, "train", self.journal["source"]), image, pairs.labels[row])
        if pairs.dots is not None:
            write_png(self.path / "dots" / f"{id_}.png", pairs.dots[row])

    def close(self) -> None:
        """Chooses the pairs that validate and writes the manifest."""
        journal = self.journal
        validating = _validation(self.digests, journal["unchecked"], journal["validation"])
        self.writer.entries = {
            _id(index): Entry(_id(index), "validation" if place in validating else "train", journal["source"])
            for place, index in enumerate(journal["accepted"])}
        self.writer.close()


def _phase(journal: dict[str, Any]) -> str:
    """Which candidates are let in now: "new" ones that fit; then "uneven", "repeats" and "unchecked" ones too."""
    rules = {"uneven": UNEVEN, "repeats": REPEAT}
    phases = ["new", *(phase for phase, reason in rules.items() if reason in journal["rejected"]), "unchecked"]
    return phases[min(journal["candidates"] // (CANDIDATES_PER_PAIR * journal["count"]), len(phases) - 1)]


def _digest(label: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(label).tobytes(), digest_size=16).digest()


def _validation(digests: Sequence[bytes], unchecked: int, count: int) -> set[int]:
    """Places of the pairs that validate: the last ones, but rather not a label map that comes twice, lest it is
    trained on too, and rather not one of the last `unchecked`, which passed no check."""
    times, first_unchecked = Counter(digests), len(digests) - unchecked  # unchecked ones were let in last
    places = sorted(range(len(digests)),
                    key=lambda place: (times[digests[place]] > 1, place >= first_unchecked, -place))
    return set(places[:count])


def _shortage(journal: dict[str, Any], real: Sequence[str | None]) -> str:
    """The warning that the rest of a set is taken without checks; `real`: why real maps fail them."""
    reason, times = max(journal["rejected"].items(), key=lambda item: item[1])
    valid = journal["candidates"] - sum(count for reason, count in journal["rejected"].items()
                                        if reason not in (REPEAT, UNEVEN))
    failing = Counter(reason for reason in real if reason is not None)
    if failing.total() > _FAIL_TOO * len(real):
        often, count = failing.most_common(1)[0]
        advice = (f"Of {len(real):,} real label maps {failing.total():,} fail these checks too (most often: "
                  f"{often}, {count:,} times): they do not suit this data, and longer training will not help. "
                  "Leave them out with --nocheck, in tools.run_experiment with --nocheck_samples")
    else:
        advice = ("Look at the grids of the first network: it may have to be trained longer, or with another seed")
    return (f"warning: only {valid:,} of {journal['candidates']:,} candidates are valid (most often: {reason}, "
            f"{times:,} times); the rest of {journal['count']:,} pairs is taken unchecked. {advice}")


def _monotony(journal: dict[str, Any]) -> str:
    """The warning that repeats are let in."""
    return (f"warning: only {len(journal['accepted']):,} of {journal['candidates']:,} candidates have a label map "
            f"of their own ({journal['rejected'][REPEAT]:,} repeat an earlier one); repeats are taken now. "
            "Look at the grids of the first network: it varies little")


def _unevenness(journal: dict[str, Any]) -> str:
    """The warning that the shares of classes that come and go are no longer kept."""
    shown = ", ".join(f"{name} in {count:,}" for name, count in journal["shown"].items())
    return (f"warning: {journal['rejected'][UNEVEN]:,} of {journal['candidates']:,} candidates show classes more "
            f"or less often than real maps ({len(journal['accepted']):,} pairs so far: {shown}); such are taken "
            "now. Look at the grids of the first network: it may have to be trained longer")


def _mending(journal: dict[str, Any]) -> str:
    """What mending changed, for the line of a batch; empty where it changed nothing."""
    share = journal["mended"] / max(1, journal["labelled"])
    return f", {share:.1%} of the labelled pixels mended" if share else ""


def _id(index: int) -> str:
    return f"synthetic-{int(index):06d}"


JOURNAL = "generation.json"
_COUNTS = ("uneven", "repeats", "unchecked", "labelled", "mended")  # older journals lack some


def open_journal(path: pathlib.Path, asked: dict[str, Any]) -> dict[str, Any]:
    """The journal at `path`, or a new one for what is `asked`. Raises UserError if it is of other settings."""
    if not path.is_file():
        return {**asked, "candidates": 0, "accepted": [], "rejected": {}, "shown": {}, **dict.fromkeys(_COUNTS, 0)}
    journal = read_journal(path)
    journal |= {name: value for name, value in {"shown": {}, **dict.fromkeys(_COUNTS, 0)}.items()
                if name not in journal}
    changed = changes(journal, asked)
    if changed:
        raise UserError(f"{path}: belongs to a synthetic set of other settings ({'; '.join(changed)[:300]}); use "
                        "those, or choose another --out")
    return journal


def changes(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """`name A, now B` of all that is `asked` otherwise than it was found. Older sets kept no ranges: what theirs
    were is not known."""
    return [f"{name} {found.get(name)!r}, now {value!r}" for name, value in asked.items()
            if found.get(name) != value and (name != "ranges" or name in found)]


def read_journal(path: pathlib.Path) -> dict[str, Any]:
    """A set's journal, as `write_synthetic` returns it. Raises UserError for anything else."""
    journal = atomic_files.read_json(path)
    try:
        accepted, candidates = journal["accepted"], journal["candidates"]
        counts = [candidates, journal["count"], *(journal.get(name, 0) for name in _COUNTS),
                  *journal.get("shown", {}).values(), *journal["rejected"].values(), *accepted]
        whole = all(type(number) is int and 0 <= number < 2**53 for number in counts)
        rising = all(one < other for one, other in itertools.pairwise([*accepted, candidates]))
        if not whole or not rising or len(accepted) > journal["count"]:
            raise ValueError("numbers that cannot be")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
        raise UserError(f"{path}: not the journal of a synthetic set ({reason[:100]}); choose another "
                        "--out") from None
    return journal
