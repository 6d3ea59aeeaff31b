"""What an experiment ends with: tables, figures, realism, the copy question, and one page that shows them."""

import pathlib

from datasets.common import atomic_files
from datasets.pair_store import PairStore
from evaluation.figures.catalogue import experiment_figures
from evaluation.figures.style import save_figure
from evaluation.report.html_page import Page
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.results.per_film import summarize
from evaluation.results.table_formats import markdown
from evaluation.results.tables import comparison
from evaluation.results.write_tables import Results, write_results
from evaluation.synthetic.copies import KINDS
from evaluation.synthetic.copies_report import report_memorization
from evaluation.synthetic.realism_report import report_realism

_COUNT = 1000  # synthetic pairs measured per method
_HARDEST = 10


def write_report(folder: pathlib.Path, root: pathlib.Path, command: str, seed: int = 0) -> str:
    """Writes tables, figures, realism/, copies-K/ and report.html to `folder`.

    Args:
      root: folder of the experiment.
      command: what makes it again, for the page.
      seed: of the draws of pairs that are measured.

    Returns the main table as Markdown.
    """
    for left in folder.rglob(".*.partial*"):  # of a process killed while it wrote
        left.unlink()
    results = Results([root])
    experiment = results.experiments[0]
    write_results(results, folder, organs=True)
    page = Page(f"{experiment.films().description.name}, {experiment.choice}")
    page.text(results.caption())
    page.table_html((folder / f"{results.name}.html").read_text(encoding="utf-8"))
    _add_differences(page, results, folder)
    _add_data(page, experiment)
    _add_figures(page, experiment, atomic_files.make_folder(folder / "figures"))
    _add_films(page, results)
    _add_synthetic(page, experiment, folder, seed)
    _add_tasks(page, root, command)
    page.write(folder / "report.html")
    return markdown(comparison(results.pooled))


def _add_differences(page: Page, results: Results, folder: pathlib.Path) -> None:
    path = folder / "differences.html"
    if path.is_file():  # there only beside a column "real"
        page.text("Differences from REAL in points of pooled mean J, with a bootstrap interval over the test "
                  "films, and Wilcoxon's signed-rank test of the films' mean J.")
        page.table_html(path.read_text(encoding="utf-8"))


def _add_data(page: Page, experiment: ExperimentFolder) -> None:
    store, subset = experiment.films(), experiment.subset()
    description = store.description
    spacing = "unknown" if description.spacing_mm is None else f"{description.spacing_mm:.3g} mm"
    page.section("Data")
    page.facts({"data set": description.name,
                "configuration": f"{experiment.configuration}, seed {subset['seed']}",
                "training films": f"{len(subset['train'])}, augmented x6", "test films": len(store.ids("test")),
                "size": f"{description.size[1]} x {description.size[0]} pixels of {spacing}"
                        + ("" if description.channel == "grey" else f", {description.channel}"),
                "classes": ", ".join(description.classes.names)})
    if experiment.configuration == "TINY":  # they were drawn
        page.note("Training films: " + ", ".join(subset["train"]))


def _add_figures(page: Page, experiment: ExperimentFolder, folder: pathlib.Path) -> None:
    page.section("Figures")
    for figure in experiment_figures(experiment):
        if not figure.name.startswith("errors-"):  # the page shows all columns side by side
            save_figure(figure.draw(), folder, figure.name)
            page.figure((folder / f"{figure.name}.png").read_bytes(), figure.caption)
    page.note("As PDF in figures/. Single columns: python -m evaluation.make_figures --results=RUN --out=FOLDER")


def _add_films(page: Page, results: Results) -> None:
    page.section("Films")
    page.text("Mean J of the scored organs over single films, in percent; the tables pool pixels instead.")
    rows = []
    for column in results.columns:
        spread = summarize(results.per_film(column)).loc[("J", "Average")]
        rows.append([column.upper(), *(f"{spread[name]:.2f}" for name in ("mean", "std", "q1", "median", "q3"))])
    page.table(("column", "mean", "std", "first quartile", "median", "third quartile"), rows)
    hardest = results.hardest(_HARDEST)
    page.text(f"The {len(hardest)} hardest films, by mean J over all columns:")
    page.table(("film", *(name.upper() for name in hardest.columns)),
               [[film, *(f"{value:.1f}" for value in row)] for film, row in hardest.iterrows()])


def _add_synthetic(page: Page, experiment: ExperimentFolder, folder: pathlib.Path, seed: int) -> None:
    """Realism and copies of every method, against the un-augmented training films."""
    stores = {method.title: experiment.synthetic(method) for method in experiment.methods()}
    if not stores:
        return
    real = PairStore(experiment.path / "data" / "gan-films")  # un-augmented
    realism = report_realism(real, stores, folder / "realism", count=_COUNT, seed=seed)
    page.section("Realism and diversity")
    page.text(f"Against {realism.real_count} real training pairs: sliced Wasserstein distances x 1e3 per pyramid "
              "level, and MS-SSIM within each set (lower is more varied). The row of halves: real pairs against "
              "real ones, with half as many images, which alone makes it higher.")
    page.table_html(_frame(realism.realism))
    page.text("Anatomy of the label maps: share of complete maps, share outside the real range, deviations from "
              "the real mean in real standard deviations, spread against the real one, Kolmogorov-Smirnov "
              "distance, cardiothoracic ratio, share of candidates rejected, and of pairs taken because "
              "too few passed: repeats of a label map, and unchecked ones.")
    page.table_html(_frame(realism.methods))
    page.section("Copies")
    page.text("Nearest un-augmented training pair of every sample, after small shifts, rotations and mirroring; "
              "judged by the distances that the test films keep from the training films.")
    rows, sheets = [], []
    for method in experiment.methods():
        copies = folder / f"copies-{method.suffix}"
        found = report_memorization(real, stores[method.title], copies, count=_COUNT, seed=seed).summary
        rows.append([method.title, f"{found['synthetic']:,}",
                     *(f"{found[kind]['share_below']:.1%}" for kind in KINDS), f"{found['expected_share']:.1%}",
                     f"{found['film_copies']:.1%}", f"{found['label_copies']:.1%}",
                     f"{found['burnt_in']['share_with_box']:.1%}"])
        sheets.append((copies / "closest_film.png", f"{method.title}: the samples nearest to training films."))
    page.table(("method", "samples", *(f"near: {kind}" for kind in KINDS), "expected", "film copies",
                "map copies", "boxes"), rows)
    page.note("Near: share of samples nearer to a training pair than the 1st percentile of real distances, by "
              "film pixels, film features and label map; expected: that share if nothing is copied. Boxes: share "
              "of films with a burnt-in rectangle.")
    for path, caption in sheets:
        page.figure(path.read_bytes(), caption)


def _add_tasks(page: Page, root: pathlib.Path, command: str) -> None:
    records = [(path.stem, atomic_files.read_json(path)) for path in (root / "tasks").glob("*.json")]
    # In the order they were done.
    records.sort(key=lambda record: (root / "tasks" / f"{record[0]}.json").stat().st_mtime_ns)
    page.section("Tasks and settings")
    page.text("To make it again:")
    page.code(command)
    # Cut short by a kill: not done.
    page.table(("task", "seconds"), [(name, f"{record['seconds']:.0f}") for name, record in records
                                     if record["done"]])
    for name, record in records:
        if record["settings"]:
            settings = ", ".join(f"{key} {value}" for key, value in record["settings"].items())
            page.note(f"{name}: {settings[:2000]}")


def _frame(table) -> str:
    """A frame of numbers as HTML, its sets side by side."""
    return table.T.to_html(float_format="{:.4g}".format, border=0, na_rep="-")  # sets side by side
