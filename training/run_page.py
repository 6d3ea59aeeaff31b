"""The page of one run: fixed-seed grids over time, and curves of what was measured, to stop by eye.

index.html in the run folder, rewritten with each grid. It needs nothing but the pictures beside it.
"""

import html
import itertools
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from datasets.common import atomic_files

# Charts in the order of the page: title, what it tells, the metrics drawn in it.
_CHARTS = (
    ("Sliced Wasserstein distance x 1e3", "of a snapshot's pictures to the real ones; lower is better", ("swd",)),
    ("Valid samples", "share of a snapshot's samples that pass the checks; higher is better", ("valid",)),
    ("Validation J", "pooled mean over the organs; higher is better", ("val_j",)),
    ("Critic gap", "score of real minus score of generated pictures; near zero the critic cannot tell them apart",
     ("critic gap",)),
    ("Losses", "", ("d_loss", "g_loss", "penalty", "d_real", "d_fake", "g_gan", "g_features", "g_vgg", "loss")),
    ("Accuracy", "share of training pixels labelled rightly", ("accuracy",)),
    ("Gradients", "norm of each network's gradient", ("d_gradient", "g_gradient", "gradient")),
    ("Growth", "log2 of the resolution, with the part faded in", ("level",)),
)
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 460, 200, 62, 22  # of a chart in pixels, with room for numbers

_ADVICE = (" A grid marked with <code>--snapshot</code> belongs to a kept network: <code>tools.generate</code> "
           "takes it by that flag instead of the run's own choice.")

Line = tuple[str, list[tuple[float, float]]]  # name, points


def write_run_page(folder: pathlib.Path, settings: Mapping[str, Any], metrics: Sequence[dict[str, float]],
                   total: int, unit: str) -> None:
    """Writes index.html to a run folder from its grids, snapshots and the rows of its metrics.

    Args:
      settings: the content of config.json: task, options, digests.
      metrics: rows of metrics.jsonl: {"position": ..., name: value, ...}.
      total, unit: where the run ends, e.g. 20000 and "steps".
    """
    rows = [_with_gap(row) for row in metrics]
    title = html.escape(f"{settings['task']}: {folder.name}")
    # Networks that `--snapshot` can name: those that make pictures.
    snapshots = ({file.stem for file in (folder / "snapshots").glob("*.keras") if file.stem.isdigit()}
                 if settings["task"] == "train_pggan" else set())
    last = max((row["position"] for row in rows), default=0)
    charts = "".join(_chart(*chart, rows, total, unit) for chart in _CHARTS)
    text = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:15px/1.5 sans-serif;max-width:76em;margin:2em auto;padding:0 1em;color:#222}}
img{{max-width:100%;image-rendering:pixelated}}figure{{margin:1.5em 0}}code{{background:#eee;padding:0 .3em}}
.side{{display:flex;flex-wrap:wrap;gap:1.5em}}.side figure{{margin:0}}.charts figure{{width:{_WIDTH}px}}
svg{{font-size:11px}}</style>
<h1>{title}</h1><p>At {last:,} of {total:,} {unit}.{_ADVICE if snapshots else ""}</p>
<div class="side charts">{charts}</div>
<h2>Grids</h2><div class="side">{_grids(folder, snapshots, rows, unit)}</div>
<h2>Options</h2><pre>{html.escape(json.dumps(settings, indent=2))}</pre></html>
"""
    atomic_files.write_text(folder / "index.html", text)


def _with_gap(row: dict[str, float]) -> dict[str, float]:
    if "score_real" not in row or "score_fake" not in row:
        return row
    return {**row, "critic gap": row["score_real"] - row["score_fake"]}


def _grids(folder: pathlib.Path, snapshots: set[str], rows: Sequence[dict[str, float]], unit: str) -> str:
    """Newest first, each with its scores and, where the network was kept, its name."""
    figures = []
    for file in sorted((folder / "grids").glob("*.png"), reverse=True):
        if not file.stem.isdigit():
            continue
        caption = f"{int(file.stem):,} {unit}"
        for row in rows:
            caption += "".join(f", {name} {row[name]:.4g}" for name in ("swd", "valid", "val_j")
                               if name in row and row["position"] == int(file.stem))
        mark = f" <code>--snapshot={int(file.stem)}</code>" if file.stem in snapshots else ""
        figures.append(f'<figure id="{file.stem}"><img src="grids/{file.name}" loading="lazy" alt="{caption}">'
                       f"<figcaption>{caption}{mark}</figcaption></figure>")
    return "".join(figures)


def _chart(title: str, meaning: str, names: Sequence[str], rows: Sequence[dict[str, float]], total: int,
           unit: str) -> str:
    """One chart as SVG; nothing if none of the metrics was measured."""
    lines = [(name, [(row["position"], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))])
             for name in names]
    lines = [line for line in lines if line[1]]
    if not lines:
        return ""
    caption = html.escape(f"{title}: {meaning}" if meaning else title)
    if len(lines) > 1:
        caption += ":" + "".join(f' <span style="color:{colour}">{html.escape(name)}</span>'
                                 for (name, _), colour in zip(lines, itertools.cycle(_COLOURS), strict=False))
    return f"<figure>{_svg(lines, total, unit)}<figcaption>{caption}</figcaption></figure>"


def _svg(lines: Sequence[Line], total: int, unit: str) -> str:
    values = [value for _, points in lines for _, value in points]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    across, down = (_WIDTH - _LEFT) / max(total, 1), (_HEIGHT - _BOTTOM - 12) / (high - low)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return _LEFT + point[0] * across, _HEIGHT - _BOTTOM - (point[1] - low) * down

    parts = [_text(_LEFT - 6, place((0, value))[1] + 4, f"{value:.4g}", "end")
             for value in (low, (low + high) / 2, high)]
    parts += [_text(_LEFT, _HEIGHT - 6, "0", "start"), _text(_WIDTH, _HEIGHT - 6, f"{total:,} {unit}", "end")]
    parts.append(f'<path d="M{_LEFT} 10V{_HEIGHT - _BOTTOM}H{_WIDTH}" fill="none" stroke="#999"/>')
    for (_, points), colour in zip(lines, itertools.cycle(_COLOURS), strict=False):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, points))
        x, y = place(points[-1])
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
                     f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}"/>')
    return (f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
            + "".join(parts) + "</svg>")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#444">{html.escape(text)}</text>'
