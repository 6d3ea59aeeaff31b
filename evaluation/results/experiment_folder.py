"""What `tools.run_experiment` leaves in its folder, as tables and figures read it."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pandas as pd

from datasets.common import atomic_files
from datasets.common.errors import UserError
from datasets.pair_store import PairStore, read_png
from evaluation.results.per_film import read_per_film
from evaluation.results.tables import GROUPS, read_pooled

# The paper's, then the baselines beside them.
COLUMNS = ("real", "synth-1", "finetune-1", "synth-2", "finetune-2", "synth-3", "finetune-3",
           "mix-1", "mix-2", "mix-3", "synth-shape", "finetune-shape")
FILMS = ("segmenter-films", "gan-films")  # below data/: films at the segmenters' size, or at that of all stages
_COLUMN = re.compile(r"[a-z][a-z0-9_-]*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class ExperimentFolder:
    """An experiment's folder. Everything is read when asked for; a missing or foreign file is a UserError."""

    path: pathlib.Path

    def __post_init__(self):
        object.__setattr__(self, "path", pathlib.Path(self.path))
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such folder; expected the --workdir of tools.run_experiment")

    def columns(self) -> list[str]:
        """Evaluated columns in the tables' order: the paper's, baselines beside them, then others by name."""
        found = {path.parent.name.removeprefix("evaluate-") for path in self.path.glob("evaluate-*/pooled.json")}
        found = {name for name in found if _COLUMN.fullmatch(name)}
        if not found:
            raise UserError(f"{self.path}: found no evaluated column (evaluate-*/pooled.json); run "
                            "tools.run_experiment to its end")
        return [*(name for name in COLUMNS if name in found), *sorted(found - set(COLUMNS))]

    def pooled(self, column: str) -> dict:
        """See `evaluation.results.tables.read_pooled`."""
        return read_pooled(self.path / f"evaluate-{column}" / "pooled.json")

    def per_film(self, column: str) -> pd.DataFrame:
        """See `evaluation.results.per_film.read_per_film`."""
        return read_per_film(self.path / f"evaluate-{column}" / "per_film.csv")

    def prediction(self, column: str, id_: str) -> np.ndarray:
        """Predicted codes uint8 [H, W] of a test film."""
        path = self.path / f"evaluate-{column}" / "predictions" / f"{id_}.png"
        codes = read_png(path, self.films().description.size)
        if codes.dtype != np.uint8 or codes.max() >= len(self.organs(column)) + 1:
            raise UserError(f"{path}: found code {codes.max()}, expected 0 to {len(self.organs(column))}")
        return codes

    def gold(self, column: str, id_: str) -> np.ndarray:
        """True codes uint8 [H, W] of the organs on which `column` was scored."""
        store = self.films()
        if self.organs(column) == store.classes.scored_table().organs:
            return store.scored_label(id_)
        return store.label(id_)

    def organs(self, column: str) -> tuple[str, ...]:
        """Organs on which `column` was scored, in order of their codes."""
        return tuple(self.pooled(column)["counts"])

    def films(self) -> PairStore:
        """Test films as the segmenters saw them."""
        for name in FILMS:
            if (self.path / "data" / name).is_dir():
                return PairStore(self.path / "data" / name)
        raise UserError(f"{self.path}/data: found neither segmenter-films nor gan-films; run tools.run_experiment")

    def title(self) -> str:
        """Name of the data set, or of the folder where the films are not kept."""
        kept = any((self.path / "data" / name).is_dir() for name in FILMS)
        return self.films().description.name if kept else self.path.resolve().name

    def synthetic(self, number: str) -> PairStore:
        """Synthetic pairs of method `number`, a key of `tables.GROUPS`, at the size they were made."""
        return PairStore(self.path / f"synthetic-{number}" / "gan")

    def methods(self) -> list[str]:
        """Numbers of the methods whose synthetic pairs are there, as in `tables.GROUPS`; "shape" is last."""
        return [number for number in GROUPS
                if (self.path / f"synthetic-{number}" / "gan" / "manifest.csv").is_file()]

    @property
    def configuration(self) -> str:
        """"FULL" or "TINY"; empty where the folder does not say."""
        path = self.path / "data" / "subset.json"
        value = atomic_files.read_json(path) if path.is_file() else {}
        return str(value.get("config", "")).upper() if isinstance(value, dict) else ""

    def logs(self) -> dict[str, pd.DataFrame]:
        """Training run -> its metrics.jsonl, a row per line; in the order in which the experiment trains them."""
        order = ["pairs", "labels", "dots", "dots_to_labels", "labels_to_film", *COLUMNS]
        found = {path.parent.name: path for path in self.path.glob("*/metrics.jsonl")}
        names = [*(name for name in order if name in found), *sorted(set(found) - set(order))]
        return {name: _read_log(found[name]) for name in names}


def _read_log(path: pathlib.Path) -> pd.DataFrame:
    """Lines of a metrics file; a last line cut short by a stop is left out."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows.append({str(key): float(value) for key, value in row.items()})
        except (ValueError, TypeError, AttributeError):
            if number < len(lines):
                raise UserError(f"{path}: line {number} is not a line of numbers; expected JSON as training "
                                "writes it") from None
    return pd.DataFrame(rows, columns=None if rows else ["position"])
