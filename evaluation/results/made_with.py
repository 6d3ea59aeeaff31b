"""What an experiment was made with, by name: its preset and recipe, in experiment.json of its folder.

The settings themselves are in the tasks' records, tasks/NAME.json; what the recipe changes is told here too, since
a recipe of one name may change from one version of the code to the next.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from datasets.common import atomic_files
from datasets.common.errors import UserError

FILE = "experiment.json"
PAPER = "paper"  # the recipe that changes nothing
_SHOWN = ("evaluate-", "synthetic-")  # tasks whose results people look at


@dataclasses.dataclass(frozen=True)
class MadeWith:
    """Names of what an experiment was made with.

    Attributes:
      preset: settings of every stage.
      recipe: what changes the preset and adds columns.
      changes: what the recipe does, as JSON; empty for the paper's.
      superseded: names of earlier plans' tasks whose results are still in the folder, but of other settings or
        data. They stand in no table and no figure.
    """

    preset: str
    recipe: str = PAPER
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    superseded: tuple[str, ...] = ()

    def settings(self) -> dict[str, Any]:
        """What tables say of it, as a task's settings: the recipe, but for the paper's, and what is superseded."""
        return {**({} if self.recipe == PAPER else {"recipe": self.recipe}),
                **({"superseded": list(self.superseded)} if self.superseded else {})}

    def superseded_line(self) -> str:
        """What is left out, for the console."""
        names = [name.removeprefix("evaluate-") for name in self.superseded if name.startswith(_SHOWN)]
        return (f"left out of tables and report: {', '.join(names)}, which an earlier plan made with other "
                "settings or data; ask for them again, and they are made anew")

    def settings_changed(self) -> dict[str, Any]:
        """What the recipe changed of the preset, without the columns that it added."""
        return {part: changes for part, changes in self.changes.items() if part != "extras"}

    def changed_line(self, folder: pathlib.Path) -> str:
        """What becomes of `folder`, made by another version of the recipe; empty where it was made by this one."""
        found = read_made_with(folder)
        if not found or found.settings_changed() == self.settings_changed():
            return ""
        return (f"{folder}: --recipe={self.recipe} had {found.settings_changed()} when this was made and has "
                f"{self.settings_changed()} now; what that concerns is made anew, and the former goes to old/ "
                "(the version of the code that made it goes on with it as it is)")

    def check(self, folder: pathlib.Path) -> None:
        """Raises UserError where `folder` was made with another recipe: its columns would stand among these."""
        found = recipe_of(folder)
        if found and found != self.recipe:
            raise UserError(f"{folder}: was made with --recipe={found}, found --recipe={self.recipe}, and "
                            "columns of both would stand in one table; use the former, or another --workdir")

    def write(self, folder: pathlib.Path) -> None:
        """Keeps it in `folder`."""
        atomic_files.write_json(folder / FILE, dataclasses.asdict(self))


def recipe_of(folder: pathlib.Path) -> str | None:
    """The recipe of an experiment folder, or of the first draw in a plan's that has one; None for a new one.
    Folders that don't say are older than recipes."""
    for part in (folder, *sorted(folder.glob("*/seed-*"))):
        found = read_made_with(part)
        if found:
            return found.recipe
        records = (atomic_files.read_json(path) for path in sorted((part / "tasks").glob("*.json")))
        if any(isinstance(record, dict) and record.get("done") for record in records):
            return PAPER
    return None


def read_made_with(folder: pathlib.Path) -> MadeWith | None:
    """What experiment folder `folder` was made with; None where it does not say, as older ones do not."""
    path = folder / FILE
    if not path.is_file():
        return None
    value = atomic_files.read_json(path)
    try:
        return MadeWith(str(value["preset"]), str(value["recipe"]), dict(value["changes"]),
                        tuple(map(str, value.get("superseded", ()))))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: does not say what the experiment was made with ({type(error).__name__}: "
                        f"{str(error)[:100]}); expected what tools.run_experiment writes; remove it") from None
