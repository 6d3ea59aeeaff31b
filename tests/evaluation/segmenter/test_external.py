"""Segmenters on films of elsewhere: counts of unions, the deployed path, and blocks of rows in the tables."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from datasets.class_table import CHEST, ClassTable
from datasets.common.errors import UserError
from datasets.external import read_externals
from datasets.manifest import Entry
from datasets.pair_store import Description, PairWriter, read_png, write_png
from datasets.sources.phantom import write_phantoms
from evaluation.report.write_report import summary
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.write_tables import Results, write_results
from evaluation.segmenter import external as external_module
from evaluation.segmenter.external import score_external, score_segmenter, write_scores
from evaluation.segmenter.load import load_any_segmenter
from evaluation.segmenter.predict_films import Predictor
from tests.helpers.binaries import run, told
from tests.helpers.result_folders import write_experiment
from tests.helpers.tiny_networks import segmenter_run

LUNGS = ["lungs=left lung+right lung"]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Four oblong phantoms with both lungs as one class, in a black border: an external set."""
    folder = tmp_path_factory.mktemp("elsewhere")
    chests = write_phantoms(folder / "chests", 4, 1, 40, 5)
    classes = ClassTable(("background", "lungs"))
    with PairWriter(folder / "there", Description("there", (48, 56), classes, spacing_mm=5.0)) as writer:
        for id_ in chests.ids():
            film, label = np.zeros((48, 56), np.uint8), np.zeros((48, 56), np.uint8)
            film[4:44, 10:50] = np.maximum(chests.image(id_), 9)
            label[4:44, 10:50] = np.isin(chests.scored_label(id_), (1, 2))
            writer.add(Entry(id_, "train"), film, label)
    external, = read_externals([f"{folder}/there,There"], LUNGS)
    return external


def _maps(external, shift):
    """Label maps of the experiment's classes, halves of the lungs exchanged and moved down."""
    store, found = external.store(), {}
    for id_ in store.ids():
        gold = np.roll(store.label(id_), shift, 0)
        found[id_] = np.where(np.arange(56) < 28, 2 * gold, gold).astype(np.uint8)
    return found


def test_counts_are_those_of_the_union(elsewhere):
    store = elsewhere.store()
    result = score_external(_maps(elsewhere, 1).get, elsewhere, CHEST.scored_table(), True)
    for place, id_ in enumerate(store.ids()):
        truth, found = store.label(id_) == 1, np.roll(store.label(id_), 1, 0) == 1
        assert result.counts[place, 0].tolist() == [(truth & found).sum(), (found & ~truth).sum(),
                                                    (truth & ~found).sum()]
    assert result.organs == result.scored == ("lungs",) and result.unit == "mm"
    assert (result.distances[..., 1] < 5).all() and (result.distances[..., 0] > 0).all()


def test_films_are_segmented_as_they_are_when_deployed(elsewhere, tmp_path, monkeypatch):
    model, ours = segmenter_run(tmp_path / "run", size=32), CHEST.scored_table()
    loaded = load_any_segmenter(str(model))
    monkeypatch.setattr(external_module, "load_any_segmenter", lambda path: loaded)
    score_segmenter(model, elsewhere, ours, True, tmp_path / "scores")
    predictor = Predictor(loaded, str(tmp_path / "predicted"))  # of tools.predict
    for id_ in elsewhere.store().ids():
        predictor.predict(id_, f"{elsewhere.path}/images/{id_}.png")
    expected = score_external(lambda id_: read_png(tmp_path / "predicted" / "labels" / f"{id_}.png", (48, 56)),
                              elsewhere, ours, True)
    pooled = json.loads((tmp_path / "scores" / "pooled.json").read_text())
    assert pooled["counts"]["lungs"] == expected.to_json()["counts"]["lungs"] and sum(pooled["counts"]["lungs"])
    assert pooled["films"] == 4
    # not done again, unless the network is another
    (tmp_path / "scores" / "per_film.csv").write_text("kept")
    score_segmenter(model, elsewhere, ours, True, tmp_path / "scores")
    assert (tmp_path / "scores" / "per_film.csv").read_text() == "kept"
    (model / "last.keras").write_bytes(b"trained again")
    score_segmenter(model, elsewhere, ours, True, tmp_path / "scores")
    assert (tmp_path / "scores" / "per_film.csv").read_text() != "kept"


def _with_scores(folder, external, shifts):
    films = ExperimentFolder(folder).films()
    for column, shift in shifts.items():
        result = score_external(_maps(external, shift).get, external, films.classes.scored_table(), True)
        write_scores(result, {}, folder / f"external-{external.name}.{column}")
    return folder


def test_tables_have_a_block_of_rows_for_them(elsewhere, tmp_path):
    shifts = {"real": 2, "synth-3": 4, "finetune-3": 1}
    runs = [_with_scores(write_experiment(tmp_path / f"run{seed}" / "seed", shifts), elsewhere,
                         {"real": 3 - seed, "finetune-3": 1}) for seed in (0, 1)]
    results = Results(runs)
    names = write_results(results, tmp_path / "out", organs=True)
    assert "comparisons" in names and "per_film_summary-There" in names
    table = pd.read_csv(tmp_path / "out" / "table2.csv", header=[0, 1, 2], index_col=[0, 1])
    row = table.loc[("J, There", "Lungs")]
    means = [100 * counts[0] / sum(counts) for counts in
             (run["counts"]["lungs"] for run in results.externals["There"].pooled["real"])]
    assert row.iloc[0] == pytest.approx(np.mean(means), abs=0.006)
    assert row.iloc[2] == "–" or pd.isna(row.iloc[2])  # SYNTH 3 was not scored there
    organs = (tmp_path / "out" / "table2-organs.md").read_text()
    assert "Surface Dice, 2 mm, There" in organs and "Under J 0.7, There" in organs
    for kind in ("md", "tex", "html", "csv"):
        assert "There" in (tmp_path / "out" / f"table2.{kind}").read_text()
        assert "There" in (tmp_path / "out" / f"comparisons.{kind}").read_text()
    films = pd.read_csv(tmp_path / "out" / "per_film.csv")
    assert len(films) == 2 * 3 * 6 * 3 + 2 * 2 * 4 and set(films["set"]) == {"test", "There"}
    assert "There" not in summary(results)  # the sentence is of the test films


def test_runs_without_a_common_column_are_no_table(elsewhere, tmp_path):
    runs = [_with_scores(write_experiment(tmp_path / column), elsewhere, {column: 2})
            for column in ("real", "finetune-3")]
    assert "There" not in Results(runs).externals
    with pytest.raises(UserError, match="There"):
        Results(runs, "There")


def test_scores_of_a_segmenter_that_was_trained_anew_are_left_out(elsewhere, tmp_path):
    folder = _with_scores(write_experiment(tmp_path / "run"), elsewhere, {"real": 2, "finetune-3": 1})
    pooled = folder / "external-There.finetune-3" / "pooled.json"
    (folder / "finetune-3" / "product.json").write_text('{"network": "last.keras"}')
    (folder / "finetune-3" / "last.keras").write_bytes(b"weights")
    facts = {"network": hashlib.sha256(b"weights").hexdigest()}
    pooled.write_text(json.dumps({**json.loads(pooled.read_text()), "external": facts}))
    assert Results([folder]).externals["There"].columns == ["real", "finetune-3"]
    (folder / "finetune-3" / "last.keras").write_bytes(b"others")
    results = Results([folder])
    assert results.externals["There"].columns == ["real"]
    assert "Three-stage FINETUNE was scored on There before" in results.caption()
    (folder / "finetune-3" / "last.keras").unlink()  # as in a folder that is shared
    assert Results([folder]).externals["There"].columns == ["real", "finetune-3"]


def test_the_digest_of_a_network_needs_no_tensorflow(tmp_path):
    (tmp_path / "product.json").write_text('{"network": "last.keras"}')
    (tmp_path / "last.keras").write_bytes(b"weights")
    program = ("import sys, evaluation.results.experiment_folder;"
               "from evaluation.segmenter.network_file import network_digest;"
               "print(network_digest(sys.argv[1]), network_digest(sys.argv[1] + '/last.keras'));"
               "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", program, tmp_path], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [hashlib.sha256(b"weights").hexdigest()] * 2


def test_label_maps_of_elsewhere_are_a_block_of_a_users_own_column(elsewhere, tmp_path):
    folder, maps = write_experiment(tmp_path / "run", {"real": 2}), tmp_path / "maps"
    maps.mkdir()
    for id_, codes in _maps(elsewhere, 1).items():
        write_png(maps / f"{id_}.png", codes)
    options = (f"--external={elsewhere.path},There", f"--external_classes={LUNGS[0]}", f"--out={folder}")
    done = run("evaluation.evaluate_segmentation", f"--predictions={maps}", "--as=Other", *options)
    assert done.code == 0, done.err
    expected = score_external(_maps(elsewhere, 1).get, elsewhere, ExperimentFolder(folder).films().classes, True)
    pooled = ExperimentFolder(folder, "There").pooled("Other")
    assert pooled["counts"]["lungs"] == expected.to_json()["counts"]["lungs"]
    told(run("evaluation.evaluate_segmentation", f"--predictions={maps}", *options), "--as=NAME")


def test_a_folder_that_does_not_fit_stops_an_experiment_before_anything_is_written(elsewhere, tmp_path):
    options = ("--phantoms=20", f"--workdir={tmp_path}/run")
    wrong = ((f"--external={elsewhere.path}",), "has classes lungs"), (
        (f"--external={elsewhere.path}", "--external_classes=lung=left lung"), "found classes lungs"), (
        (f"--external={tmp_path}",), "not a pair folder")
    for flags, said in wrong:
        told(run("tools.run_experiment", *flags, *options), said)
        assert not (tmp_path / "run").exists()
    done = run("tools.run_experiment", f"--external={elsewhere.path},There", f"--external_classes={LUNGS[0]}",
               "--methods=two", "--preset=demo", "--dry_run", *options)
    assert "external-There.finetune-2" in done.out, done.err
