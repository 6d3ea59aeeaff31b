"""Damaged files for fuzzing: every mutant is a function of (bytes, generator)."""

import copy
import json
import struct
import zlib
from collections.abc import Callable

import numpy as np

from tests.helpers import pictures

Rng = np.random.Generator
_EDGES = (0, 1, 2, 7, 255, 256, 4096, 8192, 8193, 32767, 32768, 65535, 65536, 2**24, 2**28, 2**31 - 1, 2**31,
          2**32 - 1)
_LEAVES = (None, True, -1, 0, 1, 7, 8, 8193, 2**70, 1e308, -1e308, float("nan"), float("inf"), 0.5, "",
           "a" * 5000, "../../etc/passwd", "/dev/zero", "\0", "\ud800",
           "ä\n\u2028", [], {}, [[]], {"a": {}}, [1, 2, 3], "1", b"")


def mutate(data: bytes, rng: Rng) -> bytes:
    """One to three damages of any kind of file."""
    for _ in range(rng.integers(1, 4)):
        data = _GENERAL[rng.integers(len(_GENERAL))](data, rng)
    return data


def _flip_bits(data: bytes, rng: Rng) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.integers(1, 9) if data else 0):
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _truncate(data: bytes, rng: Rng) -> bytes:
    return data[:rng.integers(len(data) + 1)]


def _set_number(data: bytes, rng: Rng) -> bytes:
    """A number of 2 or 4 bytes, most often in the first or last 300, becomes one at the edge of a range."""
    width, order = int(rng.choice([2, 4])), rng.choice(["big", "little"])
    reach = len(data) if rng.random() < 0.2 else min(len(data), 300)
    at = int(rng.integers(reach)) if reach else 0
    at = at if rng.random() < 0.7 else len(data) - 1 - at
    value = _EDGES[rng.integers(len(_EDGES))] % 256**width
    return data[:at] + value.to_bytes(width, str(order)) + data[at + width:]


def _move_block(data: bytes, rng: Rng) -> bytes:
    start, end, to = sorted(int(n) for n in rng.integers(0, len(data) + 1, 3))
    return data[:start] + data[end:to] + data[start:end] + data[to:]


def _repeat_block(data: bytes, rng: Rng) -> bytes:
    start, end = sorted(int(n) for n in rng.integers(0, len(data) + 1, 2))
    return data[:end] + data[start:end] * int(rng.integers(1, 4)) + data[end:]


def _drop_block(data: bytes, rng: Rng) -> bytes:
    start = int(rng.integers(len(data) + 1))
    return data[:start] + data[start + int(rng.integers(1, 33)):]


def _insert_noise(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + rng.bytes(int(rng.integers(1, 65))) + data[at:]


def _blank_block(data: bytes, rng: Rng) -> bytes:
    start = int(rng.integers(len(data) + 1))
    length = int(rng.integers(1, 129))
    return (data[:start] + bytes([rng.choice([0, 255, 127, 128])]) * length + data[start + length:])[:len(data)]


_GENERAL: tuple[Callable[[bytes, Rng], bytes], ...] = (
    _flip_bits, _flip_bits, _truncate, _set_number, _set_number, _set_number, _move_block, _repeat_block,
    _drop_block, _insert_noise, _blank_block)


def mutate_png(data: bytes, rng: Rng) -> bytes:
    """Chunks moved, repeated, dropped or changed, all with right checksums, so that decoders see them."""
    chunks = png_chunks(data)
    at, other = (int(n) for n in rng.integers(0, len(chunks), 2))
    kind, content = chunks[at]
    choice = rng.integers(6)
    if choice == 0:
        chunks[at], chunks[other] = chunks[other], chunks[at]
    elif choice == 1:
        chunks.insert(other, chunks[at])
    elif choice == 2:
        del chunks[at]
    elif choice == 3:
        chunks[at] = (kind, mutate(content, rng))
    elif choice == 4:
        header = list(struct.unpack(">IIBBBBB", chunks[0][1]))
        field = int(rng.integers(7))
        header[field] = int(rng.choice(_EDGES)) % (2**32 if field < 2 else 256)
        chunks[0] = (b"IHDR", struct.pack(">IIBBBBB", *header))
    else:  # the pixels themselves, compressed anew: wrong filters, too few rows or too many
        rows = zlib.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"))
        chunks = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
        chunks.insert(len(chunks) - 1, (b"IDAT", zlib.compress(mutate(rows, rng))))
    return data[:8] + b"".join(pictures.png_chunk(*chunk) for chunk in chunks)


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        chunks.append((data[at + 4:at + 8], data[at + 8:at + 8 + length]))
        at += 12 + length
    return chunks


def mutate_json(data: bytes, rng: Rng) -> bytes:
    """A value anywhere in the tree becomes an odd one, or goes."""
    tree = copy.deepcopy(json.loads(data))
    places = list(_places(tree))
    for _ in range(rng.integers(1, 3)):
        parent, key = places[rng.integers(len(places))]
        leaf = _LEAVES[rng.integers(len(_LEAVES))]
        if rng.random() < 0.15 and isinstance(parent, dict):
            parent.pop(key, None)
        elif isinstance(parent, dict) or key < len(parent):
            parent[key] = leaf if not isinstance(leaf, bytes) else [leaf.decode()] * 300
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _places(tree):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def mutate_csv(data: bytes, rng: Rng) -> bytes:
    """A field becomes an odd one, or is quoted, added or dropped."""
    lines = [line.split(b",") for line in data.splitlines()]
    odd = (b"", b"../a", b"/dev/zero", b'"', b'"a\nb"', b"\0", b"\xff\xfe", b"a" * 200_000, b"TRAIN", b"p0", b"\r",
           "ä".encode(), b"train", b"-", b"=1+1", b"..", b"a/../../b", b"%s", b"{}", b"con\x1b[2J")
    for _ in range(rng.integers(1, 3)):
        line = lines[rng.integers(len(lines))]
        if rng.random() < 0.2 and len(line) > 1:
            del line[rng.integers(len(line))]
        else:
            line.insert(int(rng.integers(len(line) + 1)), b"") if rng.random() < 0.2 else None
            line[rng.integers(len(line))] = odd[rng.integers(len(odd))]
    return b"\n".join(b",".join(line) for line in lines) + b"\n"
