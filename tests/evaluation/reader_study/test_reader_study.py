"""The reader study's page and key: which films, what is hidden, and what is refused."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from skimage.measure import points_in_poly

from datasets.common.errors import UserError
from datasets.pair_store import PairStore, read_png, write_png
from evaluation.reader_study.key import GOLD, PREDICTION, read_key
from evaluation.reader_study.outlines import mask_path, organ_paths
from evaluation.reader_study.study import KEY, PAGE, Results, choose_films, find_results, write_study
from tests.helpers import binaries
from tests.helpers.reader_studies import COLUMN, write_experiment


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("experiment"))


@pytest.fixture(scope="module")
def films(root):
    return choose_films(find_results(root, COLUMN), 5)


def _study(html: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="study">(.*?)</script>', html, re.S)[1])


def _inside(path: str, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre lies inside the path, by the even-odd rule."""
    rows, columns = np.mgrid[:shape[0], :shape[1]]
    centres = np.stack([2 * columns.ravel() + 1, 2 * rows.ravel() + 1], -1)
    inside = np.zeros(len(centres), bool)
    for start, moves in re.findall(r"M([-\d ]+)l([-\d ]+)z", path):
        steps = np.array([start.split(), *np.array(moves.split()).reshape(-1, 2)], int)
        inside ^= points_in_poly(centres, np.cumsum(steps, 0))
    return inside.reshape(shape)


@settings(deadline=None)
@given(arrays(bool, (7, 9)))
def test_outlines_give_back_the_mask(mask):
    assert np.array_equal(_inside(mask_path(mask), mask.shape), mask)


def test_outlines_give_back_label_maps(films):
    for film in films:
        for codes in (film.gold, film.prediction):
            for code, path in enumerate(organ_paths(codes, len(film.organs) + 1), 1):
                assert np.array_equal(_inside(path, codes.shape), codes == code)


def test_the_hardest_films_are_taken(root, films):
    table = pd.read_csv(root / f"evaluate-{COLUMN}" / "per_film.csv")
    means = table.groupby("film").j.mean()  # all organs in this table are scored
    assert [film.id for film in films] == list(means.sort_values().index[:5])
    assert [film.mean_j for film in films] == sorted(film.mean_j for film in films)
    store = PairStore(root / "data" / "gan-films")
    for film in films:
        assert np.array_equal(film.gold, store.scored_label(film.id))
        assert np.array_equal(film.film, store.image(film.id))
    assert len(choose_films(find_results(root, COLUMN), 100)) == 7


def test_page_is_the_same_whichever_candidate_is_gold(films, tmp_path):
    exchanged = [dataclasses.replace(film, gold=film.prediction, prediction=film.gold) for film in films]
    pages = []
    for name, shown in (("a", films), ("b", exchanged)):
        write_study(shown, tmp_path / name, "title", seed=3)
        pages.append((tmp_path / name / PAGE).read_text())
    first, second = map(_study, pages)
    for film in second["films"]:
        film["outlines"].reverse()
    assert first.pop("study") != second.pop("study")
    assert first == second
    around = [re.sub(r"(?s)(id=\"study\">).*?(</script>)", r"\1\2", page) for page in pages]
    assert around[0] == around[1]


def test_page_shows_what_the_key_says(films, tmp_path):
    key = write_study(films, tmp_path, "title", seed=3)
    assert read_key(tmp_path / KEY) == key
    by_id = {film.id: film for film in films}
    shown = _study((tmp_path / PAGE).read_text())
    assert {film.first for film in key.films} == {GOLD, PREDICTION}
    for page, film in zip(shown["films"], key.films, strict=True):
        source = by_id[film.id]
        codes = [source.gold, source.prediction]
        if film.first == PREDICTION:
            codes.reverse()
        assert page["film"] == film.film
        assert page["outlines"] == [organ_paths(labels, 4) for labels in codes]


def test_page_tells_nothing(films, root, tmp_path):
    key = write_study(films, tmp_path, "the title of this study", seed=987654321)
    page = (tmp_path / PAGE).read_text()
    secrets = [*(film.id for film in films), "phantom", COLUMN, "finetune", "gold", "predict", "ground truth",
               "real", "synth", "network", "title of this", "987654321", str(root), "mean_j", "segment"]
    secrets += [f"{100 * film.mean_j:.2f}" for film in key.films]
    text = re.sub(r"data:image/png;base64,[^\"]*", "", page).lower()
    assert [word for word in secrets if word.lower() in text] == []
    assert "http://www.w3.org/2000/svg" in text
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert set(_study(page)) == {"format", "study", "maxComment", "organs", "films"}
    assert all(set(film) == {"film", "width", "height", "picture", "outlines"} for film in _study(page)["films"])


def test_pictures_hold_pixels_and_no_metadata(films, tmp_path):
    import base64

    write_study(films, tmp_path, "title", seed=1)
    for film in _study((tmp_path / PAGE).read_text())["films"]:
        png, kinds, place = base64.b64decode(film["picture"].split(",")[1]), [], 8
        while place < len(png):
            kinds.append(png[place + 4:place + 8])
            place += 12 + int.from_bytes(png[place:place + 4], "big")
        assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


def test_order_follows_the_seed_alone(films, tmp_path):
    again = [write_study(films[::-1], tmp_path / name, "title", seed=8) for name in "ab"]
    assert again[0] == again[1] == write_study(films, tmp_path / "c", "title", seed=8)
    assert (tmp_path / "a" / PAGE).read_bytes() == (tmp_path / "c" / PAGE).read_bytes()
    unseeded = [write_study(films, tmp_path / name, "title") for name in "de"]
    assert unseeded[0].seed != unseeded[1].seed


def test_order_is_balanced_and_independent_of_the_film(films, tmp_path):
    keys = [write_study(films[:4], tmp_path / str(seed), "title", seed=seed) for seed in range(60)]
    for key in keys:
        assert sum(film.first == GOLD for film in key.films) == 2
    for place in range(4):  # 60 fair draws: 12 to 48 with a chance of 0.999998
        assert 12 <= sum(key.films[place].first == GOLD for key in keys) <= 48
        assert len({key.films[place].id for key in keys}) == 4
    for film in films[:4]:
        assert 12 <= sum(shown.first == GOLD for key in keys for shown in key.films if shown.id == film.id) <= 48


def test_another_studys_key_is_never_overwritten(films, tmp_path):
    write_study(films, tmp_path, "title", seed=1)
    before = (tmp_path / KEY).read_bytes()
    write_study(films, tmp_path, "title", seed=1)
    with pytest.raises(UserError, match="another study"):
        write_study(films, tmp_path, "title", seed=2)
    assert (tmp_path / KEY).read_bytes() == before


def test_large_films_are_reduced_and_outlines_stay(films, tmp_path):
    write_study(films, tmp_path / "small", "title", seed=1, side=16)
    write_study(films, tmp_path / "whole", "title", seed=1)
    small, whole = (_study((tmp_path / name / PAGE).read_text())["films"] for name in ("small", "whole"))
    assert len(small[0]["picture"]) < len(whole[0]["picture"]) / 2
    assert [film["outlines"] for film in small] == [film["outlines"] for film in whole]


def test_organ_names_cannot_leave_their_place(films, tmp_path):
    evil = "</script><script>alert(1)</script>"
    renamed = [dataclasses.replace(film, organs=(evil, *film.organs[1:])) for film in films]
    write_study(renamed, tmp_path, "title", seed=1)
    page = (tmp_path / PAGE).read_text()
    assert page.count("<script") == 2
    assert _study(page)["organs"][0]["name"] == evil


def test_results_that_do_not_belong_together_are_refused(root, tmp_path):
    with pytest.raises(UserError, match=f"columns \\({COLUMN}\\)"):
        find_results(root, "real")
    results = find_results(root, COLUMN)
    other = tmp_path / "results"
    (other / "predictions").mkdir(parents=True)
    (other / "per_film.csv").write_bytes((results.folder / "per_film.csv").read_bytes())
    for path in (results.folder / "predictions").iterdir():
        write_png(other / "predictions" / path.name, np.flipud(read_png(path, (64, 64))))
    with pytest.raises(UserError, match="does not give the J"):
        choose_films(Results(results.store, other, "x"), 2)
    for path in (results.folder / "predictions").iterdir():
        write_png(other / "predictions" / path.name, np.full((64, 64), 9, np.uint8))
    with pytest.raises(UserError, match="found code 9"):
        choose_films(Results(results.store, other, "x"), 2)


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda table: table.head(0), "cannot be read"),
    (lambda table: table.drop(columns="j"), "cannot be read"),
    (lambda table: table.replace({"film": {"phantom-000003": "stranger"}}), "films stranger are not in"),
    (lambda table: table.replace({"organ": {"heart": "liver"}}), "found organs left lung, liver"),
    (lambda table: table.assign(j=np.nan), "holds no J")])
def test_tables_of_other_films_and_damaged_ones_are_refused(root, tmp_path, spoil, message):
    table = pd.read_csv(root / f"evaluate-{COLUMN}" / "per_film.csv")
    spoil(table).to_csv(tmp_path / "per_film.csv", index=False)
    with pytest.raises(UserError, match=rf"per_film\.csv: {message}"):
        choose_films(Results(PairStore(root / "data" / "gan-films"), tmp_path, "x"), 2)


def _tool(*arguments):
    return binaries.run("tools.reader_study", *arguments)


def test_tool_refuses_in_one_line(root, tmp_path):
    for arguments in ((), ("build",), ("build", "more", f"--experiment={root}"), ("report",),
                      ("build", f"--experiment={root}", "--column=real")):
        binaries.told(_tool(*arguments, f"--out={tmp_path / 'out'}"))
    assert not (tmp_path / "out").exists()


def test_tool_builds_and_reports(root, tmp_path):
    done = _tool("build", f"--experiment={root}", f"--out={tmp_path}", "--films=3", "--seed=4")
    assert done.code == 0, done.err
    key = read_key(tmp_path / KEY)
    assert len(key.films) == 3
    answers = {"format": 1, "study": key.study, "reader": "A",
               "answers": [{"film": film.film, "choice": 1, "comment": ""} for film in key.films]}
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "a.json").write_text(json.dumps(answers))
    done = _tool("report", f"--key={tmp_path / KEY}", f"--answers={tmp_path / 'answers'}",
                 f"--out={tmp_path / 'r'}")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "r" / "preferences.csv")
    assert table.gold.tolist() == [sum(film.first == GOLD for film in key.films)] * 2


@pytest.mark.parametrize(("options", "named"), [([], "theirs"), (["--column=nnU-Net"], "nnU-Net")])
def test_predictions_of_others_are_not_called_ours(root, tmp_path, options, named):
    shutil.copytree(root / f"evaluate-{COLUMN}", tmp_path / "theirs")
    done = _tool("build", f"--data={root}/data/gan-films", f"--results={tmp_path}/theirs", f"--out={tmp_path}/out",
                 "--films=2", *options)
    assert done.code == 0, done.err
    assert read_key(tmp_path / "out" / KEY).title.endswith(f", {named}")
