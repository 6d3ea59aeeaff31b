"""Fixtures shared by all tests."""

import os
import pathlib

import pytest

from tests.helpers import process_state
from tests.reliability.table import pytest_terminal_summary  # noqa: F401 (a hook)


@pytest.fixture(autouse=True)
def computing_kept():
    """No test computes in the number format that one before it trained in."""
    with process_state.computing_kept():
        yield


@pytest.fixture(scope="session")
def shared_dir() -> pathlib.Path:
    """Folder of real films and reference activations: $SHARED, or `shared` beside the checkout; else skip."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared"
    folder = pathlib.Path(os.environ.get("SHARED", default))
    if not (folder / "reference").is_dir():
        pytest.skip("needs the folder of real films and reference activations (set SHARED)")
    return folder
