"""The report's sections on synthetic sets: how real and varied they are, and whether they copy."""

import pathlib

from datasets.common import atomic_files
from datasets.pair_store import PairStore
from evaluation.report.html_page import Page
from evaluation.results.experiment_folder import ExperimentFolder
from evaluation.synthetic.copies import KINDS
from evaluation.synthetic.copies_report import report_memorization
from evaluation.synthetic.gan_test import gan_test
from evaluation.synthetic.realism_report import report_realism

COUNT = 1000  # synthetic pairs measured per method


def add_realism(page: Page, experiment: ExperimentFolder, folder: pathlib.Path, seed: int) -> None:
    """Measures of every method's pairs against the un-augmented training films; files go to realism/."""
    stores = {method.title: experiment.synthetic(method) for method in experiment.methods()}
    realism = report_realism(_real(experiment), stores, folder / "realism", count=COUNT, seed=seed)
    page.section("Realism and diversity")
    page.text(f"Against {realism.real_count} real training pairs: sliced Wasserstein distances x 1e3 per pyramid "
              "level, and MS-SSIM within each set (lower is more varied). The row of halves: real pairs against "
              "real ones, with half as many images, which alone makes it higher.")
    page.table_html(_frame(realism.realism))
    page.text("Anatomy of the label maps: share of maps with all that every real one has, share outside the real "
              "range, deviations from the real mean in real standard deviations, spread against the real one, "
              "Kolmogorov-Smirnov distance, cardiothoracic ratio, share of candidates rejected, and of pairs that "
              "were taken because too few passed: repeats of a label map, unchecked ones, and those by which "
              "classes come more or less often than in real maps.")
    page.table_html(_frame(realism.methods))


def add_gan_test(page: Page, experiment: ExperimentFolder, folder: pathlib.Path, seed: int) -> None:
    """Segmenters of pairs on films, and of films on pairs; to gan_test.csv too."""
    table = gan_test(experiment, seed)
    atomic_files.write_text(folder / "gan_test.csv", table.round(4).to_csv(index_label="name"))
    page.section("Are pairs as hard as films?")
    page.text("Pooled mean J in percent (Shmelkov, Schmid and Alahari 2018). GAN-train: a segmenter that learnt "
              "from pairs alone, on the test films. GAN-test: one that learnt from films alone, on pairs kept for "
              "validation. Lower there than on the test films, pairs are unlike films, or their label maps do "
              "not fit; higher, they are easier than films, and teach little that films do not.")
    page.table_html(table.to_html(float_format="{:.2f}".format, border=0, na_rep="–"))


def add_copies(page: Page, experiment: ExperimentFolder, folder: pathlib.Path, seed: int) -> None:
    """Nearest training pairs of every method's samples; files go to copies-K/."""
    rows, sheets, judged = [], [], ""
    for method in experiment.methods():
        copies = folder / f"copies-{method.suffix}"
        found = report_memorization(_real(experiment), experiment.synthetic(method), copies, count=COUNT,
                                    seed=seed, held_out=experiment.held_out()).summary
        judged = found["calibration"]  # alike for all methods
        rows.append([method.title, f"{found['synthetic']:,}",
                     *(f"{found[kind]['share_below']:.1%}" for kind in KINDS), f"{found['expected_share']:.1%}",
                     f"{found['film_copies']:.1%}", f"{found['label_copies']:.1%}",
                     f"{found['burnt_in']['share_with_box']:.1%}"])
        sheets.append((copies / "closest_film.png", f"{method.title}: the samples nearest to training films."))
    page.section("Copies")
    page.text("Nearest un-augmented training pair of every sample, after small shifts, rotations and mirroring; "
              f"judged by the distances that new real films keep from training films: {judged}. No test film is "
              "used.")
    page.table(("method", "samples", *(f"near: {kind}" for kind in KINDS), "expected", "film copies",
                "map copies", "boxes"), rows)
    page.note("Near: share of samples nearer to a training pair than the 1st percentile of real distances, by "
              "each of the distances; expected: that share if nothing is copied. Boxes: share of films with a "
              "burnt-in rectangle.")
    for path, caption in sheets:
        page.figure(path.read_bytes(), caption)


def _real(experiment: ExperimentFolder) -> PairStore:
    return PairStore(experiment.path / "data" / "gan-films")  # un-augmented


def _frame(table) -> str:
    """A frame of numbers as HTML, its sets side by side."""
    return table.T.to_html(float_format="{:.4g}".format, border=0, na_rep="–")
