"""Files of named arrays: .npz, and PyTorch state dicts (.pth) without PyTorch or running what they pickle.

Since PyTorch 1.6 a .pth is an uncompressed zip: ARCHIVE/data.pkl pickles a mapping from names to calls of
torch._utils._rebuild_tensor_v2(storage, offset, size, stride, ...), and ARCHIVE/data/KEY are the storages'
bytes. The pickle is read by an interpreter that knows ordered dictionaries, that one call, which becomes a
view of the bytes, and the names of the number types. Anything else is refused before it is called.
"""

import collections
import io
import os
import pathlib
import pickle
import pickletools
import zipfile
from typing import Any

import numpy as np

from datasets.common.errors import UserError
from datasets.common.zips import DAMAGED_NPZ

_STORAGES = {"FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "bfloat16",
             "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
             "ByteStorage": "u1", "BoolStorage": "?"}
# What torch.save writes for tensors; none builds an object of another kind.
_OPCODES = frozenset((
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET",
    "LONG_BINGET", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "BINPERSID", "EMPTY_DICT", "SETITEM",
    "SETITEMS", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE",
    "SHORT_BINUNICODE"))
_RESAVE = "with PyTorch: torch.save(torch.load(FILE, weights_only=True), NEW_FILE)"


def read_tensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of an .npz or the tensors of a PyTorch state dict. Raises UserError."""
    path = pathlib.Path(path)
    if path.suffix != ".npz":
        return read_state_dict(path)
    try:
        with np.load(path, allow_pickle=False) as file:  # no pickle within
            return dict(file)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except DAMAGED_NPZ as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a readable .npz of plain arrays ({reason})") from None


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The tensors of a state dict by name, in the file's order; bfloat16 becomes float32.

    Raises UserError for older formats, for files that hold or call anything but tensors, and for damage.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: not a zip-format PyTorch file (1.6 or later); re-save it {_RESAVE}")
    try:
        with zipfile.ZipFile(path) as archive:
            loaded = _unpickle(_Storages(archive))
    except _RefusedError as refused:
        raise UserError(f"{path}: {refused}; nothing of it was run. Expected a plain state dict: "
                        "torch.save(net.state_dict(), FILE)") from None
    except Exception as error:  # damaged pickles raise whatever their bytes lead to
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{path}: damaged PyTorch file ({reason}); copy it again") from None
    return loaded


class _RefusedError(Exception):
    """The file asks for something that a state dict does not need."""


class _Storages:
    """The files of an archive: its pickle, and its storages as flat arrays."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive
        self._arrays: dict[str, np.ndarray] = {}
        # ARCHIVE/data.pkl
        pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise _RefusedError("a zip file without a PyTorch pickle in it")
        self._root = pickles[0].removesuffix("data.pkl")
        names = archive.namelist()
        # Files without it are little-endian.
        order = self.read("byteorder") if f"{self._root}byteorder" in names else b"little"
        self._order = ">" if order == b"big" else "<"

    def read(self, name: str) -> bytes:
        info = self._archive.getinfo(self._root + name)
        # A small file must not become a large one.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise _RefusedError(f"{info.filename} is compressed, which PyTorch's own files never are")
        return self._archive.read(info)

    def array(self, key: str, kind: str, count: int) -> np.ndarray:
        """Storage `key` as `count` numbers of a type in `_STORAGES`."""
        if key not in self._arrays:
            data = self.read(f"data/{key}")
            if kind == "bfloat16":  # the upper halves of float32
                halves = np.frombuffer(data, f"{self._order}u2")
                self._arrays[key] = (halves.astype(np.uint32) << 16).view(np.float32)  # bits moved up
            else:
                self._arrays[key] = np.frombuffer(data, self._order + kind)
        if len(self._arrays[key]) != count:  # a length that the pickle says
            raise ValueError(f"storage {key} holds {len(self._arrays[key])} numbers, expected {count}")
        return self._arrays[key]


class _RebuildTensor:
    """Stands in for torch._utils._rebuild_tensor_v2."""

    __slots__ = ()

    def __call__(self, storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_) -> np.ndarray:
        if len(size) != len(stride) or min((offset, *size, *stride)) < 0:  # no views that run backwards
            raise ValueError(f"a tensor of size {size} and stride {stride} at {offset}")
        if 0 in size:
            return np.zeros(size, storage.dtype)
        # The farthest number that the view reaches.
        last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
        if last >= len(storage) or np.prod(size, dtype=float) > len(storage):
            raise ValueError(f"a tensor of size {size} reaches beyond its storage of {len(storage)} numbers")
        steps = [step * storage.itemsize for step in stride]
        # No copy; read-only, since views may overlap.
        return np.lib.stride_tricks.as_strided(storage[offset:], size, steps, writeable=False)


class _StateDictUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, storages: _Storages):
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _RebuildTensor()
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]  # stands for its type, in `persistent_load`
        raise _RefusedError(f"its pickle asks for {module}.{name}"[:200])

    def persistent_load(self, pid: tuple) -> np.ndarray:
        # ("storage", type, key, device, count).
        _, kind, key, _, count = pid
        return self._storages.array(key, kind, count)


def _unpickle(storages: _Storages) -> dict[str, np.ndarray]:
    data = storages.read("data.pkl")
    for opcode, argument, _ in pickletools.genops(data):
        # A memo place far beyond the data would make a list of that length.
        if opcode.name not in _OPCODES or (opcode.name == "LONG_BINPUT" and argument > len(data)):
            raise _RefusedError(f"its pickle has an instruction {opcode.name} that a state dict does not need")
    loaded = _StateDictUnpickler(io.BytesIO(data), storages).load()
    if not isinstance(loaded, dict):
        raise _RefusedError(f"it holds one value of type {type(loaded).__name__}")
    # `dict.items`: an OrderedDict's own could be replaced by the pickle.
    for name, value in dict.items(loaded):
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise _RefusedError(f"{str(name)[:80]!r} in it is of type {type(value).__name__}, not a tensor")
    return dict(dict.items(loaded))
