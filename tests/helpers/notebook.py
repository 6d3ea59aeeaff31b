"""A notebook's cells run one after the other, as Jupyter would show them. As a program it keeps the outputs.

    python -m tests.helpers.notebook docs/quickstart.ipynb      in an empty folder; writes the outputs into it
"""

import ast
import base64
import contextlib
import io
import json
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

Cell = dict[str, Any]


def read(path: pathlib.Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(notebook: dict[str, Any]) -> list[Cell]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell: Cell) -> str:
    return "".join(cell["source"])


def run(notebook: dict[str, Any], instead: Mapping[str, str] | None = None) -> Iterator[tuple[Cell, list[Cell]]]:
    """Each code cell with its outputs, in the notebook's own form.

    Args:
      instead: tag of a cell -> the source that runs in its place.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in code_cells(notebook):
        tag = next((tag for tag in cell["metadata"].get("tags", ()) if tag in (instead or {})), None)
        yield cell, _outputs(instead[tag] if tag else source(cell), names)


def _outputs(text: str, names: dict[str, Any]) -> list[Cell]:
    tree = ast.parse(text)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    lines = [line.split("\r")[-1].rstrip() for line in printed.getvalue().split("\n")]  # as a renewed line ends
    shown = "\n".join(lines).strip("\n")
    outputs = [{"output_type": "stream", "name": "stdout", "text": _lines(shown + "\n")}] if shown else []
    if value is not None:
        outputs.append({"output_type": "execute_result", "metadata": {}, "execution_count": None,
                        "data": _data(value)})
    return outputs


def _data(value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"text/plain": _lines(_without_address(value))}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = _lines(value._repr_html_())
    if hasattr(value, "_repr_png_"):
        data["image/png"] = base64.b64encode(value._repr_png_()).decode() + "\n"
    return data


def _without_address(value: Any) -> str:
    return repr(value).partition(" at 0x")[0] + (">" if " at 0x" in repr(value) else "")


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def keep(path: pathlib.Path) -> None:
    """Runs the notebook here and writes its outputs into it."""
    notebook = read(path)
    for number, (cell, outputs) in enumerate(run(notebook), 1):
        cell["execution_count"] = number
        cell["outputs"] = [{**output, "execution_count": number} if "data" in output else output
                           for output in outputs]
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    keep(pathlib.Path(sys.argv[1]).resolve())
