"""tools.generate and tools.export_model on finished runs, and which runs do not fit together."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from datasets.augmentation.exposure import Exposure
from datasets.common.errors import UserError
from datasets.dots import ClassDots, Dot
from datasets.manifest import MAX_NAME
from datasets.pair_store import PairStore, read_png
from datasets.rules.label_cleaning import clean_labels
from datasets.synthetic.synthetic_shards import Shard
from evaluation.synthetic.marked_copies import read_marks
from models import methods
from tests.helpers import binaries
from tests.helpers.killed_writer import contents
from tests.helpers.tiny_networks import DOT, SIZE, dot_runs, dots_of_kind, method_runs, phantom_store
from tools.export.saved_model import method_graph
from tools.generation.method_from_runs import Assembly, exposed
from tools.generation.pipeline import with_less_memory
from tools.generation.stages import NEEDED, STAGES


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return method_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return phantom_store(tmp_path_factory.mktemp("data") / "phantoms", count=6)


def _tool(name, method, runs, store, *arguments):
    return binaries.run(f"tools.{name}", f"--method={method}", f"--data={store.path}", *arguments,
                        *(f"--{stage}={runs[stage]}" for stage in STAGES[method]))


def _altered(run, path, **facts):
    """A copy of a run folder whose product.json says `facts`; those that are None are left out."""
    said = json.loads((pathlib.Path(run) / "product.json").read_text())
    said = {name: value for name, value in {**said, **facts}.items() if value is not None}
    path.mkdir()
    (path / "last.keras").write_bytes((pathlib.Path(run) / "last.keras").read_bytes())
    (path / "product.json").write_text(json.dumps(said))
    return str(path)


@pytest.mark.parametrize(("method", "check"), [
    ("three", "--check"), pytest.param("single", "--nocheck", marks=pytest.mark.slow)])
def test_parts_are_joined_to_the_set_that_one_command_makes(method, check, runs, store, tmp_path, eager):
    options = ("--count=20", "--validation=5", "--seed=3", check)
    parts = [tmp_path / "one", tmp_path / "two"]
    commands = {"whole": [], "one": ["--shard=1/2"], "two": ["--shard=2/2"],
                "joined": [f"--join={parts[0]},{parts[1]}"]}
    for name, more in commands.items():
        done = _tool("generate", method, runs, store, *options, *more, f"--out={tmp_path / name}")
        assert done.code == 0, done.err
    whole, joined = ({str(file.relative_to(tmp_path / name)): file.read_bytes()
                      for file in (tmp_path / name).rglob("*") if file.is_file()} for name in ("whole", "joined"))
    assert whole == joined and len(PairStore(tmp_path / "joined").ids()) == 20
    for more, said in (([f"--join={parts[0]}"], "shard 2 of 2"), (["--shard=3/2"], "--shard=3/2"),
                       (["--shard=1/2", "--join=x"], "leave one"), ([f"--join={store.path},x"], "shard.json")):
        binaries.told(_tool("generate", method, runs, store, *options, *more, f"--out={tmp_path / 'no'}"), said)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("method", ["single", "two", "three", "shape"])
def test_a_folder_holds_what_the_method_makes(method, runs, store, tmp_path, eager):
    assembly, lines = Assembly(method, runs, store), []
    for _ in range(2):  # the second time there is nothing to do
        journal = assembly.write(str(tmp_path / "made"), 5, 2, 3, say=lines.append)
    assert "5 of 5 pairs" in lines[-1] and sum("5 of 5 pairs" in line for line in lines) == 1
    made = PairStore(tmp_path / "made")
    assert len(made.ids("train")) == 3 and len(made.ids("validation")) == 2
    expected = assembly.method(checked=False)(np.array(journal["accepted"]), 3)
    for id_, label in zip(made.ids("train") + made.ids("validation"), expected.labels, strict=True):
        np.testing.assert_array_equal(made.label(id_), label)
    with pytest.raises(UserError, match="seed 3, now 4"):
        assembly.write(str(tmp_path / "made"), 5, 2, 4)
    with pytest.raises(UserError, match="empty name of a folder"):
        assembly.write("", 5, 2, 3)


def test_pairs_of_a_data_set_of_a_long_name(runs, store, tmp_path, eager):
    shutil.copytree(store.path, tmp_path / "data")
    named = {**store.description.to_json(), "name": "n" * MAX_NAME}
    (tmp_path / "data" / "description.json").write_text(json.dumps(named))
    assembly = Assembly("single", runs, PairStore(tmp_path / "data"))
    assembly.write(str(tmp_path / "made"), 1, 0, 3, checked=False, say=lambda line: None)
    name = PairStore(tmp_path / "made").description.name
    assert name.startswith("nnn") and name.endswith("synthetic")


def test_mending_in_processes_changes_nothing(runs, store, tmp_path):
    assembly = Assembly("three", runs, store)
    for workers in (0, 1):
        assembly.write(str(tmp_path / str(workers)), 5, 1, 0, say=lambda line: None, workers=workers)
    assert contents(tmp_path / "0") == contents(tmp_path / "1")


def test_too_large_a_batch_is_halved():
    said, fits = [], 2

    def make(batch):
        if batch > fits:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        return batch

    assert with_less_memory(make, 16, "made", said.append) == 2 and len(said) == 3
    fits = 0
    with pytest.raises(UserError, match="made: out of memory for one pair"):
        with_less_memory(make, 16, "made", said.append)


@pytest.mark.parametrize("method", ["single", "two", "three"])
def test_nocheck_leaves_label_maps_as_the_network_made_them(method, runs, store, tmp_path, eager):
    done = _tool("generate", method, runs, store, "--count=4", "--nocheck", f"--out={tmp_path / 'made'}")
    assert done.code == 0, done.err
    assembly = Assembly(method, runs, store)
    raw = assembly.compose(methods.on_arrays, methods.accept_all, methods.accept_all)(np.arange(4), 0)
    if method == "three":  # the paper's dots are drawn anew for the translator
        raw = assembly.method(checked=False, mended=False)(np.arange(4), 0)
        raw = dataclasses.replace(raw, labels=methods.on_arrays(assembly._stage("dots_to_labels"))(raw.dots))
    made = PairStore(tmp_path / "made")
    np.testing.assert_array_equal([made.label(id_) for id_ in made.ids()], raw.labels)
    mended = np.stack([clean_labels(labels, assembly.rules, assembly.has_rims) for labels in raw.labels])
    assert (mended != raw.labels).any()
    journal = json.loads((tmp_path / "made" / "generation.json").read_text())
    assert journal["mended"] == 0 and journal["rejected"] == {}


def test_rules_that_real_maps_break_are_blamed_and_not_the_training(runs, store, tmp_path, eager):
    assembly, said = Assembly("single", runs, store), []
    tiny = {code: dataclasses.replace(rule, area=(1e-4, 2e-4)) for code, rule in assembly.rules.classes.items()}
    assembly.rules = dataclasses.replace(assembly.rules, classes=tiny)  # as somebody may give them by hand
    assembly.write(str(tmp_path / "made"), 2, 1, 0, say=said.append)
    warning, = (line for line in said if "warning" in line)
    assert "6 fail" in warning and "left lung too large, 6 times" in warning and "--nocheck_samples" in warning


def test_generate_as_a_command(runs, store, tmp_path, eager):
    done = _tool("generate", "three", runs, store, "--count=3", "--validation=1", f"--out={tmp_path / 'made'}")
    assert done.code == 0 and "3 of 3 pairs" in done.out, done.err
    made = PairStore(tmp_path / "made")
    assert len(made.ids()) == 3 and list(read_marks(made)[0]["id"]) == made.ids()
    more = _tool("generate", "single", runs, store, "--count=1", "--validation=2", f"--out={tmp_path / 'other'}")
    binaries.told(more, "--validation=2", "--count=1")


def test_an_exported_method_makes_pairs(runs, store, tmp_path):
    done = _tool("export_model", "two", runs, store, f"--out={tmp_path / 'method'}")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "method" / "assets" / "model.json").read_text())["batch"] == 4
    generate = tf.saved_model.load(str(tmp_path / "method")).signatures["generate"]
    made = generate(count=tf.constant(2), seed=tf.constant(0, tf.int64), first=tf.constant(0, tf.int64))
    assert made["films"].shape == (2, SIZE, SIZE) and made["labels"].dtype == tf.uint8
    done = _tool("export_model", "two", runs, store, "--onnx", f"--out={tmp_path / 'other'}")
    binaries.told(done, "--onnx", "segmenter")


def test_dots_of_radius_3_are_handed_on_as_the_translator_knows_them(runs, store, tmp_path):
    dot = Dot.scaled(32, 3.0)
    made_of, rough = dot_runs(tmp_path, dot)
    assembly = Assembly("three", {**runs, **made_of}, store)
    method = assembly.method(checked=False)
    pairs = method(np.arange(12), 1)
    expected = dot.redraw(dot.read(rough, 6).centres)
    drawn = pairs.dots.any(axis=(1, 2))
    assert 0 < drawn.sum() < 12  # the others are empty
    assert (pairs.dots[drawn] == expected).all()
    exported = method_graph(assembly, 12).functions["generate"](
        count=tf.constant(12), seed=tf.constant(1, tf.int64), first=tf.constant(0, tf.int64))
    np.testing.assert_array_equal(exported["dots"], pairs.dots)
    np.testing.assert_array_equal(exported["labels"], pairs.labels)
    np.testing.assert_array_equal(exported["values"], pairs.films)
    assembly.write(str(tmp_path / "made"), 3, 1, 1, say=lambda line: None)
    kept = [read_png(file, (32, 32)) for file in sorted((tmp_path / "made" / "dots").iterdir())]
    assert len(kept) == 3 and any((dots == expected).all() for dots in kept)


@pytest.mark.parametrize("kind", ["cells", "abdomen"])
def test_dots_of_pieces_are_generated_exported_and_kept(kind, tmp_path):
    base = Dot(32, 1.0)
    made_of, learnt, store = dots_of_kind(tmp_path, kind, base)
    assert learnt.dot.classes
    assembly = Assembly("three", made_of, store)
    expected = learnt.dot.redraw(learnt.dot.read(learnt.drawn[0], store.classes.num_classes).centres)
    unchecked = assembly.method(checked=False)(np.arange(12), 1)
    assert {dots.tobytes() for dots in unchecked.dots} == {expected.tobytes(), bytes(32 * 32)}
    bare = assembly.method(checked=False, mended=False)(np.arange(12), 1).dots
    assert {dots.tobytes() for dots in bare} == {learnt.drawn[0].tobytes(), bytes(32 * 32)}
    assembly.write(str(tmp_path / "made"), 3, 1, 1, checked=False, say=lambda line: None)
    kept = [read_png(file, (32, 32)) for file in sorted((tmp_path / "made" / "dots").iterdir())]
    np.testing.assert_array_equal(kept, bare[:3])
    if kind == "cells":
        exported = method_graph(assembly, 12).functions["generate"](
            count=tf.constant(12), seed=tf.constant(1, tf.int64), first=tf.constant(0, tf.int64))
        for name in ("dots", "labels"):
            np.testing.assert_array_equal(exported[name], getattr(unchecked, name))
        np.testing.assert_array_equal(exported["values"], unchecked.films)


def test_a_translator_of_other_classes_dots_is_refused(tmp_path):
    made_of, learnt, store = dots_of_kind(tmp_path, "disc_cup", Dot(16, 2.0))
    disc, cup = learnt.dot.classes
    others = ((disc, ClassDots(0.0)), (cup, cup), (ClassDots(disc.radius, True), cup), ())
    for number, classes in enumerate(others):
        other = dataclasses.replace(learnt.dot, classes=classes).to_json()
        path = _altered(made_of["dots_to_labels"], tmp_path / f"other-{number}", dot=other)
        with pytest.raises(UserError, match=f"^{path}: .*--undotted") as refused:
            Assembly("three", {**made_of, "dots_to_labels": path}, store)
        assert "\n" not in str(refused.value)
    more = [dataclasses.replace(dots, most=9, may_lack=True) for dots in learnt.dot.classes]
    other = dataclasses.replace(learnt.dot, classes=tuple(more))  # trained on more films, say
    path = _altered(made_of["dots_to_labels"], tmp_path / "more", dot=other.to_json())
    assert Assembly("three", {**made_of, "dots_to_labels": path}, store).dot == learnt.dot


@pytest.mark.parametrize(("method", "stage", "given", "said"), [
    ("two", "labels_to_film", "dots_to_labels", "--translate_from=dots.*expected .*--translate_from=labels.*"
     "--labels_to_film"),
    ("two", "labels", "dots_to_labels", "expected .*--target=labels.* --labels"),
    ("three", "dots", "labels", "expected .*--target=dots.* --dots")])
def test_the_run_of_another_stage_is_refused(method, stage, given, said, runs, store):
    with pytest.raises(UserError, match=said):
        Assembly(method, {**runs, stage: runs[given]}, store)


@pytest.mark.parametrize(("dot", "options"), [(Dot.scaled(32, 2.0), "--dot_size=16 --dot_radius=4.0"),
                                             (Dot(16, 2.0), "--dot_size=16 --dot_radius=4.0")])
def test_a_translator_of_other_dots_is_refused(dot, options, runs, store, tmp_path):
    other = _altered(runs["dots_to_labels"], tmp_path / "other", dot=dot.to_json())
    with pytest.raises(UserError) as refused:
        Assembly("three", {**runs, "dots_to_labels": other}, store)
    said = str(refused.value)
    assert said.startswith(f"{other}: ") and said.endswith(options) and "\n" not in said
    assert f"radius {dot.radius:g} on {dot.size}" in said and f"radius {DOT.radius:g} on {DOT.size}" in said
    fitting = _altered(runs["dots_to_labels"], tmp_path / "fitting", dot=DOT.to_json())
    assert Assembly("three", {**runs, "dots_to_labels": fitting}, store).dot == DOT


@pytest.mark.parametrize("method", ["two", "three", "shape"])
def test_the_coarse_phase_is_no_translator(method, runs, store, tmp_path):
    stage = "dots_to_labels" if method == "three" else "labels_to_film"
    coarse = _altered(runs[stage], tmp_path / "coarse", phase="global_half")
    with pytest.raises(UserError, match=f"{coarse}: found --phase=global_half, .*--{stage}; .*--phase=enhancer"):
        Assembly(method, {**runs, stage: coarse}, store)
    Assembly(method, {**runs, stage: _altered(coarse, tmp_path / "enhancer", phase="enhancer")}, store)


@pytest.mark.parametrize(("stage", "name"), [(stage, name) for stage, names in NEEDED.items() for name in names])
def test_a_run_that_does_not_say_what_is_needed_of_it_is_refused(stage, name, runs, store, tmp_path):
    silent = _altered(runs[stage], tmp_path / "silent", **{name: None})
    method = next(method for method, stages in STAGES.items() if stage in stages)
    with pytest.raises(UserError, match=f"{silent}/product.json: found no {name}, .*train again"):
        Assembly(method, {**runs, stage: silent}, store)


def test_runs_that_do_not_fit_leave_nothing_behind(runs, store, tmp_path):
    coarse = {**runs, "labels_to_film": _altered(runs["labels_to_film"], tmp_path / "run", phase="global_half")}
    done = _tool("generate", "two", coarse, store, f"--out={tmp_path / 'made'}")
    binaries.told(done, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_without_train_pairs_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path / 'none'}: found no train pairs"):
        Assembly("single", runs, phantom_store(tmp_path / "none", count=0))


def test_exposure_is_changed_in_a_share_of_the_films_and_in_nothing_else():
    ramp = np.tile(np.linspace(-1, 1, 16, dtype=np.float32), (16, 1))
    labels = np.zeros((16, 16), np.uint8)
    plain = methods.two_stage(lambda indices, seed: np.stack([labels] * len(indices)),
                              lambda maps: np.stack([ramp[..., None]] * len(maps)))
    made = exposed(plain, 0.5)(np.arange(40), 7)
    changed = [not np.array_equal(film[..., 0], ramp) for film in made.films]
    assert 10 <= sum(changed) <= 30 and np.abs(made.films).max() <= 1 and not made.labels.any()
    again = exposed(plain, 0.5)(np.arange(30, 33), 7)
    np.testing.assert_array_equal(again.films, made.films[30:33])


def test_smooth_label_maps_need_dots_and_a_channel_for_each_class(runs, store, tmp_path):
    for method, coding in (("two", None), ("three", {"kind": "grey", "order": [0, 1, 2, 3, 4, 5]})):
        changed = runs if coding is None else {
            **runs, "dots_to_labels": _altered(runs["dots_to_labels"], tmp_path / "grey", coding=coding)}
        with pytest.raises(UserError, match=r"smooth_labels.*leave it out"):
            Assembly(method, changed, store, smooth_labels=True)


def test_how_pairs_are_made_is_in_their_digest(runs, store):
    made = [Assembly("two", runs, store, expose=share).maker() for share in (0.0, 0.2, 0.5)]
    assert len(set(made)) == 3


def test_a_set_and_its_shards_keep_the_ranges_of_changed_exposure(runs, store, tmp_path, eager):
    made = Assembly("two", runs, store, expose=0.5)
    made.write_shard(str(tmp_path / "shard"), Shard(1, 1), 2, 0, checked=False, say=lambda line: None)
    journal = made.write(str(tmp_path / "set"), 2, 0, 0, checked=False, say=lambda line: None,
                         shards=[str(tmp_path / "shard")])
    shard = json.loads((tmp_path / "shard" / "shard.json").read_text())
    assert journal["ranges"] == shard["ranges"] == {"exposure": dataclasses.asdict(Exposure())}
