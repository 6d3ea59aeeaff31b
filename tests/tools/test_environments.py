"""Settings that other projects, shells and containers leave behind do not reach the binaries."""

import io
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from datasets.common import own_settings
from datasets.common.own_settings import expand_home
from datasets.pair_store import PairStore
from datasets.sources.phantom import write_phantoms
from tests.helpers import binaries

# What is set -> why it is there: each alone stopped a binary, or could change what it makes.
HOSTILE = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # every notebook exports it
    "KERAS_BACKEND": "torch", "TF_USE_LEGACY_KERAS": "1", "KERAS_MAX_EPOCHS": "one", "KERAS_NNX_ENABLED": "true",
    "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C",
    "MPLCONFIGDIR": "/proc/nowhere", "TMPDIR": "/nonexistent", "OMP_NUM_THREADS": "many", "NO_COLOR": "1",
    "CUDA_VISIBLE_DEVICES": "-1", "TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {}}'}
KERAS_FILE = {"backend": "jax", "floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.5}
DRAWING = "text.usetex: True\nsavefig.dpi: 3\nfont.family: No Such Font\n"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A folder to start in and a home, full of other projects' files."""
    root = tmp_path_factory.mktemp("elsewhere")
    (root / ".keras").mkdir()
    (root / ".keras" / "keras.json").write_text(json.dumps(KERAS_FILE))
    (root / "matplotlibrc").write_text(DRAWING)
    for package in ("datasets", "evaluation"):  # other packages of these names
        (root / package).mkdir()
        (root / package / "__init__.py").write_text("raise SystemExit('not this one')")
    write_phantoms(root / "films", 6, 2, 32, 0)
    return root


def _start(module: str, *options: str, home: pathlib.Path) -> subprocess.CompletedProcess:
    """By its path, from `home`, under all that is hostile."""
    path = binaries.ROOT / f"{module.replace('.', '/')}.py"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(home), **HOSTILE}
    return subprocess.run([sys.executable, str(path), *options], cwd=home, env=environment, capture_output=True,
                          timeout=300)


def test_keras_and_tensorflow(elsewhere, finished_segmenter):
    done = _start("tools.predict", finished_segmenter, "~/films/images", "--out=~/predicted", home=elsewhere)
    assert done.returncode == 0 and done.stderr == b"", done
    films = PairStore(elsewhere / "films")
    alone = binaries.run("tools.predict", finished_segmenter, films.path / "images", f"--out={elsewhere}/alone")
    assert alone.code == 0
    for id_ in films.ids():
        one, other = ((elsewhere / name / "labels" / f"{id_}.png").read_bytes() for name in ("predicted", "alone"))
        assert one == other
    assert json.loads((elsewhere / ".keras" / "keras.json").read_text()) == KERAS_FILE


def test_drawing(elsewhere):
    options = ("--real={0}/films", "--synthetic={0}/films-copy", "--count=3")
    shutil.copytree(elsewhere / "films", elsewhere / "films-copy")
    done = _start("evaluation.evaluate_memorization", *(option.format("~") for option in options),
                  "--out=~/copies", home=elsewhere)
    assert done.returncode == 0 and done.stderr == b"", done
    alone = binaries.run("evaluation.evaluate_memorization", *(option.format(elsewhere) for option in options),
                         f"--out={elsewhere}/alone-copies")
    assert alone.code == 0
    one, other = ((elsewhere / name / "closest_film.png").read_bytes() for name in ("copies", "alone-copies"))
    assert one == other


@pytest.mark.parametrize("module", binaries.all_binaries())
def test_every_binary_starts_by_its_path(module):
    text = (binaries.ROOT / f"{module.replace('.', '/')}.py").read_text()
    guard = text.index("if not __package__:")
    assert "sys.path.insert(0, " in text[guard:guard + 200]
    assert guard < text.index("from absl") < text.index("from datasets.common.errors import")


@pytest.mark.parametrize(("given", "meant"), [
    ("--out=~/y", "--out=H/y"), ("~", "H"), ("~/films/*.png", "H/films/*.png"),
    ("--results=~/a,~/b", "--results=H/a,H/b"), ("--out=~", "--out=H"), ("--name=a~b", "--name=a~b"),
    ("--out=x~/y", "--out=x~/y"), ("a/~/b", "a/~/b"), ("--classes=~left,b", "--classes=~left,b"),
    ("--out=./~/y", "--out=./~/y")])
def test_the_home_folder(given, meant, monkeypatch):
    monkeypatch.setenv("HOME", "H")
    assert expand_home([given]) == [meant]


def test_the_home_folder_without_a_home(monkeypatch):
    monkeypatch.delenv("HOME")
    found, = expand_home(["--out=~/y"])
    assert found.startswith("--out=") and found.endswith("/y")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_what_a_stream_cannot_show_is_escaped(encoding):
    kept = io.BytesIO()
    stream = own_settings._steady(io.TextIOWrapper(kept, encoding, write_through=True))
    print("刘洋 → ±", file=stream, flush=True)
    assert kept.getvalue().endswith(b"\n") and len(kept.getvalue()) > 8
    assert kept.getvalue().decode(encoding).encode().decode("unicode_escape" if encoding == "ascii" else "utf-8")


def test_a_stream_that_is_closed_or_full_is_left(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    for number in (writing, full):
        stream = own_settings._steady(os.fdopen(number, "w"))
        for _ in range(3):
            print("a line", file=stream, flush=True)
        assert not stream.isatty()
        stream.close()
    assert own_settings._steady(None).write("x") == 1
    same = own_settings._steady(stream)
    assert same is stream and isinstance(own_settings._steady(io.StringIO()), io.StringIO)


def test_keras_set_to_something_else_is_told_to_a_library_user(elsewhere):
    code = "import models.pggan"
    environment = {**os.environ, "HOME": str(elsewhere), "KERAS_BACKEND": "tensorflow"}
    environment.pop("KERAS_HOME", None)
    done = subprocess.run([sys.executable, "-c", code], cwd=binaries.ROOT, env=environment, capture_output=True,
                          text=True, timeout=300)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "channels_first" in last and "set_image_data_format" in last
