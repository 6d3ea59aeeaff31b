"""Which .keras file stands for a run folder, and its digest; no TensorFlow is needed for either.

What else product.json says, and the network itself, are in `evaluation.segmenter.saved_network`.
"""

import functools
import hashlib
import os
import pathlib
from typing import Any

from datasets.common import atomic_files
from datasets.common.errors import UserError

PRODUCT = "product.json"


def read_facts(run: str | os.PathLike) -> dict[str, Any]:
    """All that product.json of run folder `run` says, "network" at least. Raises UserError for a folder without a
    finished run."""
    file = pathlib.Path(run) / PRODUCT
    if not file.is_file():
        raise UserError(f"{run}: no finished run (no {PRODUCT}); run its training command to the end")
    facts = atomic_files.read_json(file)
    if not isinstance(facts, dict) or not isinstance(facts.get("network"), str):
        raise UserError(f"{file}: not a run's product (it names no network)")
    return facts


def network_file(path: str | os.PathLike) -> pathlib.Path:
    """The network of a run folder, or such a file itself; it may be missing.

    Raises UserError for a folder without a finished run, and where its product names a file elsewhere.
    """
    path = pathlib.Path(path)
    return inside(path, read_facts(path)["network"]) if path.is_dir() else path


def inside(run: pathlib.Path, name: str) -> pathlib.Path:
    """File `name` of run folder `run`. Raises UserError where it lies outside."""
    file = (run / name).resolve()
    if run.resolve() not in file.parents:
        raise UserError(f"{run}/{PRODUCT}: network {name!r} lies outside the run folder; not read")
    return file


def network_digest(path: str | os.PathLike) -> str:
    """Digest of the .keras file of a run folder, or of such a file itself. Raises UserError if there is none."""
    file = network_file(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file; expected a run folder or a .keras file of this project")
    facts = file.stat()
    return _file_digest(file.absolute(), facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _file_digest(path: pathlib.Path, size: int, time: int) -> str:
    # Tables ask for every column's several times. Size and time are for the cache: another file has others.
    return hashlib.sha256(path.read_bytes()).hexdigest()
