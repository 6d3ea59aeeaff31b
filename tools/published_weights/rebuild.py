"""From released names to networks: telling networks apart, checking names and shapes, filling, saving."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import keras
import numpy as np

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import describe_ids
from tools.published_weights import pggan_names, pix2pixhd_names
from tools.published_weights.check_activations import check_pggan, check_pix2pixhd

Arrays = dict[str, np.ndarray]

PREFIXES = {"pix2pixhd": {"global": "global/", "local": "local/", "disc": "disc/"},
            "pggan": {"G": "weights/G/", "D": "weights/D/"}}
FILES = {"global": "global_generator", "local": "local_enhancer", "disc": "discriminator",
         "G": "generator", "D": "discriminator"}
ACTIVATIONS = {
    "pix2pixhd": ("label_map", "real", "global_out", "local_out", "real_features/", "loss/", "grad_global/"),
    "pggan": ("latents", "images", "lods", "G_out/", "D_scores/", "D_input_grad/")}
# Of the largest entry, in float32.
TOLERANCE = 1e-4
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")  # instance norm's, kept but never used


def split_networks(tensors: Arrays, model: str, wanted: Sequence[str] | None,
                   source: str) -> tuple[dict[str, Arrays], Arrays]:
    """(released names and arrays of each network, activations); prints what of the file is neither.

    Names without any of the prefixes are one Pix2PixHD network, told by its names.
    """
    prefixes = PREFIXES[model]
    unknown = set(wanted or ()) - set(prefixes)
    if unknown:
        raise UserError(f"--network={','.join(wanted)}: expected some of {', '.join(prefixes)} for {model}")
    networks = {key: {name.removeprefix(prefix): array for name, array in tensors.items()
                      if name.startswith(prefix)} for key, prefix in prefixes.items()}
    networks = {key: arrays for key, arrays in networks.items() if arrays}
    rest = {name: array for name, array in tensors.items() if not name.startswith(tuple(prefixes.values()))}
    if not networks and model == "pix2pixhd":
        networks, rest = {_kind(tensors): tensors}, {}
    missing = set(wanted or ()) - set(networks)
    if missing or not networks:
        raise UserError(f"{source}: holds no weights of {', '.join(sorted(missing)) or model}; found "
                        f"{describe_ids(tensors) or 'nothing'}; expected names as `--help` says")
    left_over = [name for name in rest if not name.startswith(ACTIVATIONS[model])]
    if left_over:
        print(f"{source}: left over, not imported: {describe_ids(left_over)}")
    return {key: arrays for key, arrays in networks.items() if not wanted or key in wanted}, rest


def rebuild(model: str, key: str, arrays: Arrays, source: str) -> keras.Model:
    """The network that names and shapes tell, filled with `arrays`.

    Raises UserError listing every missing and left-over name and every wrong shape.
    """
    place = f"{source}: network {key}"
    arrays = {name.removeprefix("module."): array for name, array in arrays.items()}  # of torch.nn.DataParallel
    if model == "pix2pixhd":
        arrays = _without_statistics(arrays, place)
    try:
        network, places = _architecture(model, key, {name: array.shape for name, array in arrays.items()})
    except ValueError as error:
        raise UserError(f"{place}: {error}; found {describe_ids(arrays)}") from None
    problems = list(_problems(arrays, places))
    if problems:
        raise UserError(f"{place}: {'; '.join(problems)}")
    for name, target in places.items():
        target.variable.assign(target.convert(arrays[name].astype(np.float32)))  # float16 and float64 too
    return network


def save(network: keras.Model, key: str, folder: str | os.PathLike) -> str:
    """Writes the network's .keras file, whole or not at all; returns a line about it."""
    path = atomic_files.make_folder(folder) / f"{FILES[key]}.keras"
    with atomic_files.replacing(path) as temporary:
        network.save(temporary)
    config = {name: value for name, value in network.get_config().items()
              if name not in ("name", "trainable", "dtype")}
    settings = ", ".join(f"{name} {value}" for name, value in config.items())
    return f"{path}: {type(network).__name__} with {network.count_params():,} weights ({settings})"


def check_activations(model: str, networks: Mapping[str, keras.Model], activations: Arrays,
                      source: str) -> dict[str, float]:
    """Prints and returns the largest relative error of each activation that these networks make.

    Raises UserError if one is above TOLERANCE or does not fit, or if there are none.
    """
    check = {"pix2pixhd": check_pix2pixhd, "pggan": check_pggan}[model]
    errors = {}
    try:
        for name, error in check(networks, activations):
            print(f"{name}: largest relative error {error:.1e}", flush=True)
            errors[name] = error
    except (KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{source}: its activations do not fit its networks ({reason})") from None
    if not errors:
        raise UserError(f"{source}: holds no activations to check against; leave out --check")
    wrong = [name for name, error in errors.items() if not error <= TOLERANCE]  # NaN is wrong too
    if wrong:
        raise UserError(f"{source}: {describe_ids(wrong)} differ by more than {TOLERANCE:g}; nothing was written")
    return errors


def _kind(names: Iterable[str]) -> str:
    """Which of Pix2PixHD's networks has such names."""
    names = [name.removeprefix("module.") for name in names]
    if any(name.startswith(("scale", "layer")) for name in names):
        return "disc"
    return "local" if any(name.startswith("model1_") for name in names) else "global"


def _pggan_kind(names: Iterable[str]) -> str:
    return "D" if any(name.startswith(("FromRGB", "4x4/Dense0")) for name in names) else "G"


def _without_statistics(arrays: Arrays, place: str) -> Arrays:
    """Drops the running statistics that files from before PyTorch 0.4 keep and the networks never use."""
    kept = {name: array for name, array in arrays.items() if not name.endswith(_STATISTICS)}
    if len(kept) < len(arrays):
        print(f"{place}: {len(arrays) - len(kept)} running statistics of instance norm are not used")
    return kept


def _architecture(model: str, key: str, shapes: Mapping[str, tuple[int, ...]]):
    """(network, its weights by released name). Raises ValueError where the names are of no such network."""
    kind = _kind(shapes) if model == "pix2pixhd" else _pggan_kind(shapes)
    if kind != key:
        raise ValueError(f"the names are those of network {kind}")
    if model == "pggan":
        network = pggan_names.network_for(shapes)
        return network, pggan_names.released_weights(network, pggan_names.was_fused(shapes))
    network = pix2pixhd_names.network_for(shapes)
    return network, pix2pixhd_names.released_weights(network, pix2pixhd_names.has_separate_layers(shapes))


def _problems(arrays: Arrays, places: Mapping) -> Iterator[str]:
    missing = [name for name in places if name not in arrays]
    if missing:
        yield f"missing {describe_ids(missing)}"
    left_over = [name for name in arrays if name not in places]
    if left_over:
        yield f"left over {describe_ids(left_over)}"
    shared = [name for name in places if name in arrays]
    shapes = [f"{name} is {arrays[name].shape}, expected {places[name].shape}" for name in shared
              if arrays[name].shape != tuple(places[name].shape)]
    if shapes:
        yield f"other shapes: {describe_ids(shapes)}"
    values = [name for name in shared
              # Float, int, unsigned.
              if arrays[name].dtype.kind not in "fiu" or not np.isfinite(arrays[name]).all()]
    if values:
        yield f"not all finite numbers: {describe_ids(values)}"
