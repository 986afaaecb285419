"""``fast-style evaluate``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markdown import Markdown

from fast_style.cli.app import DONE, SOME_FAILED, Flag, Out, report_error
from fast_style.errors import InputError
from fast_style.evaluate import Options, evaluate_styles
from fast_style.files import check_writable


def _as_typed(default: object) -> object:
    """Show the items of a default without Python's parentheses."""
    return " ".join(map(str, default)) if isinstance(default, tuple) else default


def evaluate(
    *models: str,
    style: Path,
    photos: Path,
    pictures: Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)] = (),
    options: Annotated[
        Options, Parameter(name="*", negative="", consume_multiple=True, show_default=_as_typed)
    ] = Options(),
    out: Out = Path("evaluation"),
    force: Flag = False,
) -> int:
    """Measure how good a style is, compared with the per-image reference.

    Writes report.md, report.json and sheet.png to OUT. The reference's pictures are cached, so only the first
    evaluation of a painting is slow.

    Args:
        models: Shipped names, .onnx files, and mixtures such as ten#udnie.
        style: The painting that the MODELS learned.
        photos: A folder; use photos that were not trained on.
        pictures: NAME=FOLDER, once or several times: another program's pictures of the same photos, to measure as
            well. Each is named like its photo, and cropped to its middle square like the photo.
        options: Settings of the evaluation.
        out: Folder for the report.
        force: Overwrite a report in OUT.
    """
    if not models and not pictures:
        raise InputError("no model was given", hint="fast-style evaluate MODEL… --style PAINTING --photos DIR")
    if (out / "report.json").exists() and not force:
        raise InputError(f"{out} already holds a report", hint="Give --force to overwrite it, or another -o.")
    check_writable(out / "report.json")  # told now, not after the reference's minutes
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
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=240)
    screen.print(Markdown(report.text()))
    print(out / "report.md")
    return SOME_FAILED if report.failed else DONE


def _folders(entries: Sequence[str]) -> dict[str, Path]:
    """Parse NAME=FOLDER entries."""
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
