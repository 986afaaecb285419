"""``fast-style stylize``."""

from __future__ import annotations

import io
import json as json_module
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fast_style.cli.app import DONE, FAILED, SOME_FAILED, report_error
from fast_style.errors import FastStyleError, InputError
from fast_style.images import WRITABLE_SUFFIXES, find_images, load_image, save_image
from fast_style.runtime.session import Device
from fast_style.runtime.stylizer import Stylizer

Format = Literal["png", "jpg", "webp"]
STREAM = Path("-")


@dataclass(frozen=True)
class Job:
    """One picture to read and where its result goes."""

    source: Path
    target: Path


def stylize(
    *inputs: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    style: Annotated[str, Parameter(name=["--style", "-s"])],
    out: Annotated[Path | None, Parameter(name=["--out", "-o"], allow_leading_hyphen=True)] = None,
    size: int | None = None,
    blend: float = 1.0,
    keep_colors: Annotated[bool, Parameter(negative="")] = False,
    format: Format | None = None,
    quality: int = 92,
    device: Device = "auto",
    threads: int | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Stylize photos: one, several, a folder with its tree, or - for standard input.

    Args:
        inputs: Photos, folders, or - .
        style: The name of a shipped style, or an ONNX file.
        out: A file for one photo, a folder for several, or - for standard output. Without it results stand beside
            the photos as NAME-STYLE.png, or in a folder NAME-STYLE.
        size: Shrink the long side to this many px first.
        blend: 0 is the photo, 1 the full style.
        keep_colors: Take only brightness from the style.
        format: png, jpg or webp; without it, as the name of OUT says, or as the input.
        quality: Of jpg and webp, 1 to 100.
        device: auto, cpu, cuda, …; an error where it is not the one that would run.
        threads: Of the CPU; without it, all.
        force: Overwrite results that exist.
        json: Print what was done for machines.
    """
    if not inputs:
        raise InputError("nothing to stylize", hint="Give a photo, a folder, or - for standard input.")
    if not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}; expected 1 to 100")
    jobs = list(_plan(inputs, out, Path(style).stem, format))
    stylizer = Stylizer(style, device=device, threads=threads)
    records: list[dict[str, Any]] = []
    for job in _with_progress(jobs):
        start = time.perf_counter()
        record: dict[str, Any] = {"input": str(job.source), "output": str(job.target)}
        try:
            if job.target != STREAM and job.target.exists() and not force:
                raise InputError(f"{job.target} exists", hint="Give --force to overwrite it.")
            source = io.BytesIO(sys.stdin.buffer.read()) if job.source == STREAM else job.source
            picture = stylizer.picture(load_image(source, size=size), size=size, amount=blend, colors=keep_colors)
            if job.target == STREAM:
                kind = {"jpg": "JPEG", "webp": "WEBP"}.get(format or "png", "PNG")
                save_image(picture, sys.stdout.buffer, quality=quality, format=kind)
            else:
                job.target.parent.mkdir(parents=True, exist_ok=True)
                save_image(picture, job.target, quality=quality)
            record |= {"width": picture.size[0], "height": picture.size[1]}
        except FastStyleError as error:
            record["error"] = str(error)
            report_error(error, about=str(job.source))
        record["seconds"] = round(time.perf_counter() - start, 4)
        records.append(record)
    failed = sum("error" in record for record in records)
    if json:
        print(json_module.dumps(records), file=sys.stderr if out == STREAM else sys.stdout)
    elif len(jobs) > 1:
        print(f"{len(jobs) - failed} stylized, {failed} failed", file=sys.stderr)
    if failed == len(jobs):
        return FAILED
    return SOME_FAILED if failed else DONE


def _plan(inputs: tuple[Path, ...], out: Path | None, style: str, format: Format | None) -> Iterator[Job]:
    """Decide where each result goes.

    Raises:
        InputError: A folder holds no pictures, or several results would go to one file.
    """
    single = len(inputs) == 1 and not inputs[0].is_dir()
    if not single and out is not None and (out == STREAM or out.is_file() or out.suffix.lower() in WRITABLE_SUFFIXES):
        raise InputError(f"several results cannot all go to {out}", hint="Give a folder with -o.")
    seen: dict[Path, Path] = {}
    for given in inputs:
        pairs = [(given, Path(given.name))]
        if given.is_dir():
            pairs = [(path, path.relative_to(given)) for path in find_images(given)]
            if not pairs:
                raise InputError(f"{given} holds no pictures", hint="JPEG, PNG, WebP, BMP and TIFF are looked for.")
        for source, relative in pairs:
            if single and out is not None and (out == STREAM or (not out.is_dir() and out.suffix)):
                target = out
            elif given == STREAM:
                target = STREAM if out is None else out / f"stdin.{format or 'png'}"
            else:
                suffix = f".{format}" if format else source.suffix
                suffix = suffix if suffix.lower() in WRITABLE_SUFFIXES else ".png"
                if out is not None:
                    target = out / relative.with_suffix(suffix)
                elif given.is_dir():
                    target = given.resolve().with_name(f"{given.resolve().name}-{style}") / relative.with_suffix(suffix)
                else:
                    target = source.with_name(f"{source.stem}-{style}{suffix}")
            if target in seen:
                raise InputError(f"{seen[target]} and {source} would both be written to {target}")
            seen[target] = source
            yield Job(source, target)


def _with_progress(jobs: list[Job]) -> Iterator[Job]:
    """Pass the jobs on, with a bar on stderr where there are several."""
    if len(jobs) < 2:
        yield from jobs
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(jobs, description="stylizing", console=Console(stderr=True))
