"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const study = JSON.parse(document.getElementById("study").textContent);
  const films = study.films;
  const slot = "reader-study-" + study.study;
  const narrow = matchMedia("(max-width: 700px) and (orientation: portrait)");
  const byId = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const views = all("#panels figure").map((figure) => +figure.dataset.view);  // 0 film, 1 and 2 the outlines
  const choices = all("#choices button").map((button) => +button.dataset.choice);
  const firstView = Math.min(1, views.length - 1);

  let state = emptyState();
  let view = firstView;  // the picture shown where only one is
  let enlarged = false;
  let drawn = null;      // name of the film in the panels
  let seen = new Set();  // the pictures of this film that were shown

  function emptyState() {
    const answers = {};
    for (const film of films) answers[film.film] = {choice: null, comment: ""};
    return {reader: "", place: -1, answers};  // place: -1 start, 0.. films, films.length end
  }

  function isSingle() {
    return enlarged || narrow.matches;
  }

  // What the browser kept, taken over only where it has the form of an answer.
  function restore(text) {
    const restored = emptyState();
    let kept = null;
    try { kept = JSON.parse(text); } catch { return restored; }
    if (kept === null || typeof kept !== "object") return restored;
    if (typeof kept.reader === "string") restored.reader = kept.reader;
    if (Number.isInteger(kept.place) && kept.place >= -1 && kept.place <= films.length) restored.place = kept.place;
    for (const film of films) {
      const answer = kept.answers && kept.answers[film.film];
      if (!answer) continue;
      if (choices.includes(answer.choice)) restored.answers[film.film].choice = answer.choice;
      if (typeof answer.comment === "string") restored.answers[film.film].comment = answer.comment;
    }
    return restored;
  }

  function keep() {
    try {
      localStorage.setItem(slot, JSON.stringify(state));
    } catch {
      notify("This browser keeps nothing between visits: save your answers before you close the page.");
    }
  }

  function notify(text) {
    byId("notice").textContent = text;
    byId("notice").hidden = !text;
  }

  // Drawing: both outlines by the same lines.
  function draw(film) {
    if (drawn === film.film) return;
    drawn = film.film;
    all("#panels .picture").forEach((box, index) => {
      const picture = document.createElement("img");
      picture.src = film.picture;
      picture.alt = "";
      box.style.aspectRatio = film.width + " / " + film.height;
      box.replaceChildren(picture);
      if (index > 0) box.append(outline(film, film.outlines[index - 1]));
    });
  }

  function outline(film, paths) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 " + 2 * film.width + " " + 2 * film.height);
    for (const kind of ["halo", "line"]) {
      paths.forEach((path, organ) => {
        const line = document.createElementNS(SVG, "path");
        line.setAttribute("class", kind);
        line.setAttribute("d", path);
        if (kind === "line") line.setAttribute("stroke", study.organs[organ].colour);
        svg.append(line);
      });
    }
    return svg;
  }

  function show() {
    const place = state.place;
    const onFilm = place >= 0 && place < films.length;
    byId("start").hidden = place !== -1;
    byId("film").hidden = !onFilm;
    byId("end").hidden = place !== films.length;
    const done = films.filter((film) => state.answers[film.film].choice !== null).length;
    byId("progress").textContent = done + " of " + films.length + " answered";
    byId("bar").setAttribute("aria-valuemax", films.length);
    byId("bar").setAttribute("aria-valuenow", done);
    byId("bar-done").style.width = 100 * done / films.length + "%";
    byId("save").hidden = place === -1;
    if (byId("reader").value !== state.reader) byId("reader").value = state.reader;
    byId("begin").disabled = !state.reader.trim();
    if (onFilm) showFilm(films[place]);
    if (place === films.length) showEnd(done);
  }

  function showFilm(film) {
    const answer = state.answers[film.film];
    const single = isSingle();
    draw(film);
    for (const at of single ? [view] : views) seen.add(at);
    byId("film").classList.toggle("single", single);
    all("#panels figure").forEach((figure) => figure.classList.toggle("shown", +figure.dataset.view === view));
    all("#tabs button").forEach((tab) => tab.setAttribute("aria-pressed", +tab.dataset.view === view));
    all("#choices button").forEach((button) =>
      button.setAttribute("aria-pressed", answer.choice !== null && +button.dataset.choice === answer.choice));
    if (byId("comment").value !== answer.comment) byId("comment").value = answer.comment;
    byId("where").textContent = "Film " + (state.place + 1) + " of " + films.length;
    all("#dots button").forEach((dot, index) => {
      const answered = state.answers[films[index].film].choice !== null;
      dot.classList.toggle("answered", answered);
      dot.setAttribute("aria-current", index === state.place);
      dot.setAttribute("aria-label", "Film " + (index + 1) + (answered ? ", answered" : ", open"));
    });
  }

  function showEnd(done) {
    const open = films.map((film, index) => index + 1)
      .filter((number) => state.answers[films[number - 1].film].choice === null);
    byId("verdict").textContent = done === films.length ? "All films are answered. Thank you."
                                                       : done + " of " + films.length + " films are answered.";
    byId("open").textContent = open.length ? "Still open: film " + open.join(", ") + "."
      : "Save your answers and send the file to whoever gave you this page.";
    byId("text").value = answerText();
  }

  function go(place) {
    const next = Math.min(Math.max(place, -1), films.length);
    if (next >= 0 && !state.reader.trim()) return;
    if (next !== state.place) {
      view = firstView;
      seen = new Set();
    }
    state.place = next;
    notify("");
    keep();
    show();
    if (document.activeElement) document.activeElement.blur();
    scrollTo(0, 0);
  }

  function choose(choice) {
    const answer = state.answers[films[state.place].film];
    const unseen = views.find((at) => at > 0 && !seen.has(at));
    if (unseen !== undefined && answer.choice === null) {  // one picture at a time: nobody chooses unseen
      look(unseen);
      notify("This is outline " + unseen + ". Choose now that you have seen both.");
      return;
    }
    answer.choice = choice;
    notify("");
    keep();
    show();
  }

  function answerText() {
    const answers = films.map((film) => ({film: film.film, choice: state.answers[film.film].choice,
                                          comment: state.answers[film.film].comment}));
    return JSON.stringify({format: study.format, study: study.study, reader: state.reader.trim(), answers}, null, 1);
  }

  function save() {
    const name = state.reader.trim().toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "reader";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([answerText()], {type: "application/json"}));
    link.download = "answers-" + study.study + "-" + name + ".json";
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    const open = films.filter((film) => state.answers[film.film].choice === null).length;
    notify("Saved as " + link.download + (open ? ". " + open + " films are still open." : "."));
  }

  function erase() {
    if (!confirm("Erase the answers of " + state.reader.trim() + " in this browser?")) return;
    state = emptyState();
    go(-1);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = ["INPUT", "TEXTAREA"].includes(event.target.tagName);
    if (event.key === "Escape") {
      if (typing) event.target.blur(); else if (enlarged) setEnlarged(false);
      return;
    }
    if (event.target.id === "reader" && event.key === "Enter") go(0);
    if (typing) return;
    const onFilm = state.place >= 0 && state.place < films.length;
    if (event.key === "ArrowLeft") go(state.place - 1);
    else if (event.key === "ArrowRight") go(state.place + 1);
    else if (!onFilm) return;
    else if (choices.map(String).includes(event.key)) choose(+event.key);
    else if (event.key === "ArrowUp" && enlarged) look((view + views.length - 1) % views.length);
    else if (event.key === "ArrowDown" && enlarged) look((view + 1) % views.length);
    else return;
    event.preventDefault();
  }

  function look(at) {
    view = at;
    show();
  }

  function setEnlarged(on, at) {
    enlarged = on;
    look(at === undefined ? view : at);
  }

  function onPicture(at) {
    if (narrow.matches) look((at + 1) % views.length);
    else setEnlarged(!enlarged, at);
  }

  function build() {
    for (const organ of study.organs) {
      const line = document.createElement("span");
      const mark = document.createElement("i");
      mark.style.background = organ.colour;
      line.append(mark, organ.name);
      byId("legend").append(line);
    }
    films.forEach((film, index) => {
      const dot = document.createElement("button");
      dot.type = "button";
      dot.textContent = index + 1;
      dot.addEventListener("click", () => go(index));
      byId("dots").append(dot);
    });
    all("#choices button").forEach((button) => button.addEventListener("click", () => choose(+button.dataset.choice)));
    all("#tabs button").forEach((tab) => tab.addEventListener("click", () => look(+tab.dataset.view)));
    all("#panels figure").forEach((figure) => figure.querySelector(".picture")
      .addEventListener("click", () => onPicture(+figure.dataset.view)));
    byId("reader").addEventListener("input", (event) => { state.reader = event.target.value; keep(); show(); });
    byId("comment").addEventListener("input", (event) => {
      state.answers[films[state.place].film].comment = event.target.value;
      keep();
    });
    byId("begin").addEventListener("click", () => go(0));
    byId("before").addEventListener("click", () => go(state.place - 1));
    byId("next").addEventListener("click", () => go(state.place + 1));
    byId("back").addEventListener("click", () => go(films.length - 1));
    byId("save").addEventListener("click", save);
    byId("save-end").addEventListener("click", save);
    byId("erase").addEventListener("click", erase);
    byId("text").addEventListener("focus", (event) => event.target.select());
    document.addEventListener("keydown", onKey);
    narrow.addEventListener("change", show);
    addEventListener("storage", (event) => {
      if (event.key === slot && event.newValue) { state = restore(event.newValue); show(); }
    });
  }

  build();
  try { state = restore(localStorage.getItem(slot)); } catch { state = emptyState(); }
  keep();
  show();
})();
