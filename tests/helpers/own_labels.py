"""Films in i/ and label files in l/ of a folder, brought in by tools.import_dataset to out/."""

import re

import numpy as np

from datasets.pair_store import PairStore
from datasets.verify import verify_store
from tests.helpers import binaries, pictures

SIDE = 32


def write(folder, name, array):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pictures.png(array))


def films(folder, *names, shape=(SIDE, SIDE)):
    for number, name in enumerate(names):
        write(folder, f"i/{name}.png", np.random.default_rng(number).integers(0, 256, shape).astype(np.uint8))


def run(folder, *options, size=SIDE):
    return binaries.run("tools.import_dataset", f"--images={folder}/i", f"--labels={folder}/l", f"--size={size}",
                        f"--out={folder}/out", "--test_fraction=0", *options)


def imported(folder, *options, size=SIDE):
    done = run(folder, *options, size=size)
    assert done.code == 0, done.err
    assert not [finding for finding in verify_store(folder / "out") if not finding.warning]
    return PairStore(folder / "out"), done.out


def row(said, name):
    """Films, share before and share after of the table's row of a class."""
    found = re.search(rf"^{name} +(\d+)/(\d+) +([\d.]+)% +([\d.]+)%$", said, re.MULTILINE)
    return tuple(float(number) for number in found.groups())


def refused(folder, done, *said):
    binaries.told(done, *said)
    assert not (folder / "out").exists()
