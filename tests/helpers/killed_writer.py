"""Writes a synthetic set over and over, killed at each of its file operations and continued.

    python -m tests.helpers.killed_writer FOLDER

Prints JSON: how many operations there are, and for each kill how the continued folder differs. It forks, so it is
a program of its own, without TensorFlow.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import signal
import sys

import numpy as np

from datasets.class_table import CHEST
from datasets.common.errors import UserError
from datasets.pair_store import Description, PairStore
from datasets.synthetic.synthetic_store import write_synthetic

SIDE, COUNT, BATCH = 16, 7, 4
DESCRIPTION = Description("made", (SIDE, SIDE), CHEST)


@dataclasses.dataclass
class Made:
    """What a method gives, as models.methods.Pairs."""

    indices: np.ndarray
    labels: np.ndarray
    films: np.ndarray
    rejected: dict[int, str]
    dots: np.ndarray | None = None
    mending: np.ndarray | None = None


def candidate(index: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, str | None]:
    """Label map, film, dots and the reason for rejection, a function of (seed, index)."""
    rng = np.random.default_rng([seed, int(index)])
    label = rng.integers(0, 6, (SIDE, SIDE)).astype(np.uint8)
    film = rng.uniform(-1.2, 1.2, (SIDE, SIDE, 1)).astype(np.float32)
    reason = [None, None, "heart missing", "dots"][rng.integers(4)]
    return label, film, label[:8, :8], reason


def method(refuse: bool = True, never: bool = False):
    """A method; `never` refuses every candidate."""

    def make(indices: np.ndarray, seed: int) -> Made:
        made = [candidate(index, seed) for index in indices]
        reasons = ["hopeless" if never else item[3] if refuse else None for item in made]
        kept = [row for row, reason in enumerate(reasons) if reason is None]
        parts = [np.array([made[row][part] for row in kept]) for part in range(3)]
        rejected = {int(i): reason for i, reason in zip(indices, reasons, strict=True) if reason}
        return Made(indices[kept], parts[0], parts[1], rejected, parts[2] if kept else None)

    return make


def write(path: pathlib.Path) -> dict:
    """The set that is killed and continued."""
    return write_synthetic(path, DESCRIPTION, method(), method(refuse=False), COUNT, 2, 5, "two-stage", BATCH,
                           say=lambda line: None, ahead=1)


def contents(path: pathlib.Path) -> dict[str, str]:
    """Digest of every file below `path`."""
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(path.rglob("*")) if file.is_file()}


def run(path: pathlib.Path, kill_at: int | None) -> int:
    """Writes in a process that kills itself just before rename number `kill_at`; returns its wait status.

    Every file is written beside its place and renamed, so these are the moments between which nothing shows.
    """
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1]
    renames = 0

    def watch(event: str, arguments) -> None:
        nonlocal renames
        if event == "os.rename":
            renames += 1
            if renames == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    write(path)
    if kill_at is None:
        (path.parent / "renames").write_text(str(renames))
    os._exit(0)


def readable(path: pathlib.Path) -> bool:
    """Whether the folder looks whole to a reader."""
    try:
        return len(PairStore(path).ids()) > 0
    except UserError:
        return False


def main(folder: pathlib.Path) -> None:
    assert run(folder / "whole", None) == 0
    whole, total = contents(folder / "whole"), int((folder / "renames").read_text())
    rng, wrong, early, partials = np.random.default_rng(0), [], [], 0
    plans = [[kill] for kill in range(1, total + 1)]
    plans += [rng.integers(1, total // 2, 3).tolist() for _ in range(10)]
    for plan in plans:
        path = folder / "killed"
        statuses = [run(path, kill) for kill in plan]
        if statuses[0] != signal.SIGKILL:
            wrong.append(f"{plan}: not killed")
        if statuses[-1] == signal.SIGKILL and readable(path):
            early.append(plan)
        partials += any(".partial" in name for name in contents(path))
        if run(path, None) != 0 or contents(path) != whole:
            wrong.append(f"{plan}: {sorted(set(contents(path).items()) ^ set(whole.items()))[:4]}")
        shutil.rmtree(path)
    print(json.dumps({"renames": total, "plans": len(plans), "wrong": wrong, "early": early,
                      "partials": partials}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
