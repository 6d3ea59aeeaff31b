"""A published set: no copy, no real film, no name of one; checked sums; and a verdict that says why."""

import hashlib
import json
import pathlib
import re
import shutil

import pandas as pd
import pytest
import yaml

from datasets.common.errors import UserError
from datasets.pair_store import PairStore, read_png
from datasets.sources.nnunet import read_nnunet
from datasets.sources.phantom import write_phantoms
from datasets.subsets import write_subset
from datasets.verify import verify_store
from evaluation.results.columns import method_named
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.made_with import MadeWith
from evaluation.synthetic.fit_to_share import THRESHOLDS
from evaluation.synthetic.marked_copies import MARKS
from tests.helpers import binaries
from tests.helpers.synthetic_sets import write_synthetic_set
from tools.publish.chosen_pairs import BOX, choose_pairs

FIT = {"copies_made": {"value": 0.0},  # which publishing measures itself
       "check_recall": {"value": 0.995, "low": 0.98, "high": 0.999}, "check_false_alarms": {"value": 0.004},
       "membership_auc_distance": {"value": 0.52}, "membership_auc_segmenter": {"value": 0.51},
       "synth_j_published": {"value": 81.25, "panel": "utility", "title": "mean J without the pairs left out"}}
COPY, TWIN, OF = 4, 9, 7  # places in the set: a copy of a real film, and a pair that is nearly another one


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> pathlib.Path:
    """A finished run as far as publishing reads it."""
    root = tmp_path_factory.mktemp("experiment") / "run"
    real = write_phantoms(root / "data" / "gan-films", 14, 7, 32, 1)
    made = write_synthetic_set(root / "synthetic-3" / "gan", real, {COPY: real.ids("train")[3]}, 24)
    for kind in ("images", "labels"):
        files = [made.path / kind / f"{made.ids()[place]}.png" for place in (OF, TWIN)]
        files[1].write_bytes(files[0].read_bytes())
    counts = {organ: [90, 5, 5] for organ in real.classes.scored}
    for column in ("real", "synth-3"):
        _json(root / f"evaluate-{column}" / "pooled.json",
              {"films": 7, "scored": list(real.classes.scored), "counts": counts})
    _json(root / "tasks" / "data.json", {"key": "", "done": True, "seconds": 1.0,
                                         "settings": {"size": 64, "train": real.ids("train")}})
    return root


def _json(path: pathlib.Path, value) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def _tree(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _publish(run, out, *options):
    return binaries.run("tools.publish_dataset", run, f"--out={out}", *options)


def test_a_set_that_is_fit_is_written_without_copies_and_real_films(run, tmp_path):
    figures, before = _json(tmp_path / "privacy.json", {"figures": FIT}), _tree(run)
    done = _publish(run, tmp_path / "out", "--license=cc-by-4.0", "--name=Phantoms, synthetic",
                    f"--figures={figures}", f"--internal={tmp_path / 'internal'}")
    assert done.code == 0, done.err
    assert _tree(run) == before
    made, store = PairStore(run / "synthetic-3" / "gan"), PairStore(tmp_path / "out" / "pairs")
    left_out = pd.read_csv(tmp_path / "internal" / "left_out.csv").set_index("id")["left_out"].to_dict()
    assert set(made.ids()) - set(store.ids()) == set(left_out)
    assert len(left_out) <= 4  # the check may err at 32 pixels
    reasons = [left_out[made.ids()[place]].split()[0] for place in (COPY, TWIN)]
    assert reasons == ["copy", "near-duplicate"]
    assert not [finding for finding in verify_store(store.path) if not finding.warning]
    published = _tree(tmp_path / "out")
    films = {data for name, data in before.items() if name.startswith("data/") and name.endswith(".png")}
    assert films and not films & set(published.values())  # neither their bytes, nor their pixels, nor their names
    real = PairStore(run / "data" / "gan-films")
    pixels = {real.image(id_).tobytes() for id_ in real.ids()}
    assert not any(store.image(id_).tobytes() in pixels for id_ in store.ids())
    texts = "".join(published) + "".join(data.decode() for name, data in published.items() if name[-4:] != ".png")
    assert not [id_ for id_ in real.ids() if id_ in texts] and str(run) not in texts
    internal = _tree(tmp_path / "internal")
    assert {"closest_film.png", "left_out.csv"} <= set(internal) and real.ids("train")[3] in str(internal)
    _check_sums(published)
    _check_nnunet(tmp_path / "out", store)
    card = published["README.md"].decode()
    top = yaml.safe_load(card.split("---\n")[1])
    assert top["license"] == "cc-by-4.0" and top["pretty_name"] == "Phantoms, synthetic"
    assert top["task_categories"] == ["image-segmentation"] and top["size_categories"] == ["n<1K"]
    beyond = card.count("yes; its interval reaches beyond")
    assert "Fit to share" in card and f"of {beyond} of them reach" in card
    assert "| 0.995 (0.98 to 0.999) | at least 0.99 | yes; its interval reaches beyond |" in card
    assert "| 81.25 |" in card and "| 90 |" in card  # J is 90 / (90 + 5 + 5)
    counts = json.loads(published["figures.json"])["left_out"]
    assert json.loads(published["figures.json"])["figures"]["copies_made"]["value"] >= 1 / len(made.ids())
    assert counts == {reason: [*left_out.values()].count(reason) for reason in counts} and len(counts) == 2


def _check_sums(published: dict[str, bytes]) -> None:
    sums = dict(reversed(line.split("  ", 1)) for line in published["SHA256SUMS"].decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in published.items()
                    if name != "SHA256SUMS"}


def _check_nnunet(out: pathlib.Path, store: PairStore) -> None:
    folder, = (out / "nnunet").iterdir()
    found = read_nnunet(folder)
    assert [source.id for source in found.matched.sources] == store.ids()
    assert found.validation == set(store.ids("validation"))
    for id_ in store.ids():
        film = read_png(folder / "imagesTr" / f"{id_}_0000.png", store.description.size)
        assert (film == store.image(id_)).all()


def test_what_is_missing_or_above_is_told_and_nothing_is_written(run, tmp_path):
    done = _publish(run, tmp_path / "out")
    lines = done.err.splitlines()
    assert done.code == 1 and not (tmp_path / "out").exists() and lines[-1].startswith("error: ")
    told = {re.match(r"not fit to share: (\w+): not", line)[1] for line in lines[:-1]}
    assert told == {"check_recall", "check_false_alarms", "membership_auc_distance", "membership_auc_segmenter",
                    "license"}
    figures = _json(tmp_path / "f.json", {"figures": {**FIT, "membership_auc_distance": {"value": 0.61}}})
    done = _publish(run, tmp_path / "out", "--license=cc-by-4.0", f"--figures={figures}", "--anyway")
    assert done.code == 0 and "NOT called fit" in done.out
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Not called fit to share" in card and "| 0.61 | at most 0.55 and at least 0.45 | NO |" in card
    limits = [threshold for threshold in THRESHOLDS.values() if threshold.limit is not None]
    assert card.count("| NO |") == 1 and card.count("| yes") == len(limits) - 1


def test_held_out_films_judge_and_are_not_published(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    whole = write_phantoms(tmp_path / "whole", 35, 1, 32, 1)
    held_out = write_subset(whole, whole.ids("train")[14:], tmp_path / "run" / "data" / "held-out")
    chosen = choose_pairs(ExperimentFolder(tmp_path / "run"), method_named("three"), False, tmp_path / "marks")
    assert chosen.facts["calibration"] == "20 held-out training films against 7 training films"
    made = PairStore(tmp_path / "run" / "synthetic-3" / "gan")
    shutil.copyfile(held_out.path / "images" / f"{held_out.ids()[-1]}.png",
                    made.path / "images" / f"{chosen.kept[0]}.png")
    with pytest.raises(UserError, match=f"{chosen.kept[0]}.png: is a real film"):
        choose_pairs(ExperimentFolder(tmp_path / "run"), method_named("three"), False, tmp_path / "marks")


def test_a_set_of_an_earlier_plan_with_other_settings_is_refused(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    MadeWith("demo", superseded=("labels_to_film", "synthetic-3")).write(tmp_path / "run")
    binaries.told(_publish(tmp_path / "run", tmp_path / "out", "--anyway"), "synthetic-3", "earlier plan")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("value", "said"), [
    ({"figures": {"check_recall": {"value": "high"}}}, "check_recall"), ([], "figures"),
    ({"figures": {"check_recall": {"value": float("nan")}}}, "expected numbers")])
def test_figures_of_another_form_are_refused(run, tmp_path, value, said):
    figures = _json(tmp_path / "f.json", value)
    binaries.told(_publish(run, tmp_path / "out", f"--figures={figures}", "--anyway"), figures, said)
    assert not (tmp_path / "out").exists()


def test_sheets_of_patients_may_not_lie_in_the_set(run, tmp_path):
    done = _publish(run, tmp_path / "out", f"--internal={tmp_path / 'out' / 'internal'}")
    binaries.told(done, "--internal", "patients' films")


def test_the_published_phantoms_are_whole():
    folder = binaries.ROOT / "docs" / "published-phantoms"
    published = _tree(folder)
    _check_sums(published)
    assert sum(map(len, published.values())) < 2**21
    store = PairStore(folder / "pairs")
    assert not [finding for finding in verify_store(store.path) if not finding.warning]


def test_duplicates_are_of_pairs_that_are_published(run, tmp_path, monkeypatch):
    arguments = ExperimentFolder(run), method_named("three"), True, tmp_path / "marks"
    choose_pairs(*arguments)
    marks = pd.read_csv(tmp_path / "marks" / MARKS)
    marks.loc[10:20:2, "boxes"] = 1
    marks.to_csv(tmp_path / "marks" / MARKS, index=False)
    monkeypatch.setattr("tools.publish.chosen_pairs.near_duplicates",
                        lambda ids, *_: dict(zip(ids[1::2], ids[::2], strict=False)))
    chosen = choose_pairs(*arguments)
    assert chosen.count(BOX) >= 4 and set(chosen.duplicate_of.values()) <= set(chosen.kept)
