"""What an experiment ends with: tables, figures, realism, the copy question, and one page that shows them."""

import json
import pathlib
from collections.abc import Callable, Collection

from datasets.common import atomic_files
from evaluation.figures.catalogue import experiment_figures
from evaluation.figures.style import save_figure
from evaluation.report.html_page import Page
from evaluation.report.needs import COPIES, DIFFERENCES, GAN_TEST, REALISM, lacking
from evaluation.report.synthetic_sections import COUNT, add_copies, add_gan_test, add_realism
from evaluation.results import columns
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.per_film import film_scores, spread_of
from evaluation.results.table_formats import markdown
from evaluation.results.tables import mean_scores, printed
from evaluation.results.write_tables import MEASURES, Results, comparisons_caption, write_results
from evaluation.synthetic.gan_test import teachers

_HARDEST = 10


def write_report(folder: pathlib.Path, root: pathlib.Path, command: str, seed: int = 0) -> str:
    """Writes tables, figures, realism/, gan_test.csv, copies-K/ and report.html to `folder`.

    Tables and page are always written; another part that cannot be made leaves a line on the page instead.

    Args:
      root: folder of the experiment.
      command: what makes it again, for the page.
      seed: of the draws of pairs that are measured.

    Returns the main table as Markdown, and a line for each part that is not there.
    """
    for left in folder.rglob(".*.partial*"):  # of a process killed while it wrote
        left.unlink()
    results = Results([root])
    experiment = results.experiments[0]
    write_results(results, folder, organs=True)
    page = Page(f"{experiment.films().description.name}, {experiment.choice}")
    page.lead(summary(results))
    parts = _Parts(page)
    page.text(results.caption())
    page.table_html((folder / f"{results.name}.html").read_text(encoding="utf-8"))
    _add_comparisons(page, results, folder)
    _add_differences(parts, results, folder)
    page.section("All measures")
    page.text(MEASURES)
    page.table_html((folder / f"{results.name}-organs.html").read_text(encoding="utf-8"))
    _add_data(page, experiment)
    _add_figures(parts, experiment, atomic_files.make_folder(folder / "figures"))
    _add_films(page, results)
    if experiment.methods():
        needs = _lacking(experiment)
        parts.add(REALISM, lambda: add_realism(page, experiment, folder, seed), needs.get(REALISM))
        parts.add(GAN_TEST, lambda: add_gan_test(page, experiment, folder, seed),
                  None if teachers(experiment) else "a segmenter that learnt from films alone (column REAL)")
        parts.add(COPIES, lambda: add_copies(page, experiment, folder, seed), needs.get(COPIES))
    _add_tasks(page, root, command, experiment.superseded_tasks)
    page.write(folder / "report.html")
    return "\n".join([markdown(results.main_table()), *parts.left_out])


def summary(results: Results) -> str:
    """The result in a sentence: the best column, and how far it is from REAL, or REAL from the next."""
    means = mean_scores(results.pooled).dropna()
    train, test = len(results.experiments[0].subset()["train"]), results.tested
    films = f"{test} test film{'s' * (test != 1)}, {train} training film{'s' * (train != 1)}"
    if means.empty:
        return f"No test film shows an organ that is scored ({films})."
    best = means.idxmax()  # the first of equals
    sentence = f"{columns.title(best)} segments best: mean J {printed(means[best])} % ({films})"
    others = means.drop(best)
    if others.empty:
        return f"Mean J of {columns.title(best)} is {printed(means[best])} % ({films})."
    other = "real" if "real" in others else others.idxmax()
    said = f"{sentence}, {printed(means[best] - means[other])} points above {columns.title(other)}"
    if results.without():
        return f"{said}."
    found, = results.differences(other, [best])
    return f"{said} (95 % interval over films {found.low:+.2f} to {found.high:+.2f})."


class _Parts:
    """Adds parts to a page, each by itself: what one lacks, or fails of, is a line there and in `left_out`."""

    def __init__(self, page: Page):
        self.page, self.left_out = page, []

    def add(self, part: str, make: Callable[[], None], lacks: str | None = None) -> None:
        """Adds `part` by calling `make`, unless `lacks` says what is missing for it."""
        if lacks:
            self._say(f"{part}: left out, needs {lacks}")
            return
        try:
            make()
        # Whatever it is: hours of training stand behind the tables, which must not be lost with it.
        except Exception as error:
            self._say(f"{part}: could not be made ({type(error).__name__}: {' '.join(str(error).split())[:300]})")

    def _say(self, line: str) -> None:
        self.left_out.append(line)
        self.page.note(line[0].upper() + line[1:] + ".")


def _lacking(experiment: ExperimentFolder) -> dict[str, str]:
    store = experiment.films()
    samples = min(len(experiment.synthetic(method).ids()) for method in experiment.methods())
    return lacking(len(experiment.subset()["train"]), len(store.ids("test")), min(store.description.size),
                   min(samples, COUNT))


def _add_comparisons(page: Page, results: Results, folder: pathlib.Path) -> None:
    if results.comparisons():
        page.text(comparisons_caption(results))
        page.table_html((folder / "comparisons.html").read_text(encoding="utf-8"))


def _add_differences(parts: _Parts, results: Results, folder: pathlib.Path) -> None:
    for reason in results.without().values():
        parts.add(DIFFERENCES, lambda: None, reason.removeprefix("needs "))
    path = folder / "differences.html"
    if path.is_file() and not results.without():  # there only beside a column "real"
        parts.page.text("Differences from REAL in points of pooled mean J, with a bootstrap interval over the "
                        "test films, and Wilcoxon's signed-rank test of the films' mean J.")
        parts.page.table_html(path.read_text(encoding="utf-8"))


def _add_data(page: Page, experiment: ExperimentFolder) -> None:
    store, subset = experiment.films(), experiment.subset()
    description = store.description
    spacing = "unknown" if description.spacing_mm is None else f"{description.spacing_mm:.3g} mm"
    page.section("Data")
    page.facts({"data set": description.name,
                "configuration": f"{experiment.configuration}, seed {subset['seed']}",
                **_made_with(experiment),
                "training films": f"{len(subset['train'])}, augmented x6", "test films": len(store.ids("test")),
                "size": f"{description.size[1]} x {description.size[0]} pixels of {spacing}"
                        + ("" if description.channel == "grey" else f", {description.channel}"),
                "classes": ", ".join(description.classes.names)})
    rules = experiment.rules()
    if rules:
        page.note("Label maps of the training films: " + "; ".join(rules.lines()) + ".")
    if subset.get("enlarged_from"):
        page.note(f"The pictures were {subset['enlarged_from']} pixels large and are enlarged: there is no more "
                  "detail in them.")
    if experiment.configuration == "TINY":  # they were drawn
        page.note("Training films: " + ", ".join(subset["train"]))


def _made_with(experiment: ExperimentFolder) -> dict[str, str]:
    made = experiment.made_with
    if made is None:
        return {}
    changes = f" ({json.dumps(made.changes)})" if made.changes else ""
    return {"preset": made.preset, "recipe": f"{made.recipe}{changes}"}


def _add_figures(parts: _Parts, experiment: ExperimentFolder, folder: pathlib.Path) -> None:
    parts.page.section("Figures")
    for figure in experiment_figures(experiment):
        def add(figure=figure) -> None:
            save_figure(figure.draw(), folder, figure.name)
            parts.page.figure((folder / f"{figure.name}.png").read_bytes(), figure.caption)

        if not figure.name.startswith("errors-"):  # the page shows all columns side by side
            parts.add(f"figure {figure.name}", add)
    parts.page.note("Click on a figure to see it large. As PDF in figures/. Single columns: python -m "
                    "evaluation.make_figures --results=RUN --out=FOLDER")


def _add_films(page: Page, results: Results) -> None:
    page.section("Films")
    page.text("Mean J of the scored organs over single films, in percent; the tables pool pixels instead.")
    rows = []
    for column in results.columns:
        spread = spread_of(film_scores(results.per_film(column), results.scored)["average"].dropna())
        shown = (printed(spread[name]) for name in ("mean", "std", "q1", "median", "q3"))
        rows.append([columns.title(column), *shown])
    page.table(("column", "mean", "std", "first quartile", "median", "third quartile"), rows)
    hardest = results.hardest(_HARDEST)
    page.text(f"The {len(hardest)} hardest films, by mean J over all columns:" if len(hardest) > 1 else
              "The film, by mean J:")
    heads = [columns.title(name) if name in results.columns else name for name in hardest.columns]
    page.table(("film", *heads),
               [[film, *(printed(value, 1) for value in row)] for film, row in hardest.iterrows()])


def _add_tasks(page: Page, root: pathlib.Path, command: str, superseded: Collection[str]) -> None:
    records = [(path.stem, atomic_files.read_json(path)) for path in (root / "tasks").glob("*.json")
               if path.stem not in superseded]
    # In the order they were done.
    records.sort(key=lambda record: (root / "tasks" / f"{record[0]}.json").stat().st_mtime_ns)
    page.section("Tasks and settings")
    page.text("To make it again:")
    page.code(command)
    # Cut short by a kill: not done.
    page.folded("Seconds of every task", {name: f"{record['seconds']:.0f}" for name, record in records
                                          if record["done"]})
    page.folded("Settings of every task", {
        name: ", ".join(f"{key} {value}" for key, value in record["settings"].items())[:2000]
        for name, record in records if record["settings"]})
