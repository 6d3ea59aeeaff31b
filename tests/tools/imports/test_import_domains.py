"""The public sets of ../shared/domains, each in one command as its files come, here four pictures of each."""

import pathlib
import re

import numpy as np
import pytest
from PIL import Image

from datasets.pair_store import PairStore
from tests.helpers import binaries

DOMAINS = pathlib.Path(__file__).parents[4] / "shared" / "domains"
STREET = ",".join(f"c{code}" for code in range(11))
LABELS = {"nuclei": "instances", "disc_cup": "masks", "vessels": "labels", "street": "labels"}
OPTIONS = {
    "nuclei": ["--instances", "--classes=background,nucleus"],
    "disc_cup": ["--masks=disc,cup"],
    "vessels": ["--classes=background,vessel", "--remap=255:1", "--image_suffix=_training",
                "--label_suffix=_manual1"],
    "street": [f"--classes={STREET}", "--ignore=11"],
}
# Class in the table -> end of its files, and its code there; None for every code but 0.
SHOWN = {
    "nuclei": {"nucleus": ("", None)},
    "disc_cup": {"disc": ("_disc", None), "cup": ("_cup", None)},
    "vessels": {"vessel": ("_manual1", None)},
    "street": {"c3": ("", 3), "ignored": ("", 11)},
}


@pytest.fixture
def linked(request, tmp_path):
    """Name of a set, a folder of links to four pictures of it, and the stems of their labels."""
    name = request.param
    if not (DOMAINS / name).is_dir():
        pytest.skip(f"{DOMAINS / name} is not there")
    stems = []
    for image in sorted((DOMAINS / name / "images").iterdir())[:4]:
        stems.append(image.stem.removesuffix("_training"))
        for path in (image, *(DOMAINS / name / LABELS[name]).glob(f"{stems[-1]}*")):
            link = tmp_path / path.parent.name / path.name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(path)
    return name, tmp_path, stems


@pytest.mark.parametrize("linked", LABELS, indirect=True)
def test_real_sets_come_in_as_they_are(linked):
    """The shares that the table shows are those of the files."""
    name, folder, stems = linked
    done = binaries.run("tools.import_dataset", f"--images={folder}/images", f"--labels={folder}/{LABELS[name]}",
                        *OPTIONS[name], "--size=32", f"--out={folder}/out", "--train_count=3")
    assert done.code == 0, done.err
    store = PairStore(folder / "out")
    assert len(store.ids("train")) == 3 and len(store.ids("test")) == 1 and "left out" not in done.out
    for organ, (end, code) in SHOWN[name].items():
        maps = [np.array(Image.open(next((folder / LABELS[name]).glob(f"{stem}{end}.*")))) for stem in stems]
        expected = 100 * np.mean([(found > 0 if code is None else found == code).mean() for found in maps])
        shown = re.search(rf"^{organ} +4/4 +([\d.]+)%", done.out, re.MULTILINE)
        assert float(shown[1]) == pytest.approx(expected, abs=0.01)
