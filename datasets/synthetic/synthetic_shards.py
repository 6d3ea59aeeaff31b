"""A synthetic set made in shards, on any machines, and joined to the set that one process would have made.

    SHARD/
      shard.json          which shard of how many, and of what set; whether it is done
      batches/000004.npz  what the method made of the candidates of batch 4: codes, films, why others were rejected

Shard k of n makes the batches k - 1, k - 1 + n, ... of the set's candidates. Which candidates are let into a set
depends on those before them, so that is decided when shards are joined (`datasets.synthetic.synthetic_store`), in
the order of the candidates: none is lost and none comes twice, and the set is the same for any number of shards.
Batches beyond those of the shards are made when they are joined.
"""

import dataclasses
import json
import math
import pathlib
import re
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from datasets import grey
from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.progress import Passing
from datasets.common.progress import say as say_line
from datasets.common.zips import DAMAGED_NPZ
from datasets.synthetic.made_ahead import Ahead
from datasets.synthetic.synthetic_store import CANDIDATES_PER_PAIR, changes

MARK = "shard.json"
_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Shard:
    """Shard `number` (from 1 on) of `of`."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`3/8`. Raises UserError for anything else."""
        match = _SHARD.fullmatch(text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"--shard={text}: expected NUMBER/OF, as 3/8 for the third of eight")
        return cls(int(match[1]), int(match[2]))


def write_shard(path: str | pathlib.Path, shard: Shard, method: Callable, set_: dict[str, Any],
                say: Callable[[str], None] = say_line, ahead: int = 0) -> int:
    """Makes a shard's batches until it holds its part of the set's pairs, or has tried as many as the set would.

    Args:
      method: of models.methods, with checks where the set has them.
      set_: what decides the set, as JSON values; `seed`, `count` and `batch` (candidates at a time) among them.
      ahead: batches that threads make while earlier ones are written.

    Returns how many pairs it holds. Continues a shard that was stopped. Raises UserError if the folder holds a
    shard of another set.
    """
    path, asked = pathlib.Path(path), {"shard": shard.number, "shards": shard.of, **set_}
    if (path / MARK).is_file():
        _refuse_other(path, _read_mark(path), asked)
    atomic_files.write_json(atomic_files.make_folder(path) / MARK, {**asked, "done": False})
    atomic_files.make_folder(path / "batches")
    part, held, number = math.ceil(set_["count"] / shard.of), 0, shard.number - 1
    batch, seed, last = set_["batch"], set_["seed"], CANDIDATES_PER_PAIR * set_["count"]
    with Ahead(ahead) as made:
        while held < part and number * batch < last:
            file, before = _file(path, number), held
            if not file.is_file():
                needed = shard.of * (part - held)  # candidates on to the last that is needed in any case
                starts = range(number * batch, min(number * batch + needed, last), shard.of * batch)
                _write_batch(file, made.make(method, starts, batch, seed))
            held += len(_read_batch(file).indices)
            number += shard.of
            say(Passing.at(f"{held:,} of {part:,} pairs of shard {shard.number} of {shard.of}", min(before, part),
                           min(held, part), part))
    atomic_files.write_json(path / MARK, {**asked, "done": True})
    return held


def joined(paths: Sequence[str], method: Callable, set_: dict[str, Any]) -> Callable:
    """`method`, but what shards made is read from their folders `paths`.

    Raises UserError unless these are all the shards of the set that `set_` says, each once and done.
    """
    found: dict[int, pathlib.Path] = {}
    of = None
    for path in map(pathlib.Path, paths):
        mark = _read_mark(path)
        of = mark["shards"] if of is None else of
        _refuse_other(path, mark, {"shards": of, **set_})
        if not mark["done"]:
            raise UserError(f"{path}: this shard is not finished; continue it by its command")
        if mark["shard"] in found:
            raise UserError(f"{path}: is shard {mark['shard']} of {of}, as {found[mark['shard']]} is; name each "
                            "once")
        found[mark["shard"]] = path
    missing = next((number for number in range(1, (of or 0) + 1) if number not in found), None)
    if missing is not None:
        raise UserError(f"--join={','.join(map(str, paths))}: shard {missing} of {of} is missing; name all of "
                        "them")

    def make(indices: np.ndarray, seed: int) -> Any:
        number, rest = divmod(int(indices[0]), set_["batch"])
        file = _file(found[number % of + 1], number)
        if rest or len(indices) != set_["batch"] or not file.is_file():
            return method(indices, seed)
        return _read_batch(file)

    return make


def _file(path: pathlib.Path, number: int) -> pathlib.Path:
    return path / "batches" / f"{number:06d}.npz"


def _write_batch(file: pathlib.Path, pairs: Any) -> None:
    # Films as a set keeps them: those levels come back from the networks' range as they were.
    films = grey.from_network(np.asarray(pairs.films))
    arrays = {"indices": pairs.indices, "labels": pairs.labels, "films": films, "dots": pairs.dots,
              "mending": pairs.mending,
              "rejected": np.array(json.dumps({str(index): reason for index, reason in pairs.rejected.items()}))}
    with atomic_files.replacing(file) as temporary:
        np.savez_compressed(temporary, **{name: value for name, value in arrays.items() if value is not None})


def _read_batch(file: pathlib.Path) -> types.SimpleNamespace:
    """As `models.methods.Pairs`. Raises UserError for a damaged file."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            rejected = {int(index): reason for index, reason in json.loads(str(arrays["rejected"])).items()}
            return types.SimpleNamespace(
                indices=arrays["indices"], labels=arrays["labels"], films=grey.to_network(arrays["films"]),
                dots=arrays.get("dots"), mending=arrays.get("mending"), rejected=rejected)
    except (KeyError, *DAMAGED_NPZ) as error:
        raise UserError(f"{file}: not a batch of a shard ({type(error).__name__}); remove it, and continue the "
                        "shard by its command") from None


def _read_mark(path: pathlib.Path) -> dict[str, Any]:
    if not (path / MARK).is_file():
        raise UserError(f"{path}: found no {MARK}; expected the --out of tools.generate with --shard")
    mark = atomic_files.read_json(path / MARK)
    if not isinstance(mark, dict) or not {"shard", "shards", "done"} <= mark.keys() \
            or not all(type(mark[name]) is int and mark[name] > 0 for name in ("shard", "shards")):
        raise UserError(f"{path / MARK}: not what tools.generate writes; make the shard anew in another folder")
    return mark


def _refuse_other(path: pathlib.Path, mark: dict[str, Any], asked: dict[str, Any]) -> None:
    changed = changes(mark, asked)
    if changed:
        raise UserError(f"{path}: is a shard of other settings ({'; '.join(changed)[:300]}); use those, or "
                        "another folder")
