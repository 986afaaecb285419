"""``fast-style evaluate``."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from fast_style.cli.app import DONE, SOME_FAILED, report_error
from fast_style.errors import InputError
from fast_style.evaluate import Options, Report, evaluate_styles, table_rows, verdict

DEFAULTS = Options()


def evaluate(
    *models: str,
    style: Path,
    photos: Path,
    pictures: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    options: Annotated[Options, Parameter(name="*", negative="", consume_multiple=True)] = DEFAULTS,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("evaluation"),
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure trained styles against the per-image reference, on photos they have not seen.

    Leaves report.html, report.json and sheet.png in OUT. The reference's pictures are cached, so that the first
    evaluation is slow and the next ones are quick.

    Args:
        models: Shipped names, .onnx and .ckpt files, and mixtures such as ten#udnie.
        style: The painting they were trained on.
        photos: A folder; use photos that were not trained on.
        pictures: NAME=FOLDER, once or several times: pictures of the same photos from another program, network or
            day, to be measured beside the models. Each is named like its photo, or NAME-PHOTO; its middle square is
            taken, as the photo's.
        options: How they are evaluated.
        out: Folder for the report.
        force: Overwrite a report in OUT.
        json: Print the report for machines.
    """
    if not models and not pictures:
        raise InputError("no model was given", hint="fast-style evaluate MODEL… --style PAINTING --photos DIR")
    if (out / "report.json").exists() and not force:
        raise InputError(f"{out} holds a report", hint="Give --force to overwrite it, or another -o.")
    console = Console(stderr=True)
    report = evaluate_styles(
        models,
        style,
        photos,
        options,
        pictures=_folders(pictures),
        on_error=report_error,
        on_note=lambda note: console.print(note, highlight=False, markup=False, soft_wrap=True),
    )
    report.write(out)
    if json:
        print(json_module.dumps(report.as_dict()))
    else:
        _print(report)
        print(out / "report.html")
    return SOME_FAILED if report.failed else DONE


def _folders(entries: Sequence[str]) -> dict[str, Path]:
    """Read NAME=FOLDER, once or several times."""
    folders: dict[str, Path] = {}
    for entry in entries:
        name, _, folder = entry.partition("=")
        if not name or not folder or name in folders or not Path(folder).is_dir():
            raise InputError(
                f"cannot read the pictures {entry!r}",
                hint="Give --pictures NAME=FOLDER, each name once and each folder one that exists.",
            )
        folders[name] = Path(folder)
    return folders


def _print(report: Report) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=240)
    head, rows = table_rows(report.evaluation)
    console.print(_tabulate([head, *rows], console.width), highlight=False)
    for model in report.evaluation.models:
        print(f"{model.name} {verdict(model, len(report.evaluation.curve) - 1)}")
        for fault in model.warnings:
            print(f"{model.name} shows {fault}")
    for line in report.flicker_lines():
        print(line)


def _tabulate(lines: Sequence[Sequence[str]], width: int) -> Table:
    """The lines, the first of them the head, as a table; on its side if it would be wider than ``width``."""
    columns = list(zip(*lines, strict=True))
    if sum(max(map(len, column)) + 1 for column in columns) > width:
        lines = columns
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(lines[0][0], no_wrap=True)
    for name in lines[0][1:]:
        table.add_column(name, justify="right", overflow="fold")
    for line in lines[1:]:
        table.add_row(*line)
    return table
