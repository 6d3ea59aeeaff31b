"""The model card of a trained segmenter, README.md beside its export, under a head as the Hub's model cards have.

Headings are those of Mitchell et al. 2019, Model Cards for Model Reporting, section 4. Figures come from the
experiment that the run is a column of; what is not known there is said to be not known.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from datasets.common.errors import UserError
from evaluation.cards.parts import FILL_IN, citation, head, literal, table
from evaluation.results import columns
from evaluation.results.experiment_folder import ExperimentFolder, results_name
from evaluation.results.per_film import film_scores, hardest, read_per_film
from evaluation.results.safe_text import markdown
from evaluation.results.tables import printed, read_pooled, scores

_NETWORKS = {"SMANet": "SMANet (Bonechi et al. 2020) as this software builds it: ResNet encoder, attention",
             "UNet": "U-Net (Ronneberger et al. 2015) as this software builds it: batch normalisation"}
_WORST = 10  # films that are named
_UNKNOWN = "Not known: the run does not lie in an experiment's folder, or was not evaluated there."
_OWN = "Not known: the run lies in an experiment's folder, but is none of its columns."


def model_card(run: str, facts: Mapping[str, Any], version: Mapping[str, str]) -> str:
    """The whole card.

    Args:
      run: run folder of the segmenter, or its .keras file.
      facts: class_names, size, window, overlap and channel (grey where it is missing), as
        `evaluation.segmenter.film_segmenter.SegmenterFacts.to_json` gives them, and architecture (SMANet where it
        is missing).
      version: of the code, see `tools.version`.
    """
    experiment, column = _home(run)
    name = f"{_data_name(experiment)}, {columns.title(column)}" if experiment else pathlib.Path(run).name
    top = head({"license": FILL_IN, "pipeline_tag": "image-segmentation",
                "tags": ["tensorflow", "saved-model", "image-segmentation", "medical"]})
    parts = [top, f"# Segmenter: {markdown(name)}",
             "**Not a medical device.** Not cleared for diagnosis or treatment anywhere, and not tested for them. "
             "The licence in this file's head is a placeholder to be filled in.",
             "## Model details", _details(facts, version), citation(version), "## Intended use", _USE,
             "## Factors", _FACTORS, "## Metrics", _METRICS,
             "## Evaluation data", _evaluation_data(experiment, column),
             "## Training data", _training_data(experiment, column),
             "## Quantitative analyses", _figures(experiment, column),
             "### Films on which it fails most", _worst(experiment, column),
             "## Ethical considerations", _ETHICS, "## Caveats and recommendations", _CAVEATS]
    return "\n\n".join(parts) + "\n"


def _home(run: str) -> tuple[ExperimentFolder | None, str]:
    """The experiment a run folder is a column of, or None, and the column's name."""
    folder = pathlib.Path(run).resolve()
    found = folder.is_dir() and (folder.parent / "tasks").is_dir() and (folder.parent / "data").is_dir()
    return (ExperimentFolder(folder.parent) if found else None), folder.name


def _data_name(experiment: ExperimentFolder) -> str:
    try:
        return experiment.title()
    except UserError:
        return experiment.path.name


def _details(facts: Mapping[str, Any], version: Mapping[str, str]) -> str:
    codes = ", ".join(f"{code} {markdown(name)}" for code, name in enumerate(facts["class_names"]))
    seen = f"{facts.get('channel', 'grey')} films at {facts['size']} pixels, windows of up to {facts['window']}"
    kept = ", ".join(markdown(organ[0]) for organ in facts.get("largest", []))
    after = [("after the network", f"the largest piece alone is kept of {kept}; `tools.predict` does it, the "
                                   "signatures do not")] if kept else []
    return table(("", ""), [
        ("network", _NETWORKS[facts.get("architecture", "SMANet")]),
        ("classes by code", codes),
        ("sees", seen), *after,
        ("form", "TensorFlow SavedModel; `assets/model.json` lists the signatures"),
        ("exported by", ", ".join(f"{name} {number}" for name, number in version.items()))])


def _evaluation_data(experiment: ExperimentFolder | None, column: str) -> str:
    sets = _sets(experiment, column)
    if not sets:
        return _UNKNOWN
    lines = [f"- {markdown(name or _data_name(experiment))}: {_films(found['films'])}, "
             + ("from elsewhere" if name else "the experiment's test films") for name, found in sets.items()]
    unseen = "Not known is whether its training saw these films." if columns.is_own(column) else (
        "No network saw these films, and nothing was chosen by them.")
    return "\n".join([*lines, "", unseen])


def _films(count: int) -> str:
    return f"{count} film" + "s" * (count != 1)


def _training_data(experiment: ExperimentFolder | None, column: str) -> str:
    if experiment is None or not experiment.configuration:
        return _UNKNOWN
    if columns.is_own(column):
        return _OWN
    subset, known = experiment.subset(), columns.find(column)
    recipe = f", {markdown(experiment.recipe)}" if experiment.recipe else ""
    films = (f"{_films(len(subset['train']))} of {markdown(_data_name(experiment))} ({experiment.configuration}, "
             f"seed {subset.get('seed')}{recipe}), drawn from its training films.")
    if known.kind == "pseudo":
        return (f"{films} As many crops are of other films without label maps, labelled by a segmenter that was "
                "trained on these alone.")
    if known.method is None:
        return films
    pairs = f"synthetic pairs ({known.method.source}), made by networks that saw these films"
    how = {"synth": f"Trained on {pairs}, and on no real film itself.",
           "finetune": f"Trained on {pairs}, then on the films themselves."}
    return f"{films} {how.get(known.kind, f'Trained on these films and on {pairs}.')}"


def _sets(experiment: ExperimentFolder | None, column: str) -> dict[str, dict]:
    """"" for the test films and names of external sets -> pooled counts there of the segmenter as it is now; empty
    where it was not scored on the test films."""
    if experiment is None:
        return {}
    folders = {name: ExperimentFolder(experiment.path, name) for name in ("", *experiment.externals())}
    found = {name: folder.pooled(column) for name, folder in folders.items() if column in folder.scored_columns()}
    return found if "" in found else {}


def _figures(experiment: ExperimentFolder | None, column: str) -> str:
    sets = _sets(experiment, column)
    if not sets:
        return _UNKNOWN
    cells = {name: scores(found) for name, found in sets.items()}
    rows = [(f"{metric} {markdown(organ)}", *(printed(values.get((metric, organ), np.nan))
                                              for values in cells.values()))
            for metric, organ in next(iter(cells.values())).index]
    rows.append(("films", *(str(found["films"]) for found in sets.values())))
    return table(("percent", *(markdown(name or _data_name(experiment)) for name in sets)), rows)


def _worst(experiment: ExperimentFolder | None, column: str) -> str:
    path = experiment.path / results_name(column) / "per_film.csv" if experiment else None
    if path is None or not path.is_file() or column not in experiment.scored_columns():
        return _UNKNOWN
    films = read_per_film(path)
    scored = read_pooled(path.with_name("pooled.json"))["scored"]
    worst: pd.DataFrame = hardest(film_scores(films, scored), _WORST)
    rows = [(literal(str(film)), *(printed(value) for value in row)) for film, row in worst.iterrows()]
    return ("Test films of lowest mean J, in percent; look at these before anything is built on it.\n\n"
            + table(("film", *(markdown(name) for name in worst.columns)), rows))


_USE = """\
- Research on segmentation and on synthetic training data; starting weights for other films of the same kind.
- By researchers who look at the label maps that it makes.
- Out of scope: diagnosis, triage, measurement for treatment, and films of other body parts, views or devices than
  those it was trained on, unless it was tested on them."""
_FACTORS = """\
Results depend on hospital, device, view, exposure, age, sex, body build, disease and implants. The figures below
are not split by these: the data do not say them all. Films from elsewhere, where scored, are shown apart."""
_METRICS = """\
J (Jaccard index) and DSC (Dice coefficient) of each organ, pixels pooled over all films as in Ciano et al. 2021;
averages are plain means over the organs. The film-by-film scores behind the list of failures are means of J."""
_ETHICS = """\
Training films may be of patients. Weights of a segmenter hold no films, but may remember traits of them. Whoever
shares it answers for the consent and the licence of its data."""
_CAVEATS = """\
- Trained on few films: expect failures on what these do not show, and test it on films of your own before use.
- Its probabilities are not calibrated. It marks organs also where there are none."""
