"""The page of one run: fixed-seed grids over time, and curves of what was measured, to stop by eye.

index.html in the run folder, rewritten with each grid. It needs nothing but the pictures beside it.
"""

import html
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from datasets.common import atomic_files
from evaluation.figures.chart_figures import training_curves
from evaluation.figures.style import save_figure

_ADVICE = (" A grid marked with <code>--snapshot</code> belongs to a kept network: <code>tools.generate</code> "
           "takes it by that flag instead of the run's own choice.")


def write_run_page(folder: pathlib.Path, settings: Mapping[str, Any], metrics: Sequence[dict[str, float]],
                   total: int, unit: str) -> None:
    """Writes index.html and curves.svg to a run folder from its grids, snapshots and the rows of its metrics.

    Args:
      settings: the content of config.json: task, options, digests.
      metrics: rows of metrics.jsonl: {"position": ..., name: value, ...}.
      total, unit: where the run ends, e.g. 20000 and "steps".
    """
    curves, shown = training_curves({folder.name: metrics}, unit), ""
    if curves:
        save_figure(curves, folder, "curves", ["svg"])
        titles = ", ".join(axis.get_title() for axis in curves.axes if axis.get_title())
        shown = f'<img class="curves" src="curves.svg" alt="Curves: {titles}">'
    title = html.escape(f"{settings['task']}: {folder.name}")
    # Networks that `--snapshot` can name: those that make pictures.
    snapshots = ({file.stem for file in (folder / "snapshots").glob("*.keras") if file.stem.isdigit()}
                 if settings["task"] == "train_pggan" else set())
    last = max((row["position"] for row in metrics), default=0)
    text = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:15px/1.5 sans-serif;max-width:76em;margin:2em auto;padding:0 1em;color:#222}}
img{{max-width:100%;image-rendering:pixelated}}figure{{margin:1.5em 0}}code{{background:#eee;padding:0 .3em}}
.side{{display:flex;flex-wrap:wrap;gap:1.5em}}.side figure{{margin:0}}.curves{{width:100%}}</style>
<h1>{title}</h1><p>At {last:,} of {total:,} {unit}.{_ADVICE if snapshots else ""}</p>
{shown}
<h2>Grids</h2><div class="side">{_grids(folder, snapshots, metrics, unit)}</div>
<h2>Options</h2><pre>{html.escape(json.dumps(settings, indent=2))}</pre></html>
"""
    atomic_files.write_text(folder / "index.html", text)


def _grids(folder: pathlib.Path, snapshots: set[str], rows: Sequence[dict[str, float]], unit: str) -> str:
    """Newest first, each with its scores and, where the network was kept, its name."""
    figures = []
    for file in sorted((folder / "grids").glob("*.png"), reverse=True):
        if not file.stem.isdigit():
            continue
        caption = f"{int(file.stem):,} {unit}"
        for row in rows:
            # The scores of any trainer.
            caption += "".join(f", {name} {row[name]:.4g}" for name in ("swd", "valid", "val_j")
                               if name in row and row["position"] == int(file.stem))
        mark = f" <code>--snapshot={int(file.stem)}</code>" if file.stem in snapshots else ""
        figures.append(f'<figure id="{file.stem}"><img src="grids/{file.name}" loading="lazy" alt="{caption}">'
                       f"<figcaption>{caption}{mark}</figcaption></figure>")
    return "".join(figures)
