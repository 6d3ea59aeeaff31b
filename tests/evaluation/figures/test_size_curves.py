"""Curves over the number of train films, and what a score is worth in films."""

import json

import numpy as np
import pandas as pd
import pytest

from datasets.common.errors import UserError
from evaluation.figures.size_curves import results_by_films, worth, write_curves
from tests.helpers.result_folders import write_experiment


def test_a_score_is_worth_the_films_at_which_the_curve_reaches_it():
    """80, 84 and 90 at 5, 10 and 40 films: 82 lies half way between 5 and 10, by the logarithm at their root."""
    curve = np.array([[80.0], [84.0], [90.0]])

    def of(*scores):
        return worth(np.array(scores), [5, 10, 40], np.repeat(curve, len(scores), 1)).tolist()

    assert of(80, 84, 90) == pytest.approx([5, 10, 40])
    assert of(82, 87) == pytest.approx([np.sqrt(50), 20])
    assert of(79.9, 90.1) == [-np.inf, np.inf]
    falling = worth(np.array([84.0, 85.0]), [5, 10, 40], np.repeat([[84.0], [80.0], [86.0]], 2, 1))
    assert falling == pytest.approx([5, 10 * 4 ** 0.5])  # the first number; a fall counts as a level


def _runs(root, shifts, **numbers):
    """Runs of so many train films; by column and number the pixels by which label maps are wrong."""
    made = []
    for place, (name, films) in enumerate(numbers.items()):
        folder = write_experiment(root / name, {column: found[films] for column, found in shifts.items()}, films=4)
        (folder / "data" / "subset.json").write_text(json.dumps(
            {"config": "tiny", "seed": place, "train": ["film"] * films}))
        made.append(str(folder))
    return made


def test_curves_of_runs_say_what_synthesis_is_worth(tmp_path):
    """REAL moves maps by 9, 5 and 1 pixels with 5, 10 and 20 films; FINETUNE 3 by 5 with 5 films: it is worth 10.
    With 20 it is better than REAL ever was, and SYNTH 3 is worse."""
    runs = _runs(tmp_path, {"real": {5: 9, 10: 5, 20: 1}, "finetune-3": {5: 5, 10: 4, 20: 0},
                            "synth-3": {5: 12, 10: 11, 20: 10}}, a=5, b=10, c=20, d=20)
    results = results_by_films(runs)
    assert [len(found.experiments) for found in results.values()] == [1, 1, 2]
    write_curves(tmp_path / "out", results)
    table = pd.read_csv(tmp_path / "out" / "worth.csv", header=[0, 1], dtype=str)
    table.columns = [name for _, name in table.columns]
    said = table.set_index(["Column", "Train films"])["REAL"]
    assert said["Three-stage FINETUNE", "5"] == "10 (10 to 10)"
    assert said["Three-stage FINETUNE", "20"].startswith("more than 20")
    assert said["Three-stage SYNTH 3", "5"] == "fewer than 5"
    points = pd.read_csv(tmp_path / "out" / "points.csv").set_index(["column", "films"])
    assert points.loc[("real", 20), "draws"] == 2 and (points["low"] <= points["J"] + 1e-4).all()
    write_curves(tmp_path / "some", results, ["finetune-3"])  # the reference counts though it is not chosen
    assert "10 (10 to 10)" in (tmp_path / "some" / "worth.md").read_text()
    assert "SYNTH" not in (tmp_path / "some" / "films.md").read_text()
    with pytest.raises(UserError, match="'nothing'"):
        write_curves(tmp_path / "none", results, ["nothing"])
    with pytest.raises(UserError, match="two numbers"):
        results_by_films(runs[2:])
    other = write_experiment(tmp_path / "other", {"real": 1}, films=5)  # 2 train films, 5 test films
    with pytest.raises(UserError, match="on 5 test films"):
        results_by_films([*runs, str(other)])
