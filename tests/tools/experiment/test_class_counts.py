"""One class beside the background, and forty: from files through import, networks and pairs to a table."""

import numpy as np
import pandas as pd
import pytest

from datasets.pair_store import PairStore
from tests.helpers import pictures
from tests.helpers.binaries import run
from tests.helpers.tiny_experiment import experiment
from tools.experiment.tasks import run_tasks

SEGMENTER = ("data", "real", "evaluate-real")
ALL = (*SEGMENTER, "labels", "labels_to_film", "synthetic-2")


def _write_files(folder, organs, count=13):
    """Films of noise on cells of 4 x 4 pixels, each class a little brighter than the one before."""
    rng = np.random.default_rng(organs)
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        cells = np.zeros(64, np.uint8)
        cells[12:12 + organs] = np.arange(1, organs + 1)
        cells = np.roll(cells, rng.integers(0, 4)).reshape(8, 8)
        codes = np.kron(cells, np.ones((4, 4), np.uint8))
        film = 30 + codes.astype(float) * 200 / organs + rng.normal(0, 4, codes.shape)
        (folder / "images" / f"{number:02d}.png").write_bytes(pictures.png(np.clip(film, 0, 255).astype(np.uint8)))
        (folder / "labels" / f"{number:02d}.png").write_bytes(pictures.png(codes))


@pytest.mark.parametrize(("organs", "names"), [pytest.param(1, ALL, marks=pytest.mark.slow), (1, SEGMENTER),
                                               (39, SEGMENTER)])
def test_any_number_of_classes_goes_all_the_way(organs, names, tmp_path, eager):
    _write_files(tmp_path / "files", organs)
    classes = [f"organ {code}" for code in range(1, organs + 1)]
    done = run("tools.import_dataset", f"--images={tmp_path}/files/images", f"--labels={tmp_path}/files/labels",
               f"--classes={','.join(['ground', *classes])}", "--train_count=11", "--size=32",
               f"--out={tmp_path}/data")
    assert done.code == 0, done.err
    checked = run("tools.verify_dataset", f"--data={tmp_path}/data")
    assert checked.code == 0 and "no problems" in checked.out, checked.out
    made = experiment(f"{tmp_path}/data", f"{tmp_path}/run", "two")
    run_tasks([task for task in made.tasks() if task.name in names], made.workdir, say=lambda line: None)
    if "synthetic-2" in names:
        store = PairStore(tmp_path / "run" / "synthetic-2" / "gan")
        assert store.classes.organs == tuple(classes) and len(store.ids()) == 12
    done = run("evaluation.make_tables", f"--results={tmp_path}/run", f"--out={tmp_path}/tables", "--organs")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "tables" / "table2.csv", header=[0, 1], index_col=[0, 1])
    rows = [row for metric, row in table.index if metric == "J"]
    assert [row.casefold() for row in rows] == [*classes, "average"]
