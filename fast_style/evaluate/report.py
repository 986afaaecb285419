"""The report: the figures as a table and as text, and a sheet of pictures."""

from collections.abc import Sequence

from fast_style.evaluate.evaluation import Evaluation, Result
from fast_style.evaluate.quality import GRID_PERIODS
from fast_style.images import Pixels
from fast_style.sheet import Tile, grid

_EXPLANATION = """\
Lower is better for the objective and its terms. Distance and color distance, which no training minimizes: the
Wasserstein distance to the painting's features at full, half and quarter size and to its colors, as shares of the
photo's distance. Kept: the share of the photo's content that the picture keeps. Precision, at full, half and quarter
size: the distance of the picture's places to the nearest of the painting, where 0 is the painting itself and 1 the
photo. Flat precision: the same where the photo is flat. Coverage: the distance of the painting's places to the nearest
of the picture. Grids: levels of 255 (and the ratio to the neighboring frequencies). Times are for a picture of the
evaluated size on this machine; the reference's are for all iterations. Ratio: the reference's time to the same
objective over the model's."""


def _verdict(result: Result, last: int) -> str:
    if result.iterations is None:
        return f"reaches more than the reference does after {last} iterations"
    if result.iterations == 0:
        return "is no better than the unstyled photo"
    return f"reaches what the reference reaches after {result.iterations:.1f} iterations"


def write_text(evaluation: Evaluation, *, title: str, notes: Sequence[str] = ()) -> str:
    """Return the report as Markdown: what each model reaches, the faults, the figures, and how it was measured."""
    last = len(evaluation.curve) - 1
    lines = [f"# {title}", "", f"{len(evaluation.photos)} photos, objective in units of what they score unstyled.", ""]
    for model in evaluation.models:
        speed = f", {model.ratio:,.0f} times as fast" if model.ratio else ""
        lines.append(f"- **{model.name}** {_verdict(model, last)}{speed}.")
    faults = [f"- {model.name} shows {fault}." for model in evaluation.models for fault in model.warnings]
    lines += faults or ["- There are no more grids, borders or burnt colors than in the reference."]
    results = evaluation.baselines + evaluation.models
    figures = [_figures(result, last) for result in results]
    rows = [["", *(result.name.replace("|", "\\|") for result in results)], ["---"] * (1 + len(results))]
    rows += [[measure, *(column[measure] for column in figures)] for measure in figures[0]]
    lines += ["", *(f"| {' | '.join(row)} |" for row in rows), "", _EXPLANATION, "", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _figures(result: Result, last: int) -> dict[str, str]:
    quality = result.quality
    return {
        **{name: f"{value:.3f}" for name, value in result.terms.items()},
        "= iterations": f"> {last}" if result.iterations is None else f"{result.iterations:.1f}",
        "ms": "" if result.milliseconds is None else f"{result.milliseconds:,.0f}",
        "ratio": "" if result.ratio is None else f"{result.ratio:,.0f}",
        "distance": f"{result.neutral['distance']:.3f}",
        "color distance": f"{result.neutral['colors']:.3f}",
        "kept": f"{result.neutral['kept']:.3f}",
        **{
            name.replace("_", " "): " / ".join(f"{value:.2f}" for value in values)
            for name, values in result.places.items()
        },
        "burnt": f"{quality['saturation']:.1%}",
        "border": f"{quality['border']:.1f}",
        **{f"grid {p}": f"{quality[f'grid_{p}_levels']:.2f} ({quality[f'grid_{p}_ratio']:.1f})" for p in GRID_PERIODS},
    }


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
