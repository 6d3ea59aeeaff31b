"""Damaged files of strangers: a result that is one, or a refusal of one line; never a crash, hang or blow-up.

800 mutants in every run, 9,600 with FULL_FUZZ=1. All come from the seeds printed with a failure.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from datasets.common.errors import UserError
from datasets.pair_store import read_png
from tests.helpers import fuzz_readers, mutations, pictures

KINDS = {"png", "gif", "img", "tif", "dcm", "jpg", "bmp", "webp", "nii", "nrrd", "pair", "manifest", "description",
         "journal", "list", "colours"}
WITHOUT_CHECKSUM = {"jpg", "bmp", "webp", "nii", "nrrd"}  # other pixels are all that damage may leave
MEMORY_MIB = 1500  # a 16-bit RGB picture of 8192 x 8192 needs half of it; a blow-up knows no bound


def _fuzz(seed, count, folder):
    folder.mkdir()
    done = subprocess.run([sys.executable, "-m", "tests.helpers.fuzz_readers", str(seed), str(count), str(folder)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed} ended with {done.returncode}: {done.stderr[-3000:]}"
    assert done.stderr == "", f"seed {seed} wrote to stderr: {done.stderr[:3000]}"
    result = json.loads(done.stdout)
    assert not result["failures"], "\n".join([f"seed {seed}:", *result["failures"][:20]])
    assert result["peak_mib"] < MEMORY_MIB
    return result


def test_800_mutants(tmp_path):
    _check_mix(_fuzz(12, 800, tmp_path / "a"), 50)


@pytest.mark.reliability
@pytest.mark.skipif(os.environ.get("FULL_FUZZ") != "1", reason="set FULL_FUZZ=1 for the long form")
@pytest.mark.parametrize("seed", range(3))
def test_9600_mutants(tmp_path, seed):
    _check_mix(_fuzz(seed, 3200, tmp_path / "a"), 200)


def _check_mix(result, each):
    """Every kind was tried, and the damage was neither always fatal nor never."""
    assert result["tried"] == dict.fromkeys(KINDS, each)
    for kind in KINDS:
        least = 0.1 if kind in WITHOUT_CHECKSUM else 0.4
        assert least * each <= result["refused"][kind] < each, (kind, result["refused"])


def test_whole_files_are_read(tmp_path):
    """What is damaged above is read when it is whole, so that a refusal is due to the damage."""
    fuzz_readers.make_store(tmp_path / "store")
    fuzz_readers.read_store(tmp_path / "store")
    fuzz_readers.read_generation(tmp_path / "store" / "generation.json")
    for kind, files in fuzz_readers.originals().items():
        for data in files if kind != "img" else ():
            path = tmp_path / f"a.{kind}"
            path.write_bytes(data)
            fuzz_readers.read_image(path)


@pytest.mark.parametrize("kind", ["png", "dcm"])
def test_mutants_differ_and_repeat(kind):
    data = fuzz_readers.originals()[kind][0]
    mutants = [mutations.mutate(data, np.random.default_rng([1, number])) for number in range(50)]
    assert mutants == [mutations.mutate(data, np.random.default_rng([1, number])) for number in range(50)]
    assert len(set(mutants)) > 45 and data not in mutants[:5]


def test_the_fuzzer_notices(tmp_path):
    """A reader that raises anything else, or refuses in two lines or without the name, is a failure."""
    def read(path):
        data = path.read_bytes()
        if data == b"two":
            raise UserError(f"{path}: a\nb")
        if data == b"name":
            raise UserError("somewhere something")
        if data == b"wild":
            raise KeyError("x")
        if data == b"good":
            raise UserError(f"{path}: found this, expected that")

    fuzzer = fuzz_readers.Fuzzer(tmp_path)
    path = tmp_path / "a.png"
    for data in (b"two", b"name", b"wild", b"good", b"fine"):
        fuzzer.try_file("png", path, data, read, path)
    assert len(fuzzer.failures) == 3 and fuzzer.tried["png"] == 5


@pytest.mark.parametrize("damage", ["Adler", "filter", "rows"])
def test_a_damaged_pair_says_nothing_on_stderr(tmp_path, capfd, damage):
    """Right checksums around wrong pixels: only the decoder sees it, and it may not speak for itself."""
    rows = bytes(9 * 10) if damage == "Adler" else b"\x09" * 90 if damage == "filter" else bytes(30)
    data = pictures.raw_png(8, 10, 8, 0, rows)
    if damage == "Adler":
        chunks = dict(mutations.png_chunks(data))
        broken = chunks[b"IDAT"][:-4] + b"0000"
        data = data[:33] + pictures.png_chunk(b"IDAT", broken) + pictures.png_chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.png: truncated or damaged PNG"):
        read_png(tmp_path / "a.png", (10, 8))
    assert capfd.readouterr().err == ""
