"""No binary writes into what it reads, around it, or into somebody's data; each goes on with what it made."""

import os
import pathlib

import pytest

from datasets.common import output_folders
from datasets.common.errors import UserError
from datasets.common.output_folders import check_output, refuse_foreign
from datasets.pair_store import PairWriter
from datasets.sources.phantom import write_phantoms
from tests.helpers.binaries import all_binaries, run, told

# Binary -> its options, in which A and B stand for folders that it reads, and the option of its output.
WRITING = {
    "evaluation.compare_copying": (["--results=A,B"], "--out"),
    "evaluation.evaluate_copy_check": (["--data=A"], "--out"),
    "evaluation.evaluate_membership": (["--synthetic=A", "--data=B"], "--out"),
    "evaluation.evaluate_memorization": (["--real=A", "--synthetic=B"], "--out"),
    "evaluation.evaluate_realism": (["--real=A", "--synthetic=other,B"], "--out"),
    "evaluation.evaluate_segmentation": (["--model=A", "--data=B"], "--out"),
    "evaluation.make_curves": (["--results=A,B"], "--out"),
    "evaluation.make_figures": (["--results=A"], "--out"),
    "evaluation.make_tables": (["--results=A,B"], "--out"),
    "tools.export_dataset": (["--format=coco", "--data=other,A,B"], "--out"),
    "tools.export_model": (["--run=A", "--data=B"], "--out"),
    "tools.generate": (["--method=two", "--labels=A", "--labels_to_film=other", "--data=B"], "--out"),
    "tools.import_dataset": (["--images=A", "--labels=B", "--size=32", "--classes=a,b",
                              "--test_fraction=0"], "--out"),
    "tools.import_weights": (["--model=pggan", "--from=A/notes.txt"], "--out"),
    "tools.make_phantoms": (["--count=2"], "--out"),
    "tools.measure_gpu": (["--rehearse", "--data=A"], "--out"),
    "tools.paint_marks": (["--data=A"], "--out"),
    "tools.predict": (["A", "B"], "--out"),
    "tools.prepare_jsrt": (["--jsrt_dir=A", "--scr_dir=B", "--size=32"], "--out"),
    "tools.publish_dataset": (["A"], "--out"),
    "tools.reader_study": (["build", "--data=A", "--results=B"], "--out"),
    "tools.run_experiment": (["--data=A", "--preset=demo"], "--workdir"),
    "tools.shift_dataset": (["--data=A"], "--out"),
    "tools.show_attention": (["--model=A", "--data=B"], "--out"),
    "training.train_pggan": (["--target=dots", "--data=A", "--preset=demo"], "--workdir"),
    "training.train_pix2pixhd": (["--translate_from=dots", "--data=A", "--init_from=B", "--preset=demo"],
                                 "--workdir"),
    "training.train_smanet": (["--data=A", "--finetune_from=B", "--preset=demo"], "--workdir"),
}
WITHOUT = {"evaluation.compare_columns", "tools.verify_dataset", "tools.benchmark"}  # the last writes a file
# May have a folder in an experiment's.
BESIDE = {"evaluation.compare_copying", "evaluation.make_curves", "evaluation.make_figures",
          "evaluation.make_tables"}
FILES = {"tools.import_weights"}  # read a file: a folder beside it is the user's choice


def _tree(folder: pathlib.Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def _folders(root: pathlib.Path) -> list[pathlib.Path]:
    """Two folders that are read, in one that holds them and nothing else."""
    folders = [root / "data" / name for name in "AB"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("somebody's own")
    return folders


def _run(module: str, folders: list[pathlib.Path], out: str | os.PathLike):
    options, option = WRITING[module]
    for name, folder in zip("AB", folders, strict=True):  # the letter alone, not in other words
        options = [text.replace(f"={name}", f"={folder}").replace(f",{name}", f",{folder}") if text != name
                   else str(folder) for text in options]
    return run(module, *options, f"{option}={out}")


def test_every_binary_is_looked_at():
    assert set(WRITING) | WITHOUT == set(all_binaries())


@pytest.mark.parametrize("module", WRITING)
def test_what_is_read_is_not_written_to(module, tmp_path, monkeypatch):
    folders = _folders(tmp_path)
    (tmp_path / "link").symlink_to(folders[0])
    read = [folder for folder, name in zip(folders, "AB", strict=True)
            if any(text in (name, f"--from={name}/notes.txt") or text.endswith((f"={name}", f",{name}"))
                   or f"={name}," in text for text in WRITING[module][0])]
    assert read or module == "tools.make_phantoms"
    outs = list(map(str, read))
    if read:
        outs += [f"{read[0]}/", os.path.relpath(read[0], tmp_path), f"{tmp_path}/data"]
        inside = [f"{read[-1]}/new/deep", f"{tmp_path}/link/new", f"{read[0]}/../{read[0].name}/new"]
        outs += [] if module in BESIDE | FILES else inside
        outs += ["link"]
    monkeypatch.chdir(tmp_path)
    before = _tree(tmp_path)
    for out in outs:
        told(_run(module, folders, out), f"{out}: ")
    assert _tree(tmp_path) == before


@pytest.mark.parametrize("module", WRITING)
def test_somebodys_folder_is_not_written_to(module, tmp_path):
    folders = _folders(tmp_path)
    own, store = tmp_path / "own", write_phantoms(tmp_path / "store", 2, 1, 32, 0).path
    (own / "images").mkdir(parents=True)
    (own / "images" / "a.png").write_bytes(b"")
    (tmp_path / "file").write_text("")
    before = _tree(tmp_path)
    for out, said in ((own, "images"), (store / "new", store), (store / "labels", store), (tmp_path / "file", "")):
        told(_run(module, folders, out), f"{out}: ", said)
    assert _tree(tmp_path) == before


def test_another_seed_does_not_move_the_data(tmp_path):
    """In a folder that is an experiment's, what is read may not lie: stale tasks are moved out of it."""
    store = write_phantoms(tmp_path / "run" / "data", 14, 2, 32, 0)
    (tmp_path / "run" / "tasks").mkdir()
    before = _tree(tmp_path)
    done = run("tools.run_experiment", f"--data={store.path}", "--preset=demo", f"--workdir={tmp_path}/run")
    told(done, f"{tmp_path}/run: ", store.path)
    assert _tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["PAIRS", "RUN", "EXPERIMENT", "EXPORT", "WEIGHTS", "STUDY", "EXCHANGE",
                                  "RESULTS"])
def test_a_folder_of_its_kind_is_gone_on_with(kind, tmp_path):
    marks = getattr(output_folders, kind)
    for mark in marks:
        out = tmp_path / mark.partition("/")[0].replace(".", "-")
        (out / mark).parent.mkdir(parents=True)
        (out / mark).write_text("{}")
        (out / "more.png").write_bytes(b"")
        check_output(out, marks, [tmp_path / "read"])
        (out / mark).unlink()
        with pytest.raises(UserError, match=r"more\.png"):
            check_output(out, marks)


def test_new_empty_and_littered_folders_are_written_to(tmp_path):
    check_output(tmp_path / "new" / "deep", output_folders.RESULTS, [tmp_path / "read"])
    assert not list(tmp_path.iterdir())
    for name in (".DS_Store", ".hidden", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "images").mkdir()  # a killed writer leaves empty folders
    check_output(tmp_path, output_folders.PAIRS)
    (tmp_path / "images" / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="images"):
        check_output(tmp_path, output_folders.PAIRS)


def test_an_experiment_may_hold_results_but_is_none(tmp_path):
    (tmp_path / "run" / "tasks").mkdir(parents=True)
    (tmp_path / "run" / "tasks" / "data.json").write_text("{}")
    check_output(tmp_path / "run" / "tables", output_folders.RESULTS, beside=[tmp_path / "run"])
    for out in (tmp_path / "run", tmp_path, tmp_path / "run" / "tasks"):
        with pytest.raises(UserError, match="run"):
            check_output(out, output_folders.RESULTS, beside=[tmp_path / "run"])


def test_libraries_refuse_them_too(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    store = write_phantoms(tmp_path / "films", 1, 0, 32, 0)
    with pytest.raises(UserError, match="films"):
        PairWriter(tmp_path, store.description)
    with pytest.raises(UserError, match="films"):
        refuse_foreign(tmp_path, output_folders.RUN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films", "notes.txt"]


def test_a_benchmark_keeps_the_file_it_compares_with(tmp_path):
    (tmp_path / "before.json").write_text("[]")
    (tmp_path / "mine.json").write_text('{"a": 1}')
    (tmp_path / "link.json").symlink_to("before.json")
    for out, said in (("before.json", "--against"), ("link.json", "--against"), ("mine.json", "mine.json")):
        told(run("tools.benchmark", "--items=pggan_step_64", f"--out={tmp_path}/{out}",
                 f"--against={tmp_path}/before.json"), said)
    assert (tmp_path / "before.json").read_text() == "[]" and (tmp_path / "mine.json").read_text() == '{"a": 1}'
