"""The reader study's page in a real browser: answered, reloaded, saved, reported, and telling nothing."""

import http.server
import json
import pathlib
import re
import threading
import time

import pytest

from datasets.sources.phantom import write_phantoms
from evaluation.reader_study.key import NONE, PREDICTION, REAL
from evaluation.reader_study.realism_study import realism_answers, write_realism_study
from evaluation.reader_study.report import make_report, read_study
from evaluation.reader_study.study import KEY, PAGE, choose_films, find_results, write_study
from tests.browser.webdriver import Browser, find_chromium
from tests.helpers.reader_studies import COLUMN, write_experiment
from tests.helpers.synthetic_sets import write_synthetic_set

FILMS = 5
CHOICES = [1, 2, 0, 2, 1]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    find_chromium()
    root = write_experiment(tmp_path_factory.mktemp("experiment"))
    films = choose_films(find_results(root, COLUMN), FILMS)
    key = write_study(films, root / "study", "phantoms, finetune-3", seed=11)
    return root / "study", key


def _browser(tmp_path, size=(1280, 800), phone=False):
    for name in ("profile", "downloads"):
        (tmp_path / name).mkdir(exist_ok=True)
    return Browser(tmp_path / "profile", tmp_path / "downloads", size, phone)


def _saved(tmp_path) -> pathlib.Path:
    """The one file saved, once it is whole."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [path for path in (tmp_path / "downloads").iterdir() if path.suffix == ".json"]
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("nothing was saved")


def _begin(browser, page, reader="Dr. Test"):
    browser.open(page)
    browser.type("#reader", reader)
    browser.click("#begin")


def _check_quiet(browser):
    """No error in the console, and nothing fetched but the page itself."""
    assert [entry["message"] for entry in browser.log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
            and event["params"]["documentURL"].startswith("file:")]
    assert urls and [url[:60] for url in urls if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_film_by_keyboard_with_a_reload_in_the_middle(study, tmp_path):
    folder, key = study
    with _browser(tmp_path) as browser:
        _begin(browser, folder / PAGE)
        for place, choice in enumerate(CHOICES):
            assert browser.text("#where") == f"Film {place + 1} of {FILMS}"
            if place == 2:
                browser.type("#comment", "Costophrenic angle <b>cut</b>, 1 of 2")
                browser.press("escape")
            browser.press(str(choice))
            if place == 2:
                browser.reload()
                assert browser.text("#where") == f"Film 3 of {FILMS}"
                assert browser.run("return document.getElementById('comment').value").startswith("Costophrenic")
                assert browser.text("#progress") == f"3 of {FILMS} answered"
            pressed = browser.run("return [...document.querySelectorAll('#choices [aria-pressed=true]')]"
                                  ".map(button => button.dataset.choice)")
            assert pressed == [str(choice)]
            browser.press("right")
        assert browser.text("#verdict").startswith("All films are answered")
        assert browser.text("#progress") == f"{FILMS} of {FILMS} answered"
        browser.click("#save-end")
        path = _saved(tmp_path)
        _check_quiet(browser)
    assert path.name == f"answers-{key.study}-dr-test.json"
    report = make_report(*read_study(folder / KEY, [path]))
    wanted = {film.id: film.preference(choice) for film, choice in zip(key.films, CHOICES, strict=True)}
    assert dict(zip(report.answers.id, report.answers.preference, strict=True)) == wanted
    assert report.comments[["id", "comment"]].to_numpy().tolist() == [
        [key.films[2].id, "Costophrenic angle <b>cut</b>, 1 of 2"]]
    row = report.preferences.iloc[0]
    assert (row.reader, row.films, row.none) == ("Dr. Test", FILMS, 1)
    assert row.prediction == list(wanted.values()).count(PREDICTION) and NONE in wanted.values()


def test_every_film_on_a_phone(study, tmp_path):
    folder, _ = study
    with _browser(tmp_path, (390, 844), phone=True) as browser:
        _begin(browser, folder / PAGE, "Zoë / 2")
        for place, choice in enumerate(CHOICES):
            shown = browser.run("return [...document.querySelectorAll('figure')].filter(f => f.offsetParent)"
                                ".map(f => [f.dataset.view, f.getBoundingClientRect().width])")
            assert [view for view, _ in shown] == ["1"] and shown[0][1] > 360
            assert browser.run("return document.documentElement.scrollWidth") == 390
            if place == 0:  # nobody chooses between outlines of which one was never shown
                browser.click('[data-choice="1"]')
                assert browser.text("#progress").startswith("0 of") and "outline 2" in browser.text("#notice")
            else:
                browser.click('#tabs [data-view="2"]')
            assert browser.visible('figure[data-view="2"]') and not browser.visible('figure[data-view="1"]')
            browser.click(f'[data-choice="{choice}"]')
            assert browser.text("#progress").startswith(f"{place + 1} of")
            browser.click("#next")
        browser.click("#save-end")
        path = _saved(tmp_path)
        assert browser.run("return document.getElementById('text').value") == path.read_text()
        _check_quiet(browser)
    (_, [answers]) = read_study(folder / KEY, [path])
    assert answers.reader == "Zoë / 2" and [answer.choice for answer in answers.answers] == CHOICES


def test_nothing_in_the_live_page_tells_the_candidates_apart(study, tmp_path):
    folder, key = study
    secrets = ["phantom", "finetune", "gold", "predict", "mean_j", *(film.id for film in key.films)]
    with _browser(tmp_path) as browser:
        _begin(browser, folder / PAGE)
        for film in range(FILMS):
            browser.press("1")
            found = browser.run("""
                const look = (element) => {
                  const style = getComputedStyle(element), box = element.getBoundingClientRect();
                  return [element.tagName, [...element.attributes].filter(a => a.name !== "d" && a.name !== "src")
                          .map(a => a.name + "=" + a.value), style.stroke, style.strokeWidth, style.strokeOpacity,
                          style.strokeDasharray, style.opacity, style.fill,
                          element.tagName === "path" ? 0 : Math.round(box.width)];
                };
                const [, one, two] = [...document.querySelectorAll("#panels .picture")];
                return {one: [...one.querySelectorAll("*")].map(look),
                        two: [...two.querySelectorAll("*")].map(look),
                        same: one.querySelector("img").src === two.querySelector("img").src,
                        differ: one.querySelector("svg").innerHTML !== two.querySelector("svg").innerHTML};""")
            assert found["one"] == found["two"] and len(found["one"]) == 2 + 2 * 3, film
            assert found["same"] and found["differ"], film
            browser.press("right")
        everything = browser.run("return document.documentElement.outerHTML + JSON.stringify({...localStorage}) + "
                                 "document.title + location.href.split('/').pop() + document.cookie")
        browser.click("#save-end")
        everything += _saved(tmp_path).read_text() + _saved(tmp_path).name
    everything = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "", everything).lower()
    assert [word for word in secrets if word in everything] == []


def test_typing_a_comment_chooses_nothing(study, tmp_path):
    with _browser(tmp_path) as browser:
        _begin(browser, study[0] / PAGE)
        browser.type("#comment", "102 210")
        browser.press("left")
        assert browser.text("#where").startswith("Film 1") and browser.text("#progress").startswith("0 of")
        browser.press("escape")
        browser.press("right")
        assert browser.text("#where").startswith("Film 2")
        assert browser.run("return document.getElementById('comment').value") == ""
        browser.press("left")
        assert browser.run("return document.getElementById('comment').value") == "102 210"
        browser.press("2")
        browser.press("0")  # a choice can be changed
        assert browser.run("return document.querySelector('#choices [aria-pressed=true]').dataset.choice") == "0"


def test_enlarged_pictures_take_turns_in_one_place(study, tmp_path):
    with _browser(tmp_path) as browser:
        _begin(browser, study[0] / PAGE)
        browser.click('figure[data-view="2"] .picture')
        places = []
        for view in (2, 0, 1):
            assert [browser.visible(f'figure[data-view="{other}"]') for other in range(3)] == [
                other == view for other in range(3)]
            places.append(browser.run("const box = document.querySelector('figure.shown').getBoundingClientRect();"
                                      "return [box.x, box.y, box.width, box.height]"))
            browser.press("down")
        assert places[0] == places[1] == places[2]
        browser.press("escape")
        assert all(browser.visible(f'figure[data-view="{view}"]') for view in range(3))


def test_spoilt_browser_storage_starts_anew(study, tmp_path):
    folder, key = study
    spoilt = ["{", "null", '{"place": 1e9, "reader": 5, "answers": {"F01": {"choice": 9}}}',
              '{"place": 2.5, "answers": {"F01": null, "F02": {"comment": {}, "choice": "1"}}}']
    with _browser(tmp_path) as browser:
        browser.open(folder / PAGE)
        for kept in spoilt:
            browser.run("localStorage.setItem(arguments[0], arguments[1])", f"reader-study-{key.study}", kept)
            browser.reload()
            assert browser.visible("#start") and browser.text("#progress") == f"0 of {FILMS} answered", kept
        _check_quiet(browser)


def test_a_second_reader_begins_anew(study, tmp_path):
    with _browser(tmp_path) as browser:
        _begin(browser, study[0] / PAGE, "First")
        browser.press("1")
        for _ in range(FILMS):
            browser.press("right")
        assert browser.text("#open") == "Still open: film 2, 3, 4, 5."
        browser.click("#end details:last-of-type summary")
        browser.click("#erase")
        browser.accept_question()
        assert browser.visible("#start") and browser.run("return document.getElementById('reader').value") == ""
        assert browser.text("#progress") == f"0 of {FILMS} answered"
        assert not browser.run("return JSON.stringify({...localStorage}).includes('First')")


def test_pages_of_two_studies_keep_apart(study, tmp_path):
    folder, _ = study
    films = choose_films(find_results(folder.parent, COLUMN), FILMS)
    write_study(films, tmp_path / "other", "title", seed=12)
    with _browser(tmp_path) as browser:
        _begin(browser, folder / PAGE)
        browser.press("1")
        browser.open(tmp_path / "other" / PAGE)
        assert browser.visible("#start") and browser.text("#progress") == f"0 of {FILMS} answered"


def test_page_cannot_reach_the_network(study, tmp_path):
    asked = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try_all = """
        const url = arguments[0];
        const picture = new Image(), script = document.createElement("script");
        picture.src = url + "picture";
        script.src = url + "script";
        const inline = document.createElement("script");
        inline.textContent = "window.intruder = true";
        document.body.append(picture, script, inline);
        return fetch(url + "fetch").then(() => "fetched", () => "refused")
          .then(outcome => new Promise(done => setTimeout(() => done([outcome, !!window.intruder]), 500)));"""
    url = f"http://127.0.0.1:{server.server_port}/"
    free = tmp_path / "free.html"
    free.write_text("<!doctype html><body></body>")
    with _browser(tmp_path) as browser:
        browser.open(study[0] / PAGE)
        assert browser.run(try_all, url) == ["refused", False] and asked == []
        browser.open(free)  # a page without the policy reaches the server, so the silence above means something
        assert browser.run(try_all, url) == ["fetched", True]
    server.shutdown()
    server.server_close()
    assert {"/fetch", "/picture", "/script"} <= set(asked)


def test_real_or_synthetic_by_keyboard(tmp_path):
    find_chromium()
    real = write_phantoms(tmp_path / "real", 6, 4, 32, 1)
    made = write_synthetic_set(tmp_path / "made", real, {}, 4)
    key = write_realism_study(real, made, 4, tmp_path / "study", "title", seed=2)
    right = [1 if film.truth == REAL else 2 for film in key.films]
    with _browser(tmp_path) as browser:
        _begin(browser, tmp_path / "study" / PAGE)
        for place, choice in enumerate([*right[:3], 3 - right[3]]):
            browser.press("0")  # there is no such choice here
            assert browser.text("#progress") == f"{place} of 4 answered"
            browser.press(str(choice))
            browser.press("right")
        browser.click("#save-end")
        path = _saved(tmp_path)
        _check_quiet(browser)
    found = realism_answers(*read_study(tmp_path / "study" / KEY, [path]))
    assert found.scores.correct.tolist() == [3, 3]  # the reader's, and all answers
