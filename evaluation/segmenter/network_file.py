"""Which .keras file stands for a run folder, its digest, and what its network is; no TensorFlow is needed.

What else product.json says, and the network itself, are in `evaluation.segmenter.saved_network`.
"""

import functools
import hashlib
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.common.zips import DAMAGED_ZIP

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


def refuse_moved_classes(path: str | os.PathLike, facts: Mapping[str, Any], names: Sequence[str],
                         source: str | os.PathLike) -> None:
    """Raises UserError where a class that the run at `path` names has another code in `names`, those of `source`.

    Names that only one side has are passed over: a folder may call the same classes otherwise.
    """
    known = {str(name).casefold(): code for code, name in enumerate(facts.get("class_names") or ())}
    for code, name in enumerate(names):
        if known.get(name.casefold(), code) != code:
            raise UserError(f"{path}: was trained with {name} as class {known[name.casefold()]}, but it is class "
                            f"{code} in {source}; bring its classes to that order by tools.import_dataset")


def network_options(path: str | os.PathLike) -> dict[str, Any]:
    """What the network of a run folder, or of such a file itself, is: "network" (the name of its class), "input
    channels" and the options it was made with. Its weights are not read.

    Raises UserError if there is none, or the file is not one that Keras wrote.
    """
    file = network_file(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file; expected a run folder or a .keras file of this project")
    try:
        with zipfile.ZipFile(file) as archive:
            saved = json.loads(archive.read("config.json"))
        return {"network": saved["class_name"], "input channels": saved["build_config"]["input_shape"][-1],
                **saved["config"]}
    except (OSError, KeyError, TypeError, ValueError, *DAMAGED_ZIP) as error:
        raise UserError(f"{path}: not a readable .keras file of this project ({error})") from None


def refuse_others(path: str | os.PathLike, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raises UserError where the `network_options` of `path` are not those that are `asked` for. What a file does
    not tell is passed over."""
    other = [name for name in asked if found.get(name, asked[name]) != asked[name]]
    if other:
        theirs, ours = (", ".join(f"{name} {options[name]}" for name in other) for options in (found, asked))
        raise UserError(f"{path}: does not fit the network asked for: found {theirs}, expected {ours}; set the "
                        "options as it has them, or start from another")


@functools.lru_cache(maxsize=1024)
def _file_digest(path: pathlib.Path, size: int, time: int) -> str:
    # Tables ask for every column's several times. Size and time are for the cache: another file has others.
    return hashlib.sha256(path.read_bytes()).hexdigest()
