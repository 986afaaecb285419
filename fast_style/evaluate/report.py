"""The report: a self-contained page, and a sheet of pictures."""

from __future__ import annotations

import base64
import html
import io
import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from fast_style.evaluate.evaluation import Evaluation, Result
from fast_style.images import Picture, Pixels, fit, save_image
from fast_style.losses import FIGURES
from fast_style.sheet import Tile, grid

COLORS = ("#c8553d", "#2a7ab9", "#3d8f5f", "#8a5fb0", "#b5892b", "#555555")
_LINE = "#222222"

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1280px;padding:32px 24px;color:#222;background:#fdfcfa}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 8px}p{max-width:760px}.soft{color:#777}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:5px 12px 5px 0;text-align:right}
th,td{white-space:nowrap}
th{font-weight:600;border-bottom:1px solid #ccc;font-size:13px}th:first-child,td:first-child{text-align:left}
tr.model td{font-weight:600}.sheet{overflow-x:auto}
img.drawing{border-radius:3px;display:block}img.drawing{max-width:100%}
li{margin:2px 0}.bad{color:#a3311a}.lead{font-size:18px}img.painting{max-height:150px;border-radius:3px}
@media(prefers-color-scheme:dark){body{background:#191817;color:#e6e2dc}th{border-color:#555}.bad{color:#ff9a80}}
"""


def verdict(result: Result, last: int) -> str:
    """Describe what a model reaches."""
    if result.iterations is None:
        return f"reaches more than the reference does after {last} iterations"
    if result.iterations == 0:
        return "is no better than the unstyled photo"
    return f"reaches what the reference reaches after {result.iterations:.1f} iterations"


def write_html(evaluation: Evaluation, painting: Pixels, *, title: str, notes: Sequence[str] = ()) -> str:
    """Return the page: figures, curves, pictures and faults, with all pictures embedded.

    Args:
        evaluation: The results.
        painting: (H, W, 3) uint8.
        title: Title in plain text.
        notes: Sentences in plain text: the settings, the machine, the flicker.
    """
    last = len(evaluation.curve) - 1
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        "<meta name=viewport content='width=device-width'>",
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>",
        f"<p class=soft>{len(evaluation.photos)} photos, objective in units of what they score unstyled</p>",
        f"<img class=painting alt='the painting' src='{_embed(fit(Picture(painting), 400))}'>",
    ]
    for model in evaluation.models:
        speed = f", {model.ratio:,.0f} times as fast" if model.ratio else ""
        parts.append(f"<p class=lead><b>{html.escape(model.name)}</b> {verdict(model, last)}{speed}.</p>")
    parts += ["<h2>Figures</h2>", _table(evaluation)]
    faults = [(model.name, fault) for model in evaluation.models for fault in model.warnings]
    if faults:
        rows = "".join(f"<li class=bad>{html.escape(name)}: {html.escape(fault)}" for name, fault in faults)
        parts.append(f"<h2>What is wrong</h2><ul>{rows}</ul>")
    else:
        parts.append("<p>There are no more grids, borders or burnt colors than in the reference.</p>")
    parts += ["<h2>Distance to the painting, and how much of the photo is kept</h2>", _frontier(evaluation)]
    parts += ["<h2>The models on the reference's curve</h2>", _curves(evaluation)]
    sheet = f"<img alt='every picture' src='{_embed(Picture(draw_sheet(evaluation)))}'>"
    parts += ["<h2>Pictures</h2><div class=sheet>", sheet, "</div>"]
    if notes:
        parts.append("<h2>How this was measured</h2><ul>" + "".join(f"<li>{html.escape(n)}" for n in notes) + "</ul>")
    return "\n".join(parts) + "\n"


def table_rows(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Return the figures as text: the head, and a row for each result."""
    head = ["", *FIGURES, "= iterations", "ms", "ratio"]
    head += ["distance", "color distance", "kept", "precision", "flat precision", "coverage"]
    head += ["burnt", "border", "grid 2", "grid 4", "grid 8"]
    rows = []
    for result in (*evaluation.baselines, *evaluation.models):
        quality = result.quality
        model = result in evaluation.models
        reached = f"> {len(evaluation.curve) - 1}" if result.iterations is None else f"{result.iterations:.1f}"
        rows.append(
            [
                result.name,
                *(f"{result.terms[name]:.3f}" for name in FIGURES),
                reached if model else "",
                "" if result.milliseconds is None else f"{result.milliseconds:,.0f}",
                "" if result.ratio is None else f"{result.ratio:,.0f}",
                *(f"{result.neutral[name]:.3f}" for name in ("distance", "colors", "kept")),
                *(" / ".join(f"{value:.2f}" for value in values) for values in result.places.values()),
                f"{quality['saturation']:.1%}",
                f"{quality['border']:.1f}",
                *(f"{quality[f'grid_{p}_levels']:.2f} ({quality[f'grid_{p}_ratio']:.1f})" for p in (2, 4, 8)),
            ]
        )
    return head, rows


def _table(evaluation: Evaluation) -> str:
    head, rows = table_rows(evaluation)
    names = {model.name for model in evaluation.models}
    body = "".join(
        f"<tr{' class=model' if row[0] in names else ''}>" + "".join(f"<td>{html.escape(c)}" for c in row)
        for row in rows
    )
    note = (
        "<p class=soft>Lower is better for the objective and its terms. Distance and color distance, which no "
        "training minimizes: the Wasserstein distance to the painting's features at full, half and quarter size and "
        "to its colors, as shares of the photo's distance. Kept: the share of the photo's content that the picture "
        "keeps. Precision, at full, half and quarter size: the distance of the picture's places to the nearest of the "
        "painting, where 0 is the painting itself and 1 the photo. Flat precision: the same where the photo is flat. "
        "Coverage: the distance of the painting's places to the nearest of the picture. Grids: levels of 255 (and the "
        "ratio to the neighboring frequencies). Times are for a picture of the evaluated size on this machine; the "
        "reference's are for all iterations. Ratio: the reference's time to the same objective over the model's.</p>"
    )
    return f"<table><tr>{''.join(f'<th>{html.escape(c)}' for c in head)}{body}</table>{note}"


def _frontier(evaluation: Evaluation) -> str:
    """Plot how near each model is to the painting and how much of the photo it keeps; the reference is a line."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel="distance to the painting (the photo: 1)", ylabel="photo kept (the photo: 1)")
    stages = [(stage.neutral["distance"], stage.neutral["kept"], stage.name) for stage in evaluation.baselines]
    axes.plot(*zip(*(stage[:2] for stage in stages), strict=True), color=_LINE, marker="o", markersize=3)
    points = [(x, y, name.removeprefix("reference "), _LINE) for x, y, name in stages]
    for color, model in zip(itertools.cycle(COLORS), evaluation.models, strict=False):
        points.append((model.neutral["distance"], model.neutral["kept"], model.name, color))
        axes.plot(*points[-1][:2], color=color, marker="o", markersize=7)
    middle = sum(axes.get_xlim()) / 2
    for x, y, name, color in points:
        _label(axes, name, (x, y), color, left=x > middle)
    return _svg(figure, "distance to the painting and photo kept, the reference's iterations as a line")


def _curves(evaluation: Evaluation) -> str:
    """Plot the reference's mean terms over its iterations, and a horizontal line for each model."""
    figure = Figure(figsize=(12.0, 3.4), layout="constrained")
    for axes, name, values in zip(
        figure.subplots(1, 3), ("total", "content", "style"), evaluation.curve.T, strict=False
    ):
        axes.set(title=name, xlabel="iterations of the reference", yscale="log", xlim=(0, len(values)))
        axes.set_xscale("symlog", linthresh=1)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))
        axes.plot(values, color=_LINE)
        # The content of the photo itself is 0, which has no place on a logarithmic axis.
        least = min(values[values > 0], default=1.0)
        for color, model in zip(itertools.cycle(COLORS), evaluation.models, strict=False):
            level = max(model.terms[name], least)
            axes.axhline(level, color=color, linestyle="--", linewidth=1)
            _label(axes, model.name, (len(values), level), color, left=True)
            if name == "total" and model.iterations:
                axes.plot(model.iterations, level, color=color, marker="o", markersize=5)
    return _svg(figure, "total, content and style over the reference's iterations")


def _label(axes: Any, name: str, place: tuple[float, float], color: str, *, left: bool) -> None:
    """Write a name beside a point literally: a dollar sign is not mathematics."""
    style = {"ha": "right" if left else "left", "color": color, "fontsize": 8, "parse_math": False}
    axes.annotate(name, place, (-4 if left else 4, 3), textcoords="offset points", **style).set_in_layout(False)


def _svg(figure: Figure, alt: str) -> str:
    """Return the figure as an <img> with the drawing embedded."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"<img class=drawing alt='{html.escape(alt, quote=True)}' src='data:image/svg+xml;base64,{data}'>"


def _embed(picture: Picture) -> str:
    """Return a data address with the picture as JPEG."""
    buffer = io.BytesIO()
    save_image(picture, buffer, quality=88, format="JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def draw_sheet(evaluation: Evaluation) -> Pixels:
    """Lay the pictures out, (H, W, 3) uint8: a row for each photo, a column for each result."""
    unstyled, *stages = evaluation.baselines
    shown = sorted({len(stages) // 3, (2 * len(stages)) // 3, len(stages) - 1})
    columns = [unstyled, *(stages[index] for index in shown), *evaluation.models]
    tiles = [
        Tile(column.pictures[row], f"{column.name}  {column.terms['total']:.2f}")
        for row in range(len(evaluation.photos))
        for column in columns
    ]
    return grid(tiles, columns=len(columns))
