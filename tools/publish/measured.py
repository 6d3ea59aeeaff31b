"""The figures of a published set: what is measured here, and what the run's folder knows."""

import pathlib

from datasets.pair_store import PairStore
from evaluation.privacy.figures import share
from evaluation.report.needs import REALISM, lacking
from evaluation.results import columns
from evaluation.results.columns import Method
from evaluation.results.experiment_folder import ExperimentFolder, results_name
from evaluation.results.tables import AVERAGE, scores
from evaluation.synthetic.fit_to_share import THRESHOLDS, Figure
from evaluation.synthetic.realism_report import FLOOR, report_realism
from tools.publish.chosen_pairs import ChosenPairs

COUNT = 1000  # pairs whose realism is measured at most
_ANATOMY = {"complete": "share of the label maps with every class that all real ones have",
            "outside": "share of the label maps with a measure outside the range of the real ones",
            "spread": "spread of the label maps' measures as a share of the real ones'"}
_KINDS = {"synth": "mean J of a segmenter trained on the set as made alone, on real test films, in percent",
          "finetune": "mean J of that segmenter fine-tuned on the real training films, in percent",
          "real": "mean J of a segmenter trained on the real training films alone, in percent"}


def privacy_figures(chosen: ChosenPairs) -> dict[str, Figure]:
    """Of the check for copies: shares of pairs, with Wilson's intervals."""
    kept, expected = chosen.kept_rows(), chosen.facts["expected_share"]
    boxes = "share of the published films with a burnt-in rectangle, such as covers a name"
    found = {"copies_made": (chosen.rows["copy"], THRESHOLDS["copies_made"].title, 1.0),
             "near_published": (kept["film_close"], THRESHOLDS["near_published"].title, expected),
             "boxes_published": (kept["boxes"] > 0, boxes, 1.0)}
    figures = {}
    for name, (flags, title, unit) in found.items():
        value, low, high = (number / unit for number in share(int(flags.sum()), len(flags)))
        figures[name] = Figure(value, "privacy", title, low, high)
    return figures


def fidelity_figures(chosen: ChosenPairs, published: PairStore, scratch: pathlib.Path) -> dict[str, Figure]:
    """Realism of the published pairs against the training films; empty where these are too few or too small."""
    side, training = min(published.description.size), chosen.real.films("train")
    if REALISM in lacking(len(training), 1, side, len(published.entries)):
        return {}
    report = report_realism(chosen.real, {"published": published}, scratch, count=COUNT)
    swd, table = THRESHOLDS["films_swd"].title, report.realism
    found = {"films_swd": Figure(table.loc["published", ("films", "SWD mean")], "fidelity", swd),
             "films_swd_real": Figure(table.loc[FLOOR, ("films", "SWD mean")], "fidelity",
                                      "the same of one half of the training films to the other, which are fewer"),
             "labels_swd": Figure(table.loc["published", ("labels", "SWD mean")], "fidelity",
                                  "sliced Wasserstein distance x 1e3 of the label maps to those of the training "
                                  "films")}
    likeness = "likeness of the films to one another (MS-SSIM), lower is more varied"
    for name, of, title in (("films_ms_ssim", "published", likeness),
                            ("films_ms_ssim_real", FLOOR, "the same of the training films")):
        value = table.loc[of, ("films", "MS-SSIM")]
        if value is not None:
            found[name] = Figure(float(value), "fidelity", title)
    for name, title in _ANATOMY.items():
        if name in report.methods:
            found[f"labels_{name}"] = Figure(float(report.methods.loc["published", name]), "fidelity", title)
    return {name: Figure(float(figure.value), figure.panel, figure.title) for name, figure in found.items()
            if figure.value == figure.value}


def utility_figures(run: ExperimentFolder, method: Method) -> dict[str, Figure]:
    """Mean J of the run's columns that know the set, and of REAL; those that were evaluated."""
    found = {}
    prefix = results_name("")
    names = {path.parent.name.removeprefix(prefix) for path in run.path.glob(f"{prefix}*/pooled.json")}
    for kind, title in _KINDS.items():
        name = kind if kind == "real" else f"{kind}-{method.suffix}"
        if name in names:
            pooled = run.pooled(name)
            value = float(scores(pooled)["J", AVERAGE])
            if value == value:  # no test film shows an organ otherwise
                found[f"{kind}_j"] = Figure(value, "utility", f"{title} ({columns.title(name)}, {pooled['films']} "
                                            "films)")
    return found
