"""Whether two run folders hold the same, bit by bit."""

import pathlib
import zipfile

import h5py
import numpy as np
import tensorflow as tf

from tests.helpers.processes import newest_checkpoint

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # names of variables, not values


def differences(first: pathlib.Path, second: pathlib.Path) -> list[str]:
    """What differs: variables of the last checkpoint, metrics, pictures, kept networks, product."""
    found = _differing_tensors(checkpoint_tensors(first), checkpoint_tensors(second))
    for name in ("metrics.jsonl", "product.json", "config.json"):
        if (first / name).read_text() != (second / name).read_text():
            found.append(name)
    for kind in ("grids/*.png", "**/*.keras"):
        names = [sorted(str(file.relative_to(folder)) for file in folder.glob(kind)) for folder in (first, second)]
        if names[0] != names[1]:
            found.append(f"files {kind}: {names[0]} and {names[1]}")
            continue
        found += [name for name in names[0] if not _same_file(first / name, second / name)]
    return found


def checkpoint_tensors(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """All variables and the progress in the newest checkpoint of a run folder."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"{newest_checkpoint(folder):09d}" / "state"))
    return {name: np.asarray(reader.get_tensor(name)) for name in reader.get_variable_to_shape_map()
            if name != _GRAPH}


def _differing_tensors(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> list[str]:
    assert len(first) > 20, f"only {len(first)} variables in the checkpoint"
    return [f"variable {name}" for name in sorted(first.keys() | second.keys())
            if name not in first or name not in second or not np.array_equal(first[name], second[name])]


def _same_file(first: pathlib.Path, second: pathlib.Path) -> bool:
    if first.suffix == ".keras":  # a zip with the time of saving in it
        return network_weights(first) == network_weights(second)
    return first.read_bytes() == second.read_bytes()


def network_weights(path: pathlib.Path) -> dict[str, bytes]:
    """Name -> content of every array in a .keras file."""
    arrays: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file, h5py.File(file) as weights:
        weights.visititems(lambda name, item: arrays.update({name: item[()].tobytes()})
                           if isinstance(item, h5py.Dataset) else None)
    return arrays
