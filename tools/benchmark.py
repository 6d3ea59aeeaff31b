"""Measures how long networks and training steps take here, compares two versions, and compares with PyTorch.

    python -m tools.benchmark                                   a few items, a minute or two
    python -m tools.benchmark --items=all --out=before.json
    python -m tools.benchmark --items=pggan_step_64 --against=before.json
    python -m tools.benchmark --items=gpu --peer=torch --precisions=mixed_bfloat16 --seconds=3 --out=gpu.json
    python -m tools.benchmark --items=all --shrink=8 --seconds=0                 tries all rows out, smaller

--items takes names, and the groups quick (the default), gpu and all: with all, every network of preset paper,
forward and step. Each row is measured in a process of its own, so that its peak memory is its own: of the GPU
where there is one, else of the process. Keep the machine idle. Times are seconds for one step (median, and the
distance between the quartiles), on a GPU of up to ten steps with one wait at the end. "% limit" is the operations
by count (tools/speed/flops.py) for each second, as a share of what a product of large matrices in the same format
reached in the same process. A row that fails says why, and the others go on; the exit code is then 1.

--peer=torch times the same networks written plainly in PyTorch (`pip install torch`), row by row in turn; the last
column is its time over ours: above 1 is faster here. Both use TF32 for float32 on a GPU. With --against, the last
column is the time of the file over the time now: above 1 is faster now.
"""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors

_ITEMS = flags.DEFINE_list("items", ["quick"], "what to measure: names, or the groups quick, gpu, all")
_PRECISIONS = flags.DEFINE_list("precisions", ["float32", "auto"], "number formats, as in --precision of training")
_SECONDS = flags.DEFINE_float("seconds", 10.0, "time for each row, after the first steps", lower_bound=0.0)
_OUT = flags.DEFINE_string("out", None, "JSON file to write, anew after each row")
_AGAINST = flags.DEFINE_string("against", None, "JSON file of an earlier run, to compare with")
_PEER = flags.DEFINE_enum("peer", None, ["torch"], "another library to measure beside, row by row in turn")
_CHANNELS_LAST = flags.DEFINE_bool("peer_channels_last", True, "PyTorch's memory format of pictures and kernels")
_COMPILE = flags.DEFINE_bool("peer_compile", False, "PyTorch's networks by torch.compile (PGGAN: its generator)")
_SHRINK = flags.DEFINE_integer("shrink", 1, "divides the sides of pictures and the pictures of a step, to try a "
                                            "run out", lower_bound=1, upper_bound=8)
_ROW_LIMIT = flags.DEFINE_float("row_limit", 1800.0, "seconds after which a row is given up", lower_bound=1.0)
_XLA = flags.DEFINE_enum("xla", "auto", ["auto", "on", "off"], "whether XLA compiles our training steps")
_ALONE = flags.DEFINE_bool("alone", False, "measure in this very process (one item, one number format)")
_OURS = "ours"
_COLUMNS = {"item": 28, "size": 5, "precision": 15, "by": 6, "median": 9, "spread": 8, "images/s": 9, "first": 7,
            "peak GiB": 9, "% limit": 8, "before/now": 11, "peer/ours": 10}  # widths in characters


def main(argv) -> int | None:
    from datasets.common import atomic_files

    names = _names()
    if _ALONE.value:
        atomic_files.write_json(_OUT.value, [_row(names[0], _PRECISIONS.value[0])])
        return None
    _check()
    before = {_key(row): row for row in _read(_AGAINST.value)} if _AGAINST.value else {}
    columns = [column for column in _COLUMNS if (column not in ("by", "peer/ours") or _PEER.value)
               and (column != "before/now" or before)]
    print(_line(columns, dict(zip(columns, columns, strict=True))), flush=True)
    rows: list[dict] = []
    for name in names:
        for precision in _precisions():
            ours = None
            for library in _libraries(name):
                row = _measure(name, precision, library)
                ours = row if library == _OURS else ours
                rows.append(row)
                print(_shown(columns, row, ours, before.get(_key(row))), flush=True)
                if _OUT.value:  # anew after each row, so that a stopped run keeps what it has
                    atomic_files.write_json(_OUT.value, rows)
    return int(any("failed" in row for row in rows))


def _names() -> list[str]:
    from tools.speed.items import GROUPS, ITEMS

    for name in _ITEMS.value:
        if name not in ITEMS and name not in GROUPS:
            raise UserError(f"--items: found {name!r}, expected some of {', '.join((*GROUPS, *ITEMS))}")
    known = ("float32", "auto", "mixed_bfloat16", "mixed_float16")
    wrong = sorted(set(_PRECISIONS.value) - set(known))
    if wrong or not _PRECISIONS.value:
        raise UserError(f"--precisions: found {wrong[0] if wrong else ''!r}, expected some of {', '.join(known)}")
    if _PEER.value and "mixed_float16" in _PRECISIONS.value:
        raise UserError("--precisions: found 'mixed_float16', expected float32 or mixed_bfloat16 with --peer")
    return list(dict.fromkeys(item for name in _ITEMS.value for item in GROUPS.get(name, (name,))))


def _check() -> None:
    """Raises UserError, before anything is measured, for a peer that is not there or a file that is not ours."""
    if _PEER.value and importlib.util.find_spec(_PEER.value) is None:
        raise UserError(f"--peer={_PEER.value}: PyTorch is not installed; pip install torch, or leave --peer out")
    if _OUT.value and os.path.exists(_OUT.value):  # written over only if it is an earlier one, and is not read
        _read(_OUT.value)
        if _AGAINST.value and os.path.exists(_AGAINST.value) and os.path.samefile(_OUT.value, _AGAINST.value):
            raise UserError(f"--out={_OUT.value}: is the file of --against, which is read; choose another")


def _precisions() -> list[str]:
    """The formats asked for, each once: "auto" may be one of the others."""
    if "auto" not in _PRECISIONS.value:
        return list(dict.fromkeys(_PRECISIONS.value))
    from training.devices import resolve_precision

    return list(dict.fromkeys(resolve_precision(asked) for asked in _PRECISIONS.value))


def _libraries(name: str) -> list[str]:
    from tools.speed.items import ITEMS, WITHOUT_PEER

    return [_OURS, _PEER.value] if _PEER.value and ITEMS[name].kind not in WITHOUT_PEER else [_OURS]


def _row(name: str, precision: str) -> dict:
    """Measures in this process, which loads one library only."""
    from tools.speed.items import ITEMS

    item = ITEMS[name].shrunk(_SHRINK.value)
    if _PEER.value:
        from tools.speed import torch_work
        return torch_work.row(item, precision, _SECONDS.value, _CHANNELS_LAST.value, _COMPILE.value)
    from tools.speed import ours
    return ours.row(item, precision, _SECONDS.value, _XLA.value)


def _measure(name: str, precision: str, library: str) -> dict:
    """Measures in a process of its own; what failed has "failed", the reason, in place of figures."""
    from datasets.common import atomic_files
    from tools.speed.items import ITEMS

    item = ITEMS[name].shrunk(_SHRINK.value)
    row = {"item": name, "size": item.size, "precision": precision, "by": library, "shrink": _SHRINK.value}
    with tempfile.NamedTemporaryFile(suffix=".json") as made:  # the process writes by that name
        command = [sys.executable, __file__, "--alone", f"--items={name}",
                   f"--precisions={precision}", f"--seconds={_SECONDS.value}",
                   f"--shrink={_SHRINK.value}", f"--xla={_XLA.value}", f"--out={made.name}"]
        if library != _OURS:
            command += [f"--peer={library}", f"--peer_channels_last={_CHANNELS_LAST.value}",
                        f"--peer_compile={_COMPILE.value}"]
        try:
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=_ROW_LIMIT.value)
        except subprocess.TimeoutExpired:
            return {**row, "failed": f"not done after {_ROW_LIMIT.value:.0f} s (--row_limit)"}
        if done.returncode:
            return {**row, "failed": _reason(done)}
        found = atomic_files.read_json(made.name)[0]
    return {**row, **found, "images_per_second": item.images / found["median"]}


def _reason(done: subprocess.CompletedProcess) -> str:
    """Of a traceback what was raised, else the last line."""
    lines = done.stderr.strip().splitlines()
    raised = [line for line in lines if re.match(r"(error: |[\w.]+(Error|Exception|Exhausted)\b)", line)]
    last = (raised or lines or [""])[-1]
    return " ".join(f"exit code {done.returncode} {last}".split())[:300]


def _read(path: str) -> list[dict]:
    from datasets.common import atomic_files

    rows = atomic_files.read_json(path)
    if not isinstance(rows, list) or not all(
            isinstance(row, dict) and {"item", "precision"} <= set(row) and {"median", "failed"} & set(row)
            for row in rows):
        raise UserError(f"{path}: not a file of this tool's --out")
    return [row for row in rows if "median" in row]


def _key(row: dict) -> tuple:
    return row["item"], row["precision"], row.get("by", _OURS), row.get("shrink", 1)


def _shown(columns: list[str], row: dict, ours: dict | None, old: dict | None) -> str:
    facts = {"item": row["item"], "size": str(row["size"]), "precision": row["precision"], "by": row["by"]}
    if "failed" in row:
        return f"{_line([column for column in columns if column in facts], facts)} failed: {row['failed']}"
    flops = ours.get("flops") if ours else None  # counted in our graphs; the peer's networks are the same function
    share = f"{100 * flops / (row['median'] * row['limit']):.1f}" if flops else "-"
    beside = row["by"] != _OURS and ours and "median" in ours
    return _line(columns, {
        **facts, "median": f"{row['median']:.4f}", "spread": f"{row['spread']:.4f}",
        "images/s": f"{row['images_per_second']:.2f}", "first": f"{row['first']:.1f}",
        "peak GiB": f"{row['peak_gib']:.2f}", "% limit": share,
        "before/now": f"{old['median'] / row['median']:.2f}" if old else "-",
        "peer/ours": f"{row['median'] / ours['median']:.2f}" if beside else ""})


def _line(columns: list[str], cells: dict[str, str]) -> str:
    return "".join(cells[column].ljust(_COLUMNS[column]) if column in ("item", "precision", "by")
                   else cells[column].rjust(_COLUMNS[column] - 1) + " " for column in columns).rstrip()


if __name__ == "__main__":
    app.run(report_user_errors(main))
