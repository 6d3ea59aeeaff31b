"""Real or synthetic: equal numbers in hidden order, and known numbers in the report."""

import base64
import json
import math
import re

import cv2
import numpy as np
import pytest

from datasets.pair_store import PairStore
from datasets.sources.phantom import write_phantoms
from evaluation.reader_study.key import REAL, SYNTHETIC, read_key
from evaluation.reader_study.realism_study import realism_answers
from evaluation.reader_study.report import ALL, MAJORITY, fleiss_kappa, read_study
from evaluation.reader_study.study import KEY, PAGE
from evaluation.synthetic.marked_copies import mark_copies
from tests.helpers import binaries
from tests.helpers.reader_studies import answer_file
from tests.helpers.synthetic_sets import write_synthetic_set


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    real = write_phantoms(root / "real", 8, 4, 32, 1)
    made = write_synthetic_set(root / "made", real, {2: real.ids("train")[0]}, 5)
    mark_copies(made, real)
    return real, made


def _build(stores, out, *options):
    real, made = stores
    return binaries.run("tools.reader_study", "build", "--kind=real-or-synthetic", f"--data={real.path}",
                        f"--synthetic={made.path}", f"--out={out}", *options)


def _study(out) -> dict:
    return json.loads(re.search(r'id="study">(.*?)</script>', (out / PAGE).read_text(), re.S)[1])


def test_half_are_real_and_the_page_tells_neither_which_nor_whose(stores, tmp_path):
    real, made = stores
    for name in ("a", "again"):
        assert _build(stores, tmp_path / name, "--films=8", "--seed=3").code == 0
    page, key = (tmp_path / "a" / PAGE).read_text(), read_key(tmp_path / "a" / KEY)
    assert page == (tmp_path / "again" / PAGE).read_text()
    truths = [film.truth for film in key.films]
    assert truths.count(REAL) == truths.count(SYNTHETIC) == 4 and truths != sorted(truths)
    assert {film.id for film in key.films if film.truth == REAL} == set(real.ids("test"))
    assert made.ids()[2] not in {film.id for film in key.films}  # flagged as a copy
    for shown, film in zip(_study(tmp_path / "a")["films"], key.films, strict=True):
        data = base64.b64decode(shown["picture"].partition(",")[2])
        store = {REAL: real, SYNTHETIC: made}[film.truth]
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(picture, PairStore(store.path).image(film.id))
        assert set(re.findall(rb"IHDR|IDAT|IEND|tEXt|iTXt|pHYs|tIME", data)) <= {b"IHDR", b"IDAT", b"IEND"}
    text = re.sub(r"data:image/png;base64,[^\"]*", "", page)
    assert not [word for film in key.films for word in (film.id, film.id.lower()) if word in text]
    assert str(real.path) not in text and "phantom" not in text.lower()


def test_odd_numbers_and_too_few_films_are_refused(stores, tmp_path):
    for films in (7, 10):
        binaries.told(_build(stores, tmp_path / "no", f"--films={films}"), f"--films={films}", "4 real")
    assert not (tmp_path / "no").exists()


def test_accuracy_sensitivity_and_kappa_are_the_known_numbers(stores, tmp_path):
    assert _build(stores, tmp_path / "s", "--films=8", "--seed=5").code == 0
    key = read_key(tmp_path / "s" / KEY)
    truth = [1 if film.truth == REAL else 2 for film in key.films]
    lenient = [1] * 8  # takes all for real: half are right, no synthetic one is found
    fooled = [3 - choice if place == truth.index(2) else choice for place, choice in enumerate(truth)]
    choices = {"A": truth, "B": lenient, "C": [*fooled[:7], None]}
    (tmp_path / "answers").mkdir()
    for reader, given in choices.items():
        file = answer_file(key, reader, given, ["ribs <b>end</b>"] if reader == "A" else [])
        (tmp_path / "answers" / f"{reader}.json").write_text(json.dumps(file))
    done = binaries.run("tools.reader_study", "report", f"--key={tmp_path / 's' / KEY}",
                        f"--answers={tmp_path / 'answers'}", f"--out={tmp_path / 'out'}")
    assert done.code == 0, done.err
    found = realism_answers(*read_study(tmp_path / "s" / KEY, [tmp_path / "answers"]))
    scores = found.scores.set_index("reader")
    assert scores.loc["A", ["accuracy", "sensitivity", "specificity"]].tolist() == [1, 1, 1]
    assert scores.loc["A", "low"] == pytest.approx(0.025 ** (1 / 8))  # Clopper and Pearson's of 8 in 8
    assert scores.loc["A", "p"] == pytest.approx(2 / 2**8)
    assert scores.loc["B", ["accuracy", "sensitivity", "specificity"]].tolist() == [0.5, 0, 1]
    right = sum(said == true for given in choices.values() for said, true in zip(given, truth, strict=True))
    assert scores.loc[ALL, ["films", "correct"]].tolist() == [23, right]
    assert scores.loc[MAJORITY, "films"] == 7 + (truth[7] == 1)  # A and B tie where it is synthetic
    said = list(zip(*choices.values(), strict=True))[:7]
    counts = [[answers.count(choice) for choice in (1, 2)] for answers in said]
    assert found.kappa_films == 7 and found.kappa == pytest.approx(fleiss_kappa(counts))
    text = (tmp_path / "out" / "reader_study.md").read_text()
    assert "<b>" not in text and "| A | 8 | 8 | 100.0 (63.1–100.0) |" in text and not math.isnan(found.kappa)
    given = answer_file(key, "D", [0] * 8)
    (tmp_path / "answers" / "D.json").write_text(json.dumps(given))
    binaries.told(binaries.run("tools.reader_study", "report", f"--key={tmp_path / 's' / KEY}",
                               f"--answers={tmp_path / 'answers'}", f"--out={tmp_path / 'out'}"), "none of 1, 2")
