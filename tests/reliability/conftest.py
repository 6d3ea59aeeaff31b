"""Data, trainers shrunk to seconds, and how a test tells what it tried and what held."""

import dataclasses
import os
import pathlib

import pytest

from datasets.sources.phantom import write_phantoms
from tests.reliability.table import PROPERTY

FULL = os.environ.get("RELIABILITY") == "full"

_COMMON = ["--preset=demo", "--precision=float32", "--deterministic", "--checkpoint_minutes=0", "--log_lines=8",
           "--grids=4"]


@dataclasses.dataclass(frozen=True)
class Job:
    """A trainer's command without --workdir, and the position at which it is done."""

    command: tuple[str, ...]
    total: int

    def into(self, folder: pathlib.Path, *more: str) -> list[str]:
        return [*self.command, f"--workdir={folder}", *more]


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> pathlib.Path:
    """Twelve phantoms at 32 pixels: 8 train, 2 validation, 2 test."""
    path = tmp_path_factory.mktemp("data") / "phantoms"
    ids = write_phantoms(path, 12, 2, 32, 0).ids("train")
    manifest = path / "manifest.csv"
    text = manifest.read_text()
    for id_ in ids[-2:]:
        text = text.replace(f"{id_},train", f"{id_},validation")
    manifest.write_text(text)
    return path


@pytest.fixture(scope="session")
def jobs(store) -> dict[str, Job]:
    """The three trainers: PGGAN grows once, Pix2PixHD decays from step 8 on, SMANet has 2.7 steps per epoch.

    The short form takes smaller networks, since tracing their graphs is what costs.
    """
    data = f"--data={store}"
    size = ("--resolution=16", "--start_resolution=8") if FULL else ("--resolution=8", "--start_resolution=4")
    attention = () if FULL else ("--attention=none",)
    return {
        "pggan": Job(("training.train_pggan", "--target=dots", data, *_COMMON, *size, "--fmap_max=8",
                      "--train_kimg=0.03", "--fade_kimg=0.04",
                      "--total_kimg=0.1", "--max_batch=4", "--snapshots=4", "--score_images=4"), 100),
        "pix2pixhd": Job(("training.train_pix2pixhd", "--translate_from=labels", data, *_COMMON, "--ngf=4",
                          "--ndf=4",
                          "--n_downsampling=1", "--n_blocks=1", "--n_layers=1", "--num_D=2", "--batch=2",
                          "--epochs=2", "--epochs_decay=2", "--pool_size=3", "--average_decay=0.9",
                          "--deform=0.7", "--expose=0.5"), 16),
        "smanet": Job(("training.train_smanet", data, f"--validation={store}", *_COMMON, "--depth=14", "--width=8",
                       "--batch=3", "--steps=14", "--validate_every=5", "--crop=25", "--average_decay=0.9",
                       "--augment=strong", "--augment_factor=2.5", *attention), 14),
    }


@pytest.fixture
def record(request):
    """Call with (scenario, tries, survived, bit-identical or None) to add to the table."""
    def add(scenario: str, tries: int, survived: int, identical: int | None = None) -> None:
        request.node.user_properties.append((PROPERTY, [scenario, tries, survived, identical]))

    return add
