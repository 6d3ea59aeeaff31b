"""How much the synthetic sets of experiments copy, beside how useful they are."""

from collections.abc import Sequence

import pandas as pd

from datasets.common.errors import UserError
from evaluation.results.columns import Method
from evaluation.results.experiment_folder import ExperimentFolder, run_names
from evaluation.results.tables import AVERAGE, scores
from evaluation.synthetic.copies import KINDS
from evaluation.synthetic.fit_to_share import FIGURES, read_figures
from evaluation.synthetic.marked_copies import read_marks

_COLUMNS = ("real", "synth", "finetune", "mix")  # of the tables, by their kind
_FIGURES = ("membership_auc_distance", "membership_auc_segmenter")


def copying_rows(experiments: Sequence[ExperimentFolder]) -> pd.DataFrame:
    """A row for each set of each experiment, as far as its folder tells; NaN where it does not.

    Columns: run, method, pairs; film_copies, label_copies, copies (shares of the pairs that the set's copies.csv
    flags); near_KIND (shares nearer to a training pair than the nearest 1 % of new real ones) and expected (that
    share without copying); distinct (the training films that copies are flagged of); membership_auc_distance,
    membership_auc_segmenter (evaluation.evaluate_membership); real, synth, finetune, mix (pooled mean J in
    percent of these columns, on the test films).

    Raises UserError where no experiment has a set whose pairs are marked.
    """
    named = zip(run_names(experiments), experiments, strict=True)
    rows = [_row(experiment, name, method) for name, experiment in named for method in experiment.methods()]
    rows = [row for row in rows if row]
    if not rows:
        paths = ", ".join(str(experiment.path) for experiment in experiments)
        raise UserError(f"{paths}: found no synthetic set with marked pairs (copies.csv); mark them with "
                        "evaluation.evaluate_memorization --mark")
    return pd.DataFrame(rows)


def _row(experiment: ExperimentFolder, name: str, method: Method) -> dict[str, object]:
    synthetic = experiment.synthetic(method)
    marks = read_marks(synthetic)
    if marks is None:
        return {}
    samples, facts = marks
    row = {"run": name, "method": method.name, "pairs": len(samples)}
    row |= {f"{name}_copies": samples[f"{name}_copy"].mean() for name in ("film", "label")}
    flagged = samples[samples["copy"]]
    row |= {"copies": len(flagged) / len(samples)}
    row |= {f"near_{kind}": samples[f"{kind}_close"].mean() for kind in KINDS}
    row |= {"expected": facts["expected_share"], "distinct": flagged["copy_of"].nunique()}
    figures = read_figures(synthetic.path.parent / FIGURES, facts["set"])
    row |= {name: figures[name].value if name in figures else float("nan") for name in _FIGURES}
    return row | {kind: _mean_j(experiment, kind if kind == "real" else f"{kind}-{method.suffix}")
                  for kind in _COLUMNS}


def _mean_j(experiment: ExperimentFolder, column: str) -> float:
    if not (experiment.results(column) / "pooled.json").is_file():
        return float("nan")
    return float(scores(experiment.pooled(column))["J", AVERAGE])
