"""Fixtures shared by all tests."""

import gc
import os
import pathlib

import pytest

from tests.helpers import process_state
from tests.reliability.table import pytest_terminal_summary  # noqa: F401 (a hook)

# Files that take longest, begun first so that no worker waits for another's last one.
_FIRST = ("reliability/test_continuation.py", "tools/experiment/test_experiment.py",
          "reliability/test_distribution.py", "tools/experiment/test_engine.py",
          "tools/experiment/test_cluster.py", "tools/export/test_export.py", "models/test_gan_models.py",
          "reliability/test_precision.py",
          "evaluation/synthetic/test_copies.py", "training", "models")


def pytest_collection_modifyitems(items):
    tests = pathlib.Path(__file__).parent

    def place(item) -> int:
        path = str(item.path.relative_to(tests))
        return next((place for place, name in enumerate(_FIRST) if path.startswith(name)), len(_FIRST))

    items.sort(key=place)
    for item in items:
        if item.path.is_relative_to(tests / "reliability"):
            item.add_marker("reliability")
    if os.environ.get("RELIABILITY") != "full":
        skip = pytest.mark.skip(reason="takes long: make test-reliability")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(skip)


def pytest_collection_finish():
    """What imports made stays; looking through it for garbage again and again takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def computing_kept():
    """No test computes in the number format that one before it trained in."""
    with process_state.computing_kept():
        yield


@pytest.fixture
def eager():
    """For tests of what is around a step; tests/training/test_steps.py and tests/reliability trace the graphs."""
    with process_state.eagerly():
        yield


@pytest.fixture(scope="session")
def shared_dir() -> pathlib.Path:
    """Folder of real films and reference activations: $SHARED, or `shared` beside the checkout; else skip."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared"
    folder = pathlib.Path(os.environ.get("SHARED", default))
    if not (folder / "reference").is_dir():
        pytest.skip("needs the folder of real films and reference activations (set SHARED)")
    return folder
