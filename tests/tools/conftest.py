"""What several files of this folder export: made once in each process that runs tests."""

import pathlib

import pytest

from evaluation.segmenter.film_segmenter import FilmSegmenter
from evaluation.segmenter.load import load_segmenter
from tests.helpers.tiny_networks import segmenter_run
from tools.export.saved_model import export_segmenter


@pytest.fixture(scope="session")
def finished_segmenter(tmp_path_factory) -> str:
    """The run folder of a segmenter; not to be changed."""
    return str(segmenter_run(tmp_path_factory.mktemp("segmenter") / "run"))


@pytest.fixture(scope="session")
def loaded_segmenter(finished_segmenter) -> FilmSegmenter:
    """That segmenter, traced for each type of film."""
    return load_segmenter(finished_segmenter)


@pytest.fixture(scope="session")
def exported_segmenter(loaded_segmenter, tmp_path_factory) -> pathlib.Path:
    """Its export; not to be changed."""
    folder = tmp_path_factory.mktemp("exports") / "segmenter"
    export_segmenter(loaded_segmenter, str(folder))
    return folder
