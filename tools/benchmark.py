"""Measures how long networks and training steps take here, and compares two versions.

    python -m tools.benchmark                                   a few items, a minute or two
    python -m tools.benchmark --items=all --out=before.json
    python -m tools.benchmark --items=pggan_step_64 --against=before.json

Each row is measured in a process of its own, so that its peak memory is its own. Keep the machine idle. Times are
seconds for one turn (median, and the distance between the quartiles); with --against, the last column is the time
of the file over the time now: above 1 is faster now.
"""

import os
import subprocess
import sys
import tempfile

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors

_ITEMS = flags.DEFINE_list("items", [], "what to measure, or all (default: a quick choice)")
_PRECISIONS = flags.DEFINE_list("precisions", ["float32", "auto"], "number formats, as in --precision of training")
_SECONDS = flags.DEFINE_float("seconds", 10.0, "time for each row, after the first turns", lower_bound=0.0)
_OUT = flags.DEFINE_string("out", None, "JSON file to write")
_AGAINST = flags.DEFINE_string("against", None, "JSON file of an earlier run, to compare with")
_ALONE = flags.DEFINE_bool("alone", False, "measure in this very process (one item, one number format)")
_HEAD = ("item", "size", "precision", "median", "spread", "images/s", "first", "peak GiB")


def main(argv) -> None:
    from datasets.common import atomic_files

    if _ALONE.value:
        from tools.benchmark_items import measure  # in this process alone: peak memory is its own
        atomic_files.write_json(_OUT.value, [measure(_ITEMS.value[0], _PRECISIONS.value[0], _SECONDS.value)])
        return
    from training.devices import resolve_precision

    names = _names()
    if _OUT.value and os.path.exists(_OUT.value):  # written over only if it is an earlier one, and is not read
        _read(_OUT.value)
        if _AGAINST.value and os.path.exists(_AGAINST.value) and os.path.samefile(_OUT.value, _AGAINST.value):
            raise UserError(f"--out={_OUT.value}: is the file of --against, which is read; choose another")
    before = {_key(row): row for row in _read(_AGAINST.value)} if _AGAINST.value else {}
    rows: list[dict] = []
    print(_line((*_HEAD, "before/now") if before else _HEAD), flush=True)
    for name in names:
        # "auto" may be one of the others
        for precision in dict.fromkeys(resolve_precision(asked) for asked in _PRECISIONS.value):
            row = _measure(name, precision)
            rows.append(row)
            print(_line(_cells(row, before)), flush=True)
            if _OUT.value:  # anew after each row, so that a stopped run keeps what it has
                atomic_files.write_json(_OUT.value, rows)


def _names() -> list[str]:
    from tools.benchmark_items import ITEMS

    unknown = sorted(set(_ITEMS.value) - {"all", *ITEMS})
    if unknown:
        raise UserError(f"--items: found {unknown[0]!r}, expected all, or some of {', '.join(ITEMS)}")
    wrong = sorted(set(_PRECISIONS.value) - {"float32", "auto", "mixed_bfloat16", "mixed_float16"})
    if wrong:
        raise UserError(f"--precisions: found {wrong[0]!r}, expected some of float32, auto, mixed_bfloat16, "
                        "mixed_float16")
    if "all" in _ITEMS.value:
        return list(ITEMS)
    return _ITEMS.value or [name for name, item in ITEMS.items() if item.quick]


def _measure(name: str, precision: str) -> dict:
    from datasets.common import atomic_files

    with tempfile.NamedTemporaryFile(suffix=".json") as made:  # the process writes by that name
        done = subprocess.run([sys.executable, "-m", "tools.benchmark", "--alone", f"--items={name}",
                               f"--precisions={precision}", f"--seconds={_SECONDS.value}", f"--out={made.name}"],
                              stderr=subprocess.PIPE, text=True)
        if done.returncode:
            # Of a traceback, what was raised.
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise UserError(f"{name} in {precision}: could not be measured ({last[:200]})")
        return atomic_files.read_json(made.name)[0]


def _read(path: str) -> list[dict]:
    from datasets.common import atomic_files

    rows = atomic_files.read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) and {"item", "precision", "median"} <= set(row)
                                             for row in rows):
        raise UserError(f"{path}: not a file of this tool's --out")
    return rows


def _key(row: dict) -> tuple[str, str]:
    return row["item"], row["precision"]


def _cells(row: dict, before: dict) -> tuple[str, ...]:
    cells = (row["item"], str(row["size"]), row["precision"], f"{row['median']:.4f}", f"{row['spread']:.4f}",
             f"{row['images_per_second']:.2f}", f"{row['first']:.1f}", f"{row['peak_gib']:.2f}")
    if not before:
        return cells
    old = before.get(_key(row))
    return (*cells, f"{old['median'] / row['median']:.2f}" if old else "-")


def _line(cells: tuple[str, ...]) -> str:
    # Characters; the last one only with --against.
    widths = (28, 5, 15, 8, 8, 9, 6, 9, 11)
    return "".join(cell.ljust(width) if place in (0, 2) else cell.rjust(width - 1) + " "
                   for place, (cell, width) in enumerate(zip(cells, widths, strict=False))).rstrip()


if __name__ == "__main__":
    app.run(report_user_errors(main))
