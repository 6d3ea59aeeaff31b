"""Label maps of any other segmenter: scored, and as a column of an experiment's tables and figures."""

import json
import shutil

import nibabel
import numpy as np
import pandas as pd
import pytest

from datasets.common.errors import UserError
from datasets.pair_store import PairStore, write_png
from datasets.sources.phantom import write_phantoms
from evaluation.figures.catalogue import experiment_figures
from evaluation.figures.chart_figures import box_plots
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.write_tables import Results, write_results
from tests.helpers import pictures
from tests.helpers.binaries import run, told
from tests.helpers.result_folders import write_experiment
from tests.helpers.tiny_experiment import experiment


@pytest.fixture
def folder(tmp_path):
    return write_experiment(tmp_path / "run", {"real": 2, "synth-3": 3}, films=3)


def _films(folder):
    return PairStore(folder / "data" / "gan-films")


def _predictions(path, store, shift=1, times=1):
    """The painted maps of all classes, moved down, as files of any size."""
    path.mkdir(parents=True)
    for id_ in store.ids("test"):
        codes = np.roll(store.label(id_), shift, 0)
        write_png(path / f"{id_}.png", codes.repeat(times, 0).repeat(times, 1))
    return path


def _evaluate(*options):
    return run("evaluation.evaluate_segmentation", *options)


def _by_hand(store, shift):
    """Pooled counts of the scored classes of maps that were moved down."""
    table, found = store.classes.scored_table(), {}
    for code, organ in enumerate(table.organs, 1):
        total = np.zeros(3, int)
        for id_ in store.ids("test"):
            ours = store.classes.collapse(np.roll(store.label(id_), shift, 0)) == code
            truth = store.scored_label(id_) == code
            total += [(ours & truth).sum(), (ours & ~truth).sum(), (~ours & truth).sum()]
        found[organ] = total.tolist()
    return found


def test_label_maps_are_scored_as_a_network_would_be(tmp_path):
    store = write_phantoms(tmp_path / "films", 5, 3, 32, 0)
    maps = _predictions(tmp_path / "maps", store)
    done = _evaluate(f"--predictions={maps}", f"--data={store.path}", f"--out={tmp_path}/out")
    assert done.code == 0, done.err
    pooled = json.loads((tmp_path / "out" / "pooled.json").read_text())
    assert pooled["counts"] == _by_hand(store, 1) and pooled["films"] == 3 and pooled["surface"]["unit"] == "mm"
    done = _evaluate(f"--predictions={maps}", f"--data={store.path}", f"--out={tmp_path}/all", "--classes=all")
    assert list(json.loads((tmp_path / "all" / "pooled.json").read_text())["counts"]) == list(store.classes.organs)


def test_maps_of_another_size_are_brought_to_the_films(tmp_path):
    store = write_phantoms(tmp_path / "films", 5, 3, 32, 0)
    maps = _predictions(tmp_path / "maps", store, times=3)
    for path in maps.iterdir():  # in other capitals, too
        path.rename(path.with_name(path.name.upper()))
    done = _evaluate(f"--predictions={maps}", f"--data={store.path}", f"--out={tmp_path}/out")
    assert "3 of 3" in done.out and "32 x 32" in done.out
    assert json.loads((tmp_path / "out" / "pooled.json").read_text())["counts"] == _by_hand(store, 1)


def test_other_formats_and_maps_of_the_scored_classes(tmp_path):
    store = write_phantoms(tmp_path / "films", 5, 3, 32, 0)
    (tmp_path / "maps").mkdir()
    for place, id_ in enumerate(store.ids("test")):
        codes = np.roll(store.scored_label(id_), 2, 0)
        if place:
            (tmp_path / "maps" / f"{id_}.tif").write_bytes(pictures.tiff(codes.astype(np.uint16)))
        else:  # as SimpleITK writes it
            nibabel.save(nibabel.Nifti1Image(codes.T[..., None], np.diag([-1.0, -1.0, 1.0, 1.0])),
                         tmp_path / "maps" / f"{id_}.nii.gz")
    done = _evaluate(f"--predictions={tmp_path}/maps", f"--data={store.path}", f"--out={tmp_path}/out",
                     "--codes=scored")
    assert done.code == 0, done.err
    for id_ in store.ids("test"):
        found = pictures.read(tmp_path / "out" / "predictions" / f"{id_}.png")
        np.testing.assert_array_equal(found, np.roll(store.scored_label(id_), 2, 0))


def test_masks_of_black_and_white(tmp_path):
    store = write_phantoms(tmp_path / "films", 4, 2, 32, 0, "cells")
    (tmp_path / "maps").mkdir()
    for id_ in store.ids("test"):
        write_png(tmp_path / "maps" / f"{id_}.png", 255 * store.label(id_))
    options = (f"--predictions={tmp_path}/maps", f"--data={store.path}", f"--out={tmp_path}/out")
    told(_evaluate(*options), "codes 0, 255", "--remap=255:1")
    assert _evaluate(*options, "--remap=255:1").code == 0
    counts = json.loads((tmp_path / "out" / "pooled.json").read_text())["counts"]["nucleus"]
    assert counts[0] > 0 and counts[1:] == [0, 0]


def test_an_own_column_stands_after_ours(folder, tmp_path):
    maps = _predictions(tmp_path / "maps", _films(folder))
    done = _evaluate(f"--predictions={maps}", "--as=nnU-Net", f"--out={folder}")
    assert done.code == 0, done.err
    assert "nnU-Net" in done.out
    made = ExperimentFolder(folder)
    assert made.columns() == ["real", "synth-3", "nnU-Net"] and made.pooled("nnU-Net")["counts"] == _by_hand(
        _films(folder), 1)
    write_results(Results([folder]), tmp_path / "tables", organs=True)
    table = pd.read_csv(tmp_path / "tables" / "table2.csv", header=[0, 1], index_col=[0, 1])
    assert [name for _, name in table.columns] == ["REAL", "SYNTH 3", "nnU-Net"]
    assert "nnU-Net" in (tmp_path / "tables" / "differences.md").read_text()
    assert "errors-nnU-Net" in [figure.name for figure in experiment_figures(made)]
    ticks = [tick.get_text() for tick in box_plots(made, made.columns()).axes[0].get_xticklabels()]
    assert ticks == ["REAL", "Three-stage SYNTH 3", "nnU-Net"]
    done = run("evaluation.compare_columns", f"--results={folder}", "--left=nnU-Net", "--right=synth-3")
    assert done.code == 0 and "nnU-Net - synth-3: +" in done.out, done.err


def test_our_best_column_in_table_3_is_no_own_one(folder, tmp_path):
    maps = _predictions(tmp_path / "maps", _films(folder), shift=0)
    _evaluate(f"--predictions={maps}", "--as=nnU-Net", f"--out={folder}")
    last = Results([folder]).table3().cells.iloc[-1].tolist()
    assert "REAL" in last[0] and not any("nnU-Net" in cell for cell in last)


def test_a_column_of_other_films_is_told(folder, tmp_path):
    """Data that changed, or another size, leaves a user's own column behind."""
    other = write_experiment(tmp_path / "other", {"nnU-Net": 1}, films=3, size=64)
    shutil.copytree(other / "evaluate-nnU-Net", folder / "evaluate-nnU-Net")
    with pytest.raises(UserError, match="evaluate-nnU-Net: "):
        Results([folder])


def test_a_new_column_calls_for_a_new_report(tmp_path):
    store = write_phantoms(tmp_path / "data", 14, 2, 32, 0)
    planned = experiment(str(store.path), str(tmp_path / "run"), "three")
    before = planned._report_task().settings
    shutil.copytree(write_experiment(tmp_path / "other", {"real": 1}) / "evaluate-real",
                    tmp_path / "run" / "evaluate-nnU-Net")
    after = planned._report_task().settings
    assert before == {} and list(after["own"]) == ["nnU-Net"]
    (tmp_path / "run" / "evaluate-nnU-Net" / "pooled.json").write_text("{}")
    assert planned._report_task().settings != after
    (tmp_path / "run" / "evaluate-nnU-Net").rename(tmp_path / "run" / "evaluate-mix-3")  # of the plan, not own
    assert planned._report_task().settings == {}


def test_what_does_not_fit_is_told_before_anything_is_written(folder, tmp_path):
    store = _films(folder)
    maps = _predictions(tmp_path / "maps", store)
    first, second, third = store.ids("test")
    options = (f"--predictions={maps}", f"--data={store.path}", f"--out={tmp_path}/out")
    write_png(maps / f"{first}.png", np.full((32, 32), 6, np.uint8))
    told(_evaluate(*options), maps / f"{first}.png", "codes 6", "0 to 5")
    write_png(maps / f"{first}.png", np.zeros((32, 40), np.uint8))
    told(_evaluate(*options), maps / f"{first}.png", "40 x 32", "32 x 32")
    (maps / f"{first}.png").unlink()
    (maps / f"{second}.png").rename(maps / "stranger.png")
    told(_evaluate(*options), maps, first, second, "2 of 3")
    shutil.copyfile(maps / f"{third}.png", maps / f"{third}.gif")
    told(_evaluate(*options), f"{third}.gif", f"{third}.png")
    told(_evaluate(*options, "--codes=scored", "--classes=all"), "--codes=scored")
    told(_evaluate(f"--data={store.path}", f"--out={tmp_path}/out"), "--model", "--predictions")
    told(_evaluate(options[0], options[2]), "--data", "--as")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("options", "said"), [
    (["--as=real"], "--as=real"), (["--as=Finetune-3"], "--as=Finetune-3"), (["--as=my net"], "--as=my net"),
    (["--as=../x"], "--as=../x"), (["--as=x", "--split=all"], "--split=all"),
    (["--as=x", "--classes=all"], "--classes")])
def test_columns_that_cannot_be(options, said, folder, tmp_path):
    before = sorted(folder.iterdir())
    maps = _predictions(tmp_path / "maps", _films(folder))
    told(_evaluate(f"--predictions={maps}", f"--out={folder}", *options), said)
    other = write_phantoms(tmp_path / "other", 5, 3, 32, 9)
    told(_evaluate(f"--predictions={maps}", f"--out={folder}", "--as=x", f"--data={other.path}"), other.path)
    told(_evaluate(f"--predictions={maps}", f"--out={tmp_path}/no", "--as=x"), f"{tmp_path}/no")
    assert sorted(folder.iterdir()) == before and not (tmp_path / "no").exists()
    assert _evaluate(f"--predictions={maps}", f"--out={folder}", "--as=x",
                     f"--data={_films(folder).path}").code == 0
